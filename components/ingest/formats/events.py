"""JSON Lines of which a line is a step: decoded objects -> `Rows`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import Columns
from ragline.components.ingest.formats import objects
from ragline.components.ingest.formats.parsing import table
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Piece, QuarantineLine, Rows, shown
from ragline.components.ingest.source import raw_files

_BLOCK = 1 << 22
_TYPES = {"bytes": pa.string(), "int": pa.int64(), "float": pa.float64()}


def rows(
    piece: Piece, columns: Columns, options: InputOptions, decode: Callable[[bytes], Any]
) -> Iterator[Rows]:
    """The lines of a piece; blank ones are none.

    Args:
      piece: a piece of the file.
      columns: the columns of the schema.
      options: the options of the input.
      decode: a line -> what it spells; raises RejectedRecord.
    """
    known = (*table.wanted(columns, options), *columns.context)
    layout = table.layout(known, columns, options, piece.file.path)
    found = 0
    for first, lines in raw_files.line_blocks(piece, _BLOCK):
        part = _rows_of(first, lines, piece, layout, decode)
        found += len(part) + len(part.rejected)
        yield part
    if not found and piece.start == 0:
        yield from table.empty_file(piece.file, layout, piece.first)


def _rows_of(
    first: int,
    lines: Sequence[bytes],
    piece: Piece,
    layout: Layout,
    decode: Callable[[bytes], Any],
) -> Rows:
    numbers: list[int] = []
    records: list[Mapping[str, Any]] = []
    lines_of: list[bytes] = []
    unread: list[QuarantineLine] = []
    for number, line in enumerate(lines, start=first):
        if not (text := line.strip(b"\r\n \t")):
            continue
        try:
            value = decode(text)
            if not isinstance(value, dict):
                raise RejectedRecord(
                    "json", f"expected a JSON object, received {type(value).__name__}"
                )
        except RejectedRecord as reject:
            unread.append(
                QuarantineLine(
                    number=number,
                    code=reject.code,
                    detail=reject.detail,
                    sequence_id=None,
                    text=shown(text),
                )
            )
            continue
        if layout.variable and str(objects.at(value, layout.variable)) not in layout.measured:
            continue
        numbers.append(number)
        records.append(value)
        lines_of.append(text)
    faults = Faults(records=len(records))
    cells = {
        name: _column(name, [objects.at(record, name) for record in records], layout, faults)
        for name in layout.all
    }
    columns, _ = table.measured(cells, layout)
    found = table.rows_of(
        number=np.array(numbers, np.int64),
        ids=table.ids_of(columns, layout, faults, piece.file),
        steps=columns,
        time=table.time_of(columns, layout),
        context=columns,
        file=piece.file,
        layout=layout,
        faults=faults,
        texts=lambda places: [shown(lines_of[place]) for place in places.tolist()],
    )
    rejected = sorted([*found.rejected, *unread], key=lambda row: row.number)
    return replace(found, rejected=tuple(rejected))


def _column(name: str, values: Sequence[Any], layout: Layout, faults: Faults) -> pa.Array:
    """Decoded values as cells of the type that their column needs; others are faults, and null."""
    kind, convert = _kind_of(name, values, layout)
    cells: list[Any] = [None] * len(values)
    rejects: dict[int, RejectedRecord] = {}
    for place, value in enumerate(values):
        if value is not None:
            try:
                cells[place] = convert(value)
            except RejectedRecord as reject:
                rejects[place] = reject
    if rejects:
        bad = np.zeros(len(values), bool)
        bad[list(rejects)] = True
        faults.add(bad, lambda place, _: rejects[place])
    return pa.array(cells, kind)


def _kind_of(
    name: str, values: Sequence[Any], layout: Layout
) -> tuple[pa.DataType, Callable[[Any], Any]]:
    kinds = {type(value) for value in values if value is not None}
    codes = [category.name for category in layout.columns.categories if category.kind == "int"]
    if name in layout.context:
        context = layout.columns.context[name]
        return _TYPES[context], lambda value: checks.context_of(layout.columns, {name: value})[name]
    if name in (layout.time, layout.date):
        if kinds <= {int}:
            return pa.int64(), lambda value: _integer(name, value)
        if kinds <= {int, float}:
            return pa.float64(), lambda value: _number(name, value)
        return pa.string(), lambda value: _text(name, value)
    if name == layout.value:
        if kinds <= {int, float}:
            return pa.float64(), lambda value: _number(name, value)
        return pa.string(), lambda value: value if isinstance(value, str) else json.dumps(value)
    if name in codes:
        return pa.int64(), lambda value: _integer(name, value)
    if name in layout.features:
        return pa.float64(), lambda value: _number(name, value)
    return pa.string(), lambda value: "" if value == "" else checks.identifier(name, value)


def _number(name: str, value: Any) -> float:
    if type(value) not in (int, float):
        described = checks.described(value)
        raise RejectedRecord("type", f"feature {name!r}: expected a number, received {described}")
    try:
        return float(value)
    except OverflowError as error:
        raise RejectedRecord("number_format", f"feature {name!r}: {error}") from error


def _integer(name: str, value: Any) -> int:
    if type(value) is not int:
        raise RejectedRecord(
            "type", f"{name!r}: expected an integer, received {checks.described(value)}"
        )
    if not -(2**63) <= value < 2**63:
        raise RejectedRecord(
            "int_overflow", f"{name!r}: expected an int64, received {str(value)[:40]}"
        )
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise RejectedRecord("type", f"{name!r}: expected text, received {checks.described(value)}")
    return checks.identifier(name, value) or ""
