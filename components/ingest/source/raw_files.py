"""Read raw files as streams of bytes: decompressed by their suffix, and whole or refused.

A file that ends too early, fails its checksum or swells beyond measure is a BadDataError as soon
as it is read that far, so that a reader needs no pass of its own over a compressed file.
"""

import hashlib
import io
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

import pyarrow as pa

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.storage import digest_of
from ragline.components.ingest.records.chunk import File, Piece

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
# A bomb is a file that swells by more than both. Text of numbers swells 3 to 10 times, and a
# constant column in it some hundreds of times, which a small file may.
BOMB_RATIO = 200
BOMB_BYTES = 256 << 20
_BLOCK = 1 << 20
_PEEKED = 1 << 16
BOM = b"\xef\xbb\xbf"
_TICK = 1_000_000_000  # Nanoseconds; many file systems count in less, some in 2 seconds.
_SKEW = 1800  # Seconds; S3 refuses requests whose clock is 15 minutes from its own.
Stamp = tuple[float, ...]
_digests: dict[str, tuple[Stamp, str]] = {}  # Path -> its stamp, and its digest then.


def open(path: str) -> BinaryIO:
    """Open a file, decompressed if its name says .gz, .bz2 or .zst; seekable if it does not.

    Raises:
      BadDataError: `unreadable`, here or in a read: not to be opened, truncated or corrupt;
        `zip_bomb`, in a read.
    """
    try:
        raw = places.open(path)
    except OSError as error:
        raise _unreadable(path, error) from error
    codec = COMPRESSIONS.get(compression(path))
    if codec is None:
        return raw
    return io.BufferedReader(_Decompressed(path, raw, codec), _BLOCK)


def open_lines(path: str) -> BinaryIO:
    """Open a file of lines; the lone carriage returns of old Macs end lines as well.

    No byte is more or less for it, so that places in the file stay the same.
    """
    stream = open(path)
    beginning = stream.read(_PEEKED)
    if stream.seekable():
        stream.seek(0)
    else:
        stream.close()
        stream = open(path)
    if b"\r" not in beginning or b"\n" in beginning:
        return stream
    return io.BufferedReader(_CarriageReturns(stream), _BLOCK)


def compression(path: str) -> str:
    """Return the suffix of a compressed file, or ""."""
    suffix = os.path.splitext(path.lower())[1]
    return suffix if suffix in COMPRESSIONS else ""


def line_pieces(
    file: File,
    piece_bytes: int,
    *,
    skip: int = 0,
    first: int = 1,
    header: Mapping[str, Any] | None = None,
) -> list[Piece]:
    """Cut a file of lines between lines; a compressed one stays whole.

    Args:
      file: the file.
      piece_bytes: the least bytes of a piece, but for the last.
      skip: the bytes before the first line.
      first: the number of the first line.
      header: the `header` of all pieces.

    Raises:
      BadDataError: `unreadable`.
    """
    if compression(file.path):
        stored = places.size(file.path)
        return [Piece(file=file, start=skip, stop=None, first=first, size=stored, header=header)]
    pieces = []
    start, stop, number, lines = skip, skip, first, 0

    def cut() -> None:
        pieces.append(
            Piece(file=file, start=start, stop=stop, first=number, size=stop - start, header=header)
        )

    with open_lines(file.path) as stream:
        stream.seek(skip)
        while block := stream.read(min(_BLOCK, piece_bytes)):
            block = _to_line_end(block, stream)
            stop += len(block)
            lines += block.count(b"\n")
            if stop - start >= piece_bytes:
                cut()
                start, number, lines = stop, number + lines, 0
    if stop > start:
        cut()
    return pieces


def line_blocks(piece: Piece, block_bytes: int = _BLOCK) -> Iterator[tuple[int, list[bytes]]]:
    """Yield lines of a piece, many at a time: the number of the first, and all without their ends.

    Raises:
      BadDataError: `unreadable` or `zip_bomb`.
    """
    number = piece.first
    with open_lines(piece.file.path) as stream:
        if stream.seekable():
            stream.seek(piece.start)
        else:
            stream.read(piece.start)
        at_start = piece.start == 0
        left = sys.maxsize if piece.stop is None else piece.stop - piece.start
        while left > 0 and (block := stream.read(min(block_bytes, left))):
            block = _to_line_end(block, stream)
            left -= len(block)
            block = block.removeprefix(BOM) if at_start else block
            at_start = False
            lines = block.removesuffix(b"\n").split(b"\n")
            yield number, lines
            number += len(lines)


def records(piece: Piece) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a piece that are not blank, with their numbers, without outer blanks."""
    for first, lines in line_blocks(piece):
        yield from numbered(first, lines)


def numbered(first: int, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that are not blank, with their numbers, without outer blanks."""
    for number, line in enumerate(lines, start=first):
        if text := line.strip(b"\r\n \t"):
            yield number, text


def _to_line_end(block: bytes, stream: BinaryIO) -> bytes:
    return block if block.endswith(b"\n") else block + stream.readline()


def fingerprint(paths: Iterable[str]) -> str:
    """Return the digest of the names and the content of files.

    A file that has not been touched since this process read it for a fingerprint is not read again.

    Raises:
      BadDataError: `unreadable`, or `changed_input`, somebody wrote to it meanwhile.
    """
    parts = []
    for path in paths:
        # As the file system spells it: a name need not be UTF-8.
        parts += [os.fsencode(path).hex(), _digest(path)]
    return digest_of(parts)


def stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    """Return path -> what changes whenever a file is touched, for `check_untouched`.

    Raises:
      BadDataError: `unreadable`.
    """
    return {path: _stamp(path) for path in paths}


def check_untouched(before: Mapping[str, Stamp]) -> None:
    """Hold that nobody has touched files since, be it to write what was there.

    Raises:
      BadDataError: `unreadable`, or `changed_input`.
    """
    for path, stamp in before.items():
        if _stamp(path) != stamp:
            raise _touched(path)


def _digest(path: str) -> str:
    before = _stamp(path)
    stamp, known = _digests.get(path, (None, ""))
    if stamp == before:
        return known
    digest = hashlib.sha256()
    try:
        with places.open(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise _unreadable(path, error) from error
    if _stamp(path) != before:
        raise _touched(path)
    if _shows_changes(path, before):
        _digests[path] = before, digest.hexdigest()
    return digest.hexdigest()


def _shows_changes(path: str, stamp: Stamp) -> bool:
    """Return whether a change from now on would show: not within one tick after the last one.

    A store has a clock of its own, and an object may have no time, 0.
    """
    if places.is_local(path):
        return time.time_ns() - max(stamp[1:3]) > _TICK
    return 0 < stamp[1] < time.time() - _SKEW


def _stamp(path: str) -> Stamp:
    """Return what changes whenever a file is written to, replaced, or written back as it was."""
    try:
        if places.is_local(path):
            status = os.stat(path)
            return (
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
                status.st_ino,
                status.st_dev,
            )
        return places.stamp(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: OSError) -> BadDataError:
    return BadDataError("unreadable", f"{path}: {error.strerror or error}")


def _touched(path: str) -> BadDataError:
    return BadDataError(
        "changed_input",
        f"{path}: expected a file that nobody writes to while it is read, received one that was "
        "changed meanwhile; nothing of it was kept, run again",
    )


class _CarriageReturns(io.RawIOBase):
    """Reads each carriage return of a stream as a line feed."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._stream.seekable()

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        return self._stream.seek(place, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._stream.read(len(buffer)).replace(b"\r", b"\n")
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Decompressed(io.RawIOBase):
    """Decompresses a file by Arrow, which alone refuses every truncation and flipped bit."""

    def __init__(self, path: str, raw: BinaryIO, codec: str) -> None:
        super().__init__()
        self._path = path
        self._raw = raw
        self._stored = places.size(path)
        self._file = pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), codec)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            if not self._stored:  # No bytes at all decompress to none without complaint.
                raise OSError("Truncated compressed stream")
            block = self._file.read(len(buffer))
        except OSError as error:
            raise BadDataError("unreadable", f"{self._path}: {error}") from error
        buffer[: len(block)] = block
        self._total += len(block)
        if self._total > max(BOMB_BYTES, BOMB_RATIO * self._stored):
            raise BadDataError(
                "zip_bomb",
                f"{self._path}: {self._stored} bytes became more than {self._total}: expected at "
                f"most {BOMB_RATIO} times as many, or {BOMB_BYTES} bytes",
            )
        return len(block)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._raw.close()
        super().close()
