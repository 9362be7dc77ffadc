"""`input.id`: the column that names a record, in every format whose records are sequences."""

import json
import pathlib
from collections.abc import Callable

import fastavro
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.preview import sampling
from ragline.components.ingest.source import framing

RECORDS = [{"stay id": f"s{i}", "x": [i / 2, 1.5, 2.5][: 1 + i % 3]} for i in range(40)]
COLUMNS = Columns(
    features=(Feature(name="x", unit=None, allow_missing=False),), context={}, categories=()
)


def _example(record: dict) -> bytes:
    feature = {
        "stay id": tf.train.Feature(
            bytes_list=tf.train.BytesList(value=[record["stay id"].encode()])
        ),
        "x": tf.train.Feature(float_list=tf.train.FloatList(value=record["x"])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def _avro(path: pathlib.Path) -> None:
    doubles = {"type": "array", "items": "double"}
    fields = [{"name": "stay_id", "type": "string"}, {"name": "x", "type": doubles}]
    schema = {"type": "record", "name": "r", "fields": fields}
    records = [{"stay_id": record["stay id"], "x": record["x"]} for record in RECORDS]
    with path.open("wb") as file:
        fastavro.writer(file, schema, records)


def _npz(path: pathlib.Path) -> None:
    arrays = {
        "x": np.concatenate([record["x"] for record in RECORDS]),
        "length": [len(record["x"]) for record in RECORDS],
        "stay id": [record["stay id"] for record in RECORDS],
    }
    np.savez(path, **arrays)


def _padded(path: pathlib.Path) -> None:
    values = np.zeros((len(RECORDS), 3, 1))
    for row, record in zip(values, RECORDS, strict=True):
        row[: len(record["x"]), 0] = record["x"]
    lengths = [len(record["x"]) for record in RECORDS]
    np.savez(path, values=values, length=lengths, **{"stay id": [r["stay id"] for r in RECORDS]})


def _xes(path: pathlib.Path) -> None:
    traces = "".join(
        '<trace><string key="concept:name" value="t"/>'
        f'<string key="stay id" value="{r["stay id"]}"/>'
        + "".join(f'<event><float key="x" value="{x}"/></event>' for x in r["x"])
        + "</trace>"
        for r in RECORDS
    )
    path.write_text(f"<log>{traces}</log>")


WRITERS: dict[str, Callable[[pathlib.Path], object]] = {
    "a.jsonl": lambda path: path.write_text("".join(json.dumps(r) + "\n" for r in RECORDS)),
    "nested.jsonl": lambda path: path.write_text(
        "".join(json.dumps({"stay": {"id": r["stay id"]}, "x": r["x"]}) + "\n" for r in RECORDS)
    ),
    "a.parquet": lambda path: pq.write_table(pa.Table.from_pylist(RECORDS), path),
    "a.avro": _avro,
    "flat.npz": _npz,
    "padded.npz": _padded,
    "a.xes": _xes,
    "a.tfrecord": lambda path: path.write_bytes(
        b"".join(map(framing.frame, map(_example, RECORDS)))
    ),
}
NAMES = {"a.avro": "stay_id", "nested.jsonl": "stay.id"}


@pytest.mark.parametrize("name", WRITERS)
def test_a_record_is_called_as_its_column_says(tmp_path, name):
    WRITERS[name](tmp_path / name)
    column = NAMES.get(name, "stay id")
    preview = sampling.take(InputOptions(train=str(tmp_path / name), id=column), COLUMNS)
    assert (preview.read, preview.accepted) == (40, 40), preview.bad
    assert preview.encoded["columns"]["sequence_id"]["values"] == ["s0"]
    assert preview.encoded["columns"]["entity_id"]["values"] == ["s0"]


def test_an_id_that_stands_twice_is_told_by_it(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in [*RECORDS, RECORDS[3]]))
    preview = sampling.take(InputOptions(train=str(path), id="stay id"), COLUMNS)
    assert preview.reasons == {"duplicate_id": 1}
    assert preview.bad[0].detail.endswith("a.jsonl, line 4")


def test_a_column_that_is_not_there_is_named(tmp_path):
    WRITERS["a.parquet"](tmp_path / "a.parquet")
    with pytest.raises(BadDataError, match=r"expected the columns 'none', received 'stay id', 'x'"):
        sampling.take(InputOptions(train=str(tmp_path / "a.parquet"), id="none"), COLUMNS)


def test_an_id_of_rows_is_made_by_group_by(tmp_path):
    with pytest.raises(ValueError, match=r"^id: expected it of records that are whole sequences"):
        InputOptions(train="x", id="a", group_by=("b",))
