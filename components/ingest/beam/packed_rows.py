"""Pack rows of long tables into bytes, for the worker that gets all rows of their sequences.

Rows are an Arrow stream; what is not a column of theirs stands in the stream's schema, as JSON.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import ENTITY_ID, SEQUENCE_ID, TIME
from ragline.components.ingest.records.chunk import QuarantineLine, Rows
from ragline.components.ingest.source.raw_files import compression
from ragline.components.ingest.source.units import Unit

# How many times its size a compressed text file is; of Parquet, numbers hardly, texts more.
_SWELLS = 8
# Before the names of columns, which are the schema's; and the key of what is no column.
_VALUE, _CONTEXT, _REST = "value:", "context:", b"rest"


def shard_count(units: Iterable[Unit], shard_bytes: int) -> int:
    """Return the number of shards for the rows, each of about `shard_bytes` of text."""
    total = sum(
        piece.size * (_SWELLS if compression(piece.file.path) else 1)
        for unit in units
        for piece in unit.pieces
    )
    return max(1, -(-total // shard_bytes))


def by_shard(rows: Iterable[Rows], shards: int) -> dict[int, list[pa.Buffer]]:
    """Return the streams of each shard that gets a row, in order."""
    streams: dict[int, list[pa.Buffer]] = {}
    for part in rows:
        for shard, shard_rows in assign(part, shards):
            streams.setdefault(shard, []).append(pack(shard_rows))
    return dict(sorted(streams.items()))


def pack(rows: Rows) -> pa.Buffer:
    """Return rows as one Arrow stream."""
    columns = {"number": pa.array(rows.number), SEQUENCE_ID: _texts(rows.sequence_id)}
    if rows.entity_id is not None:
        columns[ENTITY_ID] = _texts(rows.entity_id)
    if rows.time is not None:
        columns[TIME] = pa.array(rows.time)
    for name, column in rows.values.items():
        columns[_VALUE + name] = _texts(column) if column.dtype == object else pa.array(column)
    for name, column in rows.context.items():
        columns[_CONTEXT + name] = pa.array(column.tolist())
    rest = {
        "file": rows.file,
        "split": rows.split,
        "rejected": [dataclasses.asdict(row) for row in rows.rejected],
    }
    batch = pa.record_batch(columns).replace_schema_metadata({_REST: json.dumps(rest)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def unpack_all(streams: bytes) -> Iterator[Rows]:
    """Yield the rows of streams that lie one behind the other."""
    with pa.BufferReader(streams) as file:
        while file.tell() < file.size():
            yield unpack(file)


def unpack(file: pa.NativeFile | BinaryIO) -> Rows:
    """Return the rows of the stream that begins where a file stands, and move to its end."""
    table = pa.ipc.open_stream(file).read_all()
    rest = json.loads(table.schema.metadata[_REST])
    columns = {
        name: column.combine_chunks()
        for name, column in zip(table.column_names, table.columns, strict=True)
    }

    def of_kind(kind: str) -> Iterator[tuple[str, pa.Array]]:
        return ((n.removeprefix(kind), c) for n, c in columns.items() if n.startswith(kind))

    return Rows(
        file=rest["file"],
        split=rest["split"],
        number=columns["number"].to_numpy(),
        sequence_id=_objects(columns[SEQUENCE_ID]),
        entity_id=_objects(columns[ENTITY_ID]) if ENTITY_ID in columns else None,
        values={
            name: _objects(c) if pa.types.is_large_string(c.type) else c.to_numpy()
            for name, c in of_kind(_VALUE)
        },
        time=columns[TIME].to_numpy() if TIME in columns else None,
        context={name: _objects(column) for name, column in of_kind(_CONTEXT)},
        rejected=tuple(QuarantineLine(**row) for row in rest["rejected"]),
    )


def _texts(column: np.ndarray) -> pa.Array:
    # A string's places are 32 bits wide, a large string's 64.
    return pa.array(column, pa.large_string())


def _objects(column: pa.Array) -> np.ndarray:
    """Convert to object [N] of Python's types; NumPy makes floats of integers beside None."""
    objects = np.empty(len(column), object)
    objects[:] = column.to_pylist()
    return objects


def assign(rows: Rows, shards: int) -> Iterator[tuple[int, Rows]]:
    """Yield (shard, its rows), in order; rows of one sequence go to one shard, in every run.

    A rejected row follows its sequence; one without goes to shard 0.
    """
    column = pa.array(rows.sequence_id, pa.string()).dictionary_encode()
    of_id = np.array([_shard_of(name, shards) for name in column.dictionary.to_pylist()], np.int64)
    shard = of_id[column.indices.to_numpy()] if len(rows) else np.zeros(0, np.int64)
    refused = [
        0 if row.sequence_id is None else _shard_of(row.sequence_id, shards)
        for row in rows.rejected
    ]
    for index in sorted({*np.unique(shard).tolist(), *refused}):
        kept = shard == index
        yield (
            index,
            dataclasses.replace(
                rows,
                number=rows.number[kept],
                sequence_id=rows.sequence_id[kept],
                entity_id=None if rows.entity_id is None else rows.entity_id[kept],
                values={name: values[kept] for name, values in rows.values.items()},
                time=None if rows.time is None else rows.time[kept],
                context={name: values[kept] for name, values in rows.context.items()},
                rejected=tuple(
                    row
                    for row, of_row in zip(rows.rejected, refused, strict=True)
                    if of_row == index
                ),
            ),
        )


def _shard_of(sequence_id: str, shards: int) -> int:
    digest = hashlib.blake2b(sequence_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % shards
