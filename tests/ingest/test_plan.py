"""Tests of which files are found, how they are named, opened, and cut into pieces and units."""

import bz2
import gzip
import os
import pathlib
import random

import pyarrow as pa
import pytest
import tensorflow as tf

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import File
from ragline.components.ingest.source import beginnings, framing, patterns, raw_files, read_plan

COLUMNS = Columns(features=(Feature(name="a", unit=None, allow_missing=True),), context={})
RECORD = b'{"features": {"a": [1, 2]}}\n'
SEQUENCE_EXAMPLE = tf.train.SequenceExample()
SEQUENCE_EXAMPLE.feature_lists.feature_list["a"].feature.add()
TS = b"@dimensions 1\n@data\n1,2\n"


def _write(folder: pathlib.Path, name: str, content: bytes = RECORD) -> pathlib.Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _plan(pattern: str | pathlib.Path, **options: object) -> read_plan.ReadPlan:
    return read_plan.make(InputOptions(train=str(pattern), **options), COLUMNS, 1 << 20)


def _read(path: pathlib.Path, format_name: str = "auto") -> list[int]:
    """The numbers of all records of a file, rejected or not."""
    planned = _plan(path, format=format_name)
    numbers: list[int] = []
    for unit in planned.units:
        for piece in unit.pieces:
            reader = formats.of(piece.file.format)
            for part in reader.read(piece, COLUMNS, InputOptions(train="x")):
                numbers += part.chunk.number.tolist() + [r.number for r in part.rejected]
    return sorted(numbers)


def _names(pattern: str | pathlib.Path) -> list[str]:
    return [file.name for file in _plan(pattern).files]


def test_files_are_sorted_and_numbered(tmp_path: pathlib.Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.ndjson", "ignored.txt"):
        _write(tmp_path, name)
    files = _plan(tmp_path / "*.*json*").files
    assert [(file.name, file.index, file.split) for file in files] == [
        ("a.jsonl", 0, None),
        ("b.jsonl", 1, None),
        ("c.ndjson", 2, None),
    ]


def test_given_splits_go_on_numbering(tmp_path: pathlib.Path) -> None:
    for name in ("train/a.jsonl", "train/b.jsonl", "eval/a.jsonl"):
        _write(tmp_path, name)
    files = _plan(f"{tmp_path}/train/*.jsonl", eval=f"{tmp_path}/eval/*.jsonl").files
    # The names, and with them the default ids, differ though the files are called alike.
    assert [(file.name, file.index, file.split) for file in files] == [
        ("train/a.jsonl", 0, "train"),
        ("train/b.jsonl", 1, "train"),
        ("eval/a.jsonl", 2, "eval"),
    ]


def test_nested_folders_give_unique_names(tmp_path: pathlib.Path) -> None:
    names = ["one/x.jsonl", "two/deep/x.jsonl", "two/x.jsonl", "x.jsonl"]
    for name in names:
        _write(tmp_path, name)
    assert _names(tmp_path / "**" / "*.jsonl") == names


def test_a_new_file_does_not_rename_the_others(tmp_path: pathlib.Path) -> None:
    # A default id is the entity, too: a new name could move a sequence to the other split.
    _write(tmp_path, "day-1/x.jsonl")
    before = _names(tmp_path / "*" / "x.jsonl")
    _write(tmp_path, "day-2/x.jsonl")
    assert before == ["day-1/x.jsonl"]
    assert _names(tmp_path / "*" / "x.jsonl") == [*before, "day-2/x.jsonl"]


def test_a_name_does_not_depend_on_how_the_path_is_written(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(tmp_path, "x.jsonl")
    monkeypatch.chdir(tmp_path)
    for pattern in (
        "x.jsonl",
        "./x.jsonl",
        f"{tmp_path}/*.jsonl",
        f"{tmp_path}/x.jsonl",
    ):
        assert _names(pattern) == ["x.jsonl"], pattern


@pytest.mark.parametrize(
    "name", ["run [1].jsonl", "what?.jsonl", "a*b.jsonl", " spaced  out .jsonl", "grüße.jsonl"]
)
def test_odd_file_names_are_found_by_name_and_by_pattern(tmp_path: pathlib.Path, name: str) -> None:
    path = _write(tmp_path, name)
    assert _names(path) == [name]
    assert _names(tmp_path / "*.jsonl") == [name]


def test_a_folder_with_brackets_is_found_by_name(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "run [1]/x.jsonl")
    _write(tmp_path, "run 1/other.jsonl")
    assert _names(path) == ["x.jsonl"]
    assert _names(tmp_path / "run [1]" / "*.jsonl") == ["x.jsonl"]
    assert _names(tmp_path / "run [0-9]" / "*.jsonl") == ["run 1/other.jsonl"]


def test_a_name_that_is_not_utf8_is_read_and_shown(tmp_path: pathlib.Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.jsonl"
    with open(path, "wb") as file:
        file.write(RECORD)
    assert _names(tmp_path / "*.jsonl") == ["\ufffd.jsonl"]
    assert _read(tmp_path / "*.jsonl") == [1]
    with open(path + b".gz", "wb") as file:
        file.write(RECORD)
    with pytest.raises(BadDataError, match="unreadable") as caught:
        _read(tmp_path / "*.gz")
    str(caught.value).encode()


@pytest.mark.parametrize("pattern", ["*.jsonl", "absent.jsonl", "absent/*.jsonl", "x[1].jsonl"])
def test_no_file_is_an_error_that_names_the_pattern(tmp_path: pathlib.Path, pattern: str) -> None:
    with pytest.raises(BadDataError) as caught:
        _plan(tmp_path / pattern)
    assert caught.value.code == "no_input"
    assert caught.value.lines == (f"{tmp_path}/{pattern}: expected at least one file, found none",)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_an_error_that_says_what_to_write(tmp_path: pathlib.Path, slash: str) -> None:
    _write(tmp_path, "x.jsonl")
    with pytest.raises(
        BadDataError, match=f"no_input: .*such as {tmp_path}/\\*, received a folder"
    ):
        _plan(f"{tmp_path}{slash}")


@pytest.mark.parametrize("name", ["x", "jsonl", "x.jsonl.zip", "x.txt.gz"])
def test_an_unknown_format_names_the_file(tmp_path: pathlib.Path, name: str) -> None:
    content = b"what is this?"
    path = _write(tmp_path, name, gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(BadDataError, match=f"unknown_format: {path}: neither its name"):
        _plan(path)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("ragline.toml", b'# Written by ragline.\nname = "x"\n', "a configuration"),
        ("x.verdict.toml", b"min_eval = 3\n", "a configuration"),
        ("x.pbtxt", b"feature { name: 'a' type: FLOAT }\n", "a schema"),
    ],
)
def test_what_stands_beside_data_is_named(
    tmp_path: pathlib.Path, name: str, content: bytes, what: str
) -> None:
    _write(tmp_path, "a.jsonl")
    path = _write(tmp_path, name, content)
    sentence = rf"unknown_format: {path}: this is {what}, not data; .* such as {tmp_path}/\*\.csv"
    with pytest.raises(BadDataError, match=sentence):
        _plan(tmp_path / "*")


def test_an_empty_file_says_nothing_of_its_format(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "part-0", b"")
    with pytest.raises(BadDataError, match=f"no_data: {path}: expected at least one record"):
        _plan(path)
    assert _read(path, "tfrecord") == []


@pytest.mark.parametrize(
    ("content", "format_name"),
    [
        (RECORD, "jsonl"),
        (b"\xef\xbb\xbf \n" + RECORD, "jsonl"),
        (TS, "ts"),
        (b"# a comment\n" + TS, "ts"),
        (b"PAR1....", "parquet"),
        (b"PK\x03\x04....", "npz"),
        (b"<?xml version='1.0'?><log/>", "xes"),
        (framing.frame(tf.train.Example().SerializeToString()), "tfrecord"),
        (framing.frame(SEQUENCE_EXAMPLE.SerializeToString()), "sequence_example"),
    ],
)
def test_the_first_bytes_say_what_the_name_does_not(
    tmp_path: pathlib.Path, content: bytes, format_name: str
) -> None:
    assert beginnings.guess(str(_write(tmp_path, "x", content))) == format_name
    assert beginnings.guess(str(_write(tmp_path, "x.gz", gzip.compress(content)))) == format_name
    # The name goes before the bytes, and a reader then says what is wrong.
    assert beginnings.guess(str(_write(tmp_path, "x.csv", content))) == "csv"


def test_a_stated_format_is_taken_whatever_the_name(tmp_path: pathlib.Path) -> None:
    assert _read(_write(tmp_path, "x.csv"), "jsonl") == [1]
    assert _read(_write(tmp_path, "y", TS), "ts") == [3]


def test_only_tables_can_be_grouped(tmp_path: pathlib.Path) -> None:
    with pytest.raises(BadDataError, match=r"not_a_table: .*x\.ts: read as ts"):
        _plan(_write(tmp_path, "x.ts"), group_by=("id",))


@pytest.mark.parametrize("name", ["x.JSONL", "x.Ndjson"])
def test_suffixes_may_be_upper_case(tmp_path: pathlib.Path, name: str) -> None:
    assert _read(_write(tmp_path, name)) == [1]


def test_lines_are_counted_from_one_and_blank_ones_are_no_records(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.jsonl", b"\n1\r\n \t\r\n  2  \n\n3")
    assert _read(path) == [2, 4, 6]


def test_a_ts_file_with_windows_line_ends(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.ts", b"# c\r\n@dimensions 1\r\n@data\r\n1,2\r\n\r\n3\r\n")
    assert _read(path) == [4, 6]


def test_an_empty_file_has_no_records(tmp_path: pathlib.Path) -> None:
    assert _read(_write(tmp_path, "x.jsonl", b"")) == []


def test_a_bad_header_names_the_file(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.ts", b"1,2\n")
    with pytest.raises(BadDataError, match=f"bad_header: {path}: expected a header that ends"):
        _plan(path)


COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".zst", ".GZ"])
def test_compressed_files_are_read(tmp_path: pathlib.Path, suffix: str) -> None:
    compress = COMPRESS[suffix.lower()]
    lines = _write(tmp_path, f"x.jsonl{suffix}", compress(b"1\n2\n") + compress(b"3\n"))
    assert _read(lines) == [1, 2, 3]
    assert _read(_write(tmp_path, f"x.ts{suffix}", compress(TS))) == [3]
    assert _read(_write(tmp_path, f"x{suffix}", compress(TS)), "ts") == [3]


def _broken(suffix: str, damage: str) -> bytes:
    content = COMPRESS[suffix](random.Random(0).randbytes(20_000).hex().encode())
    middle = len(content) // 2
    return {
        "empty": b"",
        "truncated": content[:middle],
        "without its trailer": content[:-4],
        "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "not compressed": RECORD * 1000,
        "with a tail": content + b"tail",
    }[damage]


@pytest.mark.parametrize(
    "damage",
    ["empty", "truncated", "without its trailer", "flipped", "not compressed", "with a tail"],
)
@pytest.mark.parametrize("suffix", COMPRESS)
def test_a_broken_compressed_file_is_refused_by_name(
    tmp_path: pathlib.Path, suffix: str, damage: str
) -> None:
    if (suffix, damage) == (".zst", "flipped"):
        pytest.skip("a frame need not have a checksum, and Arrow writes none")
    # Beam's own reader takes some of these for shorter files.
    path = _write(tmp_path, f"x.jsonl{suffix}", _broken(suffix, damage))
    with pytest.raises(BadDataError, match=f"unreadable: {path}: "):
        _read(path)


def test_a_bomb_is_refused_before_it_fills_the_memory(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw_files, "BOMB_BYTES", 1 << 20)
    bomb = _write(tmp_path, "x.jsonl.gz", gzip.compress(bytes(1 << 22)))
    with pytest.raises(BadDataError, match=f"zip_bomb: {bomb}: .* expected at most 200 times"):
        _read(bomb)
    small = _write(tmp_path, "y.jsonl.gz", gzip.compress(b" " * ((1 << 20) - 1) + b"\n"))
    assert _read(small) == []
    # It swells beyond the size, but not beyond the ratio.
    dense = gzip.compress(random.Random(0).randbytes(1 << 20).hex().encode())
    assert _read(_write(tmp_path, "z.jsonl.gz", dense)) == [1]


# Spans.


def _spans(tmp_path: pathlib.Path, pattern: str, spans: int = 1) -> tuple[list[str], list[str]]:
    matched = patterns.match(f"{tmp_path}/{pattern}", spans=spans)
    return [os.path.relpath(path, tmp_path) for path in matched.paths], list(matched.spans)


def test_the_newest_spans_are_read(tmp_path: pathlib.Path) -> None:
    for name in ("9/a", "9/b", "10/a", "11/a", "x/a", "11/deep/a", "007/a"):
        _write(tmp_path, f"span-{name}.jsonl")
    pattern = "span-{SPAN}/*.jsonl"
    assert _spans(tmp_path, pattern) == (["span-11/a.jsonl"], ["11"])
    two = ["span-10/a.jsonl", "span-11/a.jsonl"]
    assert _spans(tmp_path, pattern, 2) == (two, ["10", "11"])
    three = [*two, "span-9/a.jsonl", "span-9/b.jsonl"]
    assert _spans(tmp_path, pattern, 3) == (three, ["9", "10", "11"])
    assert _spans(tmp_path, "span-{SPAN:3}/*.jsonl") == (["span-007/a.jsonl"], ["007"])
    with pytest.raises(BadDataError, match=r"few_spans: .*expected 5 spans, found 007, 9, 10, 11"):
        _spans(tmp_path, pattern, 5)


def test_a_span_may_be_named(tmp_path: pathlib.Path) -> None:
    for name in ("9", "10", "12"):
        _write(tmp_path, f"{name}.jsonl")
    pattern = f"{tmp_path}/{{SPAN}}.jsonl"
    assert patterns.match(pattern, newest=10).spans == ("10",)
    assert patterns.match(pattern, newest=12, spans=2).spans == ("10", "12")
    matched = patterns.match(pattern, newest=10, spans=2)
    assert matched.span_of == {f"{tmp_path}/{span}.jsonl": span for span in ("9", "10")}
    with pytest.raises(BadDataError, match=r"no_span: .*expected span 11, found 9, 10, 12"):
        patterns.match(pattern, newest=11)
    with pytest.raises(BadDataError, match=r"few_spans: .*expected 2 spans up to 9, found 9, 10"):
        patterns.match(pattern, newest=9, spans=2)


def test_a_date_is_named_by_the_days_since_1970(tmp_path: pathlib.Path) -> None:
    for name in ("1970-01-02", "2026-11-20", "2026-11-21"):
        _write(tmp_path, f"{name}.jsonl")
    pattern = f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}.jsonl"
    assert patterns.match(pattern, newest=1).spans == ("1970-01-02",)
    assert patterns.match(pattern, newest=20_777).spans == ("2026-11-20",)


def test_dates_are_spans(tmp_path: pathlib.Path) -> None:
    days = ("2023/12/31", "2024/01/02", "2024/02/30", "2024/1/3")
    for day in days:
        _write(tmp_path, f"{day}/x [1].jsonl")
    pattern = "{YYYY}/{MM}/{DD}/?*[[]1].jsonl"
    assert _spans(tmp_path, pattern) == (["2024/01/02/x [1].jsonl"], ["2024-01-02"])
    both = _spans(tmp_path, pattern, 2)[1]
    assert both == ["2023-12-31", "2024-01-02"]


@pytest.mark.parametrize(
    ("pattern", "names", "missing", "gap"),
    [
        ("{SPAN}", ("8", "9", "10"), [], 0),
        ("{SPAN}", ("7", "9", "13"), ["8", "10..12"], 3),
        ("{SPAN:3}", ("008", "011"), ["009..010"], 2),
        ("{YYYY}-{MM}-{DD}", ("2024-02-28", "2024-03-01"), ["2024-02-29"], 1),
        ("{YYYY}-{MM}-{DD}", ("2023-12-29", "2024-01-05"), ["2023-12-30..2024-01-04"], 6),
        ("{YYYY}-{MM}", ("2023-11", "2023-12", "2024-01"), [], 0),
        ("{YYYY}-{MM}", ("2023-11", "2024-02"), ["2023-12-01..2024-01-01"], 2),
        ("{YYYY}", ("2020", "2022"), ["2021-01-01"], 1),
    ],
)
def test_a_window_tells_what_is_missing_and_has_a_largest_gap(
    tmp_path: pathlib.Path, pattern: str, names: tuple[str, ...], missing: list[str], gap: int
) -> None:
    for name in names:
        _write(tmp_path, f"{name}.jsonl")
    wanted = f"{tmp_path}/{pattern}.jsonl"
    matched = patterns.match(wanted, spans=len(names), max_gap=gap)
    assert list(matched.missing) == missing
    if gap:
        with pytest.raises(BadDataError, match="span_gap: ") as raised:
            patterns.match(wanted, spans=len(names), max_gap=gap - 1)
        assert f"expected at most {gap - 1} missing spans in a row" in str(raised.value)
        assert f"(input.max_gap), {gap} are missing: {missing[-1]}" in str(raised.value)
    assert list(patterns.match(wanted, spans=1, max_gap=0).missing) == []


def test_a_window_that_would_reach_back_by_months_stops_a_run(tmp_path: pathlib.Path) -> None:
    """By default; one of weekly deliveries does not."""
    for day in ("2026-03-01", "2026-11-13", "2026-11-20"):
        _write(tmp_path, f"{day}.jsonl")
    pattern = f"{tmp_path}/{{YYYY}}-{{MM}}-{{DD}}.jsonl"
    [matched] = read_plan.find_files(InputOptions(train=pattern, spans=2)).values()
    assert matched.missing == ("2026-11-14..2026-11-19",)
    with pytest.raises(BadDataError, match=r"span_gap: .* at most 7 missing spans"):
        read_plan.find_files(InputOptions(train=pattern, spans=3))


def test_a_span_may_stand_twice(tmp_path: pathlib.Path) -> None:
    for name in ("1/x-1", "2/x-1", "2/x-2"):
        _write(tmp_path, f"{name}.jsonl")
    assert _spans(tmp_path, "**/{SPAN}/x-{SPAN}.jsonl", 2) == (
        ["1/x-1.jsonl", "2/x-2.jsonl"],
        ["1", "2"],
    )


def test_train_and_eval_are_of_the_same_spans(tmp_path: pathlib.Path) -> None:
    for name in ("train-1", "train-2", "eval-1"):
        _write(tmp_path, f"{name}.jsonl")
    message = "span_mismatch: expected the same newest span of train and eval, received 2 and 1"
    with pytest.raises(BadDataError, match=message):
        _plan(tmp_path / "train-{SPAN}.jsonl", eval=str(tmp_path / "eval-{SPAN}.jsonl"))
    _write(tmp_path, "eval-2.jsonl")
    planned = _plan(tmp_path / "train-{SPAN}.jsonl", eval=str(tmp_path / "eval-{SPAN}.jsonl"))
    assert planned.spans == ("2",)
    window = _plan(
        tmp_path / "train-{SPAN}.jsonl", eval=str(tmp_path / "eval-{SPAN}.jsonl"), spans=2
    )
    assert [(file.split, file.span) for file in window.files] == [
        ("train", "1"),
        ("train", "2"),
        ("eval", "2"),
    ]


# Links.


@pytest.mark.parametrize("pattern", ["in/*.jsonl", "in/link.jsonl", "in/**/*.jsonl"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: pathlib.Path, pattern: str) -> None:
    outside = _write(tmp_path, "out/x.jsonl")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.jsonl").symlink_to(outside)
    with pytest.raises(BadDataError, match=f"path_escape: .*link.jsonl: .* a link to {outside}"):
        _plan(tmp_path / pattern)
    files = _plan(tmp_path / pattern, allow_outside=True).files
    assert [file.name for file in files] == ["link.jsonl"]


def test_a_way_up_after_a_wildcard_is_refused(tmp_path: pathlib.Path) -> None:
    _write(tmp_path, "out/x.jsonl")
    _write(tmp_path, "in/day/y.jsonl")
    with pytest.raises(BadDataError, match="path_escape"):
        patterns.match(f"{tmp_path}/in/*/../../out/*.jsonl")


def test_links_inside_the_folder_and_a_linked_folder_are_read(tmp_path: pathlib.Path) -> None:
    inside = _write(tmp_path, "in/deep/x.jsonl")
    (tmp_path / "in" / "y.jsonl").symlink_to(inside)
    (tmp_path / "also").symlink_to(tmp_path / "in")
    assert _names(tmp_path / "in" / "*.jsonl") == ["y.jsonl"]
    assert _names(tmp_path / "also" / "*.jsonl") == ["y.jsonl"]


# Units.


def test_pieces_are_assigned_in_order_to_units_of_a_size(tmp_path: pathlib.Path) -> None:
    for number in range(7):
        _write(tmp_path, f"{number}.jsonl", RECORD)
    planned = read_plan.make(InputOptions(train=f"{tmp_path}/*.jsonl"), COLUMNS, 3 * len(RECORD))
    assigned = [[piece.file.index for piece in unit.pieces] for unit in planned.units]
    assert assigned == [[0, 1, 2], [3, 4, 5], [6]]
    assert [unit.index for unit in planned.units] == [0, 1, 2]
    assert planned.formats == {"jsonl": 7}


def test_the_fingerprint_sees_names_and_content(tmp_path: pathlib.Path) -> None:
    options = InputOptions(train=f"{tmp_path}/*.jsonl")
    path = _write(tmp_path, "x.jsonl")
    first = read_plan.fingerprint(options)
    assert read_plan.fingerprint(options) == first
    path.write_bytes(RECORD.replace(b"1", b"3"))
    changed = read_plan.fingerprint(options)
    path.rename(tmp_path / "y.jsonl")
    assert len({first, changed, read_plan.fingerprint(options)}) == 3


def test_lines_of_a_piece_that_starts_inside_a_compressed_file(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.gz", gzip.compress(b"head\n1\n\n2"))
    file = File(path=str(path), name="x", index=0, format="ts", split=None)
    [piece] = raw_files.line_pieces(file, 1, skip=5, first=2)
    assert list(raw_files.line_blocks(piece)) == [(2, [b"1", b"", b"2"])]
