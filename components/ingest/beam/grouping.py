"""Group the rows of long tables by sequence: Rows -> Chunks, in the order of the files.

All rows of a sequence come at once, from however many files and in any order of `Rows`; those
of one file do not interleave. Rows stay in the order of (file, row), which is that of the sequence
if its times are equal or none; `steps/time_order.py` sorts by time, since it also rejects times.
A sequence stands in the file, and has the number, of its first row.

A sequence is one record, and is rejected whole, with the code of its first row that was rejected
or with one of

    entity_in_two_splits  rows in files of both splits
    inconsistent_entity   rows that name different entities
    inconsistent_context  rows with different values of a context column; none is no value

A rejected row of which the sequence is not known is a record by itself.
"""

import collections
import itertools
from collections.abc import Callable, Iterator
from collections.abc import Collection as Collected
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ragline.components.contract import kinds
from ragline.components.contract.columns import ENTITY_ID, Columns
from ragline.components.ingest.records.chunk import Chunk, Part, QuarantineLine, Rows, of_records
from ragline.components.ingest.records.refusals import Refusals

# About so many steps a Chunk; a longer sequence has one of its own.
STEPS = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouped:
    """Holds sequences of one file.

    Attributes:
      file: the file's index.
      split: the file's `split`.
      part: whole sequences, in the order of their first rows; and what was rejected.
      rejected_rows: the number of rows of the rejected sequences.
    """

    file: int
    split: str | None
    part: Part
    rejected_rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Constant:
    """Describes a column that should hold one value in all rows of a sequence.

    Attributes:
      code: the code of a sequence that is rejected because it holds several.
      what: the column, for the detail.
      values: the distinct values.
      places: int64 [N], the place of each row's value in `values`; -1 is none.
    """

    code: str
    what: str
    values: list[Any]
    places: np.ndarray

    def value(self, rows: np.ndarray, starts: np.ndarray) -> list[Any]:
        """Return a value of each of the S sequences, None if it has none."""
        if not len(starts):
            return []
        places = np.maximum.reduceat(self.places[rows], starts)
        return [None if place < 0 else self.values[place] for place in places.tolist()]

    def differs(self, rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
        """Return the places of the sequences whose rows have different values."""
        if len(self.values) < 2:
            return np.zeros(0, np.int64)
        places = self.places[rows]
        highest = np.maximum.reduceat(places, starts)
        lowest = np.minimum.reduceat(np.where(places < 0, len(self.values), places), starts)
        return np.flatnonzero(lowest < highest)

    def detail(self, rows: np.ndarray, where: Callable[[int, int], str]) -> str:
        """Describe how the rows of a sequence differ: by the first value and the first other value.

        `where` names a row, given the sequence's first row, which may be in another file.
        """
        some = rows[self.places[rows] >= 0]
        first = some[0]
        other = some[self.places[some] != self.places[first]][0]
        return (
            f"expected one {self.what} in all rows of the sequence, received "
            f"{self.values[self.places[first]]!r} in {where(first, rows[0])} and "
            f"{self.values[self.places[other]]!r} in {where(other, rows[0])}"
        )


def to_chunks(rows: Collected[Rows], columns: Columns) -> Iterator[Grouped]:
    """Group rows by their sequence; the result does not depend on the order of `rows`.

    Args:
      rows: all the rows of every sequence that occurs.
      columns: the columns of the schema.

    Yields:
      First the records of which a row was rejected, then the others; both in the order of the files
      and of the rows in them.
    """
    refused = sorted(
        ((part.file, part.split, row) for part in rows for row in part.rejected),
        key=lambda entry: (entry[0], entry[2].number),
    )
    parts = sorted((part for part in rows if len(part)), key=lambda p: (p.file, p.number[0]))
    names, places = _factorised([part.sequence_id for part in parts], pa.large_string())
    length = np.bincount(places, minlength=len(names))
    yield from _of_refused_rows(refused, dict(zip(names, length.tolist(), strict=True)), columns)
    bad = {row.sequence_id for _, _, row in refused}
    kept = np.array([name not in bad for name in names], bool)
    if not kept.any():
        return
    order = np.argsort(places, kind="stable")
    order = order[kept[places[order]]]
    names = [name for name in names if name not in bad]
    yield from _of_kept_rows(parts, names, order, length[kept], columns)


def _of_refused_rows(
    refused: list[tuple[int, str | None, QuarantineLine]], length: dict[str, int], columns: Columns
) -> Iterator[Grouped]:
    """Reject each sequence for its first bad row, and each bad row whose sequence is not known.

    Args:
      refused: (file, its split, row), in order.
      length: of each sequence, the rows that were not rejected.
      columns: the columns of the schema.
    """
    of_sequence = collections.Counter(row.sequence_id for _, _, row in refused)
    records: dict[tuple[int, str | None], list[QuarantineLine]] = {}
    steps: collections.Counter[tuple[int, str | None]] = collections.Counter()
    seen = set()
    for file, split, row in refused:
        name = row.sequence_id
        if name in seen:
            continue
        if name is not None:
            seen.add(name)
            row = replace(row, detail=f"row {row.number}: {row.detail}")
        records.setdefault((file, split), []).append(row)
        steps[file, split] += 1 if name is None else of_sequence[name] + length.get(name, 0)
    for (file, split), rejected in records.items():
        yield Grouped(
            file=file,
            split=split,
            part=Part(chunk=of_records([], columns), rejected=tuple(rejected)),
            rejected_rows=steps[file, split],
        )


def _of_kept_rows(
    parts: list[Rows], names: list[str], order: np.ndarray, length: np.ndarray, columns: Columns
) -> Iterator[Grouped]:
    """Yield Chunks of about STEPS steps, each of one file.

    Args:
      parts: all rows, N, in the order of the files.
      names: the ids of S sequences, in the order of their first rows.
      order: int64, the places of their rows, those of a sequence together and in order.
      length: int64 [S], the number of rows of each sequence.
      columns: the columns of the schema.
    """
    starts = np.cumsum(length) - length
    first = order[starts]
    file = np.repeat([part.file for part in parts], [len(part) for part in parts])
    number = np.concatenate([part.number for part in parts])
    splits = {part.file: part.split for part in parts}
    values = {name: np.concatenate([p.values[name] for p in parts]) for name in parts[0].values}
    times = [part.time for part in parts if part.time is not None]
    time = np.concatenate(times) if times else None
    split, entity, *context = _constants(parts, columns)

    def where(row: int, beside: int) -> str:
        elsewhere = " of another file" if file[row] != file[beside] else ""
        return f"row {number[row]}{elsewhere}"

    new_chunk = (np.diff(file[first]) > 0) | (np.diff(starts // STEPS) > 0)
    bounds = [0, *(1 + np.flatnonzero(new_chunk)).tolist(), len(names)]
    for begin, end in itertools.pairwise(bounds):
        at = starts[begin:end] - starts[begin]
        rows = order[starts[begin] : starts[begin] + length[begin:end].sum()]
        chunk = Chunk(
            number=number[first[begin:end]],
            sequence_id=names[begin:end],
            entity_id=entity.value(rows, at),
            length=length[begin:end],
            values={name: column[rows] for name, column in values.items()},
            time=None if time is None else time[rows],
            context={
                name: column.value(rows, at)
                for name, column in zip(columns.context, context, strict=True)
            },
        )

        inconsistent = _inconsistent(chunk, (split, entity, *context), rows, where)
        yield Grouped(
            file=int(file[rows[0]]),
            split=splits[file[rows[0]]],
            part=inconsistent.part(),
            rejected_rows=int(chunk.length[inconsistent.mask].sum()),
        )


def _inconsistent(
    chunk: Chunk,
    constants: Collected[_Constant],
    rows: np.ndarray,
    where: Callable[[int, int], str],
) -> Refusals:
    """Refuse sequences of which a column changes; `rows` are the places of the chunk's steps."""
    refusals = Refusals(chunk)
    starts = chunk.starts
    for column in constants:
        changing = column.differs(rows, starts)
        details = {
            place: column.detail(rows[starts[place] : starts[place] + chunk.length[place]], where)
            for place in changing.tolist()
        }
        refusals.add(column.code, changing, changing, details.__getitem__)
    return refusals


def _constants(parts: list[Rows], columns: Columns) -> Iterator[_Constant]:
    """Yield the columns that must not change within a sequence: split, entity and context."""

    def constant(code: str, what: str, cells: list[np.ndarray], kind: pa.DataType) -> _Constant:
        values, places = _factorised(cells, kind)
        return _Constant(code=code, what=what, values=values, places=places)

    def nothing(part: Rows) -> np.ndarray:
        return np.full(len(part), None, object)

    splits = [np.full(len(part), part.split, object) for part in parts]
    yield constant("entity_in_two_splits", "split", splits, pa.large_string())
    entities = [nothing(part) if part.entity_id is None else part.entity_id for part in parts]
    yield constant("inconsistent_entity", ENTITY_ID, entities, pa.large_string())
    for name, kind in columns.context.items():
        cells = [part.context[name] for part in parts]
        of_cells = kinds.pick(kind, text=pa.large_string(), integer=pa.int64(), number=pa.float64())
        yield constant("inconsistent_context", repr(name), cells, of_cells)


def _factorised(cells: list[np.ndarray], kind: pa.DataType) -> tuple[list[Any], np.ndarray]:
    """Return the distinct values, in order of appearance, and the place among them of each cell.

    The place of None is -1.
    """
    column = pa.chunked_array([pa.array(part, kind) for part in cells], kind).combine_chunks()
    encoded = column.dictionary_encode()
    places = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
    return encoded.dictionary.to_pylist(), places
