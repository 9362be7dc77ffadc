"""Tests of TFRecord files of tf.Example and of tf.SequenceExample."""

import gzip
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ingest.random_records import COLUMNS, check_columns, file_at, joined, samples
from ingest.written import message, message_of
from profiles import sampled

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import sequence_example, tfrecord
from ragline.components.ingest.formats.parsing import protos
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, Piece, QuarantineLine

PLAIN = InputOptions(train="x")
TIMED = InputOptions(train="x", order_by="time", time_unit="ns")
FORMATS = {
    "tfrecord": tfrecord.TfRecord(),
    "sequence_example": sequence_example.SequenceExample(),
}
BOTH = pytest.mark.parametrize("name", FORMATS)


def _write(path: pathlib.Path, payloads: list[bytes]) -> None:
    compression = "GZIP" if path.suffix == ".gz" else ""
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for payload in payloads:
            writer.write(payload)


def _pieces(
    name: str, path: pathlib.Path, columns: Columns, options: InputOptions, piece_bytes: int
) -> list[Piece]:
    return FORMATS[name].pieces(file_at(path, name), columns, options, piece_bytes)


def _read(
    name: str,
    path: pathlib.Path,
    columns: Columns = COLUMNS,
    options: InputOptions = TIMED,
    piece_bytes: int = 1 << 25,
) -> tuple[Chunk, list[QuarantineLine]]:
    pieces = _pieces(name, path, columns, options, piece_bytes)
    return joined(
        (part for piece in pieces for part in FORMATS[name].read(piece, columns, options)), columns
    )


@BOTH
@pytest.mark.parametrize("file_name", ["f", "f.gz"])
@pytest.mark.parametrize("piece_bytes", [1000, 1 << 25])
@pytest.mark.parametrize("batch", [3, protos._BATCH_RECORDS])
def test_records_come_back(
    tmp_path: pathlib.Path,
    name: str,
    file_name: str,
    piece_bytes: int,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protos, "_BATCH_RECORDS", batch)
    path = tmp_path / file_name
    _write(path, [message_of(name, sample) for sample in samples(300)])
    chunk, rejected = _read(name, path, piece_bytes=piece_bytes)
    check_columns(chunk, samples(300))
    assert not rejected
    several = piece_bytes == 1000 and path.suffix != ".gz"
    assert (len(_pieces(name, path, COLUMNS, TIMED, piece_bytes)) > 1) == several


@BOTH
def test_an_empty_file_has_no_records(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    assert _pieces(name, path, COLUMNS, TIMED, 1) == []


TWO = Columns(
    features=tuple(Feature(name=n, unit=None, allow_missing=n == "b") for n in "ab"),
    context={"label": "bytes", "weight": "float"},
    categories=(Category(name="word", kind="bytes"),),
)
STEPS = {"a": [1.0, 2.0], "b": [3.0, 4.0], "word": [b"x", b"y"]}


@BOTH
def test_ids_and_context_may_be_absent(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "f"
    _write(path, [message(name, STEPS), message(name, STEPS, {"label": None, "weight": []})])
    chunk, rejected = _read(name, path, TWO, PLAIN)
    assert chunk.sequence_id == chunk.entity_id == [None, None] and not rejected
    assert chunk.context == {"label": [None, None], "weight": [None, None]}
    assert chunk.time is None


@BOTH
def test_ids_and_times_may_be_of_other_kinds(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "f"
    steps = STEPS | {"at": [b"1970-01-01T00:00:01Z", b"1970-01-02"]}
    _write(path, [message(name, steps, {"sequence_id": [7], "person": [8]})])
    options = InputOptions(train="x", order_by="at", entity="person")
    chunk, rejected = _read(name, path, TWO, options)
    assert chunk.sequence_id == ["7"] and chunk.entity_id == ["8"] and not rejected
    assert chunk.time is not None and chunk.time.tolist() == [10**9, 86400 * 10**9]
    steps = STEPS | {"at": [1.5, 2.0]}
    _write(path, [message(name, steps, {"person": [b"p"]})])
    chunk, _ = _read(name, path, TWO, options)
    assert chunk.time is not None and chunk.time.tolist() == [1_500_000_000, 2_000_000_000]


def _without(key: str) -> dict[str, Any]:
    return {name: values for name, values in STEPS.items() if name != key}


@BOTH
@pytest.mark.parametrize(
    ("steps", "record", "code"),
    [
        (_without("a"), {}, "missing_column"),
        (_without("word"), {}, "missing_column"),
        ({}, {}, "missing_column"),
        (STEPS | {"a": [1, 2]}, {}, "type"),
        (STEPS | {"a": [b"1", b"2"]}, {}, "type"),
        (STEPS | {"word": [1, 2]}, {}, "type"),
        (STEPS | {"a": [1.0]}, {}, "ragged"),
        (STEPS | {"a": []}, {}, "ragged"),
        (STEPS | {"word": [b"x", b"\xff"]}, {}, "encoding"),
        (STEPS, {"sequence_id": [b"\xff"]}, "encoding"),
        (STEPS, {"sequence_id": [b""]}, "type"),
        (STEPS, {"sequence_id": [1]}, "type"),
        (STEPS, {"sequence_id": [b"a", b"b"]}, "type"),
        (STEPS, {"label": [b"\xff"]}, "encoding"),
        (STEPS, {"label": [1]}, "type"),
        (STEPS, {"weight": [float("inf")]}, "non_finite"),
        (STEPS, {"length": [3]}, "length_mismatch"),
        (STEPS, {"length": [-2]}, "length_mismatch"),
        (STEPS, {"length": [2.0]}, "type"),
        (STEPS, {"length": [2, 2]}, "type"),
    ],
)
def test_a_bad_record_is_rejected(
    tmp_path: pathlib.Path, name: str, steps: dict[str, Any], record: dict[str, Any], code: str
) -> None:
    path = tmp_path / "f"
    good = {"sequence_id": [b"s"], "length": [2]}
    payloads = [message(name, STEPS, good), message(name, steps, record), message(name, STEPS)]
    _write(path, payloads)
    chunk, rejected = _read(name, path, TWO, PLAIN)
    assert [(r.number, r.code) for r in rejected] == [(2, code)]
    assert list(chunk.number) == [1, 3] and chunk.sequence_id == ["s", None]
    assert chunk.values["a"].tolist() == [1.0, 2.0] * 2
    assert rejected[0].text.startswith("{") and rejected[0].detail


def test_an_example_may_hold_a_list_of_no_kind(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    _write(path, [message("tfrecord", STEPS | {"a": None})])
    _, rejected = _read("tfrecord", path, TWO, PLAIN)
    assert [(r.code, r.detail) for r in rejected] == [
        ("null", "column 'a': expected a float_list, received null")
    ]


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ({"a": [1.0, None]}, "null"),
        ({"a": [[], 1.0]}, "null"),
        ({"a": [1.0, [1.0, 2.0]]}, "bad_dim"),
        ({"a": [1.0, 2]}, "type"),
    ],
)
def test_a_bad_step_of_a_sequence_example_is_rejected(
    tmp_path: pathlib.Path, steps: dict[str, Any], code: str
) -> None:
    path = tmp_path / "f"
    name = "sequence_example"
    _write(path, [message(name, STEPS), message(name, STEPS | steps), message(name, STEPS)])
    chunk, rejected = _read(name, path, TWO, PLAIN)
    assert [(r.number, r.code) for r in rejected] == [(2, code)]
    assert list(chunk.number) == [1, 3]


def test_a_step_without_a_value_is_missing_where_it_may_be(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "f"
    steps = {"a": [1.0, 2.0], "b": [None, 4.0], "word": [b"x", None]}
    _write(path, [message("sequence_example", STEPS), message("sequence_example", steps)])
    chunk, rejected = _read("sequence_example", path, TWO, PLAIN)
    np.testing.assert_array_equal(chunk.values["b"], [3.0, 4.0, np.nan, 4.0])
    assert chunk.values["word"].tolist() == ["x", "y", "x", ""] and not rejected


@BOTH
def test_no_steps_are_left_to_the_checks(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "f"
    empty = {"a": [], "b": []}
    columns = Columns(features=TWO.features, context={})
    _write(path, [message(name, empty), message(name, STEPS)])
    chunk, rejected = _read(name, path, columns, PLAIN)
    assert list(chunk.length) == [0, 2] and not rejected


@BOTH
def test_bytes_that_are_no_message_are_rejected(tmp_path: pathlib.Path, name: str) -> None:
    path = tmp_path / "f"
    _write(path, [b"\xff\xffgarbage", message(name, STEPS)])
    chunk, rejected = _read(name, path, TWO, PLAIN)
    assert [(r.number, r.code) for r in rejected] == [(1, "proto")]
    assert list(chunk.number) == [2]


@BOTH
@pytest.mark.parametrize("file_name", ["f", "f.gz"])
def test_a_broken_file_stops_the_run(tmp_path: pathlib.Path, name: str, file_name: str) -> None:
    path = tmp_path / file_name
    _write(path, [message(name, STEPS)] * 100)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with pytest.raises(BadDataError, match=r"(framing|unreadable): .*f"):
        _read(name, path, TWO, PLAIN)
    flipped = bytearray(gzip.decompress(whole) if path.suffix == ".gz" else whole)
    flipped[-30] ^= 1
    path.write_bytes(gzip.compress(flipped) if path.suffix == ".gz" else flipped)
    with pytest.raises(BadDataError, match=r"framing: .*record 100 at byte .*checksum of its data"):
        _read(name, path, TWO, PLAIN)


CELLS = st.sampled_from(
    [None, [], [1.0], [1.0, 2.0], [1], [b"x"], [b"x", b"y"], [b"\xff", b""], [float("nan")] * 2]
)
RECORDS = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(["a", "b", "word", "other"]), CELLS),
        st.dictionaries(st.sampled_from(["sequence_id", "length", "label", "weight"]), CELLS),
    ),
    max_size=4,
)


@BOTH
@given(records=RECORDS)
@settings(max_examples=sampled(300), deadline=None)
def test_a_record_is_judged_alike_alone_and_among_others(
    tmp_path_factory: pytest.TempPathFactory, name: str, records: list[Any]
) -> None:
    # The first record says of which kind the ids of its file are: words, but for this.
    assume(not records or records[0][1].get("sequence_id") != [1])
    path = tmp_path_factory.getbasetemp() / f"{name}.tfrecord"
    payloads = [message(name, steps, record) for steps, record in records]
    _write(path, payloads)
    chunk, rejected = _read(name, path, TWO, PLAIN)
    codes = dict.fromkeys(chunk.number.tolist(), "") | {r.number: r.code for r in rejected}
    assert len(chunk) + len(rejected) == len(codes) == len(payloads)
    for number, payload in enumerate(payloads, start=1):
        _write(path, [payload])
        _, alone = _read(name, path, TWO, PLAIN)
        assert codes[number] == (alone[0].code if alone else "")
