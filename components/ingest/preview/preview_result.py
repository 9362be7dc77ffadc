"""What a sample of the input holds, for `ragline plan`; `sampling.py` reads it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    MISSING_BUCKET,
    SEQUENCE_ID,
    TIME,
    Columns,
    Feature,
    length_bucket,
)
from ragline.components.ingest.output import examples
from ragline.components.ingest.records.chunk import Chunk

SHOWN_REJECTED = 5
SHOWN_VALUES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """A record that a run would reject: its file, line, code, and why."""

    file: str
    line: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A feature's values in the sample, float32 as they are written.

    Attributes:
      name: of the feature.
      unit: as the schema says.
      steps: how many there are.
      missing: how many of them are.
      low: the lowest value, None if all are missing.
      mean: of the values there are.
      high: the highest value.
    """

    name: str
    unit: str | None
    steps: int
    missing: int
    low: float | None
    mean: float | None
    high: float | None

    @property
    def is_constant(self) -> bool:
        """Whether it teaches nothing: all its values are the same, or it has none."""
        return self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What the sample holds.

    Attributes:
      files: how many the patterns name.
      bytes: of them, as stored.
      formats: format -> how many files have it.
      spans: that they are of.
      missing_spans: between those.
      share: of the bytes, what the sample has read; 1.0 is everything.
      read: records.
      accepted: records of those.
      reasons: code -> how many records a run would reject.
      bad: the first of these of each code, and then the first ones.
      policies: what was cut or left out: how many.
      lengths: int64 [N], of the sequences.
      split: object [N], `train` or `eval`.
      entities: of the sequences, how many different ones in each split.
      columns: the features, in the schema's order.
      categories: category -> its words, the commonest first, with their number of steps.
      context: column -> its values, likewise, with their number of sequences; None is absent.
      encoded: the first sequence as its record will be.
      equal_times: steps that have the time of the step before them, where all are kept.
    """

    files: int
    bytes: int
    formats: dict[str, int]
    spans: tuple[str, ...]
    missing_spans: tuple[str, ...]
    share: float
    read: int
    accepted: int
    reasons: dict[str, int]
    bad: tuple[Bad, ...]
    policies: dict[str, int]
    lengths: np.ndarray
    split: np.ndarray
    entities: dict[str, int]
    columns: tuple[Column, ...]
    categories: dict[str, Counter[Any]]
    context: dict[str, Counter[Any]]
    encoded: dict[str, Any] | None
    equal_times: int = 0


def column(feature: Feature, chunks: Iterable[Chunk]) -> Column:
    """A feature's values in Chunks."""
    values = [chunk.values[feature.name].astype(np.float32) for chunk in chunks]
    flat = np.concatenate([np.zeros(0, np.float32), *values])
    there = flat[~np.isnan(flat)]
    some = bool(len(there))
    return Column(
        name=feature.name,
        unit=feature.unit,
        steps=len(flat),
        missing=len(flat) - len(there),
        low=float(there.min()) if some else None,
        mean=float(there.mean(dtype=np.float64)) if some else None,
        high=float(there.max()) if some else None,
    )


def first(bad: list[Bad]) -> tuple[Bad, ...]:
    """The first of each code, then the first of all; a few."""
    ordered = sorted(bad, key=lambda one: (one.file, one.line))
    of_code: dict[str, Bad] = {}
    for one in ordered:
        of_code.setdefault(one.code, one)
    shown = [*of_code.values(), *(one for one in ordered if one not in of_code.values())]
    return tuple(shown[:SHOWN_REJECTED])


def counted(columns: Iterable[Iterable[Any]]) -> Counter[Any]:
    """How often each value stands in columns."""
    found: Counter[Any] = Counter()
    for column in columns:
        found.update(column)
    return found


_KINDS = {"bytes": "bytes", "int": "int64", "float": "float"}


def encoded(chunk: Chunk, columns: Columns) -> dict[str, Any]:
    """The first sequence of a Chunk as its record: its size, and column -> kind and values."""
    kept = np.zeros(len(chunk), bool)
    kept[0] = True
    one = chunk.select(kept)
    [serialised] = examples.encode_chunk(one, columns)
    length = int(one.length[0])
    found: dict[str, tuple[str, list[Any]]] = {
        SEQUENCE_ID: ("bytes", [one.sequence_id[0]]),
        ENTITY_ID: ("bytes", [one.entity_id[0]]),
        LENGTH: ("int64", [length]),
        LENGTH_BUCKET: ("bytes", [length_bucket(length)]),
    }
    if columns.has_missing_bucket:
        found[MISSING_BUCKET] = ("bytes", [*examples.missing_buckets(one, columns)])
    for name in columns.names:
        found[name] = ("float", one.values[name].astype(np.float32).tolist())
    for category in columns.categories:
        found[category.name] = (_KINDS[category.kind], one.values[category.name].tolist())
    if columns.has_time and one.time is not None:
        found[TIME] = ("int64", one.time.tolist())
    for name, context in columns.context.items():
        value = one.context[name][0]
        found[name] = (_KINDS[context], [] if value is None else [value])
    return {
        "bytes": len(serialised),
        "columns": {
            name: {"kind": kind, "number": len(values), "values": values[:SHOWN_VALUES]}
            for name, (kind, values) in found.items()
        },
    }
