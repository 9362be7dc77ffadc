"""Read Parquet: a row a sequence, with list columns, or a row a step with `input.group_by`.

A sequence's steps are one list a feature, or one list of structs that have a field a feature:

    sequence_id: string, ax: list<float>, ay: list<float>, label: string
    sequence_id: string, steps: list<struct<ax: float, ay: float>>, label: string

A piece is a range of rows, from 0; it is cut where a row group ends, for to skip rows of one takes
about as long as to read them.
"""

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ragline.components.contract.columns import LENGTH, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing import cells, columnar, parquet_schema, table
from ragline.components.ingest.formats.parsing.columnar import STEPS
from ragline.components.ingest.formats.parsing.faults import Faults, nulls, numpy_of
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import (
    SHOWN_CHARACTERS,
    File,
    Part,
    Piece,
    QuarantineLine,
    Rows,
    runs,
    shown,
)
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, raw_files

_MOST_RECORDS = 1 << 16


class Parquet(Format):
    """Reads Parquet files."""

    uses = (
        Use("the same as Parquet: `.parquet`", "the rows of one key", "`group_by`"),
        Use("Parquet with lists in its cells", "a row"),
    )
    suffixes = (".parquet",)

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether a file begins with Parquet's magic number."""
        return beginnings.starts(beginning, b"PAR1")

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read batches of rows from all over the row groups; rows with lists are records.

        Raises:
          BadDataError: `unreadable`, `bad_header`, `no_data`, `ragged`.
        """
        from ragline.components.ingest.samples import parquet as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Check the columns of a file against the schema, and cut it into runs of row groups.

        Raises:
          BadDataError: `unreadable`, `missing_column`, `bad_header` or `type`.
        """
        pieces: list[Piece] = []
        with opened(file) as parquet:
            schema = parquet.schema_arrow
            read = parquet_schema.layout(schema, file, columns, options)
            steps = parquet_schema.steps_column(schema, columns, options)
            parquet_schema.check_types(schema, read, steps, file)
            counts, rows_in_all = _counts(parquet), parquet.metadata.num_rows
            if sum(counts) != rows_in_all:
                raise BadDataError(
                    "unreadable",
                    f"{file.path}: expected {rows_in_all} rows, its row groups have {sum(counts)}",
                )
            start = stop = size = 0
            for group, count in enumerate(counts):
                stop, size = stop + count, size + parquet.metadata.row_group(group).total_byte_size
                if start < stop and (size >= piece_bytes or stop == rows_in_all):
                    pieces.append(
                        Piece(file=file, start=start, stop=stop, first=start + 1, size=size)
                    )
                    start, size = stop, 0
        if read.group_by and not pieces:
            pieces.append(Piece(file=file, start=0, stop=0, first=1, size=0))
        return pieces

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the rows of a piece, each a sequence.

        Raises:
          BadDataError: `unreadable`.
        """
        with opened(piece.file) as parquet:
            schema = parquet.schema_arrow
            layout = parquet_schema.layout(schema, piece.file, columns, options)
            steps = parquet_schema.steps_column(schema, columns, options)
            names = [steps, *layout.records] if steps else [*layout.steps, *layout.records]
            records = min(max(1, STEPS // _mean_steps(parquet, names[0])), _MOST_RECORDS)
            for number, batch in _batches(parquet, piece, names, records):
                for start, stop in runs(_lengths(batch.column(names[0])), STEPS):
                    rows = batch.slice(start, stop - start)
                    yield _part(rows, number + start, layout, steps)

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """Read the rows of a piece, each a step.

        Raises:
          BadDataError: `unreadable`.
        """
        with opened(piece.file) as parquet:
            layout = parquet_schema.layout(parquet.schema_arrow, piece.file, columns, options)
            if piece.start == piece.stop:
                yield from table.empty_file(piece.file, layout, piece.first)
                return
            for number, batch in _batches(parquet, piece, layout.all, STEPS):
                columns_of, kept = table.measured(
                    {name: batch.column(name) for name in layout.all}, layout
                )
                place = np.arange(number, number + batch.num_rows)
                if kept is not None:
                    batch, place = batch.filter(pa.array(kept)), place[kept]
                faults = Faults(records=batch.num_rows)
                yield table.rows_of(
                    number=place,
                    ids=table.ids_of(columns_of, layout, faults, piece.file),
                    steps=columns_of,
                    time=table.time_of(columns_of, layout),
                    context=columns_of,
                    file=piece.file,
                    layout=layout,
                    faults=faults,
                    texts=_texts_of(batch),
                )


def _part(batch: pa.RecordBatch, number: int, layout: Layout, steps: str | None) -> Part:
    """Convert rows, of which `number` is the number of the first, to sequences."""
    faults = Faults(records=batch.num_rows)
    length = _shape(batch, (steps,) if steps else layout.steps, faults)
    if layout.length:
        _check_stated(batch.column(layout.length), length, faults)
    kept = faults.kept
    # Only where rows have a shape do the cells of their columns lie side by side.
    straight = batch if kept.all() else batch.filter(pa.array(kept))
    inner = Faults(records=straight.num_rows)
    part = columnar.part(
        columnar.Flat(
            number=number + np.flatnonzero(kept),
            length=length[kept],
            steps=_flat(straight, layout, steps, inner.of_steps(length[kept])),
            records={name: straight.column(name) for name in layout.records},
        ),
        layout,
        inner.rejects,
    )
    shapeless = _rejected(batch, number, layout, faults)
    return Part(chunk=part.chunk, rejected=(*shapeless, *part.rejected))


def _shape(batch: pa.RecordBatch, names: Collection[str], faults: Faults) -> np.ndarray:
    """Return int64 [N], the steps of each row; without a list, or with unequal ones, a fault."""
    absent = np.stack([nulls(batch.column(name)) for name in names])
    lengths = np.stack([_lengths(batch.column(name)) for name in names])

    def null(place: int, _: str) -> RejectedRecord:
        if absent[:, place].all() and len(absent) > 1:
            return RejectedRecord("null", "expected lists of steps, received a row of nulls")
        name = list(names)[int(absent[:, place].argmax())]
        return RejectedRecord("null", f"column {name!r}: expected a list, received null")

    def ragged(place: int, _: str) -> RejectedRecord:
        received = dict(zip(names, lengths[:, place].tolist(), strict=True))
        return RejectedRecord(
            "ragged", f"expected as many steps in each column, received {received}"
        )

    faults.add(np.any(absent, axis=0), null)
    faults.add(np.any(lengths != lengths[0], axis=0), ragged)
    length: np.ndarray = lengths[0]
    return length


def _check_stated(column: pa.Array, length: np.ndarray, faults: Faults) -> None:
    stated = cells.integers(LENGTH, column, faults)

    def reject(place: int, _: str) -> RejectedRecord:
        detail = f"{LENGTH}: expected {length[place]}, received {stated[place]}"
        return RejectedRecord("length_mismatch", detail)

    faults.add((stated != length) & ~nulls(column), reject)


def _flat(
    batch: pa.RecordBatch, layout: Layout, steps: str | None, faults: Faults
) -> dict[str, pa.Array]:
    """Return column -> the cells of all steps of all rows."""
    if steps is None:
        return {name: batch.column(name).flatten() for name in layout.steps}
    structs = batch.column(steps).flatten()
    faults.add(
        nulls(structs),
        lambda _, step: RejectedRecord(
            "null", f"column {steps!r}{step}: expected a step, received null"
        ),
    )
    fields = dict(zip([field.name for field in structs.type], structs.flatten(), strict=True))
    return {name: fields[name] for name in layout.steps}


def _rejected(
    batch: pa.RecordBatch, number: int, layout: Layout, faults: Faults
) -> Iterator[QuarantineLine]:
    places = np.array(sorted(faults.rejects), np.int64)
    if not len(places):
        return
    ids = np.full(len(places), None, object)
    if layout.sequence:
        stated = batch.column(layout.sequence).take(pa.array(places))
        # An id that is no text is not told; why the record is refused was found before.
        unread = Faults(records=len(places))
        ids = cells.identifiers(layout.sequence, stated, unread, required=False).cells
    texts = _texts_of(batch)(places)
    for place, sequence_id, text in zip(places.tolist(), ids, texts, strict=True):
        reject = faults.rejects[place]
        yield QuarantineLine(
            number=number + place,
            code=reject.code,
            detail=reject.detail,
            sequence_id=sequence_id,
            text=text,
        )


def _lengths(column: pa.Array) -> np.ndarray:
    """Return int64 [N], 0 for a null list."""
    return numpy_of(pc.fill_null(pc.list_value_length(column), 0)).astype(np.int64)


def _mean_steps(parquet: pq.ParquetFile, name: str) -> int:
    """Return steps a row, at least 1, by what the file says of one column."""
    metadata = parquet.metadata
    leaves = [metadata.schema.column(index).path for index in range(metadata.num_columns)]
    leaf = next(index for index, path in enumerate(leaves) if path.startswith(f"{name}."))
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    steps = sum(int(group.column(leaf).num_values) for group in groups)
    return max(1, steps // max(1, int(metadata.num_rows)))


@contextlib.contextmanager
def opened(file: File) -> Iterator[pq.ParquetFile]:
    """Open a file for reading.

    Raises:
      BadDataError: `unreadable`, also of what is read of it.
    """
    try:
        with (
            raw_files.open(file.path) as raw,
            pq.ParquetFile(raw, buffer_size=1 << 20, page_checksum_verification=True) as parquet,
        ):
            yield parquet
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:  # The last: a column's name.
        raise BadDataError(
            "unreadable",
            f"{file.path}: {error}; expected a whole Parquet file: fetch or write it again",
        ) from error


def _batches(
    parquet: pq.ParquetFile, piece: Piece, names: Collection[str], size: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield the rows of a piece, each batch with the number of its first row."""
    stop = parquet.metadata.num_rows if piece.stop is None else piece.stop
    ends = np.cumsum(_counts(parquet))
    groups = np.flatnonzero((ends > piece.start) & (ends <= stop)).tolist()
    row = piece.start
    # Workers are Beam's affair: a reader takes one core.
    for batch in parquet.iter_batches(
        batch_size=size, row_groups=groups, columns=list(names), use_threads=False
    ):
        yield piece.first + row - piece.start, batch
        row += batch.num_rows
    if row != stop:
        raise BadDataError(
            "unreadable",
            f"{piece.file.path}: rows {piece.start} to {stop}: expected {stop - piece.start}, "
            f"received {row - piece.start}",
        )


def _counts(parquet: pq.ParquetFile) -> list[int]:
    """Return the number of rows of each row group."""
    groups = map(parquet.metadata.row_group, range(parquet.metadata.num_row_groups))
    return [group.num_rows for group in groups]


def _texts_of(batch: pa.RecordBatch) -> Callable[[np.ndarray], list[str]]:
    """Return a function of places of rows that spells these rows as JSON, for the quarantine."""

    def texts(places: np.ndarray) -> list[str]:
        chosen = batch.take(pa.array(places)) if len(places) else batch.slice(0, 0)
        columns = {name: _python(chosen.column(name)) for name in chosen.schema.names}
        rows = [{name: column[i] for name, column in columns.items()} for i in range(len(places))]
        return [
            shown(json.dumps(row, ensure_ascii=False, default=_text).encode("utf-8", "replace"))
            for row in rows
        ]

    return texts


def _python(column: pa.Array) -> list[Any]:
    if parquet_schema.is_list(column.type):
        column = pc.list_slice(column, 0, SHOWN_CHARACTERS)
    try:
        return list(column.to_pylist())
    except UnicodeDecodeError:  # Arrow's own printing replaces what is no UTF-8.
        return [column.slice(place, 1).to_string() for place in range(len(column))]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
