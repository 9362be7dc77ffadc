"""Sample CSV files: which delimiter, whether there is a header, and the rows of ranges."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.parsing import csv_lines
from ragline.components.ingest.samples.sample import MOST_ROWS, SAMPLE_BYTES, Sample, joined, ranges
from ragline.components.ingest.source import raw_files

_LOOKED_AT = 1 << 18
_LINES = 50
# So many of the first rows have as many cells as the header, in the right delimiter.
_ALIKE = 0.9
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.,][0-9]*)*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?\s*%?")
_MISSING = ("", "?", "NaN", "nan", "NA")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dialect:
    """States how a table is written.

    Attributes:
      delimiter: between cells; a blank stands for runs of blanks.
      names: the names of the columns.
      has_header: whether the first line names them.
    """

    delimiter: str
    names: tuple[str, ...]
    has_header: bool


@dataclass(frozen=True, slots=True)
class _All:
    """Asks `csv_lines` for all columns of a header."""

    all: tuple[str, ...]
    ids: tuple[str, ...] = ()


def take(paths: Sequence[str]) -> Sample:
    """Read the rows of ranges of files; the columns are those that all files have.

    Raises:
      BadDataError: `unreadable`, `no_data`, `bad_header`.
    """
    filled = [path for path in paths if _beginning(path).strip()]
    if not filled:
        raise BadDataError("no_data", f"{paths[0]}: expected a header, the file has no line")
    first = _dialect(filled[0])
    most = SAMPLE_BYTES // len(filled)
    columns: dict[str, list[pa.Array]] = {name: [] for name in first.names}
    complete, rows = True, []
    lost: dict[str, str] = {}
    for path in filled:
        dialect = first if path == filled[0] else _dialect(path, first)
        cells, is_whole = _rows(path, dialect, most, MOST_ROWS // len(filled))
        complete &= is_whole
        for name in [name for name in columns if name not in dialect.names]:
            del columns[name]
            lost[name] = f"{path} has no such column"
        if not columns:
            raise BadDataError(
                "bad_header",
                f"{path}: header: expected the columns of {filled[0]}, "
                f"{', '.join(map(repr, first.names[:20]))}; received "
                f"{', '.join(map(repr, dialect.names[:20]))}",
            )
        for name, parts in columns.items():
            parts.append(cells[name])
        rows.append(len(next(iter(cells.values()))))
    if not sum(rows):
        raise BadDataError(
            "no_data", f"{filled[0]}: expected rows below the header, the file has none"
        )
    options: dict[str, Any] = {} if first.has_header else {"columns": list(first.names)}
    if first.delimiter == " " or not first.has_header:
        options["delimiter"] = first.delimiter
    return Sample(
        is_text=True,
        steps={name: joined(parts) for name, parts in columns.items()},
        files=tuple(rows),
        paths=tuple(filled),
        complete=complete,
        left_out=lost,
        options=options,
    )


def _beginning(path: str) -> bytes:
    with raw_files.open_lines(path) as stream:
        return stream.read(_LOOKED_AT).removeprefix(raw_files.BOM)


def _dialect(path: str, like: _Dialect | None = None) -> _Dialect:
    block = _beginning(path)
    if len(block) >= _LOOKED_AT - len(raw_files.BOM) and b"\n" in block:
        block = block[: block.rfind(b"\n") + 1]
    try:
        text = block.decode("utf-8")
    except UnicodeDecodeError as error:
        line = 1 + block.count(b"\n", 0, error.start)
        raise BadDataError(
            "bad_header",
            f"{path}: line {line}: expected UTF-8: {error.reason}; "
            "`iconv -f WINDOWS-1252 -t UTF-8` writes the text of older programs so",
        ) from error
    rows_of = {
        d: _first_rows(text, d)
        for d in ((like.delimiter,) if like else (*csv_lines.DELIMITERS, " "))
    }
    alike = {d: _alike(rows) for d, rows in rows_of.items()}
    good = [d for d in rows_of if alike[d] >= _ALIKE and len(rows_of[d][0]) > 1 and d != " "]
    good = good or [d for d in rows_of if alike[d] >= _ALIKE and len(rows_of[d][0]) > 1]
    by_blanks = rows_of.get(" ", [])
    if good and _are_numbers(by_blanks) and alike[" "] >= _ALIKE and "\t" in good:
        good = good if _are_numbers(rows_of["\t"]) else [" "]  # Runs of blanks and tabs.
    if not good and (start := _line_of_header(text)):
        raise BadDataError(
            "bad_header",
            f"{path}: line 1: expected names of columns, received {text.splitlines()[0][:80]!r}; "
            f"they seem to stand in line {start}: `tail -n +{start} FILE > NEW` leaves out what is "
            "before it",
        )
    # Of headers alone, and of rows that are all of another length, the header must do.
    delimiter = max(good or rows_of, key=lambda d: len(rows_of[d][0]) if rows_of[d] else 0)
    rows = rows_of[delimiter]
    if not rows:
        raise BadDataError("bad_header", f"{path}: header: expected names of columns")
    if like is None and len(rows) > 1 and _is_data(rows):
        names = tuple(f"column_{place}" for place in range(len(rows[0])))
        return _Dialect(delimiter=delimiter, names=names, has_header=False)
    if like is not None and not like.has_header:
        return like
    names = tuple(rows[0])
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise BadDataError(
            "bad_header",
            f"{path}: header: the column {twice[0]!r} stands there twice; expected each name once",
        )
    return _Dialect(delimiter=delimiter, names=names, has_header=True)


def _first_rows(text: str, delimiter: str) -> list[list[str]]:
    if delimiter == " ":
        text = csv_lines.squeezed(text.encode()).decode()
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter):
            if row and len(rows) < _LINES:
                rows.append(row)
    except csv.Error:  # A cell longer than any that a table has: quotes that do not end.
        pass
    return rows


def _alike(rows: list[list[str]]) -> float:
    return sum(len(row) == len(rows[0]) for row in rows) / len(rows) if rows else 0.0


def _line_of_header(text: str) -> int | None:
    """Return the line where a table begins below a few lines of remarks; None if none does."""
    lines = text.splitlines()[:_LINES]
    for delimiter in csv_lines.DELIMITERS:
        cells = [len(next(csv.reader([line], delimiter=delimiter), ())) for line in lines]
        for place, width in enumerate(cells):
            if width > 1 and cells[place:].count(width) >= _ALIKE * len(cells[place:]):
                is_remark = [
                    line.startswith("#") or 2 * before <= width
                    for line, before in zip(lines[:place], cells, strict=False)
                ]
                if place and len(cells) > place + 1 and all(is_remark):
                    return place + 1
                break
    return None


def _are_numbers(rows: list[list[str]]) -> bool:
    """Return whether all cells of the last row, which is no header, are numbers."""
    return len(rows) > 1 and all(_NUMBER.fullmatch(cell.strip()) for cell in rows[-1])


def _is_data(rows: list[list[str]]) -> bool:
    """Return whether the first row is like the next: numbers where that has numbers."""
    numeric = [
        (bool(_NUMBER.fullmatch(first.strip())) or first in _MISSING)
        for first, second in zip(rows[0], rows[1], strict=False)
        if _NUMBER.fullmatch(second.strip())
    ]
    return bool(numeric) and all(numeric)


def _rows(
    path: str, dialect: _Dialect, most: int, most_rows: int
) -> tuple[dict[str, pa.Array], bool]:
    """Return cells of ranges of a file, and whether they are all of it."""
    header = csv_lines.Header(names=dialect.names, delimiter=dialect.delimiter)
    wanted = _All(dialect.names)
    parts: dict[str, list[pa.Array]] = {name: [] for name in dialect.names}
    size = places.size(path)
    packed = bool(raw_files.compression(path))
    chosen = [(0, most)] if packed else ranges(size, most)
    is_whole = len(chosen) == 1
    with raw_files.open_lines(path) as stream:
        for start, stop in chosen:
            if start:
                stream.seek(start - 1)
                stream.readline()  # The rest of a line; if one ends there, nothing but its end.
            block = stream.read(stop - start)
            block += b"" if block.endswith(b"\n") else stream.readline()
            if start == 0:
                block = _without_header(block, dialect)
            if packed:
                is_whole = not stream.read(1)
            if dialect.delimiter == " ":
                block = csv_lines.squeezed(block)
            lines = csv_lines.read_clean(block, 1, header, wanted)
            if lines is None:
                lines, _ = csv_lines.read_exactly(block, 1, header, wanted, True)
            for name, cells in lines.cells.items():
                parts[name].append(cells.slice(0, most_rows // len(chosen)))
                is_whole &= len(cells) <= most_rows // len(chosen)
    return {name: joined(cells) for name, cells in parts.items()}, is_whole


def _without_header(block: bytes, dialect: _Dialect) -> bytes:
    stream = io.BytesIO(block.removeprefix(raw_files.BOM))
    while dialect.has_header and (line := stream.readline()):
        if line.strip(b"\r\n"):
            break
    return stream.read()
