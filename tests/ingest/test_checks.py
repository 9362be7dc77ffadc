"""Tests of the checks: every code of the contract, the grammar of numbers, ids and context."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.ingest import checks, jsonl, transforms, ts
from components.ingest.checks import Reject
from components.sequence import Columns, Feature

COLUMNS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=False),
        Feature(name="b", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "visits": "int", "target": "float"},
)
GOOD = b'"a": [1, 2], "b": [3, null]'
HEADER = ts.Header(lines=1, context=None)

# Input line -> code -> its detail.
JSONL_REJECTS = [
    (b'{"features": {"a": [1]\xff}}', "encoding", "expected UTF-8: invalid start byte at byte 22"),
    (b'{"features": {"a": [1', "json", "expected a JSON object: Expecting ',' delimiter"),
    (b"[1, 2]", "json", "expected a JSON object, received list"),
    (b'{"features": {"a": [1, 2]}}', "missing_column", "expected feature 'b', received none"),
    (b"{}", "missing_column", "expected 'features', an object of lists"),
    (b'{"features": [1]}', "type", "'features': expected an object of lists"),
    (b'{"features": {"a": ["1"], "b": [1]}}', "type", "'a': expected numbers, received str '1'"),
    (b'{"features": {"a": 1, "b": [1]}}', "type", "'a': expected a list, received int '1'"),
    (b'{"features": null}', "null", "expected 'features', an object of lists"),
    (b'{"features": {"a": null, "b": [1]}}', "null", "'a': expected a list, received null"),
    (
        b'{"features": {"a": [1, null], "b": [1, 2]}}',
        "null",
        "feature 'a', step 1: expected a number, received null",
    ),
    (
        b'{"features": {"a": [1' + b"0" * 400 + b'], "b": [1]}}',
        "number_format",
        "feature 'a': int too large to convert to float",
    ),
    (
        b'{"features": {"a": [1, NaN], "b": [1, 2]}}',
        "non_finite",
        "feature 'a', step 1: expected a finite float32, received nan",
    ),
    (
        b'{"features": {"a": [1], "b": [1e39]}}',
        "non_finite",
        r"feature 'b', step 0: expected a finite float32, received 1e\+39",
    ),
    (b'{"features": {"a": [], "b": []}}', "empty", "expected at least one step, received none"),
    (
        b'{"features": {"a": [1], "b": [1, 2]}}',
        "ragged",
        "expected as many steps in each feature, received {'a': 1, 'b': 2}",
    ),
    (
        b'{"length": 3, "features": {' + GOOD + b"}}",
        "length_mismatch",
        "length: expected 2, received int '3'",
    ),
    (
        b'{"visits": 9223372036854775808, "features": {' + GOOD + b"}}",
        "int_overflow",
        "column 'visits': expected an int64, received int '9223372036854775808'",
    ),
]
TS_REJECTS = [
    (b"1,2", "bad_dim", "expected 2 features, received 1"),
    (b"1,2:3,4:5,6", "bad_dim", "expected 2 features, received 3"),
    (b"1,2:3,x", "number_format", "expected a number, received b'x'"),
    (b"1,2:3,1e400", "number_format", "expected a float64, received b'1e400'"),
    (b"1,?:3,4", "non_finite", "feature 'a', step 1: expected a finite float32, received nan"),
    (b"1,2:3", "ragged", "expected as many steps in each feature, received {'a': 2, 'b': 1}"),
    (b":", "empty", "expected at least one step, received none"),
]

# Texts of one cell that are no number, though Python's float() takes some of them.
NO_NUMBERS = [
    b"", b" ", b" 1", b"1 ", b"1_000", "\u0663".encode(), b"0x10", b"1e", b"e5", b".", b"+", b"-.",
    b"+-1", b"--1", b"1.2.3", b"1e5.0", b"1e+", b"nan", b"NAN", b"-NaN", b"inf", b"Infinity",
    b"-Infinity", b"null", b"1;5", b"1\x00", b"1\n", b"??", b"\xff", b"1d5", b"1f", b"1L",
]  # fmt: skip


def _rejected(parse: object, *arguments: object) -> Reject:
    with pytest.raises(Reject) as caught:
        parse(*arguments)
    return caught.value


def _duplicate() -> Reject:
    """What becomes of the second of two records with one id."""

    def parsed(line: int) -> transforms.Parsed:
        shown = {"file": "f.jsonl", "line": line, "text": "{}"}
        return transforms.Parsed(origin=(0, line), split="train", example=b"", shown=shown)

    kept, rejected = transforms.KeepFirst().process(("id", [parsed(7), parsed(3)]))
    assert kept.tag == "train"
    assert (rejected.value["line"], rejected.value["sequence_id"]) == (7, "id")
    return Reject(rejected.value["code"], rejected.value["detail"])


@pytest.mark.parametrize(("line", "code", "detail"), JSONL_REJECTS)
def test_json_lines_are_rejected_with_code_and_detail(line: bytes, code: str, detail: str) -> None:
    reject = _rejected(jsonl.parse, line, COLUMNS, "file:1")
    assert (reject.code, bool(re.search(detail, reject.detail))) == (code, True), reject.detail


@pytest.mark.parametrize(("line", "code", "detail"), TS_REJECTS)
def test_ts_lines_are_rejected_with_code_and_detail(line: bytes, code: str, detail: str) -> None:
    reject = _rejected(ts.parse, line, COLUMNS, "file:1", HEADER)
    assert (reject.code, bool(re.search(detail, reject.detail))) == (code, True), reject.detail


def test_a_second_record_of_an_id_names_the_first() -> None:
    duplicate = _duplicate()
    assert (duplicate.code, duplicate.detail) == ("duplicate_id", "first at f.jsonl, line 3")


def test_every_code_of_the_contract_is_produced_and_no_other() -> None:
    contract = set(re.findall(r"^ {4}(\w+) {2,}", checks.__doc__, re.MULTILINE))
    produced = {code for _, code, _ in JSONL_REJECTS + TS_REJECTS} | {_duplicate().code}
    assert produced == contract
    assert len(contract) == 13


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
    except Reject as reject:
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
    found = checks.numbers_of("a", column)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, numbers)


@pytest.mark.parametrize(
    ("cell", "shown"), [(True, "bool 'True'"), ("1", "str '1'"), ([1], "list '[1]'"), ({}, "dict")]
)
def test_json_cells_that_are_no_numbers(cell: object, shown: str) -> None:
    message = f"type: feature 'a': expected numbers, received {shown}"
    with pytest.raises(Reject, match=re.escape(message)):
        checks.numbers_of("a", [1, cell])


@pytest.mark.parametrize("column", [True, "1,2", 1.5, {"0": 1}])
def test_a_json_column_that_is_no_list(column: object) -> None:
    expected = f"type: feature 'a': expected a list, received {type(column).__name__}"
    with pytest.raises(Reject, match=expected):
        checks.numbers_of("a", column)


def test_assemble_orders_features_and_casts_to_float32() -> None:
    sequence = checks.assemble(
        columns=COLUMNS,
        features={"b": np.array([np.nan, 0.1]), "unasked": np.zeros(9), "a": np.array([1.0, 2.0])},
        sequence_id="s",
    )
    expected = np.array([[1, np.nan], [2, 0.1]], np.float32)
    assert sequence.values.dtype == np.float32
    np.testing.assert_array_equal(sequence.values, expected)
    assert (sequence.sequence_id, sequence.entity_id, sequence.context) == ("s", "s", {})


@pytest.mark.parametrize(
    ("value", "accepted"),
    [(3.4028234e38, True), (-3.4028234e38, True), (3.4028236e38, False), (np.inf, False)],
)
def test_the_largest_float32_is_the_limit(value: float, accepted: bool) -> None:
    features = {"a": np.array([0.0, value]), "b": np.array([0.0, 1e-50])}
    if accepted:
        sequence = checks.assemble(columns=COLUMNS, features=features, sequence_id="s")
        assert np.isfinite(sequence.values).all()
    else:
        with pytest.raises(Reject, match="non_finite: feature 'a', step 1: expected a finite"):
            checks.assemble(columns=COLUMNS, features=features, sequence_id="s")


@pytest.mark.parametrize("stated", [None, 2])
def test_a_true_length_passes(stated: int | None) -> None:
    checks.check_length(stated, 2)


@pytest.mark.parametrize("stated", [1, 0, -2, 2.0, "2", True, [2]])
def test_a_false_length_is_rejected(stated: object) -> None:
    with pytest.raises(Reject, match="length_mismatch: length: expected 2, received"):
        checks.check_length(stated, 2)


def test_true_is_no_length_of_one() -> None:
    with pytest.raises(Reject, match="length_mismatch: length: expected 1, received bool"):
        checks.check_length(True, 1)


def test_context_is_read_by_the_schema() -> None:
    record = {"label": "x", "visits": -(2**63), "target": 0.1, "unasked": object()}
    found = checks.context_of(COLUMNS, record)
    assert found == {"label": "x", "visits": -(2**63), "target": float(np.float32(0.1))}
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
    with pytest.raises(Reject, match=message):
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
        (1.0, "type: sequence_id: expected text or an integer, received float"),
        (True, "type: sequence_id: expected text or an integer, received bool"),
        (["a"], "type: sequence_id: expected text or an integer, received list"),
        ("a\udfff", "encoding: sequence_id: expected UTF-8: surrogates not allowed"),
    ],
)
def test_other_ids_are_rejected(value: object, message: str) -> None:
    with pytest.raises(Reject, match=message):
        checks.identifier("sequence_id", value)
