"""Tests of JSON Lines: what is read, and the oddities of JSON, none of which may stop a run."""

import dataclasses
import json
import pathlib

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingest.random_records import file_at
from profiles import sampled

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.beam import grouping
from ragline.components.ingest.formats import jsonl
from ragline.components.ingest.formats.parsing import events
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.output.examples import encode_chunk
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Chunk, File, QuarantineLine, Record, of_records
from ragline.components.ingest.samples import nested

COLUMNS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=False),
        Feature(name="b", unit=None, allow_missing=True),
    ),
    context={"label": "bytes", "visits": "int", "target": "float"},
)


PLAIN = InputOptions(train="x")


def _parse(text: bytes | str, columns: Columns = COLUMNS, options: InputOptions = PLAIN) -> Chunk:
    """The only sequence of a Chunk, checked; or why it is rejected."""
    data = text.encode() if isinstance(text, str) else text
    parsed = jsonl.parse(data, 7, columns, options)
    if isinstance(parsed, Record):
        assert parsed.number == 7
        part = checks.check(of_records([parsed], columns), columns, options.steps)
        if not part.rejected:
            return part.chunk
        [parsed] = part.rejected
    assert parsed.number == 7
    raise RejectedRecord(parsed.code, parsed.detail)


def _one_step(**more: str) -> str:
    """A good record, with `"key": value` pairs beside `features`."""
    pairs = "".join(f'"{key}": {value}, ' for key, value in more.items())
    return f'{{{pairs}"features": {{"a": [1], "b": [2]}}}}'


def test_a_full_record_is_read() -> None:
    chunk = _parse(
        '{"sequence_id": "s", "entity_id": 7, "length": 2, "label": "grüße", "visits": 3,'
        ' "target": 0.5, "features": {"b": [null, 4], "a": [1, 2.5]}, "unasked": [[]]}'
    )
    assert (chunk.sequence_id, chunk.entity_id, chunk.length.tolist()) == (["s"], ["7"], [2])
    np.testing.assert_array_equal(chunk.values["a"], [1, 2.5])
    np.testing.assert_array_equal(chunk.values["b"], [np.nan, 4])
    assert chunk.context == {"label": ["grüße"], "visits": [3], "target": [0.5]}


STEPPED = Columns(
    features=COLUMNS.features,
    context={},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
)


@pytest.mark.parametrize(
    "record",
    [
        {"features": {"a": [1, 2], "b": [3, None], "word": ["x", None], "code": [4, 0]}},
        {"a": [1, 2], "b": [3, None], "word": ["x", ""], "code": [4, 0]},
        {
            "steps": [
                {"a": 1, "b": 3, "word": "x", "code": 4},
                {"code": 0, "word": "", "b": None, "a": 2, "unasked": 1},
            ]
        },
        {"features": {"a": [1, 2], "b": [3, None]}, "word": ["x", None], "code": [4, 0]},
        {"steps": [{"a": 1, "b": 3}, {"a": 2, "b": None}], "word": ["x", None], "code": [4, 0]},
        {"log": [{"a": 1, "b": 3}, {"a": 2, "b": None}], "word": ["x", None], "code": [4, 0]},
    ],
    ids=["features", "flat", "steps", "features and flat", "steps and flat", "log and flat"],
)
def test_columns_may_stand_in_three_places(record: dict[str, object]) -> None:
    """As the sample of `ragline init` takes them."""
    sample = nested.of_records([record], complete=True)
    assert {*sample.steps} - {"unasked"} == {"a", "b", "word", "code"}
    chunk = _parse(json.dumps(record), STEPPED)
    assert chunk.length.tolist() == [2]
    np.testing.assert_array_equal(chunk.values["a"], [1, 2])
    np.testing.assert_array_equal(chunk.values["b"], [3, np.nan])
    assert chunk.values["word"].tolist() == ["x", ""]
    assert chunk.values["code"].tolist() == [4, 0]
    assert chunk.values["code"].dtype == np.int64


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"steps": None}, "null: 'steps': expected a list of objects, received null"),
        ({"steps": [None]}, "null: step 0: expected an object, received NoneType"),
        ({"steps": [[1, 2]]}, "type: step 0: expected an object, received list"),
        ({"steps": []}, "empty: expected at least one step"),
        ({"steps": [{"a": None, "b": 1, "word": "", "code": 1}]}, "null: feature 'a', step 0"),
        ({"steps": [{"a": 1, "b": 1, "word": "", "code": None}]}, "null: category 'code', step 0"),
        ({"steps": [{"a": 1, "b": 1, "code": 1}]}, "missing_column: step 0: expected 'word'"),
        ({"a": [1], "b": [1], "code": [1]}, "missing_column: expected feature 'word'"),
        ({"a": [1], "b": [1], "word": ["x"], "code": [1.0]}, "type: category 'code', step 0"),
        ({"a": [1], "b": [1], "word": ["x"], "code": [2**63]}, "int_overflow: category 'code'"),
        ({"a": [1], "b": [1], "word": [1.5], "code": [1]}, "type: category 'word'"),
        ({"a": [1], "b": [1], "word": ["\ud800"], "code": [1]}, "encoding: category 'word'"),
        ({"a": [1], "b": [1], "word": ["x", "y"], "code": [1]}, "ragged: "),
    ],
)
def test_bad_steps_and_categories_are_rejected(record: dict[str, object], message: str) -> None:
    with pytest.raises(RejectedRecord, match=f"^{message}"):
        _parse(json.dumps(record), STEPPED)


@pytest.mark.parametrize(
    ("times", "unit", "nanoseconds"),
    [
        ([1700000000123456789, 1700000000123456790], "ns", None),
        ([1, 2], "s", [10**9, 2 * 10**9]),
        ([0.5, 1], "ms", [500_000, 10**6]),
        (["1970-01-01", "1970-01-01T00:00:01.5"], "s", [0, 1_500_000_000]),
    ],
)
def test_times_are_whole_nanoseconds(
    times: list[object], unit: str, nanoseconds: list[int] | None
) -> None:
    """Beside the features, too, wherever these are."""
    options = InputOptions(train="x", order_by="at", time_unit=unit)
    columns = {"a": [1, 2], "b": [1, 2]}
    steps = [{"a": 1, "b": 1}, {"a": 2, "b": 2}]
    for placed in (columns, {"features": columns}, {"steps": steps}, {"log": steps}):
        chunk = _parse(json.dumps({"at": times, **placed}), options=options)
        assert chunk.time.dtype == np.int64
        assert chunk.time.tolist() == (nanoseconds or times)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([1, None], "null: time 'at', step 1: expected a time, received null"),
        ([1, float("nan")], "null: time 'at', step 1: expected a time, received NaN"),
        ([1, "1970-01-01"], "type: time 'at': expected numbers, or texts"),
        ([1, True], "type: time 'at': expected numbers, or texts"),
        ([1, 2**63], "int_overflow: time 'at'"),
        ([1, 10**10], "int_overflow: time 'at', step 1: expected int64 nanoseconds"),
        (["1970-01-01", "noon"], "number_format: time 'at', step 1: expected an ISO 8601 time"),
        ([1], "ragged: 'at': expected 2 times, as there are steps, received 1"),
        (None, "null: time 'at': expected a list, received null"),
    ],
)
def test_bad_times_are_rejected(times: object, message: str) -> None:
    options = InputOptions(train="x", order_by="at")
    with pytest.raises(RejectedRecord, match=f"^{message}"):
        _parse(json.dumps({"at": times, "a": [1, 2], "b": [1, 2]}), options=options)


def test_an_entity_that_is_asked_for_must_be_there() -> None:
    options = InputOptions(train="x", entity="who")
    assert _parse(_one_step(who='"w"', entity_id='"e"'), options=options).entity_id == ["w"]
    with pytest.raises(RejectedRecord, match="missing_column: who: "):
        _parse(_one_step(entity_id='"e"'), options=options)
    with pytest.raises(RejectedRecord, match="null: who: "):
        _parse(_one_step(who="null"), options=options)


def test_ids_may_be_absent() -> None:
    chunk = _parse(_one_step())
    assert (chunk.sequence_id, chunk.entity_id) == ([None], [None])
    named = _parse(_one_step(sequence_id='"s"', entity_id="null"))
    assert (named.sequence_id, named.entity_id) == (["s"], [None])


def test_an_id_of_many_digits_is_kept() -> None:
    assert _parse(_one_step(sequence_id="9" * 40)).sequence_id == ["9" * 40]


def test_a_rejected_line_keeps_its_id_and_text() -> None:
    text = '{"sequence_id": "s", "features": {"a": [1], "b": ["' + "x" * 5000 + '"]}}'
    rejected = jsonl.parse(text.encode(), 3, COLUMNS, PLAIN)
    assert isinstance(rejected, QuarantineLine)
    assert (rejected.number, rejected.code, rejected.sequence_id) == (3, "type", "s")
    assert rejected.text == text[:1000]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_float32_values_survive_exactly(numbers: list[float]) -> None:
    features = {"a": numbers, "b": [None] * len(numbers)}
    chunk = _parse(json.dumps({"features": features}))
    np.testing.assert_array_equal(chunk.values["a"], numbers)
    assert np.isnan(chunk.values["b"]).all()


def test_the_nan_literal_is_missing_where_the_schema_allows_it() -> None:
    assert np.isnan(_parse('{"features": {"a": [1], "b": [NaN]}}').values["b"][0])


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
        ("null", "null"),
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
    with pytest.raises(RejectedRecord, match=f"^{code}: ."):
        _parse(text)


@pytest.mark.parametrize("codec", ["utf-16", "latin-1"])
def test_other_encodings_are_rejected(codec: str) -> None:
    with pytest.raises(RejectedRecord, match=r"encoding: expected UTF-8: .* at byte "):
        _parse(_one_step(label='"é"').encode(codec))


def test_a_byte_order_mark_is_named() -> None:
    with pytest.raises(RejectedRecord, match=r"json: .*BOM"):
        _parse("\ufeff" + _one_step())


def test_a_surrogate_pair_is_one_character() -> None:
    chunk = _parse(_one_step(sequence_id='"\\ud83d\\ude00"', label='"\\u0000"'))
    assert (chunk.sequence_id, chunk.context["label"]) == (["😀"], ["\0"])


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
        with pytest.raises(RejectedRecord, match=r"^(json|type|length_mismatch): "):
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
@settings(max_examples=sampled(500), deadline=None)
def test_any_line_is_a_sequence_that_can_be_written_or_a_reject(text: bytes | str) -> None:
    try:
        chunk = _parse(text)
    except RejectedRecord as reject:
        json.dumps({"detail": reject.detail}).encode()
        assert reject.detail
    else:
        assert np.isfinite(chunk.values["a"]).all()
        assert not np.isinf(chunk.values["b"]).any()
        named = dataclasses.replace(chunk, sequence_id=["s"], entity_id=["e"])
        assert encode_chunk(named, COLUMNS)


@given(RECORDS.map(json.dumps) | st.binary(max_size=20))
@settings(max_examples=sampled(500), deadline=None)
def test_the_quick_decoder_reads_what_the_exact_one_reads(text: bytes | str) -> None:
    data = text.encode() if isinstance(text, str) else text
    with pytest.MonkeyPatch.context() as patch:
        quick = jsonl.parse(data, 7, COLUMNS, PLAIN)
        patch.setattr(jsonl, "_decoded", jsonl._decoded_exactly)
        exact = jsonl.parse(data, 7, COLUMNS, PLAIN)
    assert repr(quick) == repr(exact)


@pytest.mark.parametrize("piece_bytes", [1, 30, 100, 1 << 20])
@pytest.mark.parametrize("end", ["", "\n", "\n\n \n"])
def test_pieces_read_what_the_file_has(tmp_path: pathlib.Path, piece_bytes: int, end: str) -> None:
    lines = [_one_step(sequence_id=f'"s{i}"', label=f'"{"x" * i}"') for i in range(20)]
    lines[3], lines[7], lines[8] = "", "{", " \r"
    path = tmp_path / "x.jsonl"
    path.write_text("\n".join(lines) + end)
    file = File(path=str(path), name="x.jsonl", index=0, format="jsonl", split=None)
    pieces = jsonl.JsonLines().pieces(file, COLUMNS, PLAIN, piece_bytes)
    assert (len(pieces) > 1) == (piece_bytes < 1000)
    parts = [part for piece in pieces for part in jsonl.JsonLines().read(piece, COLUMNS, PLAIN)]
    by_number = {
        number: name
        for part in parts
        for number, name in zip(part.chunk.number.tolist(), part.chunk.sequence_id, strict=True)
    }
    assert by_number == {i + 1: f"s{i}" for i in range(20) if i not in (3, 7, 8)}
    assert [(r.number, r.code) for part in parts for r in part.rejected] == [(8, "json")]


@pytest.mark.parametrize("block", [1, 1 << 22])
@pytest.mark.parametrize("group_by", [("id",), ("who", "id"), ("{FILE}", "id")])
def test_an_event_states_its_entity_or_has_that_of_the_group(
    tmp_path: pathlib.Path, group_by: tuple[str, ...], block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "BLOCK", block)
    lines = [
        {"id": "s", "who": "w", "a": 1, "b": 2, "entity_id": 7},
        {"id": "t", "who": "w", "a": 3, "b": 4},
        {"id": "s", "who": "w", "a": 5, "b": 6, "entity_id": "7"},
        {"id": "t", "who": "w", "a": 7, "b": 8, "entity_id": None},
        {"id": "u", "who": "w", "a": 9, "b": 9, "entity_id": "e"},
        {"id": "u", "who": "w", "a": 9, "b": 9},
    ]
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = InputOptions(train="x", group_by=group_by)
    [piece] = jsonl.JsonLines().pieces(
        file_at(tmp_path / "f.jsonl", "jsonl"), COLUMNS, options, 1 << 20
    )
    rows = [*jsonl.JsonLines().rows(piece, COLUMNS, options)]
    grouped = [*grouping.to_chunks(rows, COLUMNS)]
    names = [name for group in grouped for name in group.part.chunk.entity_id]
    if group_by == ("id",):  # Without any, a sequence is its own; beside one, it has that.
        assert names == ["7", None, "e"]
        return
    assert names == ["7", {"who": "w", "{FILE}": "f.jsonl"}[group_by[0]]]
    [rejected] = [row for group in grouped for row in group.part.rejected]
    assert (rejected.code, rejected.number) == ("inconsistent_entity", 5)
