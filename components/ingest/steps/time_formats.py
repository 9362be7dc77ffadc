"""Convert times as people write them, by a format that `input.time_format` states.

The directives are those of Python's strptime:

    %Y %y       year, of four digits or of two (69 to 99 are of the last century)
    %m %d       month and day, of one digit or two
    %b %B       month in English, short or whole
    %a %A       day of the week in English, which is not checked
    %H %I %p    hour of 24 or of 12, AM or PM
    %M %S %f    minute, second, and the digits after its point
    %z          offset: Z, UTC, GMT, +02, +0200, +02:00
    %%          a per cent sign

A format without a day counts from 0, and its hours may be more than 23: `%H:%M` of 40:42 is 40
hours and 42 minutes.
"""

import functools
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september",
    "october", "november", "december",
)  # fmt: skip
_DIRECTIVES = {
    "Y": r"(?P<year>[0-9]{4})",
    "y": r"(?P<short_year>[0-9]{2})",
    "m": r"(?P<month>[0-9]{1,2})",
    "d": r"(?P<day>[0-9]{1,2})",
    "b": r"(?P<month_name>[A-Za-z]{3})",
    "B": r"(?P<month_name>[A-Za-z]{3,9})",
    "a": r"[A-Za-z]{3}",
    "A": r"[A-Za-z]{6,9}",
    "H": r"(?P<hour>[0-9]{1,2})",
    "I": r"(?P<hour>[0-9]{1,2})",
    "p": r"(?P<half>[AaPp])\.?[Mm]\.?",
    "M": r"(?P<minute>[0-9]{1,2})",
    "S": r"(?P<second>[0-9]{1,2})",
    "f": r"(?P<fraction>[0-9]{1,9})",
    "z": r"(?:Z|UTC|GMT|(?P<sign>[+-])(?P<zone_hour>[0-9]{2})(?::?(?P<zone_minute>[0-9]{2}))?)",
    "%": "%",
}
_DAYS = {"year", "short_year", "month", "day", "month_name"}
# Hours of a format without a day: a year of them and more.
_ELAPSED = r"(?P<hour>[0-9]{1,5})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Holds texts taken apart; all int64 [N], meaningless where `bad`.

    Attributes:
      seconds: since the epoch, or since 0 of a format without a day.
      nanoseconds: below one second.
      bad: bool [N], no text of the format, or a day or hour that does not exist.
      zoned: whether the texts state their offset, which is then subtracted.
    """

    seconds: np.ndarray
    nanoseconds: np.ndarray
    bad: np.ndarray
    zoned: bool


@functools.cache
def pattern(time_format: str) -> str:
    """Return a format as a regular expression with a group a part.

    Raises:
      ValueError: an unknown directive, one that stands twice, or one without which there is no
        time, such as a month without a day.
    """
    parts = re.split(r"%(.)", time_format, flags=re.DOTALL)
    if len(parts) == 1 or (time_format.endswith("%") and not time_format.endswith("%%")):
        raise ValueError(f"expected directives such as %d.%m.%Y %H:%M:%S, received {time_format!r}")
    expression = re.escape(parts[0])
    for directive, text in zip(parts[1::2], parts[2::2], strict=True):
        if directive not in _DIRECTIVES:
            raise ValueError(
                f"expected one of {', '.join(f'%{known}' for known in _DIRECTIVES)}, received "
                f"%{directive} in {time_format!r}"
            )
        expression += _DIRECTIVES[directive] + re.escape(text).replace(r"\ ", " +")
    names = re.findall(r"\?P<(\w+)>", expression)
    if len(set(names)) < len(names):
        raise ValueError(f"expected each part of a time once, received {time_format!r}")
    days = _DAYS.intersection(names)
    whole = {"year", "short_year"} & days and {"month", "month_name"} & days and "day" in days
    if days and not whole:
        raise ValueError(f"expected a year, a month and a day, or none of them: {time_format!r}")
    if "hour" not in names and not days:
        raise ValueError(f"expected a day or an hour in it, received {time_format!r}")
    if not days:
        expression = expression.replace(_DIRECTIVES["H"], _ELAPSED)
    return rf"^\s*{expression}\s*$"


def take_apart(column: pa.Array, time_format: str) -> Parts:
    """Take texts of a format apart, an Arrow array of N strings."""
    shape = pattern(time_format)
    names = set(re.findall(r"\?P<(\w+)>", shape))
    parts = pc.extract_regex(column, shape)

    def text(name: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(parts, name), "")

    def number(name: str, default: int = 0) -> np.ndarray:
        if name not in names:
            return np.full(len(column), default, np.int64)
        cells = text(name)
        # What is absent is empty, as the minutes of an offset.
        return np.asarray(pc.if_else(pc.equal(cells, ""), "0", cells).cast(pa.int64()))

    bad = ~pc.is_valid(parts).to_numpy(zero_copy_only=False)
    year, month, day = number("year", 1970), number("month", 1), number("day", 1)
    if "short_year" in names:
        short = number("short_year")
        year = short + np.where(short >= 69, 1900, 2000)
    if "month_name" in names:
        shorts = pa.array([name[:3] for name in _MONTHS])
        words = pc.utf8_lower(text("month_name"))
        whole = pc.or_(pc.is_in(words, pa.array(_MONTHS)), pc.equal(pc.utf8_length(words), 3))
        place = pc.index_in(pc.utf8_slice_codeunits(words, 0, 3), shorts)
        month = np.asarray(pc.fill_null(place, -1)).astype(np.int64) + 1
        bad |= ~np.asarray(whole)
    months = (year - 1970) * 12 + month - 1
    first, after = (_first_day(m) for m in (months, months + 1))
    bad |= (month < 1) | (month > 12) | (day < 1) | (day > after - first)
    hour, minute, second = number("hour"), number("minute"), number("second")
    has_day = bool(_DAYS & names)
    if "half" in names:
        bad |= (hour < 1) | (hour > 12)
        late = np.asarray(pc.equal(pc.utf8_lower(text("half")), "p"))
        hour = hour % 12 + np.where(late, 12, 0)
    elif has_day:
        bad |= hour > 23
    zone_hour, zone_minute = number("zone_hour"), number("zone_minute")
    bad |= (minute > 59) | (second > 59) | (zone_hour > 23) | (zone_minute > 59)
    west = np.zeros(len(column), bool)
    if "sign" in names:
        west = np.asarray(pc.equal(text("sign"), "-"))
    east = np.where(west, -1, 1) * (zone_hour * 60 + zone_minute)
    days = first + day - 1 if has_day else np.zeros(len(column), np.int64)
    nanoseconds = np.zeros(len(column), np.int64)
    if "fraction" in names:
        nanoseconds = np.asarray(pc.utf8_rpad(text("fraction"), 9, "0").cast(pa.int64()))
    return Parts(
        seconds=((days * 24 + hour) * 60 + minute - east) * 60 + second,
        nanoseconds=nanoseconds,
        bad=bad,
        zoned="%z" in time_format,
    )


def _first_day(months: np.ndarray) -> np.ndarray:
    """Return the first day of months since 1970-01, as days since 1970-01-01."""
    return months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
