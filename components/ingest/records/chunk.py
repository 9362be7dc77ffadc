"""Hold what a reader hands on: sequences as columns, and the records that could not be read.

Readers work on many records at once, because Python's time goes by the call and not by the number.
So the unit of ingest is a `Chunk`: N sequences whose steps lie one after another in flat columns,
with one `length` a sequence that says where each ends. Readers of long tables, where a row is a
step, yield `Rows`; `beam/grouping.py` turns those into Chunks.

A record's `number` is its place in its file, from 1: a line of text, a row of a table, a record of
a TFRecord file. (file, number) orders records; of two with the same id the earlier one is kept.
"""

import json
import math
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ragline.components.contract.columns import Columns, ContextValue

SHOWN_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Describes one raw file.

    Attributes:
      path: the file's path.
      name: its path below the fixed folder of the patterns; the prefix of default sequence ids.
      index: its place among the files of the run, sorted.
      format: the format that it is read as, never `auto`.
      split: the split that all of it belongs to, or None to split by entity or time.
      span: the span that it belongs to, if the pattern names one.
      fields: name -> what stands for it in the path, of a pattern that has fields.
    """

    path: str
    name: str
    index: int
    format: str
    split: str | None
    span: str | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown_path(self) -> str:
        """Return the path as text; what is not UTF-8 in it becomes U+FFFD."""
        return self.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """States what one worker reads of a file: all of it, or a range that is read by itself.

    Attributes:
      file: the file.
      start: the beginning of the range: a byte, a row group or a record, as the format has it.
      stop: the end of the range, exclusive; None is the end of the file.
      first: the number, from 1, of the first line, row or record in the range.
      size: bytes, by which pieces are assigned to units.
      header: what the reader must know of the file's beginning, as plain data.
    """

    file: File
    start: int
    stop: int | None
    first: int
    size: int
    header: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLine:
    """Describes a record that cannot be used: one line of the quarantine.

    Attributes:
      number: its place in its file, from 1.
      code: one of the codes of `checks`.
      detail: what, expected and received, in a sentence.
      sequence_id: the record's id, if it could be read.
      text: its first characters, as they stood in the file or as JSON; see `shown`.
    """

    number: int
    code: str
    detail: str
    sequence_id: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Holds N sequences as columns; not yet checked beyond their types.

    Attributes:
      number: int64 [N], each record's place in its file.
      sequence_id: N ids; None for a record that states none.
      entity_id: N ids; None where the sequence is its own entity.
      length: int64 [N], steps of each; may be 0, which a check refuses.
      values: feature -> float64 [sum T], NaN for a missing value; category -> object [sum T] of
        str, "" for a missing one, or int64 [sum T]. Every column of the schema is there.
      time: int64 [sum T], nanoseconds since the epoch or any other origin; None without times.
      context: column -> N values, None where a record lacks it. Every column of the schema is
        there.
      texts: N records as they stood in the file, at most their first characters; None to show them
        as JSON of what was read.
    """

    number: np.ndarray
    sequence_id: Collection[str | None]
    entity_id: Collection[str | None]
    length: np.ndarray
    values: Mapping[str, np.ndarray]
    time: np.ndarray | None
    context: Mapping[str, Collection[ContextValue | None]]
    texts: Collection[bytes] | None = None

    def __len__(self) -> int:
        return len(self.number)

    @property
    def starts(self) -> np.ndarray:
        """Return where the steps of each sequence begin in the flat columns, int64 [N]."""
        starts: np.ndarray = np.cumsum(self.length) - self.length
        return starts

    def select(self, kept: np.ndarray) -> "Chunk":
        """Return the sequences of a bool mask [N], in order."""
        if kept.all():
            return self
        steps = np.repeat(kept, self.length)
        places = np.flatnonzero(kept).tolist()
        return Chunk(
            number=self.number[kept],
            sequence_id=[self.sequence_id[i] for i in places],
            entity_id=[self.entity_id[i] for i in places],
            length=self.length[kept],
            values={name: column[steps] for name, column in self.values.items()},
            time=None if self.time is None else self.time[steps],
            context={name: [column[i] for i in places] for name, column in self.context.items()},
            texts=None if self.texts is None else [self.texts[i] for i in places],
        )

    def shown(self, place: int) -> str:
        """Return the first characters of a record, for the quarantine."""
        if self.texts is not None:
            return shown(self.texts[place])
        start = int(self.starts[place])
        # Of a long sequence, no more steps than can be shown.
        stop = start + min(int(self.length[place]), SHOWN_CHARACTERS)
        record = {name: column[start:stop].tolist() for name, column in self.values.items()}
        return shown(json.dumps(_nulls(record), ensure_ascii=False).encode("utf-8", "replace"))

    def rejected(self, place: int, code: str, detail: str) -> QuarantineLine:
        """Return the record at a place as a line of the quarantine."""
        return QuarantineLine(
            number=int(self.number[place]),
            code=code,
            detail=detail,
            sequence_id=self.sequence_id[place],
            text=self.shown(place),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Holds a Chunk and the records beside it that could not be read."""

    chunk: Chunk
    rejected: tuple[QuarantineLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Holds N steps of a long table, of any sequences, in the file's order.

    Attributes:
      file: the index of the file.
      number: int64 [N], each row's place in it.
      sequence_id: object [N] of str, by which rows are grouped.
      entity_id: object [N] of str, or None where a sequence is its own entity.
      values: column -> [N], of the types that a Chunk has.
      time: int64 [N], or None.
      context: column -> object [N], None where a row lacks it.
      split: the `split` of the file.
      rejected: rows that cannot be used. One with a `sequence_id` rejects that whole sequence, of
        which a step would otherwise be missing; one without is a record by itself.
    """

    file: int
    number: np.ndarray
    sequence_id: np.ndarray
    entity_id: np.ndarray | None
    values: Mapping[str, np.ndarray]
    time: np.ndarray | None
    context: Mapping[str, np.ndarray]
    split: str | None
    rejected: tuple[QuarantineLine, ...] = ()

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Holds one sequence, for formats that read one at a time; attributes are those of a Chunk."""

    number: int
    sequence_id: str | None
    entity_id: str | None
    length: int
    values: Mapping[str, np.ndarray]
    time: np.ndarray | None
    context: Mapping[str, ContextValue]
    text: bytes | None = None


def dtypes(columns: Columns) -> dict[str, Any]:
    """Return the dtype of each column's flat values: features first, then categories."""
    return {name: np.float64 for name in columns.names} | {
        category.name: category.pick(words=object, ids=np.int64) for category in columns.categories
    }


def of_records(records: Collection[Record], columns: Columns) -> Chunk:
    """Join records into one Chunk; all of them have times, or none has."""

    def flat(name: str, dtype: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype), *(record.values[name] for record in records)])

    with_time = bool(records) and records[0].time is not None
    with_text = any(record.text is not None for record in records)
    return Chunk(
        number=np.array([record.number for record in records], np.int64),
        sequence_id=[record.sequence_id for record in records],
        entity_id=[record.entity_id for record in records],
        length=np.array([record.length for record in records], np.int64),
        values={name: flat(name, dtype) for name, dtype in dtypes(columns).items()},
        time=np.concatenate([record.time for record in records]) if with_time else None,
        context={
            name: [record.context.get(name) for record in records] for name in columns.context
        },
        texts=[record.text or b"" for record in records] if with_text else None,
    )


def shown(text: bytes) -> str:
    """Return a record's first characters; what is not UTF-8 becomes U+FFFD, so no report breaks."""
    return text[: 4 * SHOWN_CHARACTERS].decode("utf-8", "replace")[:SHOWN_CHARACTERS]


def runs(length: np.ndarray, steps: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of sequences of at most `steps` steps; a longer one has a range of its own.

    Args:
      length: int64 [N], the steps of each sequence.
      steps: the most steps of a range.
    """
    ends = np.cumsum(length)
    start, before = 0, 0
    while start < len(length):
        stop = max(start + 1, int(np.searchsorted(ends, before + steps, side="right")))
        yield start, stop
        start, before = stop, int(ends[stop - 1])


def _nulls(record: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Replace what JSON cannot hold, NaN and infinities, by None."""
    return {
        name: [None if isinstance(v, float) and not math.isfinite(v) else v for v in column]
        for name, column in record.items()
    }
