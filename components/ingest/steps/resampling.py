"""Put steps at irregular times on regular ones: a step each `every` seconds of a session.

    step k of a session    what was observed from first + k * every, and before first + (k + 1) *
                           every; its time is first + k * every, and first the session's first time

Of several values of a number, the step has the mean, of a category the last. Where nothing was
observed its value is missing, if it may be: a number that must not be missing is on the line
between the steps around it, and an id is as at the step before. A session's first and last step
hold values, so no line leads from one session to the next.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.records.refusals import Refusals
from ragline.components.ingest.steps.merging import is_observed
from ragline.components.ingest.steps.time_order import SECOND, after_pause, elapsed

# For each step read: a record with more would be gaps for nine tenths, and could fill the memory.
MOST_STEPS = 10
# More than any record may have, and few enough to be added up.
_TOO_MANY = np.uint64(1 << 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """Holds N records whose steps are put at regular times, and what that changed.

    Attributes:
      chunk: the records on regular times; one that is refused has no step.
      averaged: int64 [N], how many steps of each record went into another one.
      filled: int64 [N], how many steps of each were made of nothing observed.
    """

    chunk: Chunk
    averaged: np.ndarray
    filled: np.ndarray


def resample(
    chunk: Chunk,
    order: np.ndarray,
    time: np.ndarray,
    length: np.ndarray,
    *,
    every: float,
    session_gap: float | None,
    complete: Collection[str],
    refusals: Refusals,
) -> Resampled:
    """Resample the records that are not refused, and refuse those of wide gaps, as `too_long`.

    Args:
      chunk: N records.
      order: int64 [K], the places of their steps, record by record, by time.
      time: int64 [K], the times of these steps.
      length: int64 [N], how many of them each record has.
      every: seconds, above 0.
      session_gap: seconds; a longer pause is not filled. None fills all.
      complete: the features of which no value may be missing.
      refusals: the refusals that records are added to.
    """
    records = len(chunk)
    owner = np.repeat(np.arange(records), length)
    width = np.uint64(max(round(min(every * SECOND, 2.0**62)), 1))
    begins = np.append(True, owner[1:] != owner[:-1])[: len(owner)]
    if (paused := after_pause(time, session_gap)) is not None:
        begins |= paused
    first = time[begins]
    interval = elapsed(time, np.repeat(first, _sizes(begins))) // width
    last = interval[np.roll(begins, -1)]
    steps = (np.minimum(last, _TOO_MANY) + np.uint64(1)).astype(np.int64)
    wanted = np.bincount(owner[begins], steps, records)

    def detail(record: int) -> str:
        return (
            f"expected at most {MOST_STEPS * length[record]} steps, {MOST_STEPS} for each step "
            f"read, received {wanted[record]:.0f} of {every} s"
        )

    wide = np.flatnonzero(wanted > MOST_STEPS * length)
    refusals.add("too_long", wide, wide, detail)
    usable = ~refusals.mask
    kept, kept_sessions = usable[owner], usable[owner[begins]]
    order, owner, begins = order[kept], owner[kept], begins[kept]
    first, steps = first[kept_sessions], steps[kept_sessions]
    begin = np.cumsum(steps) - steps
    # Of each step read, the step that it goes into.
    place = np.repeat(begin, _sizes(begins)) + interval[kept].astype(np.int64)
    groups = np.append(True, place[1:] != place[:-1])[: len(place)]
    number = int(steps.sum())
    made = np.bincount(owner[begins], steps, records).astype(np.int64)
    holding = np.bincount(owner[groups], minlength=records)
    offset = (np.arange(number) - np.repeat(begin, steps)).astype(np.uint64) * width
    return Resampled(
        chunk=replace(
            chunk,
            length=made,
            values={
                name: _resampled(column[order], groups, place[groups], number, name in complete)
                for name, column in chunk.values.items()
            },
            time=(np.repeat(first, steps).view(np.uint64) + offset).view(np.int64),
        ),
        averaged=np.bincount(owner, minlength=records) - holding,
        filled=made - holding,
    )


def _resampled(
    column: np.ndarray, groups: np.ndarray, place: np.ndarray, number: int, complete: bool
) -> np.ndarray:
    """Return the values of `number` steps.

    Args:
      column: [K], in the order of the steps.
      groups: bool [K], whether a value is the first of those that go into one step.
      place: int64 [G], the step that each group goes into.
      number: how many steps there are.
      complete: whether no number may be missing.
    """
    if not number:
        return column
    starts, observed = np.flatnonzero(groups), is_observed(column)
    if column.dtype.kind == "f":
        seen = np.add.reduceat(observed, starts, dtype=np.int64)
        total = np.add.reduceat(np.where(observed, column, 0.0), starts)
        mean = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
        if complete:
            return np.interp(np.arange(number), place, mean)
        numbers = np.full(number, np.nan)
        numbers[place] = mean
        return numbers
    last = np.maximum.reduceat(np.where(observed, np.arange(len(column)), -1), starts)
    tokens = column[np.where(last < 0, starts, last)]
    if column.dtype != object:
        return tokens[np.searchsorted(place, np.arange(number), side="right") - 1]
    words = np.full(number, "", object)
    words[place] = tokens
    return words


def _sizes(begins: np.ndarray) -> np.ndarray:
    """Return the sizes of the runs of bool [K] that each begin with True."""
    return np.diff(np.flatnonzero(begins), append=len(begins))
