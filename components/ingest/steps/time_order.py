"""Sort the steps of each record by time, and refuse records for their times."""

import numpy as np

from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.records.refusals import Refusals

SECOND = 10**9


def sort_steps(
    chunk: Chunk, options: StepOptions, refusals: Refusals
) -> tuple[np.ndarray | None, np.ndarray]:
    """Sort the steps of each record, and leave out or refuse what the options say.

    Args:
      chunk: N records; without times, nothing is done.
      options: the policies; `negative_time`, `unsorted_time` and `duplicate_time` are read.
      refusals: the refusals that records are added to.

    Returns:
      int64 [K], the places in the flat columns of the steps that are kept, or None for all as they
      stand; and int64 [N], the number of kept steps of each record. In records that are not
      refused, times rise.
    """
    if chunk.time is None or not len(chunk.time):
        return None, chunk.length
    owner = np.repeat(np.arange(len(chunk)), chunk.length)
    inside = np.append(False, owner[1:] == owner[:-1])
    time, starts, kept = chunk.time, chunk.starts, None

    def where(place: int) -> str:
        return f"step {place - starts[owner[place]]}"

    if options.negative_time == "reject":
        places = np.flatnonzero(time < 0)
        refusals.add(
            "negative_time",
            owner[places],
            places,
            lambda place: f"{where(place)}: expected 0 ns or more, received {time[place]}",
        )
    falls = np.flatnonzero(inside & np.append(False, time[1:] < time[:-1]))
    if options.unsorted_time == "reject":
        refusals.add(
            "unsorted_time",
            owner[falls],
            falls,
            lambda place: (
                f"{where(place)}: expected {time[place - 1]} ns or more, as at the step "
                f"before, received {time[place]}"
            ),
        )
    elif len(falls):
        kept = _sorted_places(time, owner, falls)
    if options.duplicate_time in ("keep", "merge"):
        return kept, chunk.length

    rising = time if kept is None else time[kept]
    again = inside & np.append(False, rising[1:] == rising[:-1])
    places = np.flatnonzero(again)
    if options.duplicate_time == "reject":
        refusals.add(
            "duplicate_time",
            owner[places],
            places,
            lambda place: f"expected each time once, received two steps at {rising[place]} ns",
        )
        return kept, chunk.length
    if not len(places):
        return kept, chunk.length
    kept = np.flatnonzero(~again) if kept is None else kept[~again]
    return kept, chunk.length - np.bincount(owner[places], minlength=len(chunk))


def _sorted_places(time: np.ndarray, owner: np.ndarray, falls: np.ndarray) -> np.ndarray:
    """Return the places of all steps, stably sorted in those records in which times fall."""
    unsorted = np.zeros(owner[-1] + 1, bool)
    unsorted[owner[falls]] = True
    places = np.flatnonzero(unsorted[owner])
    kept = np.arange(len(time))
    kept[places] = places[np.lexsort((time[places], owner[places]))]
    return kept


def after_pause(time: np.ndarray | None, gap: float | None) -> np.ndarray | None:
    """Return whether each step comes more than `gap` seconds after the step before it.

    Returns:
      bool [T], which means nothing where times fall, as they do from one record to the next; None
      without times or without a gap.
    """
    if time is None or gap is None:
        return None
    most = np.uint64(min(round(min(gap * SECOND, 2.0**64)), 2**64 - 1))
    return np.append(False, elapsed(time[1:], time[:-1]) > most)[: len(time)]


def elapsed(later: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Return the exact nanoseconds from int64 times to later ones, however far: uint64."""
    return later.view(np.uint64) - earlier.view(np.uint64)
