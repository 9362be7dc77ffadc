"""Read JSON Lines, one sequence a line.

    {"sequence_id": "a1", "entity_id": "b", "features": {"ax": [0.1, null], ...}, "label": "x"}
    {"sequence_id": "a1", "steps": [{"ax": 0.1, "ay": 2.0}, ...], "label": "x"}
    {"sequence_id": "a1", "ax": [0.1, null], ..., "label": "x"}

The columns of the steps, categories and times among them, are lists in `features`, or values in
each of the `steps` (or of another list of objects), or else lists in the record itself. A column in
an object in these is called by its path: `bp.sys`. With `input.group_by` a line is a step
(`events`). `sequence_id` defaults to file:line. A null inside a list is a missing value where the
schema allows one. `length` may be stated and is then checked. Keys that the schema does not name
are not read.

orjson reads a line 10 times as fast as the standard library's json, which has the last word on
what is refused: it also takes NaN, and integers of any size as such. (pyarrow.json is slower than
orjson, and dies by a signal of a line that is `null`.)
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from ragline.components.contract.columns import Columns
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing import events, objects
from ragline.components.ingest.formats.parsing.objects import Decoded
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import (
    File,
    Part,
    Piece,
    QuarantineLine,
    Record,
    Rows,
)
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, raw_files


class JsonLines(Format):
    """Reads JSON Lines."""

    uses = (
        Use("JSON Lines: `.jsonl`, `.ndjson`", "a line"),
        Use("JSON Lines of events, a line a step", "the lines of one key", "`group_by`"),
    )
    suffixes = (".jsonl", ".ndjson")
    is_line_based = True

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether text begins with an object."""
        return beginnings.starts(beginning, b"{")

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read the objects of ranges of files.

        Raises:
          BadDataError: `unreadable`; `no_data`, no line is a JSON object.
        """
        from ragline.components.ingest.samples import jsonl as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Cut a file into ranges of whole lines; a compressed file is one piece.

        Raises:
          BadDataError: `unreadable`.
        """
        return raw_files.line_pieces(file, piece_bytes)

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the lines of a piece, each a sequence; blank ones are none.

        Raises:
          BadDataError: `unreadable` or `zip_bomb`.
        """
        return objects.parts_of(
            (parse(text, number, columns, options) for number, text in raw_files.records(piece)),
            columns,
        )

    def rows(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Rows]:
        """Read the lines of a piece, each a step; blank ones are none.

        Raises:
          BadDataError: `unreadable` or `zip_bomb`.
        """
        blocks = (
            [*map(_event, raw_files.numbered(first, lines))]
            for first, lines in raw_files.line_blocks(piece, events.BLOCK)
        )
        return events.rows(piece, columns, options, blocks, is_whole=lambda: piece.start == 0)


def parse(
    text: bytes, number: int, columns: Columns, options: InputOptions
) -> Record | QuarantineLine:
    """Convert a line to a sequence, not yet checked beyond its types; or say why it is none."""
    # Of what JSON can hold, an array takes only these for numbers which are none.
    typed = b"true" in text or b"false" in text
    for decode in (_decoded, _decoded_exactly):
        stated: list[str | None] = [None]
        try:
            value = decode(text)
            return objects.record_of(
                value, number, columns, options, stated=stated, typed=typed, text=text
            )
        except RejectedRecord as error:
            reject = error
    return objects.rejected(number, reject, None, text, stated[0])


def decoded(text: bytes) -> Any:
    """Decode a line.

    Raises:
      RejectedRecord: `json`, `encoding`, `number_format`.
    """
    try:
        return _decoded(text)
    except RejectedRecord:
        return _decoded_exactly(text)


def _event(line: tuple[int, bytes]) -> Decoded:
    number, text = line
    try:
        return number, decoded(text), text
    except RejectedRecord as reject:
        return number, reject, text


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise RejectedRecord("json", str(error)) from error


def _decoded_exactly(text: bytes) -> Any:
    spelt = checks.utf8(text)
    try:
        return json.loads(spelt)
    except (json.JSONDecodeError, RecursionError) as error:
        raise RejectedRecord("json", f"expected a JSON object: {error}") from error
    except ValueError as error:  # An integer of more digits than Python converts.
        raise RejectedRecord("number_format", str(error)) from error
