"""Read Avro object container files: a record a sequence or, with `input.group_by`, a step.

    {"type": "record", "name": "Walk", "fields": [
      {"name": "sequence_id", "type": "string"},
      {"name": "ax", "type": {"type": "array", "items": ["null", "double"]}}, ...]}

Records mean what objects of JSON Lines mean: steps are arrays, or an array of records; null is a
missing value. Dates and times are read as ISO 8601, decimals as numbers, bytes as UTF-8. A piece is
a range of blocks. A schema of records in themselves is refused, and so are arrays of values that
take no bytes: a short file could claim either without an end.

Source: the Avro 1.12 specification, "Object Container Files".
"""

import contextlib
import datetime
import decimal
import io
import json
import types
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.interface import ObjectFormat, Use
from ragline.components.ingest.formats.parsing.objects import Decoded
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Piece
from ragline.components.ingest.source import raw_files


class Avro(ObjectFormat):
    """Reads Avro object container files."""

    uses = (
        Use("Avro: `.avro`", "a record"),
        Use("Avro of events, a record a step", "the records of one key", "`group_by`"),
    )
    suffixes = (".avro",)

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether a file begins with Avro's magic number."""
        return beginning.startswith(b"Obj\x01")

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Cut a file between blocks; a compressed file is one piece.

        Raises:
          BadDataError: `unreadable`; `bad_header`, a schema that holds no records.
        """
        stop = places.size(file.path)
        whole = Piece(file=file, start=0, stop=None, first=1, size=stop)
        with _opened(whole) as (stream, _):
            is_cut = not raw_files.compression(file.path)
            blocks = [(block.offset, block.num_records) for block in stream if is_cut]
        pieces: list[Piece] = []
        first = 1 + sum(count for _, count in blocks)
        for start, count in reversed(blocks):
            first -= count
            if (size := stop - start) >= piece_bytes or first == 1:
                piece = replace(whole, start=start, stop=stop, first=first, size=size)
                pieces.append(replace(piece, header={"size": blocks[0][0]}))
                stop = start
        return pieces[::-1] or [whole]

    def decode(self, piece: Piece, columns: Columns | None) -> Iterator[Decoded]:
        """Yield the records of a piece as JSON would have them.

        Raises:
          BadDataError: `unreadable`, `bad_header`.
        """
        number = piece.first
        with _opened(piece) as (stream, schema):
            text = json.dumps(schema)
            is_plain = not any(word in text for word in ('"logicalType"', '"bytes"', '"fixed"'))
            for block in stream:
                for value in block:
                    try:
                        yield number, value if is_plain else _plain(value), None
                    except RejectedRecord as reject:
                        yield number, reject, None
                    number += 1


@contextlib.contextmanager
def _opened(piece: Piece) -> Iterator[tuple[Any, Any]]:
    """Open the blocks of a piece; yields them and their schema.

    Raises:
      BadDataError: `unreadable`, also of what is read of it; `bad_header`.
    """
    import fastavro

    path = piece.file.path
    try:
        with raw_files.open(path) as file:
            # A compressed file does not tell its places; nobody asks for them.
            source: Any = types.SimpleNamespace(read=file.read, tell=lambda: 0)
            source = file if file.seekable() else source
            if piece.stop is not None and piece.header:
                header = file.read(piece.header["size"])
                file.seek(piece.start)
                source = io.BytesIO(header + file.read(piece.stop - piece.start))
            stream = fastavro.block_reader(source)
            if _is_empty(stream.writer_schema, path, {}):
                raise BadDataError("bad_header", f"{path}: schema: expected a record with fields")
            yield stream, stream.writer_schema
    except BadDataError:
        raise
    except Exception as error:  # Of as many kinds as there are ways to break a file.
        what = f"{type(error).__name__}: {error}; expected a whole Avro file: fetch or write it"
        raise BadDataError("unreadable", f"{path}: {what} again") from error


def _is_empty(kind: Any, path: str, named: dict[str, bool | None]) -> bool:
    """Return whether values of a type take no bytes, as `named` has it of records that are known.

    Raises:
      BadDataError: `bad_header`, a type without an end.
    """
    if isinstance(kind, list):
        [_is_empty(choice, path, named) for choice in kind]
        return False  # Which choice it is takes a byte.
    if isinstance(kind, str):
        if named.get(kind, False) is None:
            raise BadDataError("bad_header", f"{path}: schema: {kind} holds itself")
        return bool(named.get(kind, kind == "null"))
    inner = kind.get("items", kind.get("values"))
    if inner is not None:
        if _is_empty(inner, path, named):
            raise BadDataError("bad_header", f"{path}: schema: an array of values of no bytes")
        return False
    if "fields" in kind:
        named[kind["name"]] = None
        fields = [_is_empty(field["type"], path, named) for field in kind["fields"]]
        named[kind["name"]] = all(fields)
        return all(fields)
    return _is_empty(kind["type"], path, named) or kind.get("size") == 0


def _plain(value: Any) -> Any:
    """Return a value of types that JSON has."""
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal():
            return float(value)
        case bytes():
            return checks.utf8(value)
    return value if value is None or isinstance(value, str | int | float) else str(value)
