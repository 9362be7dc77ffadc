"""Tests of JSON Lines: what is read, and the oddities of JSON, none of which may stop a run."""

import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from components.ingest import jsonl
from components.ingest.checks import Reject
from components.ingest.examples import encode
from components.sequence import Columns, Feature, Sequence

COLUMNS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=False),
        Feature(name="b", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "visits": "int", "target": "float"},
)


def _parse(text: bytes | str) -> Sequence:
    data = text.encode() if isinstance(text, str) else text
    return jsonl.parse(data, COLUMNS, "folder/file.jsonl:7")


def _one_step(**more: str) -> str:
    """A good record, with `"key": value` pairs beside `features`."""
    pairs = "".join(f'"{key}": {value}, ' for key, value in more.items())
    return f'{{{pairs}"features": {{"a": [1], "b": [2]}}}}'


def test_a_full_record_is_read() -> None:
    sequence = _parse(
        '{"sequence_id": "s", "entity_id": 7, "length": 2, "label": "grüße", "visits": 3,'
        ' "target": 0.5, "features": {"b": [null, 4], "a": [1, 2.5]}, "unasked": [[]]}'
    )
    assert (sequence.sequence_id, sequence.entity_id, sequence.length) == ("s", "7", 2)
    np.testing.assert_array_equal(sequence.values, [[1, np.nan], [2.5, 4]])
    assert sequence.context == {"label": "grüße", "visits": 3, "target": 0.5}


def test_ids_default_to_the_place_and_to_each_other() -> None:
    sequence = _parse(_one_step())
    assert sequence.sequence_id == sequence.entity_id == "folder/file.jsonl:7"
    named = _parse(_one_step(sequence_id='"s"', entity_id="null"))
    assert named.sequence_id == named.entity_id == "s"
    owned = _parse(_one_step(entity_id='"e"'))
    assert (owned.sequence_id, owned.entity_id) == ("folder/file.jsonl:7", "e")


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_float32_values_survive_exactly(numbers: list[float]) -> None:
    features = {"a": numbers, "b": [None] * len(numbers)}
    sequence = _parse(json.dumps({"features": features}))
    np.testing.assert_array_equal(sequence.values[:, 0], np.array(numbers, np.float32))
    assert np.isnan(sequence.values[:, 1]).all()


def test_the_nan_literal_is_missing_where_the_schema_allows_it() -> None:
    assert np.isnan(_parse('{"features": {"a": [1], "b": [NaN]}}').values[0, 1])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"features": {"a": [NaN], "b": [1]}}', "non_finite"),
        ('{"features": {"a": [1], "b": [Infinity]}}', "non_finite"),
        ('{"features": {"a": [-Infinity], "b": [1]}}', "non_finite"),
        ('{"features": {"a": [1e400], "b": [1]}}', "non_finite"),
        ('{"features": {"a": [true], "b": [1]}}', "type"),
        ('{"features": {"a": [[1]], "b": [1]}}', "type"),
        ('{"features": {"a": [[]], "b": [1]}}', "type"),
        ('{"features": {"a": [{"a": 1}], "b": [1]}}', "type"),
        ('{"features": {"a": "1,2", "b": [1]}}', "type"),
        ('{"features": "a"}', "type"),
        ('{"features": true}', "type"),
        ('{"features": {"a": [1], "b": null}}', "null"),
        ('{"features": {"a": [null], "b": [1]}}', "null"),
        ('{"features": {"a": [' + "9" * 400 + '], "b": [1]}}', "number_format"),
        ('{"features": {"a": [' + "9" * 5000 + '], "b": [1]}}', "number_format"),
        ('{"visits": ' + "9" * 5000 + ', "features": {"a": [1], "b": [1]}}', "number_format"),
        ('{"features": {"a": [1_000], "b": [1]}}', "json"),
        ('{"features": {"a": [0x10], "b": [1]}}', "json"),
        ('{"features": {"a": [+1], "b": [1]}}', "json"),
        ('{"features": {"a": [.5], "b": [1]}}', "json"),
        ('{"features": {"a": [1,], "b": [1]}}', "json"),
        ('{"features": {"a": [\u0663], "b": [1]}}', "json"),
        (_one_step() + _one_step(), "json"),
        ("\ufeff" + _one_step(), "json"),
        ("[" * 100_000, "json"),
        ('{"features": ' * 100_000, "json"),
        ('"text"', "json"),
        ("null", "json"),
        ("NaN", "json"),
        ("", "json"),
        (_one_step(sequence_id='"\\ud800"'), "encoding"),
        (_one_step(entity_id='"\\udfff"'), "encoding"),
        (_one_step(label='"a\\ud800b"'), "encoding"),
        (_one_step(length="2"), "length_mismatch"),
        (_one_step(length="1.0"), "length_mismatch"),
        (_one_step(length="true"), "length_mismatch"),
        (_one_step(label="3"), "type"),
        (_one_step(visits="9223372036854775808"), "int_overflow"),
        (_one_step(target="1e39"), "non_finite"),
        (_one_step(target="1" + "0" * 400), "number_format"),
    ],
)
def test_oddities_are_rejected(text: str, code: str) -> None:
    with pytest.raises(Reject, match=f"^{code}: ."):
        _parse(text)


@pytest.mark.parametrize("codec", ["utf-16", "latin-1"])
def test_other_encodings_are_rejected(codec: str) -> None:
    with pytest.raises(Reject, match=r"encoding: expected UTF-8: .* at byte "):
        _parse(_one_step(label='"é"').encode(codec))


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(Reject, match=r"json: .*BOM"):
        _parse("\ufeff" + _one_step())


def test_a_surrogate_pair_is_one_character() -> None:
    sequence = _parse(_one_step(sequence_id='"\\ud83d\\ude00"', label='"\\u0000"'))
    assert (sequence.sequence_id, sequence.context["label"]) == ("😀", "\0")


@pytest.mark.parametrize("key", ["features", "a", "sequence_id", "length", "label"])
def test_deep_nesting_is_rejected_at_every_depth(key: str) -> None:
    # Around the depth at which the decoder gives up, showing the value is what could fail.
    for depth in range(900, 1100):
        nest = "[" * depth + "]" * depth
        text = (
            f'{{"features": {{"a": {nest}, "b": [1]}}}}' if key == "a" else f'{{"{key}": {nest}}}'
        )
        if key not in ("a", "features"):
            text = _one_step(**{key: nest})
        with pytest.raises(Reject, match=r"^(json|type|length_mismatch): "):
            _parse(text)


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**300, 10**320)
    | st.floats()
    | st.text(st.characters(codec=None, categories=None), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
CELLS = st.lists(st.floats() | st.integers() | st.none() | JSON_VALUES, max_size=3)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "features": st.dictionaries(st.sampled_from(["a", "b"]), CELLS | JSON_VALUES) | JSON_VALUES,
        "sequence_id": JSON_VALUES,
        "entity_id": JSON_VALUES,
        "length": st.integers(0, 3) | JSON_VALUES,
        "label": JSON_VALUES,
        "visits": JSON_VALUES,
        "target": JSON_VALUES,
    },
)


@given(st.binary(max_size=20) | JSON_VALUES.map(json.dumps) | RECORDS.map(json.dumps))
@example(_one_step())
@settings(max_examples=500, deadline=None)
def test_any_line_is_a_sequence_that_can_be_written_or_a_reject(text: bytes | str) -> None:
    try:
        sequence = _parse(text)
    except Reject as reject:
        json.dumps({"detail": reject.detail})
        assert reject.detail
    else:
        assert sequence.values.shape == (sequence.length, 2)
        assert np.isfinite(sequence.values[:, 0]).all()
        assert not np.isinf(sequence.values[:, 1]).any()
        assert encode(sequence, COLUMNS)
