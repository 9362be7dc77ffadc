"""Group rows by files on this machine's disk, for the engine in this process.

That engine keeps all that it groups in memory. So rows wait in files, one a unit, and only where
they lie in it goes through GroupByKey.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.ingest.beam import packed_rows
from ragline.components.ingest.records.chunk import Rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """States where the Rows of a shard lie: `count` streams from byte `start` of a file on."""

    path: str
    start: int
    count: int


@contextlib.contextmanager
def folder(staging: Place) -> Iterator[str]:
    """Yield a folder on this machine's disk: the staging folder, or if that is in a store, another.

    The other one is gone afterwards.
    """
    if places.is_local(staging):
        yield os.fspath(staging)
        return
    with tempfile.TemporaryDirectory() as temporary:
        yield temporary


def write(path: str, rows: Iterable[Rows], shards: int) -> dict[int, Spill]:
    """Write rows by shard, and return where those of each shard lie."""
    streams = packed_rows.by_shard(rows, shards)
    spills: dict[int, Spill] = {}
    if not streams:
        return spills
    start = 0
    with places.create(path) as file:
        for shard, parts in streams.items():
            spills[shard] = Spill(path=path, start=start, count=len(parts))
            for part in parts:
                start += file.write(part)
    return spills


def read(spills: Iterable[Spill]) -> Iterator[Rows]:
    """Read the Rows of one shard."""
    for spill in spills:
        with places.open(spill.path) as file:
            file.seek(spill.start)
            for _ in range(spill.count):
                yield packed_rows.unpack(file)
