"""Tests of the checks: of whole chunks, the grammar of numbers, ids and context."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Chunk, Part

COLUMNS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=False),
        Feature(name="b", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "visits": "int", "target": "float"},
    categories=(Category(name="word", kind="bytes"),),
)
# Texts of one cell that are no number, though Python's float() takes some of them.
NO_NUMBERS = [
    b"", b" ", b" 1", b"1 ", b"1_000", "\u0663".encode(), b"0x10", b"1e", b"e5", b".", b"+", b"-.",
    b"+-1", b"--1", b"1.2.3", b"1e5.0", b"1e+", b"nan", b"NAN", b"-NaN", b"inf", b"Infinity",
    b"-Infinity", b"null", b"1;5", b"1\x00", b"1\n", b"??", b"\xff", b"1d5", b"1f", b"1L",
]  # fmt: skip


def _rejected(parse: object, *arguments: object) -> RejectedRecord:
    with pytest.raises(RejectedRecord) as caught:
        parse(*arguments)
    return caught.value


@given(st.lists(st.floats(allow_infinity=False), min_size=1, max_size=20))
def test_numbers_that_python_writes_are_read_back_exactly(numbers: list[float]) -> None:
    text = ",".join("NaN" if np.isnan(number) else repr(number) for number in numbers)
    np.testing.assert_array_equal(checks.parse_numbers(text.encode()), np.array(numbers))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        (b"1,5", [1.0, 5.0]),
        (b"-1.5,+2,.5,3.,1e3,1E-3,-.5e+2", [-1.5, 2.0, 0.5, 3.0, 1000.0, 0.001, -50.0]),
        (b"?,1,NaN", [np.nan, 1.0, np.nan]),
        (b"007,-0", [7.0, -0.0]),
        (b"1e-400", [0.0]),
        (b"1." + b"0" * 400, [1.0]),
    ],
)
def test_numbers_of_the_grammar(text: bytes, numbers: list[float]) -> None:
    parsed = checks.parse_numbers(text)
    assert parsed.dtype == np.float64
    np.testing.assert_array_equal(parsed, numbers)


@pytest.mark.parametrize("cell", NO_NUMBERS)
@pytest.mark.parametrize("around", [b"%s", b"1,%s", b"%s,1", b"1,%s,?"])
def test_what_is_no_number_is_rejected_and_shown(cell: bytes, around: bytes) -> None:
    reject = _rejected(checks.parse_numbers, around % cell)
    expected = f"expected a number, received {cell!r}"
    assert (reject.code, reject.detail) == ("number_format", expected)


@pytest.mark.parametrize("cell", [b"1e400", b"-1e309", b"9" * 400])
def test_a_number_beyond_float64_is_rejected_and_shown(cell: bytes) -> None:
    reject = _rejected(checks.parse_numbers, b"1," + cell)
    assert reject.code == "number_format"
    assert reject.detail == f"expected a float64, received {cell[:40]!r}"


@given(st.text("0123456789.+-eE_? xN", max_size=8), st.integers(0, 3))
def test_the_grammar_takes_no_more_than_float_does(text: str, others: int) -> None:
    try:
        numbers = checks.parse_numbers(",".join([text] + ["1"] * others).encode())
    except RejectedRecord as reject:
        assert reject.code == "number_format"
    else:
        assert len(numbers) == others + 1
        expected = np.nan if text == "?" else float(text)
        np.testing.assert_array_equal(numbers[0], expected)


def test_a_long_cell_that_is_no_number_is_rejected_too() -> None:
    # With an ambiguous grammar this would try 10^10 ways to split the digits, which takes hours.
    reject = _rejected(checks.parse_numbers, b"1" * 100_000 + b"x")
    assert reject.detail == f"expected a number, received {b'1' * 40!r}"


def test_one_wide_cell_does_not_widen_the_others() -> None:
    # As a NumPy array of bytes these cells would take 1 TB.
    numbers = checks.parse_numbers(b"1," * 1_000_000 + b"1." + b"0" * 1_000_000)
    assert numbers.sum() == 1_000_001


@pytest.mark.parametrize(
    ("column", "numbers"),
    [
        ([], []),
        ([1, 2.5, None], [1.0, 2.5, np.nan]),
        ([None], [np.nan]),
        ([2**63, 10**30, None], [2.0**63, 1e30, np.nan]),
        ([float("nan"), float("inf")], [np.nan, np.inf]),
    ],
)
def test_json_numbers(column: list[object], numbers: list[float]) -> None:
    received = checks.numbers_of("a", column)
    assert received.dtype == np.float64
    np.testing.assert_array_equal(received, numbers)


@pytest.mark.parametrize(
    ("cell", "shown"), [(True, "bool 'True'"), ("1", "str '1'"), ([1], "list '[1]'"), ({}, "dict")]
)
def test_json_cells_that_are_no_numbers(cell: object, shown: str) -> None:
    message = f"type: feature 'a': expected numbers, received {shown}"
    with pytest.raises(RejectedRecord, match=re.escape(message)):
        checks.numbers_of("a", [1, cell])


@pytest.mark.parametrize("column", [True, "1,2", 1.5, {"0": 1}])
def test_a_json_column_that_is_no_list(column: object) -> None:
    expected = f"type: feature 'a': expected a list, received {type(column).__name__}"
    with pytest.raises(RejectedRecord, match=expected):
        checks.numbers_of("a", column)


def _chunk(lengths: list[int], **columns: list[object]) -> Chunk:
    """Records of two features and a category, of which a test names some."""
    steps = sum(lengths)
    values = {"a": [0.0] * steps, "b": [0.0] * steps, "word": ["w"] * steps} | columns
    return Chunk(
        number=np.arange(len(lengths)) + 1,
        sequence_id=[f"s{place}" for place in range(len(lengths))],
        entity_id=[None] * len(lengths),
        length=np.array(lengths),
        values={
            name: np.array(column, object if name == "word" else np.float64)
            for name, column in values.items()
        },
        time=None,
        context={name: [None] * len(lengths) for name in COLUMNS.context},
    )


def _refused(part: Part) -> list[tuple[int, str, str]]:
    return [(record.number, record.code, record.detail) for record in part.rejected]


def test_good_records_pass_as_they_are() -> None:
    chunk = _chunk([2, 1], b=[np.nan, 1e38, -0.0], word=["", "x", "y"])
    part = checks.check(chunk, COLUMNS, StepOptions())
    assert part.chunk is chunk
    assert part.rejected == ()


def test_bad_records_leave_and_the_others_stay() -> None:
    chunk = _chunk([2, 0, 1, 3], a=[1, 2, np.inf, 4, np.nan, 1e39], b=[5, 6, 7, 8, 9, np.inf])
    part = checks.check(chunk, COLUMNS, StepOptions())
    assert _refused(part) == [
        (2, "empty", "expected at least one step, received none"),
        (3, "non_finite", "feature 'a', step 0: expected a finite float32, received inf"),
        (4, "non_finite", "feature 'a', step 1: expected a finite float32, received nan"),
    ]
    assert [record.sequence_id for record in part.rejected] == ["s1", "s2", "s3"]
    assert part.chunk.sequence_id == ["s0"]
    np.testing.assert_array_equal(part.chunk.values["b"], [5, 6])


def test_what_is_missing_can_be_refused_whatever_the_schema_says() -> None:
    chunk = _chunk([1, 2, 1], b=[0, 0, np.nan, 0], word=["x", "", "y", "z"])
    part = checks.check(chunk, COLUMNS, StepOptions(missing="reject"))
    # Of two faults of a record, the first kind is told.
    assert _refused(part) == [(2, "null", "feature 'word', step 0: expected text, received none")]
    words = chunk.select(np.array([True, False, True]))
    assert checks.check(words, COLUMNS, StepOptions(missing="reject")).rejected == ()
    numbers = _chunk([2], b=[0, np.nan])
    assert _refused(checks.check(numbers, COLUMNS, StepOptions(missing="reject"))) == [
        (1, "non_finite", "feature 'b', step 1: expected a finite float32, received nan")
    ]


LOGS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=True, transform="log"),
        Feature(name="b", unit=None, allow_missing=False, transform="signed_log"),
    ),
    context={},
)


def test_a_number_that_has_no_logarithm_is_refused_and_a_missing_one_is_not() -> None:
    chunk = _chunk([1, 2, 2, 1], a=[0.5, np.nan, 0.0, 3, -2, np.inf], b=[-1, 0, 0, 0, 1, 1])
    part = checks.check(chunk, LOGS, StepOptions())
    assert _refused(part) == [
        (2, "out_of_domain", "feature 'a', step 1: expected a number above 0, of which there is "
         "a log, received 0.0"),
        (3, "out_of_domain", "feature 'a', step 1: expected a number above 0, of which there is "
         "a log, received -2.0"),
        (4, "non_finite", "feature 'a', step 0: expected a finite float32, received inf"),
    ]  # fmt: skip
    assert part.chunk.sequence_id == ["s0"]
    [remedy] = checks.remedies(record.detail for record in part.rejected)
    assert (
        remedy
        == "feature 'a' is not above 0 throughout: transform = \"signed_log\" takes any number"
    )


@pytest.mark.parametrize(("value", "accepted"), [(1.2e-38, True), (1.1e-38, False), (1e-50, False)])
def test_what_tensorflow_takes_for_0_has_no_logarithm(value: float, accepted: bool) -> None:
    part = checks.check(_chunk([2], a=[1.0, value], b=[0.0, 0.0]), LOGS, StepOptions())
    assert len(part.chunk) == accepted


@pytest.mark.parametrize(
    ("value", "accepted"),
    [(3.4028234e38, True), (-3.4028234e38, True), (3.4028236e38, False), (np.inf, False)],
)
def test_the_largest_float32_is_the_limit(value: float, accepted: bool) -> None:
    part = checks.check(_chunk([2], a=[0.0, value], b=[0.0, 1e-50]), COLUMNS, StepOptions())
    assert len(part.chunk) == accepted


@given(st.lists(st.lists(st.sampled_from([0.0, np.nan, np.inf, 1e39]), max_size=3), max_size=6))
def test_exactly_the_bad_records_are_refused(records: list[list[float]]) -> None:
    flat = [value for record in records for value in record]
    part = checks.check(_chunk(list(map(len, records)), a=flat), COLUMNS, StepOptions())
    good = [i + 1 for i, record in enumerate(records) if record and not any(record)]
    assert part.chunk.number.tolist() == good
    refused = [number for number, _, _ in _refused(part)]
    assert sorted([*good, *refused]) == list(range(1, len(records) + 1))
    for number, code, detail in _refused(part):
        record = records[number - 1]
        first = next((i for i, value in enumerate(record) if value), None)
        assert code == ("empty" if first is None else "non_finite")
        assert first is None or f"step {first}: " in detail


def test_steps_are_counted_once_for_all_columns() -> None:
    assert checks.steps_of(COLUMNS, {"a": 2, "b": 2, "word": 2, "unasked": 9}) == 2
    with pytest.raises(
        RejectedRecord, match="missing_column: expected feature 'word', received none"
    ):
        checks.steps_of(COLUMNS, {"a": 2, "b": 2})
    with pytest.raises(RejectedRecord, match=r"ragged: .* received {'a': 2, 'b': 2, 'word': 1}"):
        checks.steps_of(COLUMNS, {"a": 2, "b": 2, "word": 1})


@pytest.mark.parametrize("stated", [None, 2])
def test_a_true_length_passes(stated: int | None) -> None:
    checks.check_length(stated, 2)


@pytest.mark.parametrize("stated", [1, 0, -2, 2.0, "2", True, [2]])
def test_a_false_length_is_rejected(stated: object) -> None:
    with pytest.raises(RejectedRecord, match="length_mismatch: length: expected 2, received"):
        checks.check_length(stated, 2)


def test_true_is_no_length_of_one() -> None:
    with pytest.raises(RejectedRecord, match="length_mismatch: length: expected 1, received bool"):
        checks.check_length(True, 1)


def test_context_is_read_by_the_schema() -> None:
    record = {"label": "x", "visits": -(2**63), "target": 0.1, "unasked": object()}
    context = checks.context_of(COLUMNS, record)
    assert context == {"label": "x", "visits": -(2**63), "target": float(np.float32(0.1))}
    assert checks.context_of(COLUMNS, {"label": None, "target": 3}) == {"target": 3.0}
    assert type(checks.context_of(COLUMNS, {"target": 3})["target"]) is float
    assert checks.context_of(COLUMNS, {}) == {}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"label": 1}, "type: column 'label': expected bytes, received int '1'"),
        ({"label": "\ud800"}, "encoding: label: expected UTF-8: surrogates not allowed"),
        ({"visits": 1.0}, "type: column 'visits': expected int, received float"),
        ({"visits": True}, "type: column 'visits': expected int, received bool"),
        ({"visits": 2**63}, "int_overflow: column 'visits': expected an int64"),
        ({"visits": -(2**63) - 1}, "int_overflow: column 'visits': expected an int64"),
        ({"target": "1"}, "type: column 'target': expected float, received str"),
        ({"target": False}, "type: column 'target': expected float, received bool"),
        ({"target": float("nan")}, "non_finite: column 'target': expected a finite float32"),
        ({"target": 1e39}, "non_finite: column 'target': expected a finite float32"),
        ({"target": 10**400}, "number_format: column 'target': int too large"),
    ],
)
def test_bad_context_is_rejected(record: dict[str, object], message: str) -> None:
    with pytest.raises(RejectedRecord, match=message):
        checks.context_of(COLUMNS, record)


@pytest.mark.parametrize(
    ("value", "identifier"), [(None, None), ("a b", "a b"), (0, "0"), (-(10**30), str(-(10**30)))]
)
def test_ids_are_text_or_integers(value: object, identifier: str | None) -> None:
    assert checks.identifier("sequence_id", value) == identifier


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "type: sequence_id: expected text or an integer, received str ''"),
        (1.5, "type: sequence_id: expected text or an integer, received float"),
        (True, "type: sequence_id: expected text or an integer, received bool"),
        (["a"], "type: sequence_id: expected text or an integer, received list"),
        ("a\udfff", "encoding: sequence_id: expected UTF-8: surrogates not allowed"),
    ],
)
def test_other_ids_are_rejected(value: object, message: str) -> None:
    with pytest.raises(RejectedRecord, match=message):
        checks.identifier("sequence_id", value)
