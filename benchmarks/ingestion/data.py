"""The same sequences in every format, written a block at a time.

12 features of 4 decimals, normal, float32; lengths log-normal around 50, about 60 on average, at
most 4,096. A block of sequences follows from its number alone.
"""

import itertools
import pathlib
import zipfile
from collections.abc import Callable, Iterator

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from tfx_bsl.coders.example_coder import RecordBatchToExamples

from ragline.components.contract.columns import LENGTH, SEQUENCE_ID
from ragline.components.ingest.source import framing

FEATURES = tuple(f"f{i:02d}" for i in range(12))
TIME = "t"
BLOCK = 10_000

# Ids, lengths [N] and values [sum T, F].
Block = tuple[list[str], np.ndarray, np.ndarray]


def blocks(sequences: int) -> Iterator[Block]:
    """All sequences, a block of them at a time."""
    for start in range(0, sequences, BLOCK):
        length = lengths(start, sequences)
        values = np.random.default_rng([1, start]).standard_normal((length.sum(), len(FEATURES)))
        ids = [f"s{number:07d}" for number in range(start, start + len(length))]
        yield ids, length, np.round(values, 4).astype(np.float32)


def lengths(start: int, sequences: int) -> np.ndarray:
    """Steps of the sequences of one block."""
    drawn = np.random.default_rng([0, start]).lognormal(np.log(50), 0.6, BLOCK)
    steps_of_block: np.ndarray = np.clip(drawn, 1, 4096).astype(np.int64)[: sequences - start]
    return steps_of_block


def nested(block: Block) -> pa.RecordBatch:
    """A row a sequence, a list a feature."""
    ids, length, values = block
    offsets = pa.array(np.concatenate([[0], np.cumsum(length)]).astype(np.int32))
    lists = [
        pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(column)))
        for column in values.T
    ]
    return pa.RecordBatch.from_arrays([pa.array(ids), *lists], [SEQUENCE_ID, *FEATURES])


def long(block: Block) -> pa.RecordBatch:
    """A row a step; the sequences of a block run side by side, as events arrive."""
    ids, length, values = block
    time = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    order = np.argsort(time, kind="stable")
    of_step = pa.array(ids).take(pa.array(np.repeat(np.arange(len(ids)), length)[order]))
    columns = [pa.array(column[order]) for column in values.T]
    return pa.RecordBatch.from_arrays(
        [of_step, pa.array(time[order]), *columns], [SEQUENCE_ID, TIME, *FEATURES]
    )


def write_parquet(path: pathlib.Path, sequences: int) -> None:
    """A row a sequence; a row group a block."""
    _write_table(path, map(nested, blocks(sequences)))


def write_parquet_long(path: pathlib.Path, sequences: int) -> None:
    """A row a step."""
    _write_table(path, map(long, blocks(sequences)))


def write_csv(path: pathlib.Path, sequences: int) -> None:
    """A row a step."""
    batches = map(long, blocks(sequences))
    first = next(batches)
    with pyarrow.csv.CSVWriter(path, first.schema) as writer:
        for batch in itertools.chain([first], batches):
            writer.write(batch)


def write_jsonl(path: pathlib.Path, sequences: int) -> None:
    """A line a sequence."""
    with path.open("wb") as file:
        for ids, length, values in blocks(sequences):
            for name, steps in zip(ids, _cut(length, values), strict=True):
                features = dict(zip(FEATURES, map(np.ascontiguousarray, steps.T), strict=True))
                file.write(_json({SEQUENCE_ID: name, "features": features}) + b"\n")


def write_ts(path: pathlib.Path, sequences: int) -> None:
    """A line a sequence."""
    with path.open("wb") as file:
        file.write(b"@problemName bench\n@univariate false\n@dimensions 12\n@classLabel false\n")
        file.write(b"@data\n")
        for _, length, values in blocks(sequences):
            for steps in _cut(length, values):
                columns = _json(np.ascontiguousarray(steps.T)).strip(b"[]")
                file.write(columns.replace(b"],[", b":") + b"\n")


def write_npz(path: pathlib.Path, sequences: int) -> None:
    """Flat values, and lengths."""
    length = np.concatenate([lengths(start, sequences) for start in range(0, sequences, BLOCK)])
    ids = np.array([f"s{number:07d}" for number in range(sequences)])
    with zipfile.ZipFile(path, "w", allowZip64=True) as archive:
        with archive.open("values.npy", "w", force_zip64=True) as file:
            shape = (int(length.sum()), len(FEATURES))
            header = {"descr": "<f4", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(file, header)
            for _, _, values in blocks(sequences):
                file.write(values.tobytes())
        for name, array in ((LENGTH, length), (SEQUENCE_ID, ids)):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array)


def write_tfrecord(path: pathlib.Path, sequences: int) -> None:
    """tf.Example, a record a sequence."""
    with path.open("wb") as file:
        for block in blocks(sequences):
            batch = nested(block)
            ids = batch.column(0).cast(pa.binary())
            one = pa.array(np.arange(len(ids) + 1, dtype=np.int32))
            batch = batch.set_column(0, SEQUENCE_ID, pa.ListArray.from_arrays(one, ids))
            file.writelines(map(framing.frame, RecordBatchToExamples(batch)))


def write_sequence_example(path: pathlib.Path, sequences: int) -> None:
    """tf.SequenceExample by its wire format: in a list, a step of one float takes 10 bytes."""
    with path.open("wb") as file:
        for ids, length, values in blocks(sequences):
            cells = np.empty((*values.shape, 10), np.uint8)
            cells[..., :6] = np.frombuffer(b"\x0a\x08\x12\x06\x0a\x04", np.uint8)
            cells[..., 6:] = values.view(np.uint8).reshape(*values.shape, 4)
            for name, steps in zip(ids, _cut(length, cells), strict=True):
                features = b"".join(
                    _field(_field(column.encode()) + _field(steps[:, place].tobytes(), 2))
                    for place, column in enumerate(FEATURES)
                )
                stated = _field(_field(_field(name.encode())), 2)
                context = _field(_field(SEQUENCE_ID.encode()) + stated)
                file.write(framing.frame(_field(context) + _field(features, 2)))


def write_xes(path: pathlib.Path, sequences: int) -> None:
    """A trace a sequence."""
    values_of_event = "".join(f'<float key="{name}" value="%s"/>' for name in FEATURES)
    event = f"<event>{values_of_event}</event>\n"
    with path.open("w", encoding="utf-8") as file:
        file.write("<log>\n")
        for ids, length, values in blocks(sequences):
            for name, steps in zip(ids, _cut(length, values), strict=True):
                file.write(f'<trace><string key="concept:name" value="{name}"/>\n')
                file.writelines(event % tuple(step) for step in orjson.loads(_json(steps)))
                file.write("</trace>\n")
        file.write("</log>\n")


WRITERS: dict[str, Callable[[pathlib.Path, int], None]] = {
    "parquet": write_parquet,
    "jsonl": write_jsonl,
    "csv": write_csv,
    "parquet-long": write_parquet_long,
    "ts": write_ts,
    "npz": write_npz,
    "tfrecord": write_tfrecord,
    "sequence_example": write_sequence_example,
    "xes": write_xes,
}


def _write_table(path: pathlib.Path, batches: Iterator[pa.RecordBatch]) -> None:
    first = next(batches)
    with pq.ParquetWriter(path, first.schema) as writer:
        for batch in itertools.chain([first], batches):
            writer.write_batch(batch)


def _cut(length: np.ndarray, steps: np.ndarray) -> Iterator[np.ndarray]:
    ends = np.cumsum(length)
    for start, stop in zip((ends - length).tolist(), ends.tolist(), strict=True):
        yield np.ascontiguousarray(steps[start:stop])


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)


def _field(content: bytes, number: int = 1) -> bytes:
    """A field of bytes of the wire format of protocol buffers."""
    size, head = len(content), bytearray([number << 3 | 2])
    while size >= 1 << 7:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + content
