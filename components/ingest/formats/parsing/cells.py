"""Convert Arrow columns to NumPy columns, and gather the faults of records with bad cells.

Columns are converted whole. A bad cell gets a placeholder, and its record a fault; whoever called
leaves out the records that have one. What must be decided value by value, such as whether a text is
an id, is decided by the functions of `checks`, once for each distinct value of a column.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from ragline.components.contract.columns import Columns
from ragline.components.ingest.formats.parsing import texts
from ragline.components.ingest.formats.parsing.faults import (
    Faults,
    nulls,
    numpy_of,
    refuse_nulls,
    refuse_overflow,
)
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.steps import times

_INT64 = np.iinfo(np.int64)
_DAY = 24 * 60 * 60
_NOTHING = pa.array([], pa.string())


@dataclass(frozen=True, slots=True)
class Names:
    """Holds a column of few distinct values.

    Attributes:
      distinct: object [D + 1], each value once, and last None.
      places: int64 [cells], where each cell stands in `distinct`.
    """

    distinct: np.ndarray
    places: np.ndarray

    @property
    def cells(self) -> np.ndarray:
        """Return object [cells], None where a cell is null or bad."""
        cells: np.ndarray = self.distinct[self.places]
        return cells

    @property
    def absent(self) -> np.ndarray:
        """Return bool [cells]: where a cell is null or bad."""
        absent: np.ndarray = np.array([value is None for value in self.distinct], bool)
        return np.take(absent, self.places)


def plain(array: pa.Array) -> pa.Array:
    """Return the cells themselves, where Parquet has given a dictionary and indices."""
    return array.dictionary_decode() if pt.is_dictionary(array.type) else array


def numbers(name: str, array: pa.Array, allow_missing: bool, faults: Faults) -> np.ndarray:
    """Return float64 [cells]; a null is NaN, or a fault where no value may be missing.

    Durations and times of the day are seconds.
    """
    column = plain(array)
    if not allow_missing:
        refuse_nulls(f"feature {name!r}", "a number", column, faults)
    if pt.is_string(column.type):  # Of a table of measurements, whose values may be words too.
        return texts.numbers(f"feature {name!r}", column, _NOTHING, faults)
    if pt.is_duration(column.type) or pt.is_time(column.type):
        seconds = numpy_of(pc.cast(_integers_of(column), pa.float64()))
        return seconds / (10**9 / times.NANOSECONDS[column.type.unit])
    # Not safe: an integer of more digits than float64 has is rounded, as everywhere.
    return numpy_of(pc.cast(column, pa.float64(), safe=False))


def codes(name: str, array: pa.Array, faults: Faults) -> np.ndarray:
    """Return int64 [cells]; a null is a fault, for no code means "missing"."""
    column = plain(array)
    refuse_nulls(f"category {name!r}", "an integer", column, faults)
    return integers(f"category {name!r}", column, faults)


def integers(what: str, array: pa.Array, faults: Faults) -> np.ndarray:
    """Return int64 [cells], 0 for a null; what only an unsigned integer can hold is a fault."""
    column = pc.fill_null(plain(array), 0)
    if pt.is_uint64(column.type):
        refuse_overflow(what, column.to_numpy() > _INT64.max, column, faults)
    return numpy_of(pc.cast(column, pa.int64(), safe=False))


def names(array: pa.Array, exact: Callable[[Any], Any], faults: Faults) -> Names:
    """Return what `exact` makes of each cell that is not null.

    Args:
      array: of text, bytes that are UTF-8, or numbers.
      exact: a Python value -> what is wanted; raises RejectedRecord.
      faults: gets what `exact` raised, and `encoding` for bytes that are no text.
    """
    column = plain(array)
    if pt.is_string(column.type) or pt.is_large_string(column.type):
        column = column.cast(pa.large_binary())  # Parquet's readers do not check that it is UTF-8.
    encoded = pc.dictionary_encode(column)
    distinct = np.empty(len(encoded.dictionary) + 1, object)
    refused: dict[int, RejectedRecord] = {}
    for place, value in enumerate(encoded.dictionary.to_pylist()):
        try:
            distinct[place] = exact(checks.utf8(value) if isinstance(value, bytes) else value)
        except RejectedRecord as reject:
            refused[place] = reject
    last = len(distinct) - 1
    places = pc.fill_null(encoded.indices.cast(pa.int64()), last).to_numpy()
    if refused:
        faults.add(np.isin(places, list(refused)), lambda cell, _: refused[int(places[cell])])
    return Names(distinct, places)


def words(name: str, array: pa.Array, faults: Faults) -> np.ndarray:
    """Return object [cells] of str; a null is "", a missing word."""

    def exact(value: Any) -> str:
        return "" if value == "" else checks.identifier(f"category {name!r}", value) or ""

    column_names = names(array, exact, faults)
    return np.where(column_names.absent, "", column_names.cells)


def identifiers(name: str, array: pa.Array, faults: Faults, required: bool) -> Names:
    """Return ids as text; a null one is None, or a fault where it is required.

    Numbers with a fraction of 0, which is how integers beside missing ones are often kept, are
    integers; dates and times are ids as ISO 8601 spells them.
    """
    column = plain(array)
    if pt.is_floating(column.type):
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), None, column)
        if pc.all(pc.equal(pc.floor(column), column)).as_py() is not False:
            column = pc.cast(column, pa.int64(), safe=False)
    elif pt.is_date(column.type) or pt.is_timestamp(column.type):
        column = column.cast(pa.string())
    if required:
        refuse_nulls(name, "text or an integer", column, faults)
    return names(column, lambda value: checks.identifier(name, value), faults)


def repeated(text: str, size: int) -> Names:
    """Return a column that holds the same text in every cell."""
    return Names(np.array([text, None], object), np.zeros(size, np.int64))


def joined(columns: Iterable[Names]) -> Names:
    """Join columns into one id, by `/`; in the cells a `/` is %2F and a `%` is %25."""
    first, *others = columns
    if not others:
        return first
    texts, places = [_quoted(text) for text in first.distinct], first.places
    for column in others:
        size = len(column.distinct)
        pairs, places = np.unique(places * size + column.places, return_inverse=True)
        parts = [_quoted(text) for text in column.distinct]
        texts = [f"{texts[pair // size]}/{parts[pair % size]}" for pair in pairs.tolist()]
    return Names(np.array([*texts, None], object), places)


def context(name: str, array: pa.Array, columns: Columns, faults: Faults) -> np.ndarray:
    """Return object [cells] of what the schema says the column holds, None for a null."""

    def exact(value: Any) -> Any:
        return checks.context_of(columns, {name: value})[name]

    return names(array, exact, faults).cells


def nanoseconds(name: str, array: pa.Array, spelling: times.Spelling, faults: Faults) -> np.ndarray:
    """Return int64 [cells]: timestamps, dates, durations, times of the day, numbers, or texts."""
    column = plain(array)
    what = f"time {name!r}"
    refuse_nulls(what, "a time", column, faults)
    if spelling.format and (pt.is_integer(column.type) or pt.is_floating(column.type)):
        column = _spelt(column)
    if pt.is_string(column.type) or pt.is_large_string(column.type):
        return texts.nanoseconds(what, _utf8(column, faults), spelling, faults)
    unit = spelling.unit
    if pt.is_floating(column.type):
        values = numpy_of(pc.cast(column, pa.float64()))
        values_ns, bad = times.from_numbers(values, unit)
        unknown = np.isnan(values) & ~nulls(column)
        faults.add(unknown, lambda _, step: RejectedRecord("null", f"{what}{step}: received NaN"))
    elif pt.is_date(column.type):
        days = pc.cast(column, pa.date32()).cast(pa.int32()).fill_null(0).to_numpy()
        values_ns, bad = times.from_numbers(days.astype(np.int64) * _DAY, "s")
    else:
        is_local = pt.is_timestamp(column.type) and column.type.tz is None
        if pt.is_timestamp(column.type) or pt.is_duration(column.type) or pt.is_time(column.type):
            unit, column = column.type.unit, _integers_of(column)
        values_ns, bad = times.from_numbers(integers(what, column, faults), unit)
        if is_local:
            values_ns, bad = times.in_zone(values_ns, bad, spelling.zone)
    refuse_overflow(what, bad, column, faults)
    return values_ns


def _integers_of(column: pa.Array) -> pa.Array:
    """Convert times of Arrow's own types to integers of their units."""
    return column.cast(pa.int32() if pt.is_time32(column.type) else pa.int64())


def _spelt(column: pa.Array) -> pa.Array:
    """Spell numbers as the text of whole ones: 20260115.0 is 20260115."""
    if pt.is_floating(column.type):
        is_integer = pc.equal(pc.floor(column), column)
        column = pc.cast(pc.if_else(is_integer, column, None), pa.int64(), safe=False)
    return column.cast(pa.string())


def _utf8(array: pa.Array, faults: Faults) -> pa.Array:
    """Return the same strings; null, and a fault, where they are not UTF-8."""
    raw = array.cast(pa.large_binary())
    try:
        return raw.cast(pa.large_string()).cast(pa.string())
    except pa.ArrowInvalid:
        texts = names(raw, str, faults)
        return pa.array(texts.cells, pa.string())


def _quoted(text: str | None) -> str:
    return (text or "").replace("%", "%25").replace("/", "%2F")
