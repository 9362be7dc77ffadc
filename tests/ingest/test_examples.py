"""Tests of the Examples and the shards: against protobuf, TensorFlow's reader, and damage."""

import dataclasses
import fractions
import gzip
import pathlib
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.columns import SPLITS, Category, Columns, Feature, length_bucket
from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import sha256
from ragline.components.ingest.output import shards
from ragline.components.ingest.output.examples import encode_chunk
from ragline.components.ingest.records.chunk import Chunk, Record, of_records

COLUMNS = Columns(
    features=tuple(Feature(name=name, unit=None, allow_missing=True) for name in ("z", "a")),
    context={"label": "bytes", "visits": "int", "target": "float"},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
    has_time=True,
)
FLOATS = st.floats(width=32)
INTS = st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=200)


@st.composite
def _records(draw: st.DrawFn) -> Record:
    steps = draw(st.integers(1, 3) | st.sampled_from([31, 32, 4096]))

    def column(of: st.SearchStrategy, dtype: object) -> np.ndarray:
        few = draw(st.lists(of, min_size=1, max_size=4))
        return np.array([few[place % len(few)] for place in range(steps)], dtype)

    context = st.fixed_dictionaries({}, optional={"label": TEXTS, "visits": INTS, "target": FLOATS})
    return Record(
        number=1,
        sequence_id=draw(TEXTS),
        entity_id=draw(TEXTS),
        length=steps,
        values={
            "z": column(FLOATS, np.float64),
            "a": column(FLOATS, np.float64),
            "word": column(TEXTS, object),
            "code": column(INTS, np.int64),
        },
        time=column(INTS, np.int64),
        context=draw(context),
    )


def _expected(record: Record) -> bytes:
    """The same Example by protobuf alone."""
    example = tf.train.Example()
    of = example.features.feature
    of["sequence_id"].bytes_list.value.append(record.sequence_id.encode())
    of["entity_id"].bytes_list.value.append(record.entity_id.encode())
    of["length"].int64_list.value.append(record.length)
    of["length_bucket"].bytes_list.value.append(length_bucket(record.length).encode())
    of["time"].int64_list.value.extend(record.time)
    of["code"].int64_list.value.extend(record.values["code"])
    of["word"].bytes_list.value.extend(word.encode() for word in record.values["word"])
    for name in ("a", "z"):
        of[name].float_list.value.extend(record.values[name])
    for name, value in record.context.items():
        match value:
            case str():
                of[name].bytes_list.value.append(value.encode())
            case int():
                of[name].int64_list.value.append(value)
            case _:
                of[name].float_list.value.append(value)
    return example.SerializeToString(deterministic=True)


@given(st.lists(_records(), max_size=4))
@settings(max_examples=sampled(60), deadline=None)
def test_the_examples_are_protobufs_own(records: list[Record]) -> None:
    encoded = encode_chunk(of_records(records, COLUMNS), COLUMNS)
    for example, record in zip(encoded, records, strict=True):
        expected = _expected(record)
        again = tf.train.Example.FromString(example).SerializeToString(deterministic=True)
        assert again == expected
        # Nothing else is in it; the order of a map's entries is left to who writes it.
        assert len(example) == len(expected)


def test_columns_stand_in_the_order_of_their_names() -> None:
    [record] = encode_chunk(_chunk(1), NUMBERS)
    names = [b"a", b"entity_id", b"length", b"length_bucket", b"sequence_id", b"z"]
    places = [record.index(bytes([10, len(name)]) + name) for name in names]
    assert places == sorted(places)


def test_context_that_compares_equal_is_written_as_it_is() -> None:
    columns = Columns(features=COLUMNS.features, context={"target": "float"})
    records = [
        Record(
            number=1,
            sequence_id="s",
            entity_id="e",
            length=1,
            values={"z": np.zeros(1), "a": np.zeros(1)},
            time=None,
            context={"target": target},
        )
        for target in (0.0, -0.0)
    ]
    first, second = encode_chunk(of_records(records, columns), columns)
    assert len(first) == len(second)
    assert first != second


FEW = st.sampled_from([0.0, 1.0, float("nan"), float("nan")])
PARTLY = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=False),
        Feature(name="z", unit=None, allow_missing=True),
    ),
    context={},
    categories=COLUMNS.categories,
    has_missing_bucket=True,
)


@st.composite
def _holes(draw: st.DrawFn) -> dict[str, list[Any]]:
    """The columns of a sequence of which many values are missing, or few."""
    steps = draw(st.integers(1, 4) | st.sampled_from([50, 51, 125, 200]))

    def column(of: st.SearchStrategy, rest: object) -> list[Any]:
        few = draw(st.lists(of, max_size=min(steps, 4)))
        return few + [rest] * (steps - len(few))

    return {
        "a": [0.0] * steps,
        "z": column(FEW, draw(FEW)),
        "word": column(st.sampled_from(["", "go"]), draw(st.sampled_from(["", "go"]))),
        "code": column(st.integers(-1, 1), 0),
    }


def _bucket(columns: dict[str, list[Any]]) -> str:
    """The slice of a sequence, counted value by value; a code of 0 or -1 is a code like any other.

    `value != value` is true of NaN alone.
    """
    cells = [(name, value) for name, column in columns.items() for value in column]
    missing = [value != value or (name == "word" and value == "") for name, value in cells]
    share = fractions.Fraction(sum(missing), len(cells))
    if share == 0:
        return "0"
    for percent, name in ((1, "0-1%"), (10, "1-10%"), (50, "10-50%")):
        if share <= fractions.Fraction(percent, 100):
            return name
    return "50-100%"


def _of_holes(sequences: list[dict[str, list[Any]]]) -> Chunk:
    dtypes = {"a": np.float64, "z": np.float64, "word": object, "code": np.int64}
    return of_records(
        [
            Record(
                number=number,
                sequence_id=f"s{number}",
                entity_id="e",
                length=len(columns["a"]),
                values={name: np.array(columns[name], dtypes[name]) for name in columns},
                time=None,
                context={},
            )
            for number, columns in enumerate(sequences)
        ],
        PARTLY,
    )


def _buckets(sequences: list[dict[str, list[Any]]], columns: Columns = PARTLY) -> list[str]:
    encoded = encode_chunk(_of_holes(sequences), columns)
    features = [tf.train.Example.FromString(each).features.feature for each in encoded]
    return [of["missing_bucket"].bytes_list.value[0].decode() for of in features]


@given(st.lists(_holes(), max_size=4))
@settings(max_examples=sampled(60), deadline=None)
def test_the_missing_bucket_is_counted_value_by_value(
    sequences: list[dict[str, list[Any]]],
) -> None:
    assert _buckets(sequences) == [_bucket(columns) for columns in sequences]


@pytest.mark.parametrize(
    ("missing", "words", "bucket"),
    [
        (0, 0, "0"),
        (1, 0, "0-1%"),
        (2, 0, "0-1%"),
        (2, 1, "1-10%"),
        (0, 20, "1-10%"),
        (21, 0, "10-50%"),
        (50, 50, "10-50%"),
        (0, 50, "10-50%"),
    ],
)
def test_the_edges_of_missing_buckets(missing: int, words: int, bucket: str) -> None:
    # 50 steps of four columns: 200 values.
    columns = {
        "a": [0.0] * 50,
        "z": [float("nan")] * missing + [0.0] * (50 - missing),
        "word": [""] * words + ["go"] * (50 - words),
        "code": [0] * 50,
    }
    # The neighbours, of which all is there and half is missing, change nothing.
    none, half = ({name: [of[i]] for name, of in columns.items()} for i in (-1, 0))
    assert _buckets([none, columns, half])[1] == _bucket(columns) == bucket


def test_more_than_half_may_be_missing() -> None:
    numbers = dataclasses.replace(PARTLY, categories=())
    allowed = dataclasses.replace(
        numbers, features=tuple(dataclasses.replace(f, allow_missing=True) for f in PARTLY.features)
    )
    nan = float("nan")
    columns = {"a": [nan, nan, 0.0], "z": [nan, 0.0, 0.0], "word": [""] * 3, "code": [0] * 3}
    # Words that the schema does not have are not counted.
    assert _buckets([columns], allowed) == ["10-50%"]
    columns["z"] = [nan, nan, 0.0]
    assert _buckets([columns], allowed) == ["50-100%"]


def test_without_it_in_the_schema_no_missing_bucket_is_written() -> None:
    [record] = encode_chunk(_chunk(1), NUMBERS)
    assert "missing_bucket" not in tf.train.Example.FromString(record).features.feature


def test_without_times_in_the_schema_none_are_written() -> None:
    columns = Columns(features=COLUMNS.features, context={})
    [record] = encode_chunk(_chunk(1), columns)
    assert "time" not in tf.train.Example.FromString(record).features.feature


def _chunk(count: int) -> Chunk:
    lengths = np.arange(count) % 5 + 1
    random = np.random.default_rng(0)
    return Chunk(
        number=np.arange(count) + 1,
        sequence_id=[f"s{i}" for i in range(count)],
        entity_id=[f"e{i}" for i in range(count)],
        length=lengths,
        values={name: random.normal(size=lengths.sum()) for name in ("z", "a")},
        time=np.arange(lengths.sum()),
        context={},
    )


NUMBERS = Columns(features=COLUMNS.features, context={})
RECORDS = encode_chunk(_chunk(40), NUMBERS)


def _write(folder: pathlib.Path, name: str = "x.gz") -> tuple[pathlib.Path, shards.Shard]:
    writer = shards.ShardWriter(folder / name)
    writer.write(RECORDS[:17])
    writer.write([])
    writer.write(RECORDS[17:])
    assert not (folder / name).exists()
    return folder / name, writer.finish()


def test_a_shard_is_read_by_tensorflow_and_told_true(tmp_path: pathlib.Path) -> None:
    path, shard = _write(tmp_path)
    assert list(tf.data.TFRecordDataset(str(path), "GZIP").as_numpy_iterator()) == RECORDS
    assert shard == shards.Shard(
        name="x.gz",
        records=40,
        bytes=len(path.read_bytes()),
        sha256=sha256(path),
        steps=sum(i % 5 + 1 for i in range(40)),
    )
    assert [p.name for p in tmp_path.iterdir()] == ["x.gz"]


def test_the_same_records_make_the_same_bytes(tmp_path: pathlib.Path) -> None:
    first, second = (_write(tmp_path, name)[0].read_bytes() for name in ("x.gz", "y.gz"))
    assert first == second


def test_an_abandoned_shard_leaves_nothing(tmp_path: pathlib.Path) -> None:
    folders = dict.fromkeys(SPLITS, tmp_path)
    with pytest.raises(KeyError), shards.ShardSet(folders, "x.gz") as open_shards:
        open_shards.write("train", RECORDS)
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_split_that_gets_no_record_has_no_shard(tmp_path: pathlib.Path) -> None:
    folders = {split: tmp_path / split for split in SPLITS}
    for folder in folders.values():
        folder.mkdir()
    for written in (SPLITS, ("eval",)):
        with shards.ShardSet(folders, "x.gz") as open_shards:
            for split in written:
                open_shards.write(split, RECORDS[:3])
        # The second time, what the first has written of train is gone.
        assert open_shards.finished.keys() == set(written)
        assert {s for s in SPLITS if (folders[s] / "x.gz").exists()} == set(written)


@pytest.mark.parametrize("kept", [0.3, 0.99])
def test_a_damaged_shard_does_not_read_back(tmp_path: pathlib.Path, kept: float) -> None:
    path, _ = _write(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises((BadDataError, EOFError), match=r"unreadable|end-of-stream"):
        shards.read_back(path)
    path.write_bytes(gzip.compress(gzip.decompress(content)[:-5]))
    with pytest.raises(BadDataError, match=r"framing: .* the file is truncated"):
        shards.read_back(path)
