"""Read the .ts format of the UEA/UCR time series archive.

A header of `@key value` lines ends at `@data`; each line after it is one sequence: features
separated by `:`, their values by `,`, and last the class label or the regression target, if the
header says so. `?` and `NaN`, however it is spelt, are missing values; blanks and tabs around
values and labels do not count. Features have no names there: they take the schema's, in order. Ids,
times and categories have no place there either.

Numbers of many lines are converted at once by Arrow, whose grammar, of the characters that are let
through, is that of `checks`. A line with any other character, or of an odd shape, is parsed by
itself, and so are all lines of a block in which Arrow meets what is no number.

Source: the aeon toolkit's description of the format, www.aeon-toolkit.org, "The .ts file format".
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract import kinds
from ragline.components.contract.columns import Columns, ContextValue
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing.columnar import features_of
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records import chunk as chunks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Chunk, File, Part, Piece, QuarantineLine
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, raw_files

LABEL = "label"
TARGET = "target"
_MISSING = ("?", "NaN")
_PLAIN = b"0123456789+-.eE,:?"
_AROUND_COMMAS = re.compile(rb"[ \t]*,[ \t]*")
_NAN = re.compile(rb"(?<![A-Za-z])nan(?![A-Za-z])", re.IGNORECASE)
_BLOCK = 1 << 22
_SHOWN_BYTES = 4 * chunks.SHOWN_CHARACTERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """States what the header of a .ts file says.

    Attributes:
      lines: the number of its lines, `@data` included.
      size: the number of its bytes.
      context: the context column that the last field of a line holds, if any.
    """

    lines: int
    size: int
    context: str | None


class Ts(Format):
    """Reads .ts files of the UEA/UCR archive."""

    uses = (Use("the UEA/UCR archive: `.ts`", "a line"),)
    suffixes = (".ts",)
    is_line_based = True

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether text begins with a key of a header, or with a comment."""
        return beginnings.starts(beginning, b"@", b"#")

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read the sequences of files, as far as a sample goes.

        Raises:
          BadDataError: `unreadable`, `bad_header`, `bad_dim`; `no_data`, no line after @data.
        """
        from ragline.components.ingest.samples import ts as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Cut a file into ranges of whole lines; a compressed file is one piece.

        Raises:
          BadDataError: `bad_header`, `bad_dim`, or `missing_column`: one that .ts has no place for.
        """
        features_of(columns, options, file.path)
        with raw_files.open_lines(file.path) as lines:
            header = read_header(lines, columns, file.path)
        known = {"context": header.context}
        number, start, stored = header.lines + 1, header.size, places.size(file.path)
        if raw_files.compression(file.path):
            return [
                Piece(file=file, start=start, stop=None, first=number, size=stored, header=known)
            ]
        pieces = []
        with raw_files.open_lines(file.path) as lines:
            lines.seek(start)
            while start < stored:
                count, size = _skip(lines, piece_bytes)
                stop = start + size
                pieces.append(
                    Piece(file=file, start=start, stop=stop, first=number, size=size, header=known)
                )
                number, start = number + count, stop
        return pieces

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the lines of a piece, a Part for some megabytes of them."""
        context = (piece.header or {})["context"]
        number, start, stop = piece.first, piece.start, piece.stop
        with raw_files.open_lines(piece.file.path) as file:
            if stop is None:
                file.read(start)  # Compressed, which cannot be sought in.
            else:
                file.seek(start)
            while block := file.read(_BLOCK if stop is None else min(_BLOCK, stop - start)):
                if stop is None or start + len(block) < stop:
                    block += file.readline()
                yield parse(number, block.split(b"\n"), columns, context)
                number, start = number + block.count(b"\n"), start + len(block)


def _skip(file: BinaryIO, size: int) -> tuple[int, int]:
    """Read at least so many bytes, to the end of a line; return the lines and bytes passed."""
    lines = passed = 0
    while passed < size and (block := file.read(min(_BLOCK, size - passed))):
        lines, passed = lines + block.count(b"\n"), passed + len(block)
    rest = file.readline()
    return lines + rest.endswith(b"\n"), passed + len(rest)


def read_header(lines: Iterable[bytes], columns: Columns | None, file: str) -> Header:
    """Read the header of a .ts file and check it against the schema, if there is one.

    Raises:
      BadDataError: there is no `@data`, the file has timestamps, or another number of features.
    """
    keys: dict[str, str] = {}
    size = 0
    for number, line in enumerate(lines, start=1):
        size += len(line)
        stated = line.removeprefix(raw_files.BOM if number == 1 else b"")
        text = stated.decode("utf-8", errors="replace").strip()
        if text.lower() == "@data":
            _check(keys, columns, file)
            return Header(lines=number, size=size, context=_context(keys))
        if text.startswith("@"):
            key, *value = text[1:].split(None, 1)
            keys[key.lower()] = value[0] if value else ""
        elif text and not text.startswith("#"):
            break
    raise BadDataError("bad_header", f"{file}: expected a header that ends with a line @data")


def parse(first: int, lines: Iterable[bytes], columns: Columns, context: str | None) -> Part:
    """Convert lines after `@data` to sequences; blank lines are none.

    Args:
      first: the number of the first line.
      lines: with or without their line ends.
      columns: what the schema says.
      context: the column that the last field of each line holds, if any.
    """
    texts = [
        (number, text)
        for number, line in enumerate(lines, start=first)
        if (text := line.strip(b"\r\n \t"))
    ]
    quick = _quick([text for _, text in texts], columns, context)
    sequences: list[tuple[int, bytes, np.ndarray, Mapping[str, ContextValue]]] = []
    rejected = []
    for (number, text), sequence in zip(texts, quick, strict=True):
        try:
            values, context_of = (
                parse_line(text, columns, context) if sequence is None else sequence
            )
        except RejectedRecord as reject:
            rejected.append(
                QuarantineLine(
                    number=number,
                    code=reject.code,
                    detail=reject.detail,
                    sequence_id=None,
                    text=chunks.shown(text),
                )
            )
        else:
            sequences.append((number, text[:_SHOWN_BYTES], values, context_of))
    features = len(columns.names)
    flat = np.concatenate(
        [np.zeros((features, 0)), *(values for _, _, values, _ in sequences)], axis=1
    )
    chunk = Chunk(
        number=np.array([number for number, *_ in sequences], np.int64),
        sequence_id=[None] * len(sequences),
        entity_id=[None] * len(sequences),
        length=np.array([values.shape[1] for _, _, values, _ in sequences], np.int64),
        values=dict(zip(columns.names, flat, strict=True)),
        time=None,
        context={
            name: [context_of.get(name) for *_, context_of in sequences] for name in columns.context
        },
        texts=[text for _, text, _, _ in sequences],
    )
    return Part(chunk=chunk, rejected=tuple(rejected))


def parse_line(
    text: bytes, columns: Columns, context: str | None
) -> tuple[np.ndarray, Mapping[str, ContextValue]]:
    """Convert a line to float64 [F, T], NaN where missing, and its context.

    Raises:
      RejectedRecord: the line is no sequence; the code and the detail say why.
    """
    fields = [field.strip() for field in text.split(b":")]
    context_of = _context_value(fields.pop(), context, columns) if context else {}
    if len(fields) != len(columns.names):
        raise RejectedRecord(
            "bad_dim", f"expected {len(columns.names)} features, received {len(fields)}"
        )
    if not any(fields):
        raise RejectedRecord("empty", "expected at least one step, received none")
    values = [checks.parse_numbers(_tidy(field)) for field in fields]
    lengths = dict(zip(columns.names, map(len, values), strict=True))
    if len(set(lengths.values())) > 1:
        raise RejectedRecord(
            "ragged", f"expected as many steps in each feature, received {lengths}"
        )
    return np.stack(values), context_of


def _tidy(field: bytes) -> bytes:
    """Return values without the blanks around them, and NaN as `checks` spells it."""
    return _NAN.sub(b"NaN", _AROUND_COMMAS.sub(b",", field))


def _quick(
    texts: list[bytes], columns: Columns, context: str | None
) -> list[tuple[np.ndarray, Mapping[str, ContextValue]] | None]:
    """Return what `parse_line` makes of each line; None of those that it must see itself."""
    sequences: list[tuple[np.ndarray, Mapping[str, ContextValue]] | None] = [None] * len(texts)
    context_of: dict[bytes, Mapping[str, ContextValue]] = {}
    plain: list[tuple[int, bytes, bytes, int]] = []
    for place, text in enumerate(texts):
        body, label = text, b""
        if context:
            body, _, label = text.rpartition(b":")
            label = label.strip()
            try:
                if label not in context_of:
                    context_of[label] = _context_value(label, context, columns)
            except RejectedRecord:
                continue
        body = body.replace(b"NaN", b"?")
        fields = body.split(b":")
        commas = fields[0].count(b",")
        if (
            len(fields) == len(columns.names)
            and not body.translate(None, _PLAIN)
            and all(field.count(b",") == commas for field in fields)
        ):
            plain.append((place, body, label, commas + 1))
    numbers = _numbers([body for _, body, _, _ in plain])
    if numbers is None:
        return sequences
    start = 0
    for place, _, label, length in plain:
        stop = start + length * len(columns.names)
        values = numbers[start:stop].reshape(len(columns.names), length)
        sequences[place] = values, context_of.get(label, {})
        start = stop
    return sequences


def _numbers(bodies: list[bytes]) -> np.ndarray | None:
    """Return all numbers of lines of plain characters, in order; None if a cell is none."""
    if not bodies:
        return np.zeros(0)
    text = b",".join(bodies).replace(b":", b",").decode("ascii")
    cells = pc.split_pattern(pa.array([text], pa.large_string()), ",").flatten()
    missing = pc.equal(cells, "?") if "?" in text else None
    try:
        numbers = pc.cast(
            cells if missing is None else pc.if_else(missing, None, cells), pa.float64()
        )
    except pa.ArrowInvalid:
        return None
    values: np.ndarray = numbers.to_numpy(zero_copy_only=False)
    return None if np.isinf(values).any() else values


def _context_value(field: bytes, name: str, columns: Columns) -> Mapping[str, ContextValue]:
    try:
        value = field.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RejectedRecord(
            "encoding", f"expected UTF-8: {error.reason} at byte {error.start}"
        ) from error
    if name not in columns.context or value in _MISSING:
        return {}
    kind = columns.context[name]
    if kinds.is_text(kind):
        return {name: value}
    numbers = checks.parse_numbers(field)
    if len(numbers) > 1 or (kinds.is_integer(kind) and not numbers[0].is_integer()):
        raise RejectedRecord(
            "type", f"column {name!r}: expected one {kind}, received {value[:40]!r}"
        )
    # An int64 does not fit into the float64 that its text was checked as.
    number = int(Decimal(value)) if kinds.is_integer(kind) else float(numbers[0])
    return checks.context_of(columns, {name: number})


def _context(keys: Mapping[str, str]) -> str | None:
    for key, column in (("classlabel", LABEL), ("targetlabel", TARGET)):
        if keys.get(key, "false").lower().startswith("true"):
            return column
    return None


def _check(keys: Mapping[str, str], columns: Columns | None, file: str) -> None:
    if keys.get("timestamps", "false").lower() == "true":
        raise BadDataError(
            "bad_header",
            f"{file}: @timeStamps true is not read; expected false: write values with times as a "
            "CSV table, a row a step",
        )
    if columns is None:
        return
    stated = "1" if keys.get("univariate", "").lower() == "true" else keys.get("dimensions")
    if stated is not None and stated != str(len(columns.features)):
        raise BadDataError(
            "bad_dim",
            f"{file}: @dimensions: expected {len(columns.features)}, as the schema has features, "
            f"received {stated}",
        )
