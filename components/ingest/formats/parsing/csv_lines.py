"""Split lines of a CSV file into columns of text, by RFC 4180.

Of most blocks of lines it can be proved in a few passes of NumPy that pyarrow and the standard
library read the same rows off them, and pyarrow reads those. The others are read row by row,
exactly, so that one bad row costs itself:

    ragged    more or fewer cells than the header, or quotes that are not RFC 4180's; after these,
              reading goes on with the next line
    encoding  not UTF-8
"""

import csv
import functools
import io
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv

from ragline.components.ingest.records.chunk import QuarantineLine, shown
from ragline.components.ingest.source import raw_files

DELIMITERS = (",", ";", "\t", "|")
_QUOTE, _LF, _CR = b'"\n\r'
_BLANKS = re.compile(rb"[ \t]+")
_EDGES = re.compile(rb"^ | (?=\r?$)", re.MULTILINE)


class Wanted(Protocol):
    """States which columns of a file are read, of which `table.Layout` says more."""

    @property
    def all(self) -> tuple[str, ...]:
        """Return every column that is read, each once."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the columns that say whose a row is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """States what must be known of a file to read a piece of it.

    Attributes:
      names: the names of the columns, in order.
      delimiter: between cells.
    """

    names: tuple[str, ...]
    delimiter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Holds rows of the right number of cells, and those that have another.

    Attributes:
      number: int64 [N], the line on which each row begins.
      cells: column -> N strings, of the columns that are read.
      raw: N rows as they stand in the file.
      rejected: the others; their ids are not known yet.
      ids: of each of those, the cells of `Layout.ids`, as far as it has them.
    """

    number: np.ndarray
    cells: dict[str, pa.Array]
    raw: Callable[[int], bytes]
    rejected: Collection[QuarantineLine] = ()
    ids: Sequence[Sequence[str | None]] = ()


def read_clean(block: bytes, number: int, header: Header, layout: Wanted) -> Lines | None:
    """Read whole lines by pyarrow; return None unless all are proved to be as expected.

    Args:
      block: the lines.
      number: of the first.
      header: of the file.
      layout: the columns to read.
    """
    if not is_clean(block, header.delimiter) or not _is_utf8(block):
        return None
    names = [str(place) for place in range(len(header.names))]
    wanted = [str(header.names.index(name)) for name in layout.all]
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(block),
            read_options=pyarrow.csv.ReadOptions(
                use_threads=False, column_names=names, block_size=len(block) + 1
            ),
            parse_options=pyarrow.csv.ParseOptions(delimiter=header.delimiter),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:  # A row with more or fewer cells.
        return None
    if table.num_rows != block.count(b"\n") + (not block.endswith(b"\n")):
        return None  # A blank line, which is left out and not counted.
    columns = [table.column(name).combine_chunks() for name in wanted]
    lines = functools.cache(lambda: block.split(b"\n"))
    return Lines(
        number=np.arange(number, number + table.num_rows),
        cells=dict(zip(layout.all, columns, strict=True)),
        raw=lambda place: lines()[place].rstrip(b"\r"),
    )


def read_exactly(
    block: bytes, number: int, header: Header, layout: Wanted, last: bool
) -> tuple[Lines, bytes]:
    """Read whole lines, row by row.

    Args:
      block: the lines.
      number: of the first.
      header: of the file.
      layout: the columns to read.
      last: whether the file, or the piece of it, ends here.

    Returns:
      the rows; and what is left of the block, a row that goes on after it.
    """
    lines = io.BytesIO(block).readlines()
    places = {name: header.names.index(name) for name in layout.all}
    numbers: list[int] = []
    kept: list[list[str]] = []
    raw: list[bytes] = []
    rejected: list[QuarantineLine] = []
    ids: list[list[str | None]] = []
    line = 0
    while line < len(lines):
        used, cells, wrong = _row(lines, line, header.delimiter)
        if not used and not last:
            break
        text = b"".join(lines[line : line + max(used, 1)]).rstrip(b"\r\n")
        code = "ragged"
        if not wrong and len(cells) != len(header.names):
            wrong = f"expected {len(header.names)} cells, received {len(cells)}"
        if not _is_utf8(text):
            code, wrong = "encoding", "expected UTF-8"
        if not text:
            pass
        elif wrong:
            rejected.append(
                QuarantineLine(
                    number=number + line,
                    code=code,
                    detail=wrong,
                    sequence_id=None,
                    text=shown(text),
                )
            )
            ids.append([_cell(cells, places[name]) for name in layout.ids])
        else:
            numbers.append(number + line)
            kept.append([_utf8(cells[place]) for place in places.values()])
            raw.append(text)
        line += max(used, 1)
    columns = zip(*kept, strict=True) if kept else [()] * len(places)
    parsed = Lines(
        number=np.array(numbers, np.int64),
        cells={
            name: pa.array(column, pa.string())
            for name, column in zip(places, columns, strict=True)
        },
        raw=raw.__getitem__,
        rejected=rejected,
        ids=ids,
    )
    return parsed, b"".join(lines[line:])


def _row(lines: list[bytes], at: int, delimiter: str) -> tuple[int, list[str], str]:
    """Read a row.

    Returns:
      how many lines it takes, 0 if it does not end; its cells, each byte a character; and what is
      wrong with its quotes, "" if nothing. Of a row that is wrong, the cells are a guess.
    """
    # Each byte a character, so that what is no UTF-8 goes through.
    reader = csv.reader(
        (lines[line].decode("latin-1") for line in range(at, len(lines))),
        delimiter=delimiter,
        strict=True,
    )
    try:
        cells = next(reader)
        return reader.line_num, cells, ""
    except csv.Error as error:
        guess = lines[at].decode("latin-1").rstrip("\r\n").split(delimiter)
        unclosed = "unexpected end of data" in str(error)
        return 0 if unclosed else 1, [cell.strip('"') for cell in guess], str(error)


def squeezed(block: bytes) -> bytes:
    """Return lines with one blank in place of each run of blanks and tabs between cells."""
    return _EDGES.sub(b"", _BLANKS.sub(b" ", block))


def is_clean(block: bytes, delimiter: str) -> bool:
    """Return whether every line end ends a row, and every quote begins or ends a cell."""
    if b"\r" in block and block.count(b"\r") != block.count(b"\r\n"):
        return False
    if b'"' not in block:
        return True
    data = np.frombuffer(b"\n" + block + b"\n", np.uint8)
    quotes = np.flatnonzero(data == _QUOTE)
    if len(quotes) % 2:
        return False
    opening, closing = quotes[::2], quotes[1::2]
    ends = np.flatnonzero(data == _LF)
    between = [ord(delimiter), _LF, _CR]
    return bool(
        np.isin(data[opening - 1], between).all()
        and np.isin(data[closing + 1], between).all()
        and (np.searchsorted(ends, opening) == np.searchsorted(ends, closing)).all()
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _utf8(cell: str) -> str:
    return cell.encode("latin-1").decode("utf-8")


def _cell(cells: list[str], place: int) -> str | None:
    """Return a cell of a broken row, None if it has none there or it is no text."""
    try:
        return _utf8(cells[place])
    except (IndexError, UnicodeDecodeError):
        return None


def is_table(beginning: bytes, *, is_cut: bool) -> bool:
    """Return whether text is a table: as many cells in each of its first lines.

    Args:
      beginning: the first bytes of a file.
      is_cut: whether the file goes on behind them.
    """
    beginning = beginning.removeprefix(raw_files.BOM)
    if b"\0" in beginning:
        return False
    try:
        # A character may be cut off at the end.
        text = beginning[:-4].decode() if is_cut else beginning.decode()
    except UnicodeDecodeError:
        return False
    lines = [line for line in text.splitlines() if line.strip()][:20]
    if is_cut:
        lines = lines[:-1] or lines
    if len(lines) < 2:
        return False
    if any(len({line.count(d) for line in lines}) == 1 and d in lines[0] for d in DELIMITERS):
        return True
    cells = [line.split() for line in lines]
    return len({len(row) for row in cells}) == 1 and len(cells[0]) > 1 and _has_numbers(cells[-1])


def _has_numbers(cells: list[str]) -> bool:
    return any(re.fullmatch(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", cell) for cell in cells)
