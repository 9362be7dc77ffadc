"""Read CSV, a table under a header whose rows are steps; `input.group_by` names sequences.

Cells are separated by any one character, and those in double quotes may hold it, line ends and
doubled quotes. A line ends with LF or CRLF; blank lines are none; a BOM is skipped. A row's number
is that of the line on which it begins. Where a block of lines ends inside a quoted cell, its last
row is read with the next block.
"""

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract import kinds
from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing import csv_lines, table, texts
from ragline.components.ingest.formats.parsing.faults import Faults
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import FILE, InputOptions
from ragline.components.ingest.records.chunk import File, Part, Piece, QuarantineLine, Rows, shown
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, raw_files

BLOCK = 1 << 23
_LONGEST_HEADER = 1 << 20


class Csv(Format):
    """Reads CSV files."""

    uses = (Use("a long table, a row a step: `.csv`, `.tsv`", "the rows of one key", "`group_by`"),)
    suffixes = (".csv", ".tsv")
    is_line_based = True

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether text has as many cells in each of its first lines."""
        return csv_lines.is_table(beginning, is_cut=len(beginning) == beginnings.PEEKED)

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read the rows of ranges of files; the columns are those that all files have.

        Raises:
          BadDataError: `unreadable`, `no_data`, `bad_header`.
        """
        from ragline.components.ingest.samples import csv as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Read the header, check it against the schema, and cut the file between rows.

        Only a file that is not compressed is cut, and only as far as its quotes are proved to be in
        order: from there on, a line end may be in a cell.

        Raises:
          BadDataError: `no_group_by`, `bad_header`, `missing_column`, `unreadable`.
        """
        if not options.group_by:
            raise _not_grouped(file)
        pieces: list[Piece] = []
        with raw_files.open_lines(file.path) as stream:
            first, start, header = _read_header(stream, columns, options, file)
            layout = table.layout(header.names, columns, options, file.path)
            _check_names(header, layout, file)
            end = places.size(file.path)
            plain_header = {
                "names": list(header.names),
                "delimiter": header.delimiter,
                "size": start,
            }

            def cut(stop: int | None) -> Piece:
                size = (end if stop is None else stop) - start
                return Piece(
                    file=file, start=start, stop=stop, first=first, size=size, header=plain_header
                )

            if not raw_files.compression(file.path):
                line, place = first, start
                for block in _blocks(stream, None):
                    if not csv_lines.is_clean(block, header.delimiter):
                        break
                    line, place = line + block.count(b"\n"), place + len(block)
                    if place - start >= piece_bytes and place < end:
                        pieces.append(cut(place))
                        first, start = line, place
            if start < end or not pieces:
                pieces.append(cut(None))
        return pieces

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Raise an error, for a row of a CSV file is no sequence.

        Raises:
          BadDataError: `no_group_by`.
        """
        raise _not_grouped(piece.file)

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """Read the rows of a piece, each a step.

        Raises:
          BadDataError: `unreadable`.
        """
        stated = piece.header or {}
        header = csv_lines.Header(names=tuple(stated["names"]), delimiter=stated["delimiter"])
        layout = table.layout(header.names, columns, options, piece.file.path)
        with raw_files.open_lines(piece.file.path) as stream:
            if piece.start:
                # A compressed file is one piece, which starts after the header.
                stream.seek(piece.start) if stream.seekable() else stream.read(piece.start)
            length = None if piece.stop is None else piece.stop - piece.start
            number, left, count = piece.first, b"", 0
            for block, last in _and_whether_last(_blocks(stream, length)):
                text = left + (csv_lines.squeezed(block) if header.delimiter == " " else block)
                lines, left = csv_lines.read_clean(text, number, header, layout), b""
                if lines is None:
                    lines, left = csv_lines.read_exactly(text, number, header, layout, last)
                part = _rows_of(lines, piece.file, layout, options)
                count += len(part) + len(part.rejected)
                yield part
                number += text.count(b"\n") - left.count(b"\n")
        if not count and (piece.start, piece.stop) == (stated["size"], None):
            yield from table.empty_file(piece.file, layout, piece.first)


def _rows_of(lines: csv_lines.Lines, file: File, layout: Layout, options: InputOptions) -> Rows:
    table_of, kept = table.measured(lines.cells, layout)
    number, raw = lines.number, lines.raw
    if kept is not None:
        chosen = np.flatnonzero(kept)
        number, raw = number[chosen], lambda place: lines.raw(int(chosen[place]))
    faults = Faults(records=len(number))
    missing = pa.array(options.missing_text, pa.string())
    nothing = pa.array([*options.missing_text, ""], pa.string())

    def without(name: str, absent: pa.Array) -> pa.Array:
        column = table_of[name]
        return pc.if_else(pc.is_in(column, absent), None, column)

    ids = table.ids_of({name: without(name, nothing) for name in layout.ids}, layout, faults, file)
    steps = {}
    for name in layout.features:
        column = texts.spelt(table_of[name], options.decimal)
        steps[name] = pa.array(texts.numbers(f"feature {name!r}", column, missing, faults))
    for category in layout.columns.categories:
        column = without(category.name, missing)
        if not category.is_text:
            column = texts.integers(f"category {category.name!r}", column, faults)
        steps[category.name] = column
    context = {}
    for name in layout.columns.context if layout.variable else layout.context:
        kind, column = layout.columns.context[name], without(name, nothing)
        if not kinds.is_text(kind):
            column = texts.spelt(column, options.decimal)
        if kinds.is_integer(kind):
            column = texts.integers(f"column {name!r}", column, faults)
        elif kinds.is_number(kind):
            numbers = texts.numbers(f"column {name!r}", pc.fill_null(column, ""), nothing, faults)
            column = pa.array(numbers, from_pandas=True)
        context[name] = column
    stamps = {name: without(name, nothing) for name in (layout.date, layout.time) if name}
    part = table.rows_of(
        number=number,
        ids=ids,
        steps=steps,
        time=table.time_of(stamps, layout),
        context=context,
        file=file,
        layout=layout,
        faults=faults,
        texts=lambda places: [shown(raw(place)) for place in places.tolist()],
    )
    if not lines.rejected:
        return part
    # The id of a broken row is a guess by the places of its cells. To take a sequence that lacks a
    # step would be worse than to reject one for another's row.
    broken = {
        name: pa.array([cells[place] for cells in lines.ids], pa.string())
        for place, name in enumerate(layout.ids)
    }
    absent = {name: pc.if_else(pc.is_in(c, nothing), None, c) for name, c in broken.items()}
    unread = Faults(records=len(lines.ids))
    guessed = table.ids_of(absent, replace(layout, entity=None), unread, file)
    rejected = [
        replace(row, sequence_id=sequence_id)
        for row, sequence_id in zip(lines.rejected, guessed.sequence, strict=True)
    ]
    return replace(part, rejected=tuple(sorted([*part.rejected, *rejected], key=_number)))


def _read_header(
    stream: BinaryIO, columns: Columns, options: InputOptions, file: File
) -> tuple[int, int, csv_lines.Header]:
    """Return the number of the line after the header, where that begins, and the header."""
    place = 0
    if options.columns:
        return _stated_header(stream, options, file)
    for number in itertools.count(1):
        line = stream.readline(_LONGEST_HEADER)
        place += len(line)
        if not line:
            raise BadDataError("no_data", f"{file.path}: expected a header, the file has no line")
        if len(line) == _LONGEST_HEADER:
            raise _bad_header(file, f"expected a line of less than {_LONGEST_HEADER} bytes")
        text = line.removeprefix(raw_files.BOM) if number == 1 else line
        if not text.strip(b"\r\n"):
            continue
        header = _header_of(text, columns, options, file)
        return number + 1, place, header
    raise AssertionError("itertools.count ended")


def _stated_header(
    stream: BinaryIO, options: InputOptions, file: File
) -> tuple[int, int, csv_lines.Header]:
    """Return what `_read_header` does, of a file without a header; rows begin at the stream."""
    beginning = stream.read(_LONGEST_HEADER)
    start = len(raw_files.BOM) if beginning.startswith(raw_files.BOM) else 0
    line = next(filter(bytes.strip, beginning[start:].split(b"\n")), b"")
    numbers = {
        delimiter: len(_cells(line, delimiter))
        for delimiter in (
            (options.delimiter,) if options.delimiter else (*csv_lines.DELIMITERS, " ")
        )
    }
    best = [delimiter for delimiter, cells in numbers.items() if cells == len(options.columns)]
    if line and not best:
        received = ", ".join(f"{n} by {delimiter!r}" for delimiter, n in numbers.items())
        raise _bad_header(
            file,
            f"expected {len(options.columns)} cells, as input.columns has; received {received}",
        )
    if stream.seekable():
        stream.seek(start)
    return 1, start, csv_lines.Header(names=options.columns, delimiter=[*best, ","][0])


def _cells(line: bytes, delimiter: str) -> list[str]:
    if delimiter == " ":
        line = csv_lines.squeezed(line)
    try:
        return next(csv.reader([line.decode("utf-8", "replace")], delimiter=delimiter), [])
    except csv.Error:
        return []


def _header_of(
    line: bytes, columns: Columns, options: InputOptions, file: File
) -> csv_lines.Header:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _bad_header(file, f"expected UTF-8: {error.reason} at byte {error.start}") from error
    headers: list[csv_lines.Header] = []
    wrong = ""
    for delimiter in (options.delimiter,) if options.delimiter else (*csv_lines.DELIMITERS, " "):
        try:
            line_of = csv_lines.squeezed(line).decode("utf-8") if delimiter == " " else text
            names = next(csv.reader([line_of], delimiter=delimiter, strict=True))
        except csv.Error as error:
            wrong = str(error)
        else:
            headers.append(csv_lines.Header(names=tuple(names), delimiter=delimiter))
    wanted = {*table.wanted(columns, options)}
    best = max(headers, key=lambda header: len(wanted & {*header.names}), default=None)
    if best is None or (wrong and wanted.isdisjoint(best.names)):
        raise _bad_header(file, f"expected names of columns, in quotes or without: {wrong}")
    return best


def _check_names(header: csv_lines.Header, layout: Layout, file: File) -> None:
    if twice := [name for name in layout.all if header.names.count(name) > 1]:
        raise _bad_header(file, f"the column {twice[0]!r} stands there twice")


def _bad_header(file: File, what: str) -> BadDataError:
    return BadDataError("bad_header", f"{file.path}: header: {what}")


def _not_grouped(file: File) -> BadDataError:
    return BadDataError(
        "no_group_by",
        f"{file.path}: a row of a CSV file is a step; expected input.group_by, the columns that "
        f"name a row's sequence, or {FILE} where a file is one; received none",
    )


def _blocks(stream: BinaryIO, length: int | None) -> Iterator[bytes]:
    """Yield the next bytes of a file, or all that remain, in whole lines."""
    left = length
    while left != 0:
        block = stream.read(BLOCK if left is None else min(BLOCK, left))
        if not block:
            return
        block += b"" if block.endswith(b"\n") else stream.readline()
        left = None if left is None else left - len(block)
        yield block


def _and_whether_last(blocks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each block, and whether it is the last one."""
    block = next(blocks, None)
    while block is not None:
        following = next(blocks, None)
        yield block, following is None
        block = following


def _number(row: QuarantineLine) -> int:
    return row.number
