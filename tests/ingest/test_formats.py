"""Tests of which files are found, how they are named, opened and cut into records."""

import bz2
import gzip
import pathlib
import random

import pytest

from components.errors import BadDataError
from components.ingest import formats
from components.ingest.options import FormatName
from components.sequence import Columns, Feature

COLUMNS = Columns(features=(Feature(name="a", unit=None, allow_missing=True),), context={})
RECORD = b'{"features": {"a": [1, 2]}}\n'
TS = b"@dimensions 1\n@data\n1,2\n"


def _write(folder: pathlib.Path, name: str, content: bytes = RECORD) -> pathlib.Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def _sources(pattern: str | pathlib.Path, format_name: FormatName = "auto") -> list[formats.Source]:
    return formats.sources({None: str(pattern)}, format_name, COLUMNS)


def _read(path: pathlib.Path, format_name: FormatName = "auto") -> list[tuple[int, bytes]]:
    [source] = _sources(path, format_name)
    return [(raw.line, raw.text) for raw in formats.read(source)]


def _ids(pattern: str | pathlib.Path) -> list[str]:
    return [
        raw.parse(COLUMNS).sequence_id
        for source in _sources(pattern)
        for raw in formats.read(source)
    ]


def test_files_are_sorted_and_numbered(tmp_path: pathlib.Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "c.ndjson", "ignored.txt"):
        _write(tmp_path, name)
    found = _sources(tmp_path / "*.*json*")
    assert [(source.name, source.index, source.split) for source in found] == [
        ("a.jsonl", 0, None),
        ("b.jsonl", 1, None),
        ("c.ndjson", 2, None),
    ]


def test_given_splits_go_on_numbering(tmp_path: pathlib.Path) -> None:
    for name in ("train/a.jsonl", "train/b.jsonl", "eval/a.jsonl"):
        _write(tmp_path, name)
    patterns: dict[str | None, str] = {
        "train": f"{tmp_path}/train/*.jsonl",
        "eval": f"{tmp_path}/eval/*.jsonl",
    }
    found = formats.sources(patterns, "auto", COLUMNS)
    # The names, and with them the default ids, differ though the files are called alike.
    assert [(source.name, source.index, source.split) for source in found] == [
        ("train/a.jsonl", 0, "train"),
        ("train/b.jsonl", 1, "train"),
        ("eval/a.jsonl", 2, "eval"),
    ]


def test_nested_folders_give_unique_default_ids(tmp_path: pathlib.Path) -> None:
    for name in ("one/x.jsonl", "two/x.jsonl", "two/deep/x.jsonl"):
        _write(tmp_path, name, RECORD * 2)
    assert _ids(tmp_path / "**.jsonl") == [
        "one/x.jsonl:1",
        "one/x.jsonl:2",
        "two/deep/x.jsonl:1",
        "two/deep/x.jsonl:2",
        "two/x.jsonl:1",
        "two/x.jsonl:2",
    ]


def test_a_new_file_does_not_rename_the_others(tmp_path: pathlib.Path) -> None:
    # A default id is the entity, too: a new name could move a sequence to the other split.
    _write(tmp_path, "day-1/x.jsonl")
    before = _ids(tmp_path / "*" / "x.jsonl")
    _write(tmp_path, "day-2/x.jsonl")
    assert before == ["day-1/x.jsonl:1"]
    assert _ids(tmp_path / "*" / "x.jsonl") == [*before, "day-2/x.jsonl:1"]


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
        assert _ids(pattern) == ["x.jsonl:1"], pattern


@pytest.mark.parametrize(
    "name", ["run [1].jsonl", "what?.jsonl", "a*b.jsonl", " spaced  out .jsonl", "grüße.jsonl"]
)
def test_odd_file_names_are_found_by_name_and_by_pattern(tmp_path: pathlib.Path, name: str) -> None:
    path = _write(tmp_path, name)
    assert _ids(path) == [f"{name}:1"]
    assert _ids(tmp_path / "*.jsonl") == [f"{name}:1"]


def test_a_folder_with_brackets_is_found_by_name(tmp_path: pathlib.Path) -> None:
    assert _ids(_write(tmp_path, "run [1]/x.jsonl")) == ["x.jsonl:1"]


@pytest.mark.parametrize("pattern", ["*.jsonl", "absent.jsonl", "absent/*.jsonl", "x[1].jsonl"])
def test_no_file_is_an_error_that_names_the_pattern(tmp_path: pathlib.Path, pattern: str) -> None:
    with pytest.raises(BadDataError) as caught:
        _sources(tmp_path / pattern)
    assert caught.value.code == "no_input"
    assert caught.value.lines == (f"{tmp_path}/{pattern}: expected at least one file, found none",)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_folder_is_an_error_that_says_what_to_write(tmp_path: pathlib.Path, slash: str) -> None:
    _write(tmp_path, "x.jsonl")
    with pytest.raises(
        BadDataError, match=f"no_input: .*such as {tmp_path}/\\*, received a folder"
    ):
        _sources(f"{tmp_path}{slash}")


@pytest.mark.parametrize("name", ["x.csv", "x", "jsonl", "x.jsonl.zip", "x.json", "x.csv.gz"])
def test_an_unknown_format_names_the_file(tmp_path: pathlib.Path, name: str) -> None:
    path = _write(tmp_path, name)
    with pytest.raises(BadDataError, match=f"unknown_format: {path}: expected a name that ends in"):
        _sources(path)


def test_a_stated_format_is_taken_whatever_the_name(tmp_path: pathlib.Path) -> None:
    assert _read(_write(tmp_path, "x.csv"), "jsonl") == [(1, RECORD.strip())]
    assert _read(_write(tmp_path, "y", TS), "ts") == [(3, b"1,2")]


@pytest.mark.parametrize("name", ["x.JSONL", "x.Ndjson"])
def test_suffixes_may_be_upper_case(tmp_path: pathlib.Path, name: str) -> None:
    assert _read(_write(tmp_path, name)) == [(1, RECORD.strip())]


def test_lines_are_counted_from_one_and_blank_ones_are_no_records(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.jsonl", b"\n1\r\n \t\r\n  2  \n\n3")
    assert _read(path) == [(2, b"1"), (4, b"2"), (6, b"3")]


def test_a_ts_file_with_windows_line_ends(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.ts", b"# c\r\n@dimensions 1\r\n@data\r\n1,2\r\n\r\n3\r\n")
    assert _read(path) == [(4, b"1,2"), (6, b"3")]


def test_an_empty_file_has_no_records(tmp_path: pathlib.Path) -> None:
    assert _read(_write(tmp_path, "x.jsonl", b"")) == []


def test_a_bad_header_names_the_file(tmp_path: pathlib.Path) -> None:
    path = _write(tmp_path, "x.ts", b"1,2\n")
    with pytest.raises(BadDataError, match=f"bad_header: {path}: expected a header that ends"):
        _sources(path)


COMPRESS = {".gz": gzip.compress, ".bz2": bz2.compress}


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".GZ"])
def test_compressed_files_are_read(tmp_path: pathlib.Path, suffix: str) -> None:
    compress = COMPRESS[suffix.lower()]
    lines = _write(tmp_path, f"x.jsonl{suffix}", compress(b"1\n2\n") + compress(b"3\n"))
    assert _read(lines) == [(1, b"1"), (2, b"2"), (3, b"3")]
    assert _read(_write(tmp_path, f"x.ts{suffix}", compress(TS))) == [(3, b"1,2")]
    assert _read(_write(tmp_path, f"x{suffix}", compress(TS)), "ts") == [(3, b"1,2")]


def _broken(suffix: str, damage: str) -> bytes:
    content = COMPRESS[suffix](random.Random(0).randbytes(20_000).hex().encode())
    middle = len(content) // 2
    return {
        "truncated": content[:middle],
        "without its trailer": content[:-4],
        "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "not compressed": RECORD * 1000,
    }[damage]


@pytest.mark.parametrize(
    "damage", ["truncated", "without its trailer", "flipped", "not compressed"]
)
@pytest.mark.parametrize("suffix", [".gz", ".bz2"])
def test_a_broken_compressed_file_is_refused_by_name(
    tmp_path: pathlib.Path, suffix: str, damage: str
) -> None:
    # Beam's own reader takes the first two for shorter files.
    path = _write(tmp_path, f"x.jsonl{suffix}", _broken(suffix, damage))
    with pytest.raises(BadDataError, match=f"unreadable: {path}: "):
        _sources(path)
