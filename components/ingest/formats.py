"""Which reader a file gets, and where a record stands in its file.

A `Source` is one raw file with what must be known of it before its lines can be parsed. A `Raw` is
one record, unparsed, with its place of origin: that is what the quarantine names.
"""

import bz2
import collections
import gzip
import hashlib
import io
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from components.errors import BadDataError
from components.ingest import jsonl, ts
from components.ingest.options import FormatName
from components.sequence import Columns, Sequence
from components.storage import digest_of

_SUFFIXES: dict[str, FormatName] = {".jsonl": "jsonl", ".ndjson": "jsonl", ".ts": "ts"}
_DECOMPRESSORS: dict[str, Callable[[BinaryIO], Iterable[bytes]]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
}
_WILDCARD = re.compile(r"[*?[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One raw file.

    Attributes:
      path: where it is.
      name: its path below the fixed folder of the patterns; the prefix of default sequence ids.
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
      BadDataError: `no_input`, nothing matches, or a folder does.
    """
    if os.path.isfile(pattern):
        return [pattern]
    if os.path.isdir(pattern):
        inside = os.path.join(pattern, "*")
        raise BadDataError(
            "no_input",
            f"{pattern}: expected a file or a pattern such as {inside}, received a folder",
        )
    found = sorted(metadata.path for metadata in FileSystems.match([pattern])[0].metadata_list)
    if not found:
        raise BadDataError("no_input", f"{pattern}: expected at least one file, found none")
    return found


def fingerprint(patterns: Iterable[str]) -> str:
    """Digest of the names and the content of the files of some patterns, on any file system.

    Raises:
      BadDataError: `no_input`.
    """
    parts = []
    for pattern in patterns:
        for path in match(pattern):
            digest = hashlib.sha256()
            with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            parts += [path, digest.hexdigest()]
    return digest_of(parts)


def sources(
    patterns: dict[str | None, str], format_name: FormatName, columns: Columns
) -> list[Source]:
    """The files of a run, each with its format and header.

    Args:
      patterns: split (None: to be split by entity) -> path or pattern.
      format_name: of all files; `auto` goes by each file's name.
      columns: what the schema says, to check headers against.

    Raises:
      BadDataError: no file, an unknown format, a bad header, a broken compressed file.
    """
    # Of the patterns, not of the files: a new file must not rename, and so resplit, the others.
    folder = os.path.commonpath([_fixed_folder(pattern) for pattern in patterns.values()])
    found: list[Source] = []
    for split, pattern in patterns.items():
        for path in match(pattern):
            name = os.path.relpath(path, folder)
            is_ts = _format_of(path, format_name) == "ts"
            _check_whole(path)
            header = ts.read_header(_lines(path), columns, path) if is_ts else None
            found.append(Source(path=path, name=name, index=len(found), split=split, header=header))
    return found


def read(source: Source) -> Iterator[Raw]:
    """The records of a file, in order; blank lines are none."""
    skip = source.header.lines if source.header else 0
    for number, line in enumerate(_lines(source.path), start=1):
        text = line.strip(b"\r\n \t")
        if number > skip and text:
            yield Raw(source=source, line=number, text=text)


def _fixed_folder(pattern: str) -> str:
    """The folder that a pattern names before its first wildcard."""
    fixed = pattern if os.path.isfile(pattern) else _WILDCARD.split(pattern, maxsplit=1)[0]
    return os.path.abspath(os.path.dirname(fixed))


def _lines(path: str) -> Iterator[bytes]:
    # Not decompressed by Beam, which takes a truncated file for a short one.
    decompress = _DECOMPRESSORS.get(_compression(path), io.BufferedReader)
    with FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        yield from decompress(file)


def _check_whole(path: str) -> None:
    """Reads a compressed file to its end, here, where an error still has its name.

    Raises:
      BadDataError: `unreadable`.
    """
    if _compression(path) in _DECOMPRESSORS:
        try:
            collections.deque(_lines(path), maxlen=0)
        except (OSError, EOFError, zlib.error) as error:
            raise BadDataError("unreadable", f"{path}: {error}") from error


def _compression(path: str) -> str:
    return os.path.splitext(path.lower())[1]


def _format_of(path: str, format_name: FormatName) -> FormatName:
    if format_name != "auto":
        return format_name
    stem = path.lower()
    if _compression(path) in _DECOMPRESSORS:
        stem = os.path.splitext(stem)[0]
    found = _SUFFIXES.get(os.path.splitext(stem)[1])
    if found is None:
        raise BadDataError(
            "unknown_format",
            f"{path}: expected a name that ends in one of {', '.join(_SUFFIXES)}, "
            "or input.format in the configuration",
        )
    return found
