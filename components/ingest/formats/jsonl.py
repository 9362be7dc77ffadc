"""JSON Lines, one sequence a line.

    {"sequence_id": "a1", "entity_id": "b", "features": {"ax": [0.1, null], ...}, "label": "x"}
    {"sequence_id": "a1", "steps": [{"ax": 0.1, "ay": 2.0}, ...], "label": "x"}
    {"sequence_id": "a1", "ax": [0.1, null], ..., "label": "x"}

The columns of the steps, categories and times among them, are lists in `features`, or values in
each of the `steps` (or of another list of objects), or lists in the record itself. A column in an
object in these is called by its path: `bp.sys`. With `input.group_by` a line is a step (`events`).
`sequence_id` defaults to file:line. A null
inside a list is a missing value where the schema allows one. `length` may be stated and is then
checked. Keys that the schema does not name are not read.

orjson reads a line 10 times as fast as the standard library's json, which has the last word on
what is refused: it also takes NaN, and integers of any size as such. (pyarrow.json is slower than
orjson, and dies by a signal of a line that is `null`.)
"""

import array
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns
from ragline.components.ingest.formats import events, objects
from ragline.components.ingest.options import SEQUENCE, InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import (
    SHOWN_CHARACTERS,
    File,
    Part,
    Piece,
    QuarantineLine,
    Record,
    Rows,
    of_records,
    shown,
)
from ragline.components.ingest.source import raw_files
from ragline.components.ingest.steps import times

_FEATURES = "features"
_STEPS = "steps"
_CHUNK_STEPS = 1 << 16


def pieces(file: File, columns: Columns, options: InputOptions, piece_bytes: int) -> list[Piece]:
    """Ranges of whole lines; a compressed file is one piece.

    Raises:
      BadDataError: `unreadable`.
    """
    return raw_files.line_pieces(file, piece_bytes)


def read(piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
    """The lines of a piece; blank ones are none.

    Raises:
      BadDataError: `unreadable` or `zip_bomb`.
    """
    records: list[Record] = []
    rejected: list[QuarantineLine] = []
    steps = 0

    def part() -> Part:
        return Part(chunk=of_records(records, columns), rejected=tuple(rejected))

    for first, lines in raw_files.line_blocks(piece):
        for number, line in enumerate(lines, start=first):
            text = line.strip(b"\r\n \t")
            if not text:
                continue
            found = parse(text, number, columns, options)
            if isinstance(found, Record):
                records.append(found)
                steps += found.length
            else:
                rejected.append(found)
            if steps >= _CHUNK_STEPS or len(rejected) >= _CHUNK_STEPS:
                yield part()
                records, rejected, steps = [], [], 0
    if records or rejected:
        yield part()


def rows(piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
    """The lines of a piece, each a step.

    Raises:
      BadDataError: `unreadable` or `zip_bomb`.
    """
    return events.rows(piece, columns, options, decoded)


def parse(
    text: bytes, number: int, columns: Columns, options: InputOptions
) -> Record | QuarantineLine:
    """One line -> one sequence, not yet checked beyond its types; or why it is none."""
    for decode in (_decoded, _decoded_exactly):
        stated: list[str | None] = [None]
        try:
            return _record(decode(text), text, number, columns, options, stated)
        except RejectedRecord as found:
            reject = found
    return QuarantineLine(
        number=number,
        code=reject.code,
        detail=reject.detail,
        sequence_id=stated[0],
        text=shown(text),
    )


def _record(
    value: Any,
    text: bytes,
    number: int,
    columns: Columns,
    options: InputOptions,
    stated: list[str | None],
) -> Record:
    """A decoded line -> a sequence; `stated` gets its id, also if it is rejected."""
    if value is None:
        raise RejectedRecord("null", "expected a JSON object, received null")
    if not isinstance(value, dict):
        raise RejectedRecord("json", f"expected a JSON object, received {type(value).__name__}")
    stated[0] = checks.identifier(SEQUENCE_ID, value.get(SEQUENCE_ID))
    # Of what JSON can hold, array takes only these for numbers which are none.
    typed = b"true" in text or b"false" in text
    lists = _lists_of(value, columns, options)
    found = dict(_columns_of(lists, columns, typed))
    length = checks.steps_of(columns, {name: len(column) for name, column in found.items()})
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
        values=found,
        time=time,
        context=checks.context_of(columns, _Paths(value)),
        text=text[: 4 * SHOWN_CHARACTERS],
    )


def decoded(text: bytes) -> Any:
    """What a line spells.

    Raises:
      RejectedRecord: `json`, `encoding`, `number_format`.
    """
    try:
        return _decoded(text)
    except RejectedRecord:
        return _decoded_exactly(text)


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RejectedRecord("json", str(error)) from error


def _decoded_exactly(text: bytes) -> Any:
    try:
        return json.loads(text.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise RejectedRecord(
            "encoding", f"expected UTF-8: {error.reason} at byte {error.start}"
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise RejectedRecord("json", f"expected a JSON object: {error}") from error
    except ValueError as error:  # An integer of more digits than Python converts.
        raise RejectedRecord("number_format", str(error)) from error


def _entity_of(record: Mapping[str, Any], options: InputOptions) -> str | None:
    stated = options.entity
    if stated == SEQUENCE or stated in options.fields:
        return None
    name = stated or ENTITY_ID
    entity = checks.identifier(name, objects.at(record, name))
    if entity is None and stated is not None:
        code = "null" if name in record else "missing_column"
        raise RejectedRecord(code, f"{name}: expected text or an integer, received none")
    return entity


def _lists_of(
    record: Mapping[str, Any], columns: Columns, options: InputOptions
) -> Mapping[str, Any]:
    """Column -> its list, wherever the record keeps them."""
    names = {*columns.names, *(category.name for category in columns.categories), options.order_by}
    if _FEATURES in record and _FEATURES not in names:
        lists = record[_FEATURES]
        if lists is None:
            raise RejectedRecord(
                "null", f"{_FEATURES!r}: expected an object of lists, received null"
            )
        if not isinstance(lists, dict):
            raise RejectedRecord("type", f"{_FEATURES!r}: expected an object of lists")
        return _Paths(lists)
    if _STEPS in record and _STEPS not in names:
        return _Steps(_checked_steps(record[_STEPS]))
    paths = _Paths(record)
    if not any(isinstance(paths.get(name), list) for name in names if name):
        for value in record.values():
            if objects.list_of_steps(value):
                return _Steps(value)
    return paths


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
    """An object, in which a path is a key as well."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record = record

    def __getitem__(self, name: str) -> Any:
        if name in self._record:
            return self._record[name]
        value = objects.at(self._record, name) if "." in name else None
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._record)

    def __len__(self) -> int:
        return len(self._record)


class _Steps(Mapping[str, Any]):
    """A list of steps as lists of columns."""

    def __init__(self, steps: list[dict[str, Any]]) -> None:
        self._steps = steps

    def __getitem__(self, name: str) -> list[Any]:
        try:
            return [step[name] for step in self._steps]
        except KeyError:
            found = [objects.at(step, name) for step in self._steps] if "." in name else []
            if any(value is not None for value in found):
                return found
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
    """The features and categories that are there; `typed` looks at the type of every number."""
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
            yield name, _words(name, column) if category.kind == "bytes" else _codes(name, column)


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
    """int64 [T] nanoseconds: numbers in a unit, or ISO 8601 texts."""
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
        found, bad = times.from_numbers(_int64(what, column), unit)
        code = "int_overflow"
    elif kinds <= {int, float}:
        numbers = checks.numbers_of(name, column)
        if np.isnan(numbers).any():
            step = int(np.isnan(numbers).argmax())
            raise RejectedRecord("null", f"{what}, step {step}: expected a time, received NaN")
        found, bad = times.from_numbers(numbers, unit)
        code = "int_overflow"
    elif kinds == {str}:
        found, bad = times.from_text(_encodable(what, column), spelling)
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
    return found


def _encodable(what: str, texts: list[str]) -> list[str]:
    return [checks.identifier(what, text) or "" if text else text for text in texts]
