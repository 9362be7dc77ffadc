"""Rows of long tables on their way to the worker that has all rows of their sequences.

They wait in files, one a unit, and only where they lie in it goes through GroupByKey: the runner in
this process keeps all that it groups in memory. The files are our own, of this run, so that pickle
may read them.
"""

import dataclasses
import hashlib
import pathlib
import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from components.ingest.chunk import Rows
from components.ingest.files import compression
from components.ingest.units import Unit

# Text swells about so much; Parquet's numbers hardly, its words more.
_SWELLS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """Where the Rows of one shard lie: `count` pickles from a byte of a file on."""

    path: str
    start: int
    count: int


def shard_count(units: Iterable[Unit], shard_bytes: int) -> int:
    """Into how many shards rows are dealt, each of about so many bytes of text."""
    total = sum(
        piece.size * (_SWELLS if compression(piece.file.path) else 1)
        for unit in units
        for piece in unit.pieces
    )
    return max(1, -(-total // shard_bytes))


def write(path: pathlib.Path, rows: Iterable[Rows], shards: int) -> dict[int, Spill]:
    """Deals rows to shards by their sequence: shard -> where its rows lie."""
    waiting: dict[int, list[bytes]] = {}
    for part in rows:
        for shard, dealt in deal(part, shards):
            pickled = pickle.dumps(dealt, protocol=pickle.HIGHEST_PROTOCOL)
            waiting.setdefault(shard, []).append(pickled)
    found = {}
    with path.open("wb") as file:
        for shard, parts in sorted(waiting.items()):
            found[shard] = Spill(path=str(path), start=file.tell(), count=len(parts))
            file.writelines(parts)
    return found


def read(spills: Iterable[Spill]) -> Iterator[Rows]:
    """The Rows of one shard."""
    for spill in spills:
        with open(spill.path, "rb") as file:
            file.seek(spill.start)
            for _ in range(spill.count):
                yield pickle.load(file)  # noqa: S301 (see above)


def deal(rows: Rows, shards: int) -> Iterator[tuple[int, Rows]]:
    """Rows -> (shard, its rows), in order; rows of one sequence go to one shard, in every run.

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
