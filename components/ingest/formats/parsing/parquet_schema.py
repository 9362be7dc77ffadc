"""Tell what the columns of a Parquet file mean, and whether they can hold it."""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.types as pt

from ragline.components.contract import kinds
from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.parsing import table
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import File

_Test = tuple[str, Callable[[pa.DataType], bool]]


def is_list(kind: pa.DataType) -> bool:
    """Return whether a column's cells are lists, of any of Arrow's kinds that Parquet has."""
    return bool(pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind))


def steps_column(schema: pa.Schema, columns: Columns, options: InputOptions) -> str | None:
    """Return the column of lists of structs that have a field a feature, if there is one."""
    if options.group_by or any(name in schema.names for name in columns.names):
        return None
    for field in schema:
        if is_list(field.type) and pt.is_struct(field.type.value_type):
            fields = {inner.name for inner in field.type.value_type}
            if not fields.isdisjoint(columns.names):
                return str(field.name)
    return None


def layout(schema: pa.Schema, file: File, columns: Columns, options: InputOptions) -> Layout:
    """Return the meaning of a file's columns, and of the fields of its steps' structs.

    Raises:
      BadDataError: `bad_header`, `missing_column`.
    """
    names = list(schema.names)
    if steps := steps_column(schema, columns, options):
        names += [field.name for field in schema.field(steps).type.value_type]
    read = table.layout(names, columns, options, file.path)
    if twice := [name for name in read.all if names.count(name) > 1]:
        raise BadDataError("bad_header", f"{file.path}: the column {twice[0]!r} stands there twice")
    return read


def check_types(schema: pa.Schema, read: Layout, steps: str | None, file: File) -> None:
    """Check that every column that is read can hold what it must.

    Raises:
      BadDataError: `type`.
    """
    kinds = {field.name: field.type for field in schema}
    if steps:
        kinds |= {inner.name: pa.list_(inner.type) for inner in schema.field(steps).type.value_type}
    nested = not read.group_by
    for name, (expected, fits) in _tests(read).items():
        cell = kind = kinds[name]
        hint = ""
        if nested and name in read.steps:
            expected = f"lists of {expected}"
            cell = kind.value_type if is_list(kind) else None
            hint = "" if cell else "; rows that are steps need input.group_by"
        elif is_list(kind) and read.group_by:
            hint = "; lists of steps need no input.group_by"
        if cell is not None and pt.is_dictionary(cell):
            cell = cell.value_type
        if cell is None or not (pt.is_null(cell) or fits(cell)):
            raise BadDataError(
                "type", f"{file.path}: column {name!r}: expected {expected}, received {kind}{hint}"
            )


def _tests(read: Layout) -> Mapping[str, _Test]:
    """Return column -> what it must hold."""
    tests = {name: _NAMES for name in (*read.ids, read.sequence) if name}
    tests |= {name: _of_context(read.columns.context[name]) for name in read.context}
    if read.variable and read.value:
        tests |= {read.variable: _WORDS, read.value: _ANY}
    else:
        tests |= dict.fromkeys(read.features, _NUMBERS)
    for category in () if read.variable else read.columns.categories:
        tests[category.name] = category.pick(words=_WORDS, ids=_INTEGERS)
    tests |= dict.fromkeys((name for name in (read.date, read.time) if name), _TIMES)
    if read.length:
        tests[read.length] = _INTEGERS
    return tests


def _any_of(*tests: Callable[[pa.DataType], bool]) -> Callable[[pa.DataType], bool]:
    return lambda kind: any(test(kind) for test in tests)


_STRING = (pt.is_string, pt.is_large_string)
_TEXT = (*_STRING, pt.is_binary, pt.is_large_binary)
_INTEGERS: _Test = ("integers", pt.is_integer)
_NUMBERS: _Test = (
    "numbers",
    _any_of(pt.is_integer, pt.is_floating, pt.is_decimal, pt.is_duration, pt.is_time),
)
_WORDS: _Test = ("text or integers", _any_of(*_TEXT, pt.is_integer))
_NAMES: _Test = (
    "text, integers or dates",
    _any_of(*_TEXT, pt.is_integer, pt.is_floating, pt.is_date, pt.is_timestamp),
)
_ANY: _Test = ("numbers or text", _any_of(*_TEXT, pt.is_integer, pt.is_floating, pt.is_decimal))
_TIMES: _Test = (
    "timestamps, dates, numbers or text",
    _any_of(
        *_STRING, pt.is_timestamp, pt.is_date, pt.is_integer, pt.is_floating, pt.is_duration,
        pt.is_time,
    ),
)  # fmt: skip


def _of_context(kind: str) -> _Test:
    text = ("text or booleans", _any_of(*_TEXT, pt.is_boolean))
    number = ("numbers", _any_of(pt.is_integer, pt.is_floating))
    return kinds.pick(kind, text=text, integer=_INTEGERS, number=number)
