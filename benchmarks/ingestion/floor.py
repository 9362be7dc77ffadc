"""The floor that ingest is held against: the fastest loops that fit on a page, with no Beam.

Each reads its format with the library that is fastest at it, sees that all values are finite as
float32, and writes the same columns into one gzipped TFRecord file. No ids are compared, no splits
made, nothing is rejected, counted or read back; a bad value anywhere ends the loop.
"""

import pathlib
import struct
import xml.parsers.expat
from collections.abc import Callable, Iterable, Iterator

import google_crc32c
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import tensorflow as tf
from isal import isal_zlib
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.cc.tfx_bsl_extension.coders import SequenceExamplesToRecordBatchDecoder
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder, RecordBatchToExamples

from benchmarks.ingestion.data import FEATURES, TIME
from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    SEQUENCE_ID,
    length_bucket,
)

_RECORDS = 2000
_MASK_DELTA = 0xA282EAD8

# Ids, lengths [N] and the features' values, [sum T] each.
Batch = tuple[pa.Array, np.ndarray, list[np.ndarray]]


def run(format_name: str, source: pathlib.Path, target: pathlib.Path) -> None:
    """Reads a file of a format and writes its sequences."""
    write(map(encoded, READERS[format_name](source)), target)


def encoded(batch: Batch) -> list[bytes]:
    """Serialised tf.Examples."""
    ids, length, values = batch
    if not all(np.isfinite(column).all() for column in values):
        raise ValueError("a value is not finite")
    offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    one = pa.array(np.arange(len(ids) + 1, dtype=np.int32))
    names = ids.cast(pa.binary())
    buckets = pa.array([length_bucket(steps) for steps in length.tolist()], pa.binary())
    of_record = {
        SEQUENCE_ID: names,
        ENTITY_ID: names,
        LENGTH: pa.array(length.astype(np.int64)),
        LENGTH_BUCKET: buckets,
    }
    columns = {name: pa.ListArray.from_arrays(one, column) for name, column in of_record.items()}
    for name, column in zip(FEATURES, values, strict=True):
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(column.astype(np.float32)))
    return list(RecordBatchToExamples(pa.RecordBatch.from_pydict(columns)))


def write(batches: Iterable[list[bytes]], target: pathlib.Path) -> None:
    """With the compression and the checksums that ingest uses."""
    compressor = isal_zlib.compressobj(2, isal_zlib.DEFLATED, 31)
    with target.open("wb") as file:
        for batch in batches:
            parts = []
            for record in batch:
                length = struct.pack("<Q", len(record))
                parts += [length, _masked_crc(length), record, _masked_crc(record)]
            file.write(compressor.compress(b"".join(parts)))
        file.write(compressor.flush())


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF)


def _parquet(source: pathlib.Path) -> Iterator[Batch]:
    for batch in pq.ParquetFile(source).iter_batches(_RECORDS, use_threads=False):
        yield _of_lists(batch.column(SEQUENCE_ID), [batch.column(name) for name in FEATURES])


def _of_lists(ids: pa.Array, lists: list[pa.Array]) -> Batch:
    length = pc.list_value_length(lists[0]).to_numpy(zero_copy_only=False)
    return ids, length, [column.flatten().to_numpy() for column in lists]


def _parquet_long(source: pathlib.Path) -> Iterator[Batch]:
    return _of_rows(pq.read_table(source, use_threads=False))


def _csv(source: pathlib.Path) -> Iterator[Batch]:
    types = dict.fromkeys(FEATURES, pa.float32())
    return _of_rows(
        pyarrow.csv.read_csv(
            source,
            pyarrow.csv.ReadOptions(use_threads=False),
            convert_options=pyarrow.csv.ConvertOptions(column_types=types),
        )
    )


def _of_rows(table: pa.Table) -> Iterator[Batch]:
    """All rows at once, sorted by sequence and time, and cut where the sequence changes."""
    codes = table[SEQUENCE_ID].combine_chunks().dictionary_encode()
    code = codes.indices.to_numpy()
    order = np.lexsort((table[TIME].to_numpy(), code))
    length = np.bincount(code)
    columns = [table[name].to_numpy()[order] for name in FEATURES]
    ends = np.cumsum(length)
    for start in range(0, len(length), _RECORDS):
        of_batch = length[start : start + _RECORDS]
        stop = int(ends[start + len(of_batch) - 1])
        steps = slice(stop - int(of_batch.sum()), stop)
        ids = codes.dictionary[start : start + len(of_batch)]
        yield ids, of_batch, [column[steps] for column in columns]


def _jsonl(source: pathlib.Path) -> Iterator[Batch]:
    with source.open("rb") as file:
        while lines := file.readlines(1 << 23):
            records = list(map(orjson.loads, lines))
            lists = [[record["features"][name] for record in records] for name in FEATURES]
            length = np.array([len(steps) for steps in lists[0]])
            values = [np.array([v for steps in column for v in steps]) for column in lists]
            yield pa.array([record[SEQUENCE_ID] for record in records]), length, values


def _ts(source: pathlib.Path) -> Iterator[Batch]:
    with source.open("rb") as file:
        number = next(n for n, line in enumerate(file, start=1) if line.strip() == b"@data")
        while lines := file.readlines(1 << 23):
            # As JSON, of which there is the fastest parser of numbers.
            records = [orjson.loads(b"[[" + x.replace(b":", b"],[") + b"]]") for x in lines]
            ids = [f"{source.name}:{number + place}" for place in range(1, len(lines) + 1)]
            length = np.array([len(record[0]) for record in records])
            values = [
                np.array([v for record in records for v in record[place]])
                for place in range(len(FEATURES))
            ]
            yield pa.array(ids), length, values
            number += len(lines)


def _npz(source: pathlib.Path) -> Iterator[Batch]:
    with np.load(source) as archive:
        values, length, ids = archive["values"], archive[LENGTH], archive[SEQUENCE_ID]
    ends = np.cumsum(length)
    for start in range(0, len(length), _RECORDS):
        of_batch = length[start : start + _RECORDS]
        stop = int(ends[start + len(of_batch) - 1])
        steps = values[stop - int(of_batch.sum()) : stop]
        yield pa.array(ids[start : start + _RECORDS]), of_batch, list(steps.T.copy())


def _records(source: pathlib.Path) -> Iterator[list[bytes]]:
    for batch in tf.data.TFRecordDataset(str(source)).batch(_RECORDS).as_numpy_iterator():
        yield batch.tolist()


def _tfrecord(source: pathlib.Path) -> Iterator[Batch]:
    decoder = ExamplesToRecordBatchDecoder(_schema().SerializeToString())
    for records in _records(source):
        batch = decoder.DecodeBatch(records)
        ids = batch.column(SEQUENCE_ID).flatten()
        yield _of_lists(ids, [batch.column(name) for name in FEATURES])


def _sequence_example(source: pathlib.Path) -> Iterator[Batch]:
    schema = schema_pb2.Schema()
    schema.feature.add(name=SEQUENCE_ID, type=schema_pb2.BYTES)
    steps = schema.feature.add(name="steps", type=schema_pb2.STRUCT)
    for name in FEATURES:
        steps.struct_domain.feature.add(name=name, type=schema_pb2.FLOAT)
    decoder = SequenceExamplesToRecordBatchDecoder("steps", schema.SerializeToString())
    for records in _records(source):
        batch = decoder.DecodeBatch(records)
        ids = batch.column(SEQUENCE_ID).flatten()
        lists = batch.column("steps")
        columns = {name: lists.field(name) for name in FEATURES}
        length = pc.list_value_length(columns[FEATURES[0]]).to_numpy(zero_copy_only=False)
        yield ids, length, [columns[name].flatten().flatten().to_numpy() for name in FEATURES]


def _schema() -> schema_pb2.Schema:
    schema = schema_pb2.Schema()
    schema.feature.add(name=SEQUENCE_ID, type=schema_pb2.BYTES)
    for name in FEATURES:
        schema.feature.add(name=name, type=schema_pb2.FLOAT)
    return schema


def _xes(source: pathlib.Path) -> Iterator[Batch]:
    ids: list[str] = []
    lengths: list[int] = []
    columns: dict[str, list[float]] = {name: [] for name in FEATURES}
    steps = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal steps
        if tag == "float":
            columns[attributes["key"]].append(float(attributes["value"]))
        elif tag == "event":
            steps += 1
        elif tag == "trace":
            steps = 0
        elif tag == "string":
            ids.append(attributes["value"])

    def end(tag: str) -> None:
        if tag == "trace":
            lengths.append(steps)

    parser = xml.parsers.expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    with source.open("rb") as file:
        while block := file.read(1 << 22):
            parser.Parse(block)
            if done := len(lengths):
                total = sum(lengths)
                values = [np.array(column[:total]) for column in columns.values()]
                yield pa.array(ids[:done]), np.array(lengths), values
                del ids[:done], lengths[:]
                for column in columns.values():
                    del column[:total]


READERS: dict[str, Callable[[pathlib.Path], Iterator[Batch]]] = {
    "parquet": _parquet,
    "jsonl": _jsonl,
    "csv": _csv,
    "parquet-long": _parquet_long,
    "ts": _ts,
    "npz": _npz,
    "tfrecord": _tfrecord,
    "sequence_example": _sequence_example,
    "xes": _xes,
}
