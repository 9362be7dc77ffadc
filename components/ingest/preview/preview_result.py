"""State what a sample of the input holds, for `ragline plan`; `sampling.py` reads it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragline.components.contract import kinds
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
from ragline.components.contract.feature_transforms import Transform
from ragline.components.ingest.output import examples
from ragline.components.ingest.records.chunk import Chunk

SHOWN_REJECTED = 5
SHOWN_VALUES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bad:
    """States a record that a run would reject: its file, line, code, and why."""

    file: str
    line: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Describes a feature's values in the sample, float32 as they are written.

    Attributes:
      name: the name of the feature.
      unit: the unit that the schema states.
      transform: the transform that it states; the figures are of raw values.
      steps: the number of steps.
      missing: the number of steps without a value.
      low: the lowest value, None if all are missing.
      mean: the mean of the values that are not missing.
      high: the highest value.
    """

    name: str
    unit: str | None
    transform: Transform
    steps: int
    missing: int
    low: float | None
    mean: float | None
    high: float | None

    @property
    def is_constant(self) -> bool:
        """Return whether it teaches nothing: all its values are the same, or it has none."""
        return self.low == self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Holds what the sample says of the input.

    Attributes:
      files: the number of files that the patterns name.
      bytes: the bytes of these files, as stored.
      formats: format -> the number of files in it.
      spans: the spans of the files.
      missing_spans: the spans that are missing between those.
      share: the share of the bytes that was read; 1.0 is everything.
      read: the number of records that were read.
      accepted: the number of records that a run would take.
      reasons: code -> the number of records that a run would reject.
      bad: the first rejected record of each code, and then the first ones.
      policies: policy -> the number of sequences or steps that it cut or left out.
      lengths: int64 [N], the steps of each sequence.
      split: object [N], `train` or `eval`.
      entities: split -> the number of its entities.
      columns: the features, in the schema's order.
      categories: category -> its words, the commonest first, with their number of steps.
      context: column -> its values, likewise, with their number of sequences; None is absent.
      encoded: the first sequence as its record will be.
      equal_times: the steps that have the time of the step before them, where all are kept.
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
    """Describe a feature's values in Chunks."""
    values = [chunk.values[feature.name].astype(np.float32) for chunk in chunks]
    flat = np.concatenate([np.zeros(0, np.float32), *values])
    observed = flat[~np.isnan(flat)]
    some = bool(len(observed))
    return Column(
        name=feature.name,
        unit=feature.unit,
        transform=feature.transform,
        steps=len(flat),
        missing=len(flat) - len(observed),
        low=float(observed.min()) if some else None,
        mean=float(observed.mean(dtype=np.float64)) if some else None,
        high=float(observed.max()) if some else None,
    )


def first(bad: list[Bad]) -> tuple[Bad, ...]:
    """Return the first of each code, then the first of all; a few."""
    ordered = sorted(bad, key=lambda record: (record.file, record.line))
    of_code: dict[str, Bad] = {}
    for record in ordered:
        of_code.setdefault(record.code, record)
    others = (record for record in ordered if record not in of_code.values())
    shown = [*of_code.values(), *others]
    return tuple(shown[:SHOWN_REJECTED])


def counted(columns: Iterable[Iterable[Any]]) -> Counter[Any]:
    """Count each value of columns."""
    counts: Counter[Any] = Counter()
    for column in columns:
        counts.update(column)
    return counts


def encoded(chunk: Chunk, columns: Columns) -> dict[str, Any]:
    """Return the first sequence of a Chunk as its record: size, and column -> kind and values."""
    kept = np.zeros(len(chunk), bool)
    kept[0] = True
    sequence = chunk.select(kept)
    [serialised] = examples.encode_chunk(sequence, columns)
    length = int(sequence.length[0])
    record: dict[str, tuple[str, list[Any]]] = {
        SEQUENCE_ID: ("bytes", [sequence.sequence_id[0]]),
        ENTITY_ID: ("bytes", [sequence.entity_id[0]]),
        LENGTH: ("int64", [length]),
        LENGTH_BUCKET: ("bytes", [length_bucket(length)]),
    }
    if columns.has_missing_bucket:
        record[MISSING_BUCKET] = ("bytes", [*examples.missing_buckets(sequence, columns)])
    for name in columns.names:
        record[name] = ("float", sequence.values[name].astype(np.float32).tolist())
    for category in columns.categories:
        record[category.name] = (_list_of(category.kind), sequence.values[category.name].tolist())
    if columns.has_time and sequence.time is not None:
        record[TIME] = ("int64", sequence.time.tolist())
    for name, context in columns.context.items():
        value = sequence.context[name][0]
        record[name] = (_list_of(context), [] if value is None else [value])
    return {
        "bytes": len(serialised),
        "columns": {
            name: {"kind": kind, "number": len(values), "values": values[:SHOWN_VALUES]}
            for name, (kind, values) in record.items()
        },
    }


def _list_of(kind: str) -> str:
    """Return the kind of list of an Example that holds the values."""
    return kinds.pick(kind, text="bytes", integer="int64", number="float")
