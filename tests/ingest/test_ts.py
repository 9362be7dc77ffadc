"""Tests of the .ts format: headers, labels, targets, missing values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import BadDataError
from components.ingest import ts
from components.ingest.checks import Reject
from components.sequence import Columns, ContextKind, Feature


def _columns(*names: str, allow_missing: bool = True, **context: ContextKind) -> Columns:
    features = tuple(Feature(name=n, unit=None, allow_missing=allow_missing) for n in names)
    return Columns(features=features, context=context)


ONE = _columns("a")
TWO = _columns("a", "b", label="bytes")
LABELLED = ts.Header(lines=1, context="label")
TARGETED = ts.Header(lines=1, context="target")


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
    assert header == ts.Header(lines=8, context="label")


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
    assert header == ts.Header(lines=3, context="label")


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
    sequence = ts.parse(b"1,2,?:NaN,5e-1,-6 : x y ", TWO, "f.ts:9", LABELLED)
    np.testing.assert_array_equal(sequence.values, [[1, np.nan], [2, 0.5], [np.nan, -6]])
    assert sequence.sequence_id == sequence.entity_id == "f.ts:9"
    assert sequence.context == {"label": "x y"}


def test_without_a_label_every_field_is_a_feature() -> None:
    sequence = ts.parse(b"1,2:3,4", TWO, "f.ts:9", ts.Header(lines=1, context=None))
    np.testing.assert_array_equal(sequence.values, [[1, 3], [2, 4]])
    assert sequence.context == {}


@pytest.mark.parametrize("text", [b"1:2:?", b"1:2: ? ", b"1:2:NaN"])
@pytest.mark.parametrize("kind", ["bytes", "int", "float"])
def test_a_missing_label_is_absent(text: bytes, kind: ContextKind) -> None:
    columns = _columns("a", "b", label=kind)
    assert ts.parse(text, columns, "id", LABELLED).context == {}


def test_a_label_that_the_schema_does_not_name_is_not_read() -> None:
    assert ts.parse(b"1:2:x", _columns("a", "b"), "id", LABELLED).context == {}


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
    context = ts.parse(b"1:" + text, _columns("a", target=kind), "id", TARGETED).context
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
    with pytest.raises(Reject, match=message):
        ts.parse(b"1:" + text, _columns("a", target=kind), "id", TARGETED)


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
        (b"1, 2:1,2:x", "number_format: expected a number, received b' 2'"),
        (b"(0,1),(1,2):(0,1):x", r"number_format: expected a number, received b'\(0'"),
        (b"1,inf:1,2:x", "number_format: expected a number, received b'inf'"),
        (b"1,2:1,2,:x", "number_format: expected a number, received b''"),
    ],
)
def test_a_bad_line_is_rejected(text: bytes, message: str) -> None:
    with pytest.raises(Reject, match=message):
        ts.parse(text, TWO, "id", LABELLED)


def test_a_missing_value_is_rejected_where_none_is_allowed() -> None:
    columns = _columns("a", "b", allow_missing=False)
    with pytest.raises(Reject, match=r"non_finite: feature 'b', step 1: .* received nan"):
        ts.parse(b"1,2:3,?", columns, "id", ts.Header(lines=1, context=None))


PIECES = st.sampled_from([b"1", b"-2.5", b"?", b"NaN", b",", b":", b" ", b"x", b"\xff", b"1e999"])


@given(st.lists(PIECES, max_size=12).map(b"".join), st.sampled_from(["bytes", "int", "float"]))
@settings(max_examples=500, deadline=None)
def test_any_line_is_a_sequence_or_a_reject(text: bytes, kind: ContextKind) -> None:
    columns = _columns("a", "b", target=kind)
    try:
        sequence = ts.parse(text, columns, "id", TARGETED)
    except Reject as reject:
        assert reject.detail
    else:
        assert sequence.values.shape == (sequence.length, 2)
        assert not np.isinf(sequence.values).any()
