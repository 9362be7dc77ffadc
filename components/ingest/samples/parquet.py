"""Sample Parquet files: batches of rows from all over the row groups."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.parquet import opened
from ragline.components.ingest.formats.parsing import cells
from ragline.components.ingest.formats.parsing.faults import numpy_of
from ragline.components.ingest.formats.parsing.parquet_schema import is_list
from ragline.components.ingest.records.chunk import File
from ragline.components.ingest.samples.sample import MOST_ROWS, RANGES, Sample, joined

_MOST_CELLS = 1 << 23
_BATCH = 1 << 13


def take(paths: Sequence[str]) -> Sample:
    """Read the rows of batches; rows with lists are records.

    Raises:
      BadDataError: `unreadable`, `bad_header`, `no_data`, `ragged`.
    """
    tables, complete = [], True
    for path in paths:
        table, is_whole = _rows(path, len(paths))
        complete &= is_whole
        tables.append(table)
    names = [
        name
        for name in tables[0].column_names
        if all(name in table.column_names for table in tables)
    ]
    lost = {name: "not every file has it" for name in tables[0].column_names if name not in names}
    if not any(table.num_rows for table in tables):
        raise BadDataError("no_data", f"{paths[0]}: expected at least one row, received none")
    columns = {
        name: joined([cells.plain(_array(table.column(name))) for table in tables])
        for name in names
    }
    for name, column in [*columns.items()]:
        if pt.is_struct(column.type) or pt.is_map(column.type):
            lost[name] = (
                f"{column.type} is neither a number nor a word: write its fields as columns"
            )
            del columns[name]
    if not any(is_list(column.type) for column in columns.values()):
        return Sample(
            steps=columns,
            files=tuple(table.num_rows for table in tables),
            paths=tuple(paths),
            complete=complete,
            left_out=lost,
        )
    return _records(columns, paths, complete, lost)


def _rows(path: str, number_of_files: int) -> tuple[pa.Table, bool]:
    file = File(path=path, name=path, index=0, format="parquet", split=None)
    with opened(file) as parquet:
        names = parquet.schema_arrow.names
        if twice := [name for name in names if names.count(name) > 1]:
            raise BadDataError(
                "bad_header",
                f"{path}: the column {twice[0]!r} stands there twice; expected each name once: "
                "write it with another name",
            )
        wide = max(1, parquet.metadata.num_columns)
        most = max(_BATCH, min(MOST_ROWS, _MOST_CELLS // wide) // number_of_files)
        rows = parquet.metadata.num_rows
        if any(is_list(field.type) for field in parquet.schema_arrow):
            leaves = sum(
                parquet.metadata.row_group(group).column(leaf).num_values
                for group in range(parquet.metadata.num_row_groups)
                for leaf in range(parquet.metadata.num_columns)
            )
            most = max(RANGES, int(rows * min(1.0, _MOST_CELLS / number_of_files / max(1, leaves))))
        if rows <= most:
            return parquet.read(use_threads=False), True
        return _spread(parquet, most), False


def _spread(parquet: pq.ParquetFile, most: int) -> pa.Table:
    """Read about `most` rows, of row groups from the first to the last, and all over each."""
    groups = np.unique(np.linspace(0, parquet.metadata.num_row_groups - 1, RANGES).astype(int))
    each = max(1, most // len(groups))
    size = max(1, min(_BATCH, each // RANGES))
    batches: list[pa.RecordBatch] = []
    for group in groups.tolist():
        in_all = -(-parquet.metadata.row_group(group).num_rows // size)
        chosen = set(np.linspace(0, in_all - 1, max(1, each // size)).astype(int).tolist())
        for place, batch in enumerate(
            parquet.iter_batches(size, row_groups=[group], use_threads=False)
        ):
            if place in chosen:
                batches.append(batch)
    return pa.Table.from_batches(batches)


def _array(column: pa.ChunkedArray) -> pa.Array:
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _records(
    columns: dict[str, pa.Array], paths: Sequence[str], complete: bool, lost: dict[str, str]
) -> Sample:
    steps: dict[str, pa.Array] = {}
    records: dict[str, pa.Array] = {}
    lengths: np.ndarray | None = None
    for name, column in columns.items():
        if not is_list(column.type):
            records[name] = column
            continue
        length = numpy_of(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)
        if lengths is not None and not np.array_equal(lengths, length):
            lost[name] = "its lists are of another length than those of the columns before"
            continue
        lengths = length
        inner = column.flatten()
        if pt.is_struct(inner.type):
            fields = {field.name: value for field, value in zip(inner.type, inner.flatten())}  # noqa: B905
        else:
            fields = {name: inner}
        for key, value in fields.items():
            if is_list(value.type) or pt.is_struct(value.type):
                lost[key] = "lists or objects in its lists are neither numbers nor words"
            else:
                steps[key] = cells.plain(value)
    for name in [name for name in records if name in steps]:
        del records[name]
        lost[name] = "the steps have a column of that name, which is taken"
    return Sample(
        steps=steps,
        records=records,
        lengths=lengths,
        paths=tuple(paths),
        complete=complete,
        left_out=lost,
    )
