"""Convert decoded objects, of JSON or of a format like it, to sequences.

A column of the steps is a list in `features`, a value in each of the `steps` (or of another list of
objects), or else a list in the object itself. What is nested is named by its path, as in `flat`.
"""

import array
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns
from ragline.components.ingest.options import SEQUENCE, InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import (
    SHOWN_CHARACTERS,
    Part,
    Piece,
    QuarantineLine,
    Record,
    of_records,
    shown,
)
from ragline.components.ingest.source import raw_files
from ragline.components.ingest.steps import times

_FEATURES = "features"
_STEPS = "steps"
_CHUNK_STEPS = 1 << 16

# An object's number in its file; the object, or why it cannot be decoded; its text, if it has one.
Decoded = tuple[int, Any, bytes | None]


def flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (path, value) of all that is no object: `bp.sys` of `{"bp": {"sys": 120}}`."""
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def at(record: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path, whose keys may have points themselves; None if there is none."""
    if path in record:
        return record[path]
    key, point, rest = path.partition(".")
    while point:
        inner = record.get(key)
        if isinstance(inner, dict) and (value := at(inner, rest)) is not None:
            return value
        further, point, rest = rest.partition(".")
        key = f"{key}.{further}"
    return None


def list_of_steps(value: Any) -> bool:
    """Return whether a value is a list of objects, each a step."""
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def from_lines(
    piece: Piece, decode: Callable[[bytes], Any], comment: bytes = b"\n"
) -> Iterator[Decoded]:
    """Yield the decoded lines of a piece, with their text; blank ones and comments left out."""
    for number, text in raw_files.records(piece):
        if not text.startswith(comment):
            try:
                yield number, decode(text), text
            except RejectedRecord as reject:
                yield number, reject, text


def show(value: Any, text: bytes | None) -> str:
    """Return an object for the quarantine: its text, or else JSON."""
    if text is None:
        text = json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")
    return shown(text)


def results_of(
    decoded: Iterable[Decoded], columns: Columns, options: InputOptions
) -> Iterator[Record | QuarantineLine]:
    """Convert each decoded object to a sequence, or say why it is none."""
    for number, value, text in decoded:
        stated: list[str | None] = [None]
        try:
            if isinstance(value, RejectedRecord):
                raise value
            result: Record | QuarantineLine = record_of(
                value, number, columns, options, stated=stated, typed=True, text=text
            )
        except RejectedRecord as reject:
            result = rejected(number, reject, value, text, stated[0])
        yield result


def rejected(
    number: int,
    reject: RejectedRecord,
    value: Any,
    text: bytes | None,
    sequence_id: str | None = None,
) -> QuarantineLine:
    """Return the line of the quarantine for an object."""
    return QuarantineLine(
        number=number,
        code=reject.code,
        detail=reject.detail,
        sequence_id=sequence_id,
        text=show(value, text),
    )


def parts_of(results: Iterable[Record | QuarantineLine], columns: Columns) -> Iterator[Part]:
    """Gather sequences and rejected records, in order, into Parts of about 65,536 steps."""
    records: list[Record] = []
    lines: list[QuarantineLine] = []
    steps = 0
    for result in results:
        if isinstance(result, QuarantineLine):
            lines.append(result)
        else:
            records.append(result)
            steps += result.length
        if steps >= _CHUNK_STEPS or len(lines) >= _CHUNK_STEPS:
            yield Part(chunk=of_records(records, columns), rejected=tuple(lines))
            records, lines, steps = [], [], 0
    if records or lines:
        yield Part(chunk=of_records(records, columns), rejected=tuple(lines))


def record_of(
    value: Any,
    number: int,
    columns: Columns,
    options: InputOptions,
    *,
    stated: list[str | None],
    typed: bool,
    text: bytes | None = None,
) -> Record:
    """Convert a decoded object to a sequence, not yet checked beyond its types.

    Args:
      value: the object.
      number: the record's place in its file, from 1.
      columns: the columns of the schema.
      options: the options of the input.
      stated: gets the id that the object states as its one element, also if it is rejected.
      typed: whether truth values may be among the numbers.
      text: the record as it stood in the file, if it is text.

    Raises:
      RejectedRecord: the object is no sequence of the schema.
    """
    if value is None:
        raise RejectedRecord("null", "expected a JSON object, received null")
    if not isinstance(value, dict):
        raise RejectedRecord("json", f"expected a JSON object, received {type(value).__name__}")
    stated[0] = checks.identifier(options.id or SEQUENCE_ID, at(value, options.id or SEQUENCE_ID))
    lists = _lists_of(value, columns, options)
    values = dict(_columns_of(lists, columns, typed))
    length = checks.steps_of(columns, {name: len(column) for name, column in values.items()})
    time = None if options.order_by is None else _times(lists, options.order_by, options.times)
    if time is not None and len(time) != length:
        raise RejectedRecord(
            "ragged",
            f"{options.order_by!r}: expected {length} times, as there are steps, "
            f"received {len(time)}",
        )
    checks.check_length(value.get(LENGTH), length)
    return Record(
        number=number,
        sequence_id=stated[0],
        entity_id=_entity_of(value, options),
        length=length,
        values=values,
        time=time,
        context=checks.context_of(columns, _Paths(value)),
        text=None if text is None else text[: 4 * SHOWN_CHARACTERS],
    )


def _entity_of(record: Mapping[str, Any], options: InputOptions) -> str | None:
    stated = options.entity
    if stated == SEQUENCE or stated in options.fields:
        return None
    name = stated or ENTITY_ID
    entity = checks.identifier(name, at(record, name))
    if entity is None and stated is not None:
        code = "null" if name in record else "missing_column"
        raise RejectedRecord(code, f"{name}: expected text or an integer, received none")
    return entity


def _lists_of(
    record: Mapping[str, Any], columns: Columns, options: InputOptions
) -> Mapping[str, Any]:
    """Return column -> its list, wherever the record keeps them."""
    names = {*columns.names, *(category.name for category in columns.categories), options.order_by}
    if _FEATURES in record and _FEATURES not in names:
        lists = record[_FEATURES]
        if lists is None:
            raise RejectedRecord(
                "null", f"{_FEATURES!r}: expected an object of lists, received null"
            )
        if not isinstance(lists, dict):
            raise RejectedRecord("type", f"{_FEATURES!r}: expected an object of lists")
        return _Paths(lists, record)
    if _STEPS in record and _STEPS not in names:
        return _Steps(_checked_steps(record[_STEPS]), record)
    for value in record.values():
        if list_of_steps(value):
            return _Steps(value, record)
    return _Paths(record)


def _checked_steps(steps: Any) -> list[dict[str, Any]]:
    if steps is None:
        raise RejectedRecord("null", f"{_STEPS!r}: expected a list of objects, received null")
    if not isinstance(steps, list):
        raise RejectedRecord("type", f"{_STEPS!r}: expected a list of objects")
    for place, step in enumerate(steps):
        if not isinstance(step, dict):
            code = "null" if step is None else "type"
            raise RejectedRecord(
                code, f"step {place}: expected an object, received {type(step).__name__}"
            )
    return steps


class _Paths(Mapping[str, Any]):
    """Takes a path for a key of an object, or for that of a list in another one."""

    def __init__(self, record: Mapping[str, Any], other: Mapping[str, Any] | None = None) -> None:
        self._record, self._other = record, other or {}

    def __getitem__(self, name: str) -> Any:
        if name in self._record:
            return self._record[name]
        if "." in name and (value := at(self._record, name)) is not None:
            return value
        if isinstance(column := at(self._other, name), list):
            return column
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._record)

    def __len__(self) -> int:
        return len(self._record)


class _Steps(Mapping[str, Any]):
    """Shows a list of steps as lists of columns, beside the lists that their record has itself."""

    def __init__(self, steps: list[dict[str, Any]], record: Mapping[str, Any]) -> None:
        self._steps, self._record = steps, record

    def __getitem__(self, name: str) -> list[Any]:
        if isinstance(column := at(self._record, name), list):
            return column
        try:
            return [step[name] for step in self._steps]
        except KeyError:
            values = [at(step, name) for step in self._steps] if "." in name else []
            if any(value is not None for value in values):
                return values
            place = next(i for i, step in enumerate(self._steps) if name not in step)
            raise RejectedRecord(
                "missing_column", f"step {place}: expected {name!r}, received none"
            ) from None

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter({name: None for step in self._steps for name in step})

    def __len__(self) -> int:
        return sum(1 for _ in self)


def _columns_of(
    lists: Mapping[str, Any], columns: Columns, typed: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the features and categories that are there; `typed` looks at each number's type."""
    for feature in columns.features:
        name = feature.name
        if name in lists:
            column = lists[name]
            try:
                if typed or type(column) is not list:
                    raise TypeError
                yield name, np.frombuffer(array.array("d", column))
            except (TypeError, OverflowError):
                checks.check_nulls(columns, {name: column})
                yield name, checks.numbers_of(name, column)
    for category in columns.categories:
        name = category.name
        if name in lists:
            column = _list_of(f"category {name!r}", lists[name])
            yield name, category.pick(words=_words, ids=_codes)(name, column)


def _list_of(what: str, column: Any) -> list[Any]:
    if column is None:
        raise RejectedRecord("null", f"{what}: expected a list, received null")
    if not isinstance(column, list):
        raise RejectedRecord(
            "type", f"{what}: expected a list, received {checks.described(column)}"
        )
    return column


def _words(name: str, column: list[Any]) -> np.ndarray:
    words = np.empty(len(column), object)
    words[:] = [
        "" if word is None or word == "" else checks.identifier(f"category {name!r}", word)
        for word in column
    ]
    return words


def _codes(name: str, column: list[Any]) -> np.ndarray:
    for step, code in enumerate(column):
        if type(code) is not int:
            wrong = "null" if code is None else "type"
            what = f"category {name!r}, step {step}"
            raise RejectedRecord(
                wrong, f"{what}: expected an integer, received {checks.described(code)}"
            )
    return _int64(f"category {name!r}", column)


def _int64(what: str, column: list[int]) -> np.ndarray:
    try:
        return np.array(column, np.int64)
    except OverflowError as error:
        raise RejectedRecord("int_overflow", f"{what}: expected int64: {error}") from error


def _times(lists: Mapping[str, Any], name: str, spelling: times.Spelling) -> np.ndarray:
    """Return int64 [T] nanoseconds of numbers in a unit, or of ISO 8601 texts."""
    what = f"time {name!r}"
    if name not in lists:
        raise RejectedRecord("missing_column", f"{what}: expected a list, received none")
    column = _list_of(what, lists[name])
    kinds = set(map(type, column))
    unit = spelling.unit
    if spelling.format and kinds <= {int}:
        column, kinds = [str(value) for value in column], {str}
    if type(None) in kinds:
        step = column.index(None)
        raise RejectedRecord("null", f"{what}, step {step}: expected a time, received null")
    if kinds <= {int}:
        nanoseconds, bad = times.from_numbers(_int64(what, column), unit)
        code = "int_overflow"
    elif kinds <= {int, float}:
        numbers = checks.numbers_of(name, column)
        if np.isnan(numbers).any():
            step = int(np.isnan(numbers).argmax())
            raise RejectedRecord("null", f"{what}, step {step}: expected a time, received NaN")
        nanoseconds, bad = times.from_numbers(numbers, unit)
        code = "int_overflow"
    elif kinds == {str}:
        nanoseconds, bad = times.from_text(_encodable(what, column), spelling)
        code = "number_format"
    else:
        raise RejectedRecord(
            "type", f"{what}: expected numbers, or texts, received both or neither"
        )
    if bad.any():
        step = int(bad.argmax())
        text = f"a time as {spelling.format}" if spelling.format else "an ISO 8601 time"
        expected = text if code == "number_format" else "int64 nanoseconds"
        received = checks.described(column[step])
        raise RejectedRecord(code, f"{what}, step {step}: expected {expected}, received {received}")
    return nanoseconds


def _encodable(what: str, texts: list[str]) -> list[str]:
    return [checks.identifier(what, text) or "" if text else text for text in texts]
