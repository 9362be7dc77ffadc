"""Convert records whose steps lie in flat columns to a Part, many at once."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns
from ragline.components.ingest.formats.parsing import cells, table
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Chunk, Part

# Of a Chunk: 131,072 steps of 12 features are 12 MB, and enough for Python's share to be small.
STEPS = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """Holds N records as columns of their own types.

    Attributes:
      number: int64 [N], as of a Chunk.
      length: int64 [N], steps of each.
      steps: column -> [sum T] cells, for all columns that hold a value a step.
      records: column -> [N] cells, for those that hold a value a record and are there.
    """

    number: np.ndarray
    length: np.ndarray
    steps: Mapping[str, pa.Array]
    records: Mapping[str, pa.Array]


def part(flat: Flat, read: Layout, rejects: Mapping[int, RejectedRecord] | None = None) -> Part:
    """Convert the columns; records with a bad cell are rejected.

    Args:
      flat: the records.
      read: the meaning of the columns.
      rejects: place -> why that record is rejected whatever its cells are.
    """
    count = len(flat.number)
    faults = Faults(records=count, rejects=dict(rejects or {}))
    of_steps = faults.of_steps(flat.length)

    def ids(name: str | None, required: bool) -> list[str | None]:
        if name is None or name not in flat.records:
            return [None] * count
        column = cells.identifiers(name, flat.records[name], faults, required)
        texts: list[str | None] = column.cells.tolist()
        return texts

    values = table.values_of(flat.steps, read, of_steps, int(flat.length.sum()))
    time = None
    if read.time:
        column = _as_text(flat.steps[read.time])
        time = cells.nanoseconds(read.time, column, read.times, of_steps)
    chunk = Chunk(
        number=flat.number,
        sequence_id=ids(read.sequence, False),
        entity_id=ids(read.entity, read.must_have_entity),
        length=flat.length,
        values=values,
        time=time,
        context={
            name: column.tolist()
            for name, column in table.context_of(flat.records, read, faults).items()
        },
    )
    return Part(
        chunk=chunk.select(faults.kept),
        rejected=tuple(
            chunk.rejected(place, reject.code, reject.detail)
            for place, reject in sorted(faults.rejects.items())
        ),
    )


def layout_of_records(columns: Columns, options: InputOptions, file: str) -> Layout:
    """Return the layout of a format that only says record by record what columns it has."""
    known = {*table.wanted(columns, options), *columns.context, SEQUENCE_ID, ENTITY_ID, LENGTH}
    return table.layout(known, columns, options, file)


def features_of(columns: Columns, options: InputOptions, file: str) -> tuple[str, ...]:
    """Return the features that a file of numbers alone holds, in order.

    Raises:
      BadDataError: `missing_column`; a time, an entity or a category is asked for.
    """
    return table.layout(columns.names, columns, options, file).features


def _as_text(column: pa.Array) -> pa.Array:
    """Decode bytes as text, with U+FFFD for what is not UTF-8; leave other columns."""
    if not (pt.is_binary(column.type) or pt.is_large_binary(column.type)):
        return column
    decoded = [None if c is None else c.decode("utf-8", "replace") for c in column.to_pylist()]
    return pa.array(decoded, pa.string())
