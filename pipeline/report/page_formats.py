"""Write values as a person reads them: three significant digits, and a dash for None."""

import datetime
import math
from collections.abc import Mapping
from typing import Any, TypeGuard

from ragline.components.evaluate.verdict.rules import NEWEST, PCA

DASH = "—"
_WRITTEN = {PCA: "PCA", NEWEST: "Served"}
_DIGITS = 3
_MILLISECONDS = 3


def is_number(value: float | None) -> TypeGuard[float]:
    """Tell whether a value is a finite number, which can be written or drawn."""
    return isinstance(value, int | float) and math.isfinite(value)


def present(value: Any) -> Any:
    """Return a value that has no format of its own; a dash for None and for what is not finite."""
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return DASH if missing else value


def number(value: float | None, most_decimals: int = 8) -> str:
    """Format to 3 significant digits, thousands separated: 0.787, 39,600, 1.23e-12."""
    if not is_number(value):
        return DASH
    # The exponent of the rounded number: 9.996 has one more digit when rounded.
    exponent = int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])
    if value and not -5 <= exponent <= 11:
        return f"{value:.{_DIGITS - 1}e}"
    decimals = _DIGITS - 1 - exponent if value else 0
    return f"{round(value, decimals):,.{min(max(decimals, 0), most_decimals)}f}"


def interval(metric: Mapping[str, float | None]) -> str:
    """Format a metric's lower and upper bound."""
    bounds = metric["lower"], metric["upper"]
    return " to ".join(map(number, bounds)) if any(map(is_number, bounds)) else DASH


def count(value: float | None) -> str:
    """Format a whole number in full, thousands separated; sums arrive as floats."""
    return f"{value:,.0f}" if is_number(value) else DASH


def percent(share: float | None) -> str:
    """Format a share of 1 as a percentage."""
    return f"{number(100 * share, most_decimals=2)} %" if is_number(share) else DASH


def seconds(value: float | None) -> str:
    """Format seconds, to the millisecond that ML Metadata measures."""
    return number(value, most_decimals=_MILLISECONDS)


def size(number_of_bytes: float | None) -> str:
    """Format bytes as megabytes: 1,234 MB."""
    return f"{number_of_bytes / 1e6:,.0f} MB" if is_number(number_of_bytes) else DASH


def words(name: str) -> str:
    """Return a key as text: `training_mean` -> Training mean."""
    return _WRITTEN.get(name, name.replace("_", " ").capitalize())


def started(run_id: str) -> str:
    """Return when a run started, which its id begins with: 20260102-030405-abcd."""
    try:
        moment = datetime.datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S")
    except ValueError:
        return DASH
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


FILTERS = {
    "number": number,
    "interval": interval,
    "count": count,
    "percent": percent,
    "seconds": seconds,
    "size": size,
    "words": words,
    "started": started,
}
