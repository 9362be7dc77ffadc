"""Read a column: its kind, its cells as Arrow has them, and what spells them."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from ragline.components.contract import kinds
from ragline.pipeline.onboard.guessing import dates, numbers

Kind = Literal["int", "float", "time", "text", "flag", "empty"]
# A column in which so few cells are no numbers, or no times, is one of them, with mistakes in it.
MOST_STRANGE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """Holds a column as it was read.

    Attributes:
      kind: the kind of its cells; `flag` is the words true and false, `empty` nothing at all.
      cells: int64, float64, bool, or text, of times as well; null where nothing stands, or nothing
        of this kind.
      strange: some texts that are not of this kind, as of one cell in a thousand: a run rejects
        their sequences.
      strange_cells: the number of cells that are not of this kind.
      missing_text: the texts that stand for a missing value.
      decimal: the mark that `input.decimal` must state, None where none must be.
      percent: whether numbers have a per cent sign.
      time_format: the format that `input.time_format` must state, None where none must be.
      is_typed: whether the file itself says what the type is, as CSV does not.
    """

    kind: Kind
    cells: pa.Array
    strange: tuple[str, ...] = ()
    strange_cells: int = 0
    missing_text: tuple[str, ...] = ()
    decimal: str | None = None
    percent: bool = False
    time_format: str | None = None
    is_typed: bool = False

    def __len__(self) -> int:
        return len(self.cells)

    @property
    def is_number(self) -> bool:
        """Return whether cells are numbers, with a fraction or without."""
        return self.kind in ("int", "float")

    @property
    def is_integer(self) -> bool:
        """Return whether cells are numbers without a fraction."""
        return self.kind == "int"

    @property
    def is_fraction(self) -> bool:
        """Return whether cells are numbers of which some may have a fraction."""
        return self.kind == "float"

    @property
    def is_name(self) -> bool:
        """Return whether cells could name something: words, or numbers without a fraction."""
        return self.kind in ("int", "text")

    @property
    def is_clock(self) -> bool:
        """Return whether cells are times of the day."""
        return self.time_format is not None and "%d" not in self.time_format

    @property
    def is_day(self) -> bool:
        """Return whether cells are days, without a time of the day."""
        if self.kind != "time" or self.is_clock:
            return False
        return bool((self.nanoseconds() % (86_400 * 10**9) == 0).all())

    @property
    def record_kind(self) -> kinds.Kind:
        """Return how a record holds such cells."""
        if self.is_number:
            return kinds.INTEGER if self.is_integer else kinds.NUMBER
        return kinds.TEXT

    @property
    def has_missing(self) -> bool:
        """Return whether a cell has no value."""
        return int(self.cells.null_count) > self.strange_cells

    @property
    def words(self) -> list[object]:
        """Return the different values, sorted."""
        return sorted(pc.unique(self.cells.drop_null()).to_pylist(), key=str)

    @property
    def codes(self) -> np.ndarray:
        """Return int64 [N]: each cell's value as a number; -1 where there is none."""
        encoded = pc.dictionary_encode(self.cells)
        return np.asarray(pc.fill_null(encoded.indices.cast(pa.int64()), -1))

    @property
    def observed(self) -> np.ndarray:
        """Return bool [N]: where a value stands."""
        return np.asarray(self.cells.is_valid())

    def nanoseconds(self) -> np.ndarray:
        """Return int64 [N] of a time, or float64 [N] of a number: what steps are ordered by."""
        if self.kind == "time":
            return dates.nanoseconds(self.cells, self.time_format)
        return np.asarray(pc.fill_null(self.cells.cast(pa.float64(), safe=False), np.nan))


def of(array: pa.Array, *, is_text: bool = False) -> Column:
    """Return a column of a sample.

    Args:
      array: its cells.
      is_text: whether numbers and times are written as text, as in CSV.
    """
    if pt.is_floating(array.type):
        array = array.cast(pa.float64())
        array = pc.if_else(pc.is_nan(array), None, array)
        kind: Kind = "float" if array.null_count < len(array) else "empty"
        return Column(kind=kind, cells=array, is_typed=True)
    if pt.is_boolean(array.type):
        return Column(kind="flag", cells=array.cast(pa.string()), is_typed=True)
    if pt.is_integer(array.type):
        try:
            return Column(kind="int", cells=array.cast(pa.int64()), is_typed=True)
        except pa.ArrowInvalid:
            return Column(kind="float", cells=array.cast(pa.float64(), safe=False), is_typed=True)
    if pt.is_decimal(array.type):
        return Column(kind="float", cells=array.cast(pa.float64()), is_typed=True)
    if pt.is_duration(array.type):
        seconds = pc.divide(
            array.cast(pa.int64()).cast(pa.float64(), safe=False), _A_SECOND[array.type.unit]
        )
        return Column(kind="float", cells=seconds, is_typed=True)
    if pt.is_timestamp(array.type) or pt.is_date(array.type) or pt.is_time(array.type):
        clock = "%H:%M:%S" if pt.is_time(array.type) else None
        text = array.cast(pa.string())
        if clock and any("." in cell for cell in text.drop_null().slice(0, 100).to_pylist()):
            clock = "%H:%M:%S.%f"
        elif pt.is_timestamp(array.type) and array.type.tz:
            text = array.cast(pa.timestamp(array.type.unit)).cast(pa.string())
        return Column(kind="time", cells=text, time_format=clock, is_typed=True)
    if not array.null_count < len(array):
        return Column(kind="empty", cells=pa.nulls(len(array), pa.string()))
    text = _decoded(array)
    return _of_text(text) if is_text else _of_words(text)


_A_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


def _decoded(array: pa.Array) -> pa.Array:
    if pt.is_binary(array.type) or pt.is_large_binary(array.type):
        decoded = [c if c is None else c.decode("utf-8", "replace") for c in array.to_pylist()]
        return pa.array(decoded, pa.string())
    return array.cast(pa.string())


def _of_words(array: pa.Array) -> Column:
    """Read text of a format that has numbers as such: times or words."""
    stated = pc.if_else(pc.equal(array, ""), None, array)
    if stated.null_count == len(stated):
        return Column(kind="empty", cells=stated)
    return _as_time(stated, ()) or Column(kind="text", cells=stated)


def _of_text(array: pa.Array) -> Column:
    """Read text of a table: numbers, times, flags or words."""
    stated, missing = numbers.without_missing(array)
    some = stated.drop_null()
    if not len(some):
        return Column(kind="empty", cells=stated, missing_text=missing)
    # Most columns of words or dates are seen to be none of numbers in their first cells.
    if parsed := numbers.of(stated, most_strange=MOST_STRANGE):
        return Column(
            kind="int" if parsed.is_integer else "float",
            cells=parsed.cells,
            strange=parsed.strange,
            strange_cells=parsed.strange_cells,
            missing_text=missing,
            decimal=parsed.decimal,
            percent=parsed.percent,
        )
    if pc.all(pc.is_in(pc.utf8_lower(some), _FLAGS)).as_py():
        return Column(kind="flag", cells=stated)
    if time := _as_time(stated, missing):
        return time
    # Of words, what may stand for a missing number is a word like others, but for nothing at all.
    return Column(
        kind="text",
        cells=pc.if_else(pc.equal(array, ""), None, array),
        missing_text=("",) if "" in missing else (),
    )


_FLAGS = pa.array(["true", "false"])


def _as_time(stated: pa.Array, missing: tuple[str, ...]) -> Column | None:
    parsed = dates.format_of(stated, most_strange=MOST_STRANGE)
    if parsed is None:
        return None
    cells = stated
    strange: list[str] = []
    if parsed.bad.any():
        bad = pa.array(parsed.bad)
        strange = stated.filter(bad).drop_null().to_pylist()
        cells = pc.if_else(bad, None, stated)
    return Column(
        kind="time",
        cells=cells,
        strange=tuple(strange[:3]),
        strange_cells=len(strange),
        missing_text=missing,
        time_format=parsed.time_format,
    )
