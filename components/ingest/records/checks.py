"""What a record must be, whatever its format; one that is not is rejected with a code.

A rejected record goes to the quarantine; the codes are API:

    encoding              not UTF-8
    json                  not a JSON object
    proto                 not a message of the kind that its file holds
    missing_column        a feature of the schema is not in the record
    type                  text, a boolean or a nested value where a number is expected
    null                  no value, list or record where the schema lets none be missing; no time
    number_format         not a number by the grammar below, or too large for float64; not a time
    non_finite            NaN where missing is not allowed; Inf; Inf once cast to float32
    empty                 no step
    ragged                the features of one sequence have different numbers of steps
    bad_dim               not as many features as the schema has
    length_mismatch       a stated length that is not the number of steps
    int_overflow          an integer outside int64, or a time outside int64 nanoseconds
    negative_time         a time below 0, where that is refused
    unsorted_time         times that fall, where that is refused
    duplicate_time        two steps at one time, where that is refused
    too_long, too_short   more steps than max_length, where that is refused; fewer than min_length
    inconsistent_context  the rows of one sequence differ in a context column
    inconsistent_entity   the rows of one sequence differ in their entity
    duplicate_id          the id of an earlier sequence; the first one is kept
    entity_in_two_splits  in eval, of an entity that is in train
"""

import re
import reprlib
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np

from ragline.components.contract.columns import LENGTH, Columns, ContextValue
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk, Part

# Unambiguous: each text is matched in one way at most, so that refusing one takes linear time.
_NUMBER = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_MISSING = rb"\?|NaN"
_NUMBERS = re.compile(rb"(?:%s|%s)(?:,(?:%s|%s))*" % (_NUMBER, _MISSING, _NUMBER, _MISSING))
_INT64 = np.iinfo(np.int64)
# Below it, float64 holds every integer.
_EXACT = 2**53


class Reject(Exception):  # noqa: N818 (it is a verdict on a record, not a failure)
    """A record that cannot be used.

    Attributes:
      code: one of the codes in this module's contract.
      detail: what, expected and received, in a sentence.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def parse_numbers(text: bytes) -> np.ndarray:
    """Comma-separated numbers -> float64 [T], by a strict grammar; `?` and `NaN` are missing.

    Python's own float() would take `1_000`, Arabic digits and `1e400`.

    Raises:
      Reject: `number_format`.
    """
    if not _NUMBERS.fullmatch(text):
        cells = text.split(b",")
        bad = next(cell for cell in cells if not _NUMBERS.fullmatch(cell))
        raise Reject("number_format", f"expected a number, received {bad[:40]!r}")
    cells = text.replace(b"?", b"NaN").split(b",")
    numbers = np.array([float(cell) for cell in cells])
    if np.isinf(numbers).any():
        bad = cells[int(np.isinf(numbers).argmax())]
        raise Reject("number_format", f"expected a float64, received {bad[:40]!r}")
    return numbers


def numbers_of(name: str, column: Any) -> np.ndarray:
    """A decoded JSON value -> float64 [T]; null cells become NaN.

    Raises:
      Reject: `null`, `type`, `number_format`.
    """
    if column is None:
        raise Reject("null", f"feature {name!r}: expected a list, received null")
    if not isinstance(column, list):
        raise Reject("type", f"feature {name!r}: expected a list, received {described(column)}")
    if not set(map(type, column)) <= {int, float, type(None)}:
        bad = next(cell for cell in column if type(cell) not in (int, float, type(None)))
        raise Reject("type", f"feature {name!r}: expected numbers, received {described(bad)}")
    try:
        return np.array(column, dtype=np.float64)
    except OverflowError as error:
        raise Reject("number_format", f"feature {name!r}: {error}") from error


def steps_of(columns: Columns, lengths: Mapping[str, int]) -> int:
    """T, the steps of one record, whose every column must have as many.

    Args:
      columns: what the schema says.
      lengths: column -> its number of steps.

    Raises:
      Reject: `missing_column`, `ragged`.
    """
    names = (*columns.names, *(category.name for category in columns.categories))
    if absent := [name for name in names if name not in lengths]:
        raise Reject("missing_column", f"expected feature {absent[0]!r}, received none")
    found = {name: lengths[name] for name in names}
    if len(set(found.values())) > 1:
        raise Reject("ragged", f"expected as many steps in each feature, received {found}")
    return found[names[0]]


def check(chunk: Chunk, columns: Columns, options: StepOptions) -> Part:
    """Refuses the records of a Chunk whose content no schema takes, whatever their format.

    A record is refused for the first reason that applies: `empty`, `null` (a missing category where
    `missing` is `reject`), `non_finite` (its first value that is not a finite float32, nor missing
    where the schema and `missing` allow it).
    """
    empty = Reject("empty", "expected at least one step, received none")
    reasons = dict.fromkeys(np.flatnonzero(chunk.length == 0).tolist(), empty)
    if options.missing == "reject":
        for place, reject in _of_categories(chunk, columns):
            reasons.setdefault(place, reject)
    for place, reject in _of_values(chunk, columns, options):
        reasons.setdefault(place, reject)
    return refuse(chunk, reasons)


def refuse(chunk: Chunk, reasons: Mapping[int, Reject]) -> Part:
    """A Chunk without the records at some places, and these as rejected."""
    if not reasons:
        return Part(chunk=chunk)
    kept = np.ones(len(chunk), bool)
    kept[list(reasons)] = False
    return Part(
        chunk=chunk.select(kept),
        rejected=tuple(
            chunk.rejected(place, reasons[place].code, reasons[place].detail)
            for place in sorted(reasons)
        ),
    )


def _of_categories(chunk: Chunk, columns: Columns) -> Iterator[tuple[int, Reject]]:
    for category in columns.categories:
        if category.kind == "bytes":
            missing = np.flatnonzero(chunk.values[category.name] == "")
            for place, step in _first_of_each(chunk, missing):
                yield (
                    place,
                    Reject(
                        "null",
                        f"feature {category.name!r}, step {step}: expected text, received none",
                    ),
                )


def _of_values(
    chunk: Chunk, columns: Columns, options: StepOptions
) -> Iterator[tuple[int, Reject]]:
    found: list[tuple[int, int, int, str, float]] = []
    for feature in columns.features:
        numbers = chunk.values[feature.name]
        # A number that overflows float32 becomes Inf here and is refused, on purpose.
        with np.errstate(over="ignore"):
            single = numbers.astype(np.float32)
        bad = ~np.isfinite(single)
        if bad.any() and feature.allow_missing and options.missing == "schema":
            bad &= ~np.isnan(single)
        if bad.any():
            for place, step in _first_of_each(chunk, np.flatnonzero(bad)):
                received = float(numbers[chunk.starts[place] + step])
                found.append((step, len(found), place, feature.name, received))
    for step, _, place, name, received in sorted(found):
        yield (
            place,
            Reject(
                "non_finite",
                f"feature {name!r}, step {step}: expected a finite float32, received {received}",
            ),
        )


def _first_of_each(chunk: Chunk, steps: np.ndarray) -> Iterator[tuple[int, int]]:
    """(place of a record, step in it) of the first of the given flat steps in each record."""
    ends = np.cumsum(chunk.length)
    places = np.searchsorted(ends, steps, side="right")
    places, first = np.unique(places, return_index=True)
    starts = ends - chunk.length
    for place, step in zip(places, steps[first], strict=True):
        yield int(place), int(step - starts[place])


def check_nulls(columns: Columns, features: Mapping[str, Collection[Any]]) -> None:
    """Refuses a null cell in a feature that the schema does not let be missing.

    Raises:
      Reject: `null`.
    """
    for feature in columns.features:
        column = features.get(feature.name)
        if not feature.allow_missing and isinstance(column, list) and None in column:
            raise Reject(
                "null",
                f"feature {feature.name!r}, step {column.index(None)}: "
                "expected a number, received null",
            )


def check_length(stated: Any, steps: int) -> None:
    """Compares a length that a record states with the steps that it has.

    Raises:
      Reject: `length_mismatch`.
    """
    if stated is not None and (type(stated) is not int or stated != steps):
        raise Reject("length_mismatch", f"{LENGTH}: expected {steps}, received {described(stated)}")


def context_of(columns: Columns, record: Mapping[str, Any]) -> dict[str, ContextValue]:
    """The context columns that a decoded record has; null means absent.

    Raises:
      Reject: `type`, `encoding`, `int_overflow`, `number_format`, `non_finite`.
    """
    found: dict[str, ContextValue] = {}
    for name, kind in columns.context.items():
        value: Any = record.get(name)
        if value is None:
            continue
        allowed = {"bytes": (str,), "int": (int,), "float": (int, float)}[kind]
        if type(value) not in allowed:
            raise Reject("type", f"column {name!r}: expected {kind}, received {described(value)}")
        if kind == "bytes":
            value = _utf8(name, value)
        if kind == "int" and not _INT64.min <= value <= _INT64.max:
            raise Reject(
                "int_overflow", f"column {name!r}: expected an int64, received {described(value)}"
            )
        if kind == "float":
            try:
                with np.errstate(over="ignore"):
                    value = float(np.float32(value))
            except OverflowError as error:  # An integer that float64 cannot hold.
                raise Reject("number_format", f"column {name!r}: {error}") from error
            if not np.isfinite(value):
                raise Reject("non_finite", f"column {name!r}: expected a finite float32")
        found[name] = value
    return found


def identifier(name: str, value: Any) -> str | None:
    """An id of a decoded record as text; null or absent gives None, 7.0 is 7.

    Raises:
      Reject: `type`, `encoding`.
    """
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if type(value) is not str or not value:
        raise Reject("type", f"{name}: expected text or an integer, received {described(value)}")
    return _utf8(name, value)


def _utf8(name: str, value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # A lone surrogate, which JSON can spell.
        raise Reject("encoding", f"{name}: expected UTF-8: {error.reason}") from error
    return value


def described(value: Any) -> str:
    """A decoded value and its type, for a detail."""
    # A list in lists, a thousand deep, is more than str can show.
    shown = reprlib.repr(value) if isinstance(value, list | dict) else str(value)
    return f"{type(value).__name__} {shown[:40]!r}"
