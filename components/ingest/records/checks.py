"""Check what every record must be, whatever its format, and reject it with a code if it is not.

A rejected record goes to the quarantine; the codes are API:

    encoding              not UTF-8
    json                  not a JSON object
    proto                 not a message of the kind that its file holds
    missing_column        a feature of the schema is not in the record
    type                  text, a boolean or a nested value where a number is expected
    null                  no value, list or record where the schema lets none be missing; no time
    number_format         not a number by the grammar below, or too large for float64; not a time
    non_finite            NaN where missing is not allowed; Inf; Inf once cast to float32
    out_of_domain         a number that the transform of its feature does not take
    empty                 no step
    ragged                the features of one sequence have different numbers of steps
    bad_dim               not as many features as the schema has
    length_mismatch       a stated length that is not the number of steps
    int_overflow          an integer outside int64, or a time outside int64 nanoseconds
    negative_time         a time below 0, where that is refused
    unsorted_time         times that fall, where that is refused
    duplicate_time        two steps at one time, where that is refused
    too_long, too_short   more steps than max_length, where that is refused, or of gaps too wide to
                          be resampled; fewer than min_length
    inconsistent_context  the rows of one sequence differ in a context column
    inconsistent_entity   the rows of one sequence differ in their entity
    duplicate_id          the id of an earlier sequence; the first one is kept
    entity_in_two_splits  in eval, of an entity that is in train
"""

import functools
import re
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np

from ragline.components.contract import kinds
from ragline.components.contract.columns import LENGTH, Columns, ContextValue, Feature
from ragline.components.contract.feature_transforms import LEAST, NONE
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk, Part
from ragline.components.ingest.records.refusals import Refusals

# Unambiguous: each text is matched in one way at most, so that refusing one takes linear time.
_NUMBER = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_MISSING = rb"\?|NaN"
_NUMBERS = re.compile(rb"(?:%s|%s)(?:,(?:%s|%s))*" % (_NUMBER, _MISSING, _NUMBER, _MISSING))
_INT64 = np.iinfo(np.int64)
_LACKING = re.compile(r"(feature '.*'), step [0-9]+: expected .*, received (?:nan|null)")
_OUTSIDE = re.compile(r"(feature '.*'), step [0-9]+: expected a number above 0, .*, received")
# Below it, float64 holds every integer.
_EXACT = 2**53


class RejectedRecord(Exception):  # noqa: N818 (it is a result of checks, not a failure)
    """Says why a record cannot be used.

    Attributes:
      code: the code, of those at the head of this module.
      detail: what, expected and received, in a sentence.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


def parse_numbers(text: bytes) -> np.ndarray:
    """Parse comma-separated numbers as float64 [T], by a strict grammar; `?`, `NaN` are missing.

    Python's own float() would take `1_000`, Arabic digits and `1e400`.

    Raises:
      RejectedRecord: `number_format`.
    """
    if not _NUMBERS.fullmatch(text):
        cells = text.split(b",")
        bad = next(cell for cell in cells if not _NUMBERS.fullmatch(cell))
        raise RejectedRecord("number_format", f"expected a number, received {bad[:40]!r}")
    cells = text.replace(b"?", b"NaN").split(b",")
    numbers = np.array([float(cell) for cell in cells])
    if np.isinf(numbers).any():
        bad = cells[int(np.isinf(numbers).argmax())]
        raise RejectedRecord("number_format", f"expected a float64, received {bad[:40]!r}")
    return numbers


def numbers_of(name: str, column: Any) -> np.ndarray:
    """Convert a decoded JSON list to float64 [T]; null cells become NaN.

    Raises:
      RejectedRecord: `null`, `type`, `number_format`.
    """
    if column is None:
        raise RejectedRecord("null", f"feature {name!r}: expected a list, received null")
    if not isinstance(column, list):
        raise RejectedRecord(
            "type", f"feature {name!r}: expected a list, received {described(column)}"
        )
    if not set(map(type, column)) <= {int, float, type(None)}:
        bad = next(cell for cell in column if type(cell) not in (int, float, type(None)))
        raise RejectedRecord(
            "type", f"feature {name!r}: expected numbers, received {described(bad)}"
        )
    try:
        return np.array(column, dtype=np.float64)
    except OverflowError as error:
        raise RejectedRecord("number_format", f"feature {name!r}: {error}") from error


def steps_of(columns: Columns, lengths: Mapping[str, int]) -> int:
    """Return the number of steps of a record, which all its columns must have.

    Args:
      columns: the columns of the schema.
      lengths: column -> its number of steps.

    Raises:
      RejectedRecord: `missing_column`, `ragged`.
    """
    names = (*columns.names, *(category.name for category in columns.categories))
    if absent := [name for name in names if name not in lengths]:
        raise RejectedRecord("missing_column", f"expected feature {absent[0]!r}, received none")
    steps = {name: lengths[name] for name in names}
    if len(set(steps.values())) > 1:
        raise RejectedRecord("ragged", f"expected as many steps in each feature, received {steps}")
    return steps[names[0]]


def check(chunk: Chunk, columns: Columns, options: StepOptions) -> Part:
    """Reject the records of a Chunk that break the schema, whatever their format.

    A record is rejected for the first reason that applies: `empty`, `null` (a missing category, if
    `missing` is `reject`), `non_finite` (its first value that is not a finite float32, nor missing
    where the schema and `missing` allow it), `out_of_domain`.
    """
    refusals = Refusals(chunk)
    empty = np.flatnonzero(chunk.length == 0)
    refusals.add("empty", empty, empty, lambda _: "expected at least one step, received none")
    if options.missing == "reject":
        _refuse_missing_categories(chunk, columns, refusals)
    _refuse_bad_values(chunk, columns, options, refusals)
    _refuse_out_of_domain(chunk, columns, refusals)
    return refusals.part()


def _refuse_missing_categories(chunk: Chunk, columns: Columns, refusals: Refusals) -> None:
    for category in columns.categories:
        if category.is_text:
            steps = np.flatnonzero(chunk.values[category.name] == "")
            records, steps_in_record = _owners(chunk, steps)
            detail = functools.partial(_missing_text, category.name)
            refusals.add("null", records, steps_in_record, detail)


def _missing_text(name: str, step: int) -> str:
    return f"feature {name!r}, step {step}: expected text, received none"


def _refuse_bad_values(
    chunk: Chunk, columns: Columns, options: StepOptions, refusals: Refusals
) -> None:
    bad_steps: list[np.ndarray] = []
    for feature in columns.features:
        # A number that overflows float32 becomes Inf here and is refused, on purpose.
        with np.errstate(over="ignore"):
            single = chunk.values[feature.name].astype(np.float32)
        bad = ~np.isfinite(single)
        if bad.any() and feature.allow_missing and options.missing == "schema":
            bad &= ~np.isnan(single)
        bad_steps.append(np.flatnonzero(bad))
    steps = np.concatenate([np.zeros(0, np.int64), *bad_steps])
    feature_of = np.repeat(np.arange(len(bad_steps)), [len(bad) for bad in bad_steps])
    order = np.argsort(steps, kind="stable")
    steps, feature_of = steps[order], feature_of[order]
    records, steps_in_record = _owners(chunk, steps)

    def detail(place: int) -> str:
        name = columns.features[feature_of[place]].name
        return (
            f"feature {name!r}, step {steps_in_record[place]}: "
            f"expected a finite float32, received {float(chunk.values[name][steps[place]])}"
        )

    refusals.add("non_finite", records, np.arange(len(steps)), detail)


def _refuse_out_of_domain(chunk: Chunk, columns: Columns, refusals: Refusals) -> None:
    for feature in columns.features:
        if feature.transform == NONE:
            continue
        values = chunk.values[feature.name]
        with np.errstate(over="ignore"):  # What becomes Inf was refused above.
            steps = np.flatnonzero(values.astype(np.float32) < LEAST[feature.transform])
        records, steps_in_record = _owners(chunk, steps)
        detail = functools.partial(_out_of_domain, feature, steps_in_record, values[steps])
        refusals.add("out_of_domain", records, np.arange(len(steps)), detail)


def _out_of_domain(feature: Feature, steps: np.ndarray, received: np.ndarray, place: int) -> str:
    return (
        f"feature {feature.name!r}, step {steps[place]}: expected a number above 0, of which there "
        f"is a {feature.transform}, received {float(received[place])}"
    )


def _owners(chunk: Chunk, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the record that each of some flat steps belongs to, and the step's place in it."""
    ends = np.cumsum(chunk.length)
    records = np.searchsorted(ends, steps, side="right")
    return records, steps - (ends - chunk.length)[records]


def check_nulls(columns: Columns, features: Mapping[str, Collection[Any]]) -> None:
    """Reject a null cell in a feature that the schema does not let be missing.

    Raises:
      RejectedRecord: `null`.
    """
    for feature in columns.features:
        column = features.get(feature.name)
        if not feature.allow_missing and isinstance(column, list) and None in column:
            raise RejectedRecord(
                "null",
                f"feature {feature.name!r}, step {column.index(None)}: "
                "expected a number, received null",
            )


def remedies(details: Iterable[str]) -> Iterator[str]:
    """Yield what would take records that lack a number, or have one without a transform."""
    details = list(details)
    lacking = (matched[1] for matched in map(_LACKING.search, details) if matched)
    for feature in dict.fromkeys(lacking):
        yield (
            f"{feature} may not be missing: `missing = true` in its line of [features], or "
            "a schema without disallow_nan, takes such records; `ragline init` writes so where "
            "it sees a cell without a value"
        )
    outside = (matched[1] for matched in map(_OUTSIDE.search, details) if matched)
    for feature in dict.fromkeys(outside):
        yield f'{feature} is not above 0 throughout: transform = "signed_log" takes any number'


def check_length(stated: Any, steps: int) -> None:
    """Compare a length that a record states with the steps that it has.

    Raises:
      RejectedRecord: `length_mismatch`.
    """
    if stated is not None and (type(stated) is not int or stated != steps):
        raise RejectedRecord(
            "length_mismatch", f"{LENGTH}: expected {steps}, received {described(stated)}"
        )


def context_of(columns: Columns, record: Mapping[str, Any]) -> dict[str, ContextValue]:
    """Return the context columns that a decoded record has; null means absent.

    A boolean in a column of text is the word `true` or `false`.

    Raises:
      RejectedRecord: `type`, `encoding`, `int_overflow`, `number_format`, `non_finite`.
    """
    context: dict[str, ContextValue] = {}
    for name, kind in columns.context.items():
        value: Any = record.get(name)
        if value is None:
            continue
        if type(value) is bool and kinds.is_text(kind):
            value = "true" if value else "false"
        allowed = kinds.pick(kind, text=(str,), integer=(int,), number=(int, float))
        if type(value) not in allowed:
            raise RejectedRecord(
                "type", f"column {name!r}: expected {kind}, received {described(value)}"
            )
        if kinds.is_text(kind):
            value = _utf8(name, value)
        if kinds.is_integer(kind) and not _INT64.min <= value <= _INT64.max:
            raise RejectedRecord(
                "int_overflow", f"column {name!r}: expected an int64, received {described(value)}"
            )
        if kinds.is_number(kind):
            try:
                with np.errstate(over="ignore"):
                    value = float(np.float32(value))
            except OverflowError as error:  # An integer that float64 cannot hold.
                raise RejectedRecord("number_format", f"column {name!r}: {error}") from error
            if not np.isfinite(value):
                raise RejectedRecord("non_finite", f"column {name!r}: expected a finite float32")
        context[name] = value
    return context


def identifier(name: str, value: Any) -> str | None:
    """Return an id of a decoded record as text, 7.0 as 7; None where it is null or absent.

    Raises:
      RejectedRecord: `type`, `encoding`.
    """
    if value is None:
        return None
    if type(value) is int:
        return str(value)
    if type(value) is float and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if type(value) is not str or not value:
        raise RejectedRecord(
            "type", f"{name}: expected text or an integer, received {described(value)}"
        )
    return _utf8(name, value)


def utf8(text: bytes) -> str:
    """Decode text, or reject it: `encoding`."""
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"expected UTF-8: {error.reason} at byte {error.start}"
        raise RejectedRecord("encoding", what) from error


def _utf8(name: str, value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:  # A lone surrogate, which JSON can spell.
        raise RejectedRecord("encoding", f"{name}: expected UTF-8: {error.reason}") from error
    return value


def described(value: Any) -> str:
    """Describe a decoded value and its type, for a detail."""
    # A list in lists, a thousand deep, is more than str can show.
    shown = reprlib.repr(value) if isinstance(value, list | dict) else str(value)
    return f"{type(value).__name__} {shown[:40]!r}"
