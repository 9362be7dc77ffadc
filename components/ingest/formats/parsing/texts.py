"""Convert Arrow columns of text to numbers and times, by strict grammars.

Arrow's own casts do the work: to float64 it takes the grammar of `checks` (tested), and besides it
only the names of NaN and infinity; to int64 it takes hexadecimal digits as well.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.ingest.formats.parsing.faults import (
    Faults,
    nulls,
    numpy_of,
    refuse_overflow,
    refuse_text,
)
from ragline.components.ingest.steps import times

_INTEGER = r"\A[+-]?[0-9]+\z"
_NUMBER = r"\A[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\z"
_INT64 = np.iinfo(np.int64)


def numbers(what: str, array: pa.Array, missing: pa.Array, faults: Faults) -> np.ndarray:
    """Convert texts to float64 [cells], by the grammar of `checks`; NaN for missing ones."""
    absent = pc.or_(pc.is_in(array, missing), pc.is_null(array))
    stated = pc.if_else(absent, None, array)
    try:
        values = numpy_of(pc.cast(stated, pa.float64()))
    except pa.ArrowInvalid:
        good = pc.match_substring_regex(stated, _NUMBER)
        values = numpy_of(pc.cast(pc.if_else(good, stated, None), pa.float64()))
    bad = ~np.isfinite(values) & ~numpy_of(absent)
    refuse_text(what, "a number", bad, array, faults)
    return values


def integers(what: str, array: pa.Array, faults: Faults) -> pa.Array:
    """Convert texts to an int64 array; null for a null, and for a cell that is a fault."""
    good = pc.fill_null(pc.match_substring_regex(array, _INTEGER), True)
    bad = ~numpy_of(good)
    refuse_text(what, "an integer", bad, array, faults)
    stated = pc.utf8_ltrim(pc.if_else(good, array, None), "+")
    try:
        return pc.cast(stated, pa.int64())
    except pa.ArrowInvalid:
        large = np.array(
            [text is not None and not _fits(text) for text in stated.to_pylist()], bool
        )
        refuse_overflow(what, large, array, faults)
        return pc.cast(pc.if_else(pa.array(large), None, stated), pa.int64())


def spelt(array: pa.Array, decimal: str | None) -> pa.Array:
    """Respell numbers by `input.decimal` in the grammar of `checks`; leave other texts.

    Groups of three digits may stand apart by the other mark, a blank or an apostrophe, and a per
    cent sign behind the number is left out.
    """
    if decimal not in (".", ","):
        return array
    grouping_mark = r"\." if decimal == "," else ","
    mark = "," if decimal == "," else r"\."
    apart = rf"[{grouping_mark} '\x{{a0}}\x{{202f}}\x{{2019}}]"
    integer = rf"(?:[0-9]+|[0-9]{{1,3}}(?:{apart}[0-9]{{3}})+)"
    number = rf"^\s*[+-]?(?:{integer}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?\s*%?\s*$"
    good = pc.fill_null(pc.match_substring_regex(array, number), False)
    bare = pc.replace_substring_regex(array, rf"(?:{apart}|[\s%])", "")
    if decimal == ",":
        bare = pc.replace_substring(bare, ",", ".")
    return pc.if_else(good, bare, array)


def nanoseconds(what: str, array: pa.Array, spelling: times.Spelling, faults: Faults) -> np.ndarray:
    """Convert texts to int64 [cells]; 0 for a null.

    They are of the spelling's format, or without one integers and numbers in its unit, and ISO
    8601.
    """
    if spelling.format:
        values_ns, bad = times.from_text(array, spelling)
        refuse_text(what, f"a time as {spelling.format}", bad & ~nulls(array), array, faults)
        return values_ns
    unit = spelling.unit
    stated = pc.fill_null(array, "0")
    is_integer = pc.match_substring_regex(stated, _INTEGER)
    is_number = pc.match_substring_regex(stated, _NUMBER)
    values_ns = np.zeros(len(array), np.int64)

    def fill(chosen: np.ndarray, ns: np.ndarray, bad: np.ndarray) -> np.ndarray:
        places = np.flatnonzero(chosen)
        values_ns[places] = ns
        refused = np.zeros(len(values_ns), bool)
        refused[places[bad]] = True
        return refused

    are_integers = numpy_of(is_integer)
    if are_integers.any():
        inner = pc.fill_null(integers(what, pc.if_else(is_integer, stated, "0"), faults), 0)
        overflow = fill(are_integers, *times.from_numbers(inner.to_numpy()[are_integers], unit))
        refuse_overflow(what, overflow, array, faults)
    broken = numpy_of(is_number) & ~are_integers
    if broken.any():
        fractions = pc.cast(stated.filter(pa.array(broken)), pa.float64()).to_numpy()
        overflow = fill(broken, *times.from_numbers(fractions, unit))
        refuse_overflow(what, overflow, array, faults)
    dates = ~(are_integers | broken)
    if dates.any():
        bad = fill(dates, *times.from_text(stated.filter(pa.array(dates)), spelling))
        refuse_text(what, "an ISO 8601 time or a number, or input.time_format", bad, array, faults)
    return values_ns


def _fits(text: str) -> bool:
    # By its digits first: Python refuses to convert more than 4,300 of them.
    digits = text.lstrip("-").lstrip("0")
    return len(digits) <= 19 and _INT64.min <= int(text) <= _INT64.max
