"""Tests of the .ts format: headers, labels, targets, missing values, and pieces of files."""

import bz2
import gzip
import pathlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest.random_records import NUMBERS_ONLY, check_numbers, file_at, joined, samples
from profiles import sampled

from ragline.components.contract.columns import Columns, ContextKind, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import ts
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Piece


def _columns(*names: str, allow_missing: bool = True, **context: ContextKind) -> Columns:
    features = tuple(Feature(name=n, unit=None, allow_missing=allow_missing) for n in names)
    return Columns(features=features, context=context)


ONE = _columns("a")
TWO = _columns("a", "b", label="bytes")
PLAIN = InputOptions(train="x")


def _header(*lines: str, columns: Columns = TWO) -> ts.Header:
    return ts.read_header([line.encode() + b"\n" for line in lines], columns, "x/f.ts")


def test_a_header_is_read() -> None:
    header = _header(
        "# A comment: with @data in it",
        "",
        "@problemName Vowels",
        "@timeStamps false",
        "@univariate false",
        "@dimensions 2",
        "@classLabel true 1 2 3",
        "@data",
        "1:2:3",
    )
    assert header == ts.Header(lines=8, size=130, context="label")


@pytest.mark.parametrize(
    ("lines", "context"),
    [
        (("@classLabel false",), None),
        ((), None),
        (("@classLabel true a b",), "label"),
        (("@CLASSLABEL TRUE a b",), "label"),
        (("@targetlabel true",), "target"),
        (("@targetlabel false",), None),
        (("@classLabel false", "@targetlabel true"), "target"),
    ],
)
def test_the_last_field_is_what_the_header_says(
    lines: tuple[str, ...], context: str | None
) -> None:
    assert _header(*lines, "@DATA").context == context


def test_lines_may_end_as_on_windows() -> None:
    header = _header("@dimensions 2\r", "@classLabel true 1\r", "@data\r")
    assert header == ts.Header(lines=3, size=42, context="label")


def test_a_univariate_file_has_one_feature() -> None:
    assert _header("@univariate true", "@data", columns=ONE).lines == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("@dimensions 2",), "bad_header: x/f.ts: expected a header that ends with a line @data"),
        ((), "bad_header: x/f.ts: expected a header"),
        (("@dimensions 2", "1,2:3,4", "@data"), "bad_header: x/f.ts: expected a header"),
        (("{}",), "bad_header: x/f.ts: expected a header"),
        (("@timeStamps true", "@data"), "bad_header: x/f.ts: @timeStamps true is not read"),
        (("@dimensions 12", "@data"), "bad_dim: x/f.ts: @dimensions: expected 2, .* received 12"),
        (("@dimensions two", "@data"), "bad_dim: x/f.ts: @dimensions: .* received two"),
        (("@univariate true", "@data"), "bad_dim: x/f.ts: @dimensions: .* received 1"),
    ],
)
def test_a_bad_header_names_the_file(lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(BadDataError, match=message):
        _header(*lines)


def test_features_take_the_names_of_the_schema_in_order() -> None:
    part = ts.parse(9, [b"1,2,?:NaN,5e-1,-6 : x y "], TWO, "label")
    np.testing.assert_array_equal(part.chunk.values["a"], [1, 2, np.nan])
    np.testing.assert_array_equal(part.chunk.values["b"], [np.nan, 0.5, -6])
    assert list(part.chunk.number) == [9] and part.chunk.sequence_id == [None]
    assert part.chunk.context == {"label": ["x y"]} and not part.rejected


def test_without_a_label_every_field_is_a_feature() -> None:
    values, context = ts.parse_line(b"1,2:3,4", TWO, None)
    np.testing.assert_array_equal(values, [[1, 2], [3, 4]])
    assert context == {}


@pytest.mark.parametrize("text", [b"1:2:?", b"1:2: ? ", b"1:2:NaN"])
@pytest.mark.parametrize("kind", ["bytes", "int", "float"])
def test_a_missing_label_is_absent(text: bytes, kind: ContextKind) -> None:
    columns = _columns("a", "b", label=kind)
    assert ts.parse_line(text, columns, "label")[1] == {}


def test_a_label_that_the_schema_does_not_name_is_not_read() -> None:
    assert ts.parse_line(b"1:2:x", _columns("a", "b"), "label")[1] == {}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("float", b"0.5", 0.5),
        ("float", b"-2", -2.0),
        ("int", b"7", 7),
        ("int", b"7.0", 7),
        ("int", b"1e3", 1000),
        ("int", b"9223372036854775807", 2**63 - 1),
        ("int", b"-9007199254740993", -(2**53) - 1),
        ("bytes", b"0.5", "0.5"),
    ],
)
def test_a_target_is_of_the_kind_of_its_column(
    kind: ContextKind, text: bytes, value: float | str
) -> None:
    _, context = ts.parse_line(b"1:" + text, _columns("a", target=kind), "target")
    assert context == {"target": value}
    assert type(context["target"]) is type(value)


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("int", b"1.5", "type: column 'target': expected one int, received '1.5'"),
        ("int", b"1,2", "type: column 'target': expected one int, received '1,2'"),
        ("float", b"1,2", "type: column 'target': expected one float, received '1,2'"),
        ("float", b"x", "number_format: expected a number, received b'x'"),
        ("int", b"", "number_format: expected a number, received b''"),
        ("int", b"1_0", "number_format: expected a number, received b'1_0'"),
        ("float", b"1e400", "number_format: expected a float64, received b'1e400'"),
        ("float", b"1e39", "non_finite: column 'target': expected a finite float32"),
        ("int", b"9223372036854775808", "int_overflow: column 'target': expected an int64"),
        ("int", b"1e300", "int_overflow: column 'target': expected an int64"),
        ("bytes", b"\xff", "encoding: expected UTF-8: invalid start byte at byte 0"),
    ],
)
def test_a_bad_target_is_rejected(kind: ContextKind, text: bytes, message: str) -> None:
    with pytest.raises(RejectedRecord, match=message):
        ts.parse_line(b"1:" + text, _columns("a", target=kind), "target")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1:2", "bad_dim: expected 2 features, received 1"),
        (b"1:2:3:x", "bad_dim: expected 2 features, received 3"),
        (b"x", "bad_dim: expected 2 features, received 0"),
        (b"::x", "empty: expected at least one step"),
        (b" : :x", "empty: expected at least one step"),
        (b"1::x", "number_format: expected a number, received b''"),
        (b"1,2:1:x", "ragged: expected as many steps in each feature"),
        (b"1 2:1,2:x", "number_format: expected a number, received b'1 2'"),
        (b"(0,1),(1,2):(0,1):x", r"number_format: expected a number, received b'\(0'"),
        (b"1,inf:1,2:x", "number_format: expected a number, received b'inf'"),
        (b"1,2:1,2,:x", "number_format: expected a number, received b''"),
    ],
)
def test_a_bad_line_is_rejected(text: bytes, message: str) -> None:
    with pytest.raises(RejectedRecord, match=message):
        ts.parse_line(text, TWO, "label")


def test_a_bad_line_spoils_no_other() -> None:
    lines = [b"1:2:x", b"", b"1:+-2:x", b"1:\xff:\xff", b" \r", b"3,4:5,?:y\r", b"1_0:2:x", b":::"]
    part = ts.parse(5, lines, TWO, "label")
    assert list(part.chunk.number) == [5, 10] and list(part.chunk.length) == [1, 2]
    np.testing.assert_array_equal(part.chunk.values["b"], [2, 5, np.nan])
    assert [(r.number, r.code, r.text) for r in part.rejected] == [
        (7, "number_format", "1:+-2:x"),
        (8, "encoding", "1:\ufffd:\ufffd"),
        (11, "number_format", "1_0:2:x"),
        (12, "bad_dim", ":::"),
    ]
    assert part.chunk.shown(1) == "3,4:5,?:y"


PIECES = st.sampled_from(
    [
        *(b"1", b"-2.5", b"+3", b".5", b"4.", b"1e999", b"1e-999", b"E5", b"?", b"NaN"),
        *(b"-", b",", b",", b":", b":", b" ", b"x", b"\xff", b"inf", b"nan", b"_", b"0x1", b"."),
    ]
)


@given(
    st.lists(st.lists(PIECES, max_size=12).map(b"".join), max_size=5),
    st.sampled_from([None, "target"]),
    st.sampled_from(["bytes", "int", "float"]),
)
@settings(max_examples=sampled(2000), deadline=None)
def test_lines_at_once_are_what_each_is_by_itself(
    lines: list[bytes], context: str | None, kind: ContextKind
) -> None:
    columns = _columns("a", "b", target=kind)
    part = ts.parse(1, lines, columns, context)
    rejected = {r.number: (r.code, r.detail) for r in part.rejected}
    places = {number: place for place, number in enumerate(part.chunk.number.tolist())}
    for number, line in enumerate(lines, start=1):
        text = line.strip(b"\r\n \t")
        if not text:
            assert number not in rejected and number not in places
            continue
        try:
            values, said = ts.parse_line(text, columns, context)
        except RejectedRecord as reject:
            assert rejected[number] == (reject.code, reject.detail)
        else:
            place = places[number]
            start = part.chunk.starts[place]
            for row, name in zip(values, "ab", strict=True):
                column = part.chunk.values[name][start : start + part.chunk.length[place]]
                np.testing.assert_array_equal(column, row)
            assert part.chunk.context["target"][place] == said.get("target")
    assert len(rejected) + len(places) == sum(bool(line.strip(b"\r\n \t")) for line in lines)


def _pieces(path: pathlib.Path, piece_bytes: int = 1 << 25) -> list[Piece]:
    return ts.Ts().pieces(file_at(path, "ts"), NUMBERS_ONLY, PLAIN, piece_bytes)


def _text(count: int, end: str = "\n") -> bytes:
    lines = [
        ":".join(
            ",".join("?" if v != v else repr(v) for v in column) for column in s.values.T.tolist()
        )
        for s in samples(count)
    ]
    return end.join(["# x", "@dimensions 2", "@classLabel false", "@data", *lines]).encode()


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("trailing", [b"", b"\n", b"\n \n"])
@pytest.mark.parametrize("piece_bytes", [1, 1000, 1 << 25])
def test_pieces_give_every_line_once(
    tmp_path: pathlib.Path, end: str, trailing: bytes, piece_bytes: int
) -> None:
    path = tmp_path / "f.ts"
    path.write_bytes(_text(200, end) + trailing)
    pieces = _pieces(path, piece_bytes)
    assert (len(pieces) > 1) == (piece_bytes < 1 << 25)
    parts = [part for piece in pieces for part in ts.Ts().read(piece, NUMBERS_ONLY, PLAIN)]
    chunk, rejected = joined(parts, NUMBERS_ONLY)
    check_numbers(chunk, samples(200))
    text = path.read_bytes().split(b"\n")
    assert all(text[number - 1].strip() for number in chunk.number)
    assert len(set(chunk.number.tolist())) == 200 and not rejected


@pytest.mark.parametrize("block", [1, 100])
def test_blocks_of_a_piece_end_with_lines(
    tmp_path: pathlib.Path, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ts, "_BLOCK", block)
    path = tmp_path / "f.ts"
    path.write_bytes(_text(50))
    for piece_bytes in (700, 1 << 25):
        pieces = _pieces(path, piece_bytes)
        parts = [part for piece in pieces for part in ts.Ts().read(piece, NUMBERS_ONLY, PLAIN)]
        assert len(parts) > 5
        check_numbers(joined(parts, NUMBERS_ONLY)[0], samples(50))


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress)])
def test_a_compressed_file_is_one_piece(
    tmp_path: pathlib.Path, suffix: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"f.ts.{suffix}"
    path.write_bytes(compress(_text(50)))
    [piece] = _pieces(path, 1)
    chunk, _ = joined(ts.Ts().read(piece, NUMBERS_ONLY, PLAIN), NUMBERS_ONLY)
    check_numbers(chunk, samples(50))
    assert list(chunk.number) == list(range(5, 55))


def test_a_file_without_lines_has_no_records(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f.ts"
    path.write_bytes(b"@data")
    assert [p for piece in _pieces(path) for p in ts.Ts().read(piece, NUMBERS_ONLY, PLAIN)] == []


@pytest.mark.parametrize(
    "options", [InputOptions(train="x", order_by="t"), InputOptions(train="x", entity="e")]
)
def test_there_is_no_place_for_times_and_entities(
    tmp_path: pathlib.Path, options: InputOptions
) -> None:
    path = tmp_path / "f.ts"
    path.write_bytes(_text(1))
    with pytest.raises(BadDataError, match=r"missing_column: .*f\.ts: expected the columns"):
        ts.Ts().pieces(file_at(path, "ts"), NUMBERS_ONLY, options, 1)


@given(st.integers(0, 2000), st.binary(max_size=3), st.integers(0, 5))
@settings(max_examples=sampled(500), deadline=None)
def test_a_mutant_is_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, place: int, inserted: bytes, removed: int
) -> None:
    whole = _text(10)
    path = tmp_path_factory.getbasetemp() / "mutant.ts"
    path.write_bytes(whole[: place % len(whole)] + inserted + whole[place % len(whole) + removed :])
    try:
        pieces = _pieces(path, 200)
    except BadDataError as error:
        assert error.lines
    else:
        parts = [part for piece in pieces for part in ts.Ts().read(piece, NUMBERS_ONLY, PLAIN)]
        chunk, rejected = joined(parts, NUMBERS_ONLY)
        lines = path.read_bytes().split(b"\n")[pieces[0].first - 1 :] if pieces else []
        assert len(chunk) + len(rejected) == sum(bool(line.strip(b"\r\n \t")) for line in lines)
