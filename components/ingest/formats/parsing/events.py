"""Convert decoded objects, of JSON or of a format like it, to Rows: each object is a step."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from ragline.components.contract import kinds
from ragline.components.contract.columns import ENTITY_ID, Columns
from ragline.components.ingest.formats.parsing import cells, objects, table
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.formats.parsing.objects import Decoded
from ragline.components.ingest.formats.parsing.table import Ids, Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Piece, QuarantineLine, Rows

# Bytes of a file that become one Rows.
BLOCK = 1 << 22
_BLOCK_ROWS = 1 << 13


def rows(
    piece: Piece,
    columns: Columns,
    options: InputOptions,
    blocks: Iterable[Sequence[Decoded]],
    *,
    is_whole: Callable[[], bool],
) -> Iterator[Rows]:
    """Convert the objects of a piece to Rows, each block to one.

    Args:
      piece: a piece of a file.
      columns: the columns of the schema.
      options: the options of the input.
      blocks: the objects, in order, some at a time.
      is_whole: returns whether there are objects in no other piece; asked of one without any.
    """
    known = (*table.wanted(columns, options), *columns.context)
    layout = table.layout(known, columns, options, piece.file.path)
    may_state_entity = options.entity is None and ENTITY_ID not in known
    count = 0
    for block in blocks:
        part = _rows_of(block, piece, layout, may_state_entity)
        count += len(part) + len(part.rejected)
        yield part
    if not count and is_whole():
        yield from table.empty_file(piece.file, layout, piece.first)


def in_blocks(decoded: Iterable[Decoded]) -> Iterator[list[Decoded]]:
    """Yield objects some at a time, for `rows`."""
    remaining = iter(decoded)
    while block := list(itertools.islice(remaining, _BLOCK_ROWS)):
        yield block


def _rows_of(
    block: Sequence[Decoded], piece: Piece, layout: Layout, may_state_entity: bool
) -> Rows:
    numbers: list[int] = []
    records: list[Mapping[str, Any]] = []
    texts: list[bytes | None] = []
    unread: list[QuarantineLine] = []
    for number, value, text in block:
        reject = value if isinstance(value, RejectedRecord) else None
        if not reject and not isinstance(value, dict):
            received = type(value).__name__
            reject = RejectedRecord("json", f"expected a JSON object, received {received}")
        if reject:
            unread.append(objects.rejected(number, reject, value, text))
            continue
        if layout.variable and str(objects.at(value, layout.variable)) not in layout.measured:
            continue
        numbers.append(number)
        records.append(value)
        texts.append(text)
    faults = Faults(records=len(records))
    read = {
        name: _column(name, [objects.at(record, name) for record in records], layout, faults)
        for name in layout.all
    }
    columns, _ = table.measured(read, layout)
    ids = table.ids_of(columns, layout, faults, piece.file)
    if may_state_entity:
        ids = _with_entities(ids, [objects.at(record, ENTITY_ID) for record in records], faults)
    part = table.rows_of(
        number=np.array(numbers, np.int64),
        ids=ids,
        steps=columns,
        time=table.time_of(columns, layout),
        context=columns,
        file=piece.file,
        layout=layout,
        faults=faults,
        texts=lambda places: [
            objects.show(records[place], texts[place]) for place in places.tolist()
        ],
    )
    rejected = sorted([*part.rejected, *unread], key=lambda row: row.number)
    return replace(part, rejected=tuple(rejected))


def _with_entities(ids: Ids, stated: Sequence[Any], faults: Faults) -> Ids:
    """Return the ids with the entities that objects state, though no option names them.

    Only objects that have been read say whether they do; the other ones keep theirs.
    """
    if all(value is None for value in stated):
        return ids
    column = _cells(stated, pa.string(), lambda value: _id(ENTITY_ID, value), faults)
    entities = cells.identifiers(ENTITY_ID, column, faults, required=False)
    own = np.full(len(stated), None, object) if ids.entity is None else ids.entity
    return Ids(ids.sequence, np.where(entities.absent, own, entities.cells))


def _column(name: str, values: Sequence[Any], layout: Layout, faults: Faults) -> pa.Array:
    """Convert decoded values to the type that their column needs; others are faults, and null."""
    return _cells(values, *_kind_of(name, values, layout), faults)


def _cells(
    values: Sequence[Any], kind: pa.DataType, convert: Callable[[Any], Any], faults: Faults
) -> pa.Array:
    converted: list[Any] = [None] * len(values)
    rejects: dict[int, RejectedRecord] = {}
    for place, value in enumerate(values):
        if value is not None:
            try:
                converted[place] = convert(value)
            except RejectedRecord as reject:
                rejects[place] = reject
    if rejects:
        bad = np.zeros(len(values), bool)
        bad[list(rejects)] = True
        faults.add(bad, lambda place, _: rejects[place])
    return pa.array(converted, kind)


def _kind_of(
    name: str, values: Sequence[Any], layout: Layout
) -> tuple[pa.DataType, Callable[[Any], Any]]:
    received = {type(value) for value in values if value is not None}
    codes = [category.name for category in layout.columns.categories if not category.is_text]
    if name in layout.context:
        of_cells = kinds.pick(
            layout.columns.context[name],
            text=pa.string(),
            integer=pa.int64(),
            number=pa.float64(),
        )
        return of_cells, lambda value: checks.context_of(layout.columns, {name: value})[name]
    if name in (layout.time, layout.date):
        if received <= {int}:
            return pa.int64(), lambda value: _integer(name, value)
        if received <= {int, float}:
            return pa.float64(), lambda value: _number(name, value)
        return pa.string(), lambda value: _text(name, value)
    if name == layout.value:
        if received <= {int, float}:
            return pa.float64(), lambda value: _number(name, value)
        return pa.string(), lambda value: value if isinstance(value, str) else json.dumps(value)
    if name in codes:
        return pa.int64(), lambda value: _integer(name, value)
    if name in layout.features:
        return pa.float64(), lambda value: _number(name, value)
    return pa.string(), lambda value: _id(name, value)


def _id(name: str, value: Any) -> str | None:
    return "" if value == "" else checks.identifier(name, value)


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
