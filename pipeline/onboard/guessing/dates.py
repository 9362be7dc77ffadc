"""Recognise texts of times: ISO 8601, or which format of `input.time_format`."""

import functools
import itertools
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.ingest.steps import time_formats, times
from ragline.components.ingest.steps.times import Spelling

_PEEKED = 200
_DAYS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%y",
    "%d/%m/%y", "%m/%d/%y", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%b %d, %Y",
    "%B %d, %Y", "%d/%b/%Y", "%Y-%m-%d",
)  # fmt: skip
_CLOCKS = ("%H:%M:%S", "%H:%M:%S.%f", "%H:%M", "%I:%M:%S %p", "%I:%M %p", "%H:%M:%S,%f")
_ZONED = ("%H:%M:%S%z", "%H:%M:%S %z", "%H:%M:%S.%f%z", "%H:%M:%S.%f %z", "%H:%M %z")
_COMPACT = (
    "%Y%m%dT%H%M%S%z", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S", "%Y%m%d %H%M%S", "%Y%m%d-%H%M%S",
    "%Y%m%d %H:%M:%S", "%Y%m%d%H%M", "%Y%m%dT%H%M", "%Y%m%d",
)  # fmt: skip
# The clock before the day first, for none of them is a part of another.
FORMATS: tuple[str, ...] = (
    *(
        f"{day}{apart}{clock}"
        for day, apart, clock in itertools.product(_DAYS, (" ", "T", ", "), (*_CLOCKS, *_ZONED))
    ),
    *_DAYS,
    *_COMPACT,
    *_CLOCKS,
    "%a %b %d %H:%M:%S %Y",
    "%a, %d %b %Y %H:%M:%S %z",
    "%d/%b/%Y:%H:%M:%S %z",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """States a format of times.

    Attributes:
      time_format: None is ISO 8601.
      bad: bool [N], texts that are not of it.
    """

    time_format: str | None
    bad: np.ndarray


def format_of(stated: pa.Array, *, most_strange: float) -> Found | None:
    """Return the format that most texts are of; None if there is none.

    Args:
      stated: N texts, null where nothing stands.
      most_strange: the share of them that may be no times.
    """
    there = np.asarray(stated.is_valid())
    some = stated.drop_null()
    peeked = some.slice(0, _PEEKED)
    texts = peeked.slice(0, 8).to_pylist()
    if not any(c.isdigit() for text in texts for c in text):
        return None
    for time_format in (None, *FORMATS):
        # Python's own expressions first: most formats are none, and an array of 8 takes as long
        # as one of 800.
        if time_format and 2 * sum(_matches(time_format, text) for text in texts) < len(texts):
            continue
        if _bad(peeked, time_format).mean() > 0.5:
            continue
        bad = _bad(some, time_format)
        if bad.mean() <= most_strange:
            every = np.zeros(len(stated), bool)
            every[np.flatnonzero(there)[bad]] = True
            return Found(time_format=time_format, bad=every)
    return None


def is_compact(cells: pa.Array) -> str | None:
    """Return the format of whole numbers that are dates, such as 20260115; None if none are."""
    text = cells.drop_null().cast(pa.string())
    if not len(text) or not pc.all(pc.is_in(pc.utf8_length(text), pa.array([8, 12, 14]))).as_py():
        return None
    for time_format in ("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M"):
        if not _bad(text, time_format).any() and _in_our_days(text, time_format):
            return time_format
    return None


def can_be_swapped(cells: pa.Array, time_format: str | None) -> bool:
    """Return whether texts would be times as well with day and month in each other's place."""
    if time_format is None or not {"%d", "%m"} <= {time_format[i : i + 2] for i in range(40)}:
        return False
    if time_format.startswith("%Y"):
        return False
    swapped = time_format.replace("%d", "%D").replace("%m", "%d").replace("%D", "%m")
    return not _bad(cells.drop_null(), swapped).any()


def nanoseconds(cells: pa.Array, time_format: str | None) -> np.ndarray:
    """Return int64 [N], 0 where there is no time."""
    return times.from_text(cells, Spelling(format=time_format))[0]


def _matches(time_format: str, text: str) -> bool:
    return _compiled(time_format).match(text) is not None


@functools.cache
def _compiled(time_format: str) -> re.Pattern[str]:
    return re.compile(time_formats.pattern(time_format))


def _bad(some: pa.Array, time_format: str | None) -> np.ndarray:
    bad: np.ndarray = times.from_text(some, Spelling(format=time_format))[1]
    return bad


def _in_our_days(text: pa.Array, time_format: str) -> bool:
    years = nanoseconds(text, time_format).astype("M8[ns]").astype("M8[Y]").astype(int) + 1970
    return bool((years >= 1950).all() and (years <= 2100).all())
