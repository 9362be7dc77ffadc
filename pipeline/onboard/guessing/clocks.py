"""Guess which column orders the steps, in what unit or format, and which one is its day."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from ragline.components.ingest.steps.times import NANOSECONDS, Unit
from ragline.pipeline.onboard.guessing import dates, groups, names
from ragline.pipeline.onboard.guessing.cells import MOST_STRANGE, Column
from ragline.pipeline.onboard.guessing.meaning import GuessError

# Above it, numbers of a time are an epoch of our days in this unit.
_EPOCHS: tuple[tuple[float, Unit], ...] = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))
_FEWEST_DISTANCES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """States the time of steps.

    Attributes:
      column: the column of the time.
      unit: the unit of times that are numbers.
      time_format: the format that `input.time_format` must state, if any.
      date: the column of the day, where `column` is the time of the day alone.
      why: sentences.
    """

    column: str
    unit: Unit = "s"
    time_format: str | None = None
    date: str | None = None
    why: tuple[str, ...] = ()


def named(columns: Mapping[str, Column]) -> str | None:
    """Return the column that its kind or its name makes the time; None if there is none."""

    def rank(name: str) -> tuple[bool, bool, bool]:
        column = columns[name]
        only_day = column.is_day
        return column.kind != "time", only_day, name.lower() not in names.TIME

    times = [
        name
        for name, column in columns.items()
        if column.cells.null_count <= MOST_STRANGE * len(column)
        and (column.kind == "time" or (column.is_number and names.is_time(name)))
    ]
    return min(times, key=rank, default=None)


def of(columns: Mapping[str, Column], group: np.ndarray) -> Clock | None:
    """Return the time of steps, by kind, by name, or by what counts the rows of each sequence."""
    chosen = named(columns)
    if chosen is None:
        counting = [n for n, column in columns.items() if groups.counts_rows(column, group)]
        if not counting:
            return None
        return Clock(
            column=counting[0],
            why=(f"order_by {counting[0]!r}: it counts the rows of each sequence; taken as s",),
        )
    column = columns[chosen]
    if column.kind == "time":
        return _of_text(chosen, columns, group)
    if names.words(chosen) & {"date", "day", "datum", "time", "timestamp", "datetime"}:
        compact = dates.is_compact(column.cells) if column.is_integer else None
        if compact:
            return Clock(
                column=chosen,
                time_format=compact,
                why=(f"order_by {chosen!r}: dates, time_format {compact!r}",),
            )
    return _of_numbers(chosen, column)


def stated(name: str, columns: Mapping[str, Column], group: np.ndarray) -> Clock:
    """Return the time of steps in a column that a person names.

    Raises:
      GuessError: its cells are neither times nor numbers.
    """
    column = columns[name]
    if column.kind != "time" and not column.is_number:
        example = f", such as {str(column.words[0])[:40]!r}" if column.words else ""
        raise GuessError(
            f"--order-by: expected times or numbers, received {name!r} of words{example}; "
            "input.time_format in a configuration says how times are written"
        )
    clock = of({n: c for n, c in columns.items() if n == name or c.kind == "time"}, group)
    if clock is None or clock.column != name:
        clock = of({name: column}, group) or _of_numbers(name, column)
    rest = [sentence for sentence in clock.why if not sentence.startswith("order_by")]
    how = f"taken as {clock.unit}" if column.kind != "time" else "times"
    return dataclasses.replace(clock, why=(f"order_by {name!r}: --order-by says so; {how}", *rest))


def regular_distance(
    clock: Clock, column: Column, group: np.ndarray
) -> tuple[float | None, list[str]]:
    """Return the seconds between steps that would be regular, and a sentence, of irregular times.

    Times are irregular where of the distances between the times of a sequence, those that 5% are
    below and above, the second is over 1.5 times the first. Over 10 times, steps are rather events,
    and regular ones would be far more or far fewer.

    Args:
      clock: the time of steps.
      column: its N cells.
      group: int64 [N], the sequence of each.

    Returns:
      The median distance, to two digits; None and no sentence if times are regular, or too few.
    """
    if clock.date or column.cells.null_count:
        return None, []
    order = column.nanoseconds()
    arranged = np.lexsort((order, group))
    same = np.diff(group[arranged]) == 0
    distances = np.diff(order[arranged])[same].astype(float)
    unit = NANOSECONDS["ns" if column.kind == "time" else clock.unit]
    distances = distances[distances > 0] * unit / NANOSECONDS["s"]
    if len(distances) < _FEWEST_DISTANCES:
        return None, []
    low, median, high = (float(f"{q:.2g}") for q in np.quantile(distances, (0.05, 0.5, 0.95)))
    if not 1.5 * low < high <= 10 * low:
        return None, []
    return median, [
        f"steps are {low:g} to {high:g} s apart: in [input.steps], resample = {median:g} would "
        "make that regular, which helps where a period or a rate matters"
    ]


def _of_numbers(chosen: str, column: Column) -> Clock:
    limits = pc.min_max(column.cells)
    most = max(abs(limits["min"].as_py()), abs(limits["max"].as_py()))
    stated = names.unit(chosen)
    epochs: list[Unit] = [unit for above, unit in _EPOCHS if most > above]
    unit: Unit = stated or [*epochs, "s"][0]
    why = (f"order_by {chosen!r}: its name says so; taken as {unit}", *_absent(chosen, column))
    return Clock(column=chosen, unit=unit, why=why)


def _of_text(chosen: str, columns: Mapping[str, Column], group: np.ndarray) -> Clock:
    column = columns[chosen]
    why = []
    time_format, date = column.time_format, None
    if column.is_clock:
        days = [n for n, c in columns.items() if n != chosen and c.is_day]
        if days and not columns[days[0]].has_missing:
            date = days[0]
            time_format = _together(columns[date], column)
    extra = f", time_format {time_format!r}" if time_format and not column.is_typed else ""
    extra += f", with the day of {date!r}" if date else ""
    why.append(f"order_by {chosen!r}: {'times of the day' if column.is_clock else 'dates'}{extra}")
    if dates.can_be_swapped(column.cells, column.time_format):
        why.append(
            f"{chosen!r}: day and month could change places; time_format says which is first"
        )
    if column.is_clock and not date and not groups.rises(column.nanoseconds(), group):
        why.append(
            f"{chosen!r} goes back within sequences, as past midnight: steps are sorted by it all "
            "the same; a column of the day, input.date, would put them right"
        )
    why += _absent(chosen, column)
    if not column.is_typed and not column.is_clock and not _has_zone(column):
        why.append(
            f"{chosen!r}: times without a zone are taken as UTC; input.time_zone says another"
        )
    needed = time_format if date or not column.is_typed else None
    return Clock(column=chosen, time_format=needed, date=date, why=tuple(why))


def _absent(chosen: str, column: Column) -> list[str]:
    number = column.cells.null_count
    if not number:
        return []
    such = f", such as {column.strange[0][:40]!r}" if column.strange else ""
    return [
        f"{chosen!r}: {number:,} of {len(column):,} cells are no times{such}: a run rejects their "
        "sequences"
    ]


def _together(day: Column, clock: Column) -> str | None:
    """Return the format of a day and a time of the day with a blank between them."""
    if day.is_typed and clock.is_typed:
        return None
    if day.time_format is None and (clock.time_format or "").startswith("%H:%M"):
        return None  # As ISO 8601 has it.
    return f"{day.time_format or '%Y-%m-%d'} {clock.time_format}"


def _has_zone(column: Column) -> bool:
    if column.time_format:
        return "%z" in column.time_format
    return bool(pc.any(pc.match_substring_regex(column.cells, r"[T ].*(?:[Z+-]|UTC|GMT)")).as_py())
