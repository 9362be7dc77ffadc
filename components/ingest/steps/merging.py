"""Merge the steps of equal times into one, as where each row of a table is one measurement."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ragline.components.ingest.records.chunk import Chunk


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Holds N records whose steps of equal times are merged, and what that changed.

    Attributes:
      chunk: the records, with as many steps as they have times at which anything was observed.
      steps: int64 [N], how many steps of each went into another one.
      empty: int64 [N], how many were left out, for nothing was observed in them.
      replaced: int64 [N], how many values gave way to a later one of the same time.
    """

    chunk: Chunk
    steps: np.ndarray
    empty: np.ndarray
    replaced: np.ndarray


def merge(chunk: Chunk, *, sort: bool, derived: Collection[str] = ()) -> Merged:
    """Merge the steps of equal times: of each column the last value that was observed is kept.

    Args:
      chunk: N records with times.
      sort: whether steps are sorted by time before; else only neighbours are merged.
      derived: columns that are filled from the times later, and hold nothing yet.
    """
    number = len(chunk)
    owner = np.repeat(np.arange(number), chunk.length)
    if chunk.time is None or not len(owner):
        nothing = np.zeros(number, np.int64)
        return Merged(chunk=chunk, steps=nothing, empty=nothing, replaced=nothing)
    order = np.lexsort((chunk.time, owner)) if sort else np.arange(len(owner))
    owner, time = owner[order], chunk.time[order]
    first = np.append(True, (owner[1:] != owner[:-1]) | (time[1:] != time[:-1]))
    starts = np.flatnonzero(first)
    of_group = owner[starts]
    observed_at_all = np.zeros(len(starts), bool)
    replaced = np.zeros(number, np.int64)
    values = {}
    for name, column in chunk.values.items():
        column = column[order]
        observed = is_observed(column)
        last = np.maximum.reduceat(np.where(observed, np.arange(len(column)), -1), starts)
        values[name] = column[np.where(last < 0, starts, last)]
        if name in derived:  # Filled in later.
            continue
        observed_at_all |= last >= 0
        spare = np.add.reduceat(observed.astype(np.int64), starts) - (last >= 0)
        replaced += np.bincount(of_group, weights=spare, minlength=number).astype(np.int64)
    kept = of_group[observed_at_all]
    groups = np.bincount(of_group, minlength=number)
    length = np.bincount(kept, minlength=number)
    return Merged(
        chunk=replace(
            chunk,
            length=length,
            values={name: column[observed_at_all] for name, column in values.items()},
            time=time[starts][observed_at_all],
        ),
        steps=chunk.length - groups,
        empty=groups - length,
        replaced=replaced,
    )


def is_observed(column: np.ndarray) -> np.ndarray:
    """Return whether each value of a column was observed, bool [T]: ids always are."""
    if column.dtype == object:
        observed: np.ndarray = column != ""
    elif column.dtype.kind == "f":
        observed = ~np.isnan(column)
    else:
        observed = np.ones(len(column), bool)
    return observed
