"""Derive numbers from dates: the hour of the day and the day of the week, by a zone's clocks."""

from collections.abc import Callable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract.columns import DAY_OF_WEEK, HOUR_OF_DAY
from ragline.components.ingest.steps.times import NANOSECONDS

_THURSDAY = 3  # That of 1970-01-01, where Monday is 0.


def hour_of_day(time: np.ndarray, zone: str | None) -> np.ndarray:
    """Return float64 [N], 0 to below 24: the hours since midnight of times in nanoseconds."""
    return _local(time, zone) % NANOSECONDS["d"] / NANOSECONDS["h"]


def day_of_week(time: np.ndarray, zone: str | None) -> np.ndarray:
    """Return float64 [N], 0 of Monday to 6 of Sunday, of times in nanoseconds."""
    return ((_local(time, zone) // NANOSECONDS["d"] + _THURSDAY) % 7).astype(np.float64)


CALENDAR: Mapping[str, Callable[[np.ndarray, str | None], np.ndarray]] = {
    HOUR_OF_DAY: hour_of_day,
    DAY_OF_WEEK: day_of_week,
}


def _local(time: np.ndarray, zone: str | None) -> np.ndarray:
    """Return what a zone's clocks show at times since the epoch, int64 [N]; UTC's for None."""
    if zone is None:
        return time
    shown = pc.local_timestamp(pa.array(time).cast(pa.timestamp("ns", tz=zone)))
    local: np.ndarray = shown.cast(pa.int64()).to_numpy()
    return local
