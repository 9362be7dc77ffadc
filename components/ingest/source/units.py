"""Assign pieces of files to units of work of about the same size.

A unit is what one worker turns into shards. It follows from the input alone, and so do the shards'
names and content, whatever the runner, the number of workers and the order in which they finish.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ragline.components.ingest.records.chunk import Piece

# Some seconds of work a unit: a run has many, and a shard has some megabytes.
UNIT_BYTES = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """Holds the pieces that one worker reads, in order; `index` counts units from 0."""

    index: int
    pieces: tuple[Piece, ...]


def assign(pieces: Iterable[Piece], unit_bytes: int) -> list[Unit]:
    """Assign pieces to units, in order; the last piece of a unit makes it reach `unit_bytes`."""
    units: list[list[Piece]] = []
    size = unit_bytes
    for piece in pieces:
        if size >= unit_bytes:
            units.append([])
            size = 0
        units[-1].append(piece)
        size += piece.size
    return [Unit(index=index, pieces=tuple(unit)) for index, unit in enumerate(units)]
