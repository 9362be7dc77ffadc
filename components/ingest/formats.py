"""Which reader a file gets, and where a record stands in its file.

A `Source` is one raw file with what must be known of it before its lines can be parsed. A `Raw` is
one record, unparsed, with its place of origin: that is what the quarantine names.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass

from apache_beam.io.filesystems import FileSystems

from components.errors import BadDataError
from components.ingest import jsonl, ts
from components.ingest.options import FormatName
from components.sequence import Columns, Sequence

_SUFFIXES: dict[str, FormatName] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".ts": "ts"}
_COMPRESSIONS = (".gz", ".bz2", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One raw file.

    Attributes:
      path: where it is.
      name: its path below the pattern's fixed folder; the prefix of default sequence ids.
      index: its place among the files of the run, sorted; the earlier file's duplicate is kept.
      split: the split that all of it belongs to, or None to split by entity.
      header: what the header of a .ts file says; None for JSON Lines.
    """

    path: str
    name: str
    index: int
    split: str | None
    header: ts.Header | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """One record, unparsed, and where it stands: line number `line`, from 1, of `source`."""

    source: Source
    line: int
    text: bytes

    def parse(self, columns: Columns) -> Sequence:
        """The record as a sequence.

        Raises:
          checks.Reject: it cannot be one.
        """
        default_id = f"{self.source.name}:{self.line}"
        if self.source.header is None:
            return jsonl.parse(self.text, columns, default_id)
        return ts.parse(self.text, columns, default_id, self.source.header)


def match(pattern: str) -> list[str]:
    """The files of a pattern, sorted; a file whose name has brackets is found by its own name.

    Raises:
      BadDataError: `no_input`, nothing matches.
    """
    if os.path.isfile(pattern):
        return [pattern]
    found = sorted(metadata.path for metadata in FileSystems.match([pattern])[0].metadata_list)
    if not found:
        raise BadDataError("no_input", f"{pattern}: expected at least one file, found none")
    return found


def sources(
    patterns: dict[str | None, str], format_name: FormatName, columns: Columns
) -> list[Source]:
    """The files of a run, each with its format and header.

    Args:
      patterns: split (None: to be split by entity) -> path or pattern.
      format_name: of all files; `auto` goes by each file's name.
      columns: what the schema says, to check headers against.

    Raises:
      BadDataError: no file, an unknown format, a bad header.
    """
    found: list[Source] = []
    for split, pattern in patterns.items():
        paths = match(pattern)
        folder = os.path.dirname(os.path.commonprefix([os.path.dirname(p) + "/" for p in paths]))
        for path in paths:
            name = os.path.relpath(path, folder)
            is_ts = _format_of(path, format_name) == "ts"
            header = ts.read_header(_lines(path), columns, path) if is_ts else None
            found.append(
                Source(path=path, name=name, index=len(found), split=split, header=header)
            )
    return found


def read(source: Source) -> Iterator[Raw]:
    """The records of a file, in order; blank lines are none."""
    skip = source.header.lines if source.header else 0
    for number, line in enumerate(_lines(source.path), start=1):
        text = line.strip(b"\r\n \t")
        if number > skip and text:
            yield Raw(source=source, line=number, text=text)


def _lines(path: str) -> Iterator[bytes]:
    with FileSystems.open(path) as file:
        yield from io.BufferedReader(file, buffer_size=1 << 20)


def _format_of(path: str, format_name: FormatName) -> FormatName:
    if format_name != "auto":
        return format_name
    stem = path.lower()
    for suffix in _COMPRESSIONS:
        stem = stem.removesuffix(suffix)
    found = _SUFFIXES.get(os.path.splitext(stem)[1])
    if found is None:
        raise BadDataError(
            "unknown_format",
            f"{path}: expected a name that ends in one of {', '.join(_SUFFIXES)}, "
            "or input.format in the configuration",
        )
    return found
