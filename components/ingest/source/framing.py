"""Read TFRecord files, and check their framing before TensorFlow sees a byte.

A record stands in its file as

    length         uint64, little-endian
    crc of length  uint32, masked CRC-32C
    data           length bytes
    crc of data    uint32, masked CRC-32C

tf.data takes a file cut inside a header for a shorter one, and dies of a length that no memory
holds. Here a length is compared with the bytes that remain before anything is allocated, and each
cut and each flipped bit is an error. A cut between two records looks like the end of the file: only
a manifest, which our own shards have, shows that one.

Source: tensorflow/core/lib/io/record_writer.h.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import google_crc32c

from ragline.components.contract.errors import BadDataError

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
# No protocol buffer is longer, so neither is a record that holds one.
_LONGEST = (1 << 31) - 1
# Where the file's size is not known, memory grows only as bytes arrive.
_BLOCK = 1 << 22
_MASK_DELTA = 0xA282EAD8


def records(
    file: BinaryIO, size: int | None, path: str, *, start: int = 0, first: int = 1
) -> Iterator[tuple[int, bytes]]:
    """Yield the records of a TFRecord file, each with the byte at which it begins.

    Args:
      file: open at `start`, decompressed.
      size: where to stop: the file's size in bytes, or the end of a range of whole records. None
        if it is compressed, which leaves its end to be found.
      path: for messages.
      start: the byte at which `file` stands.
      first: the number of the record there.

    Raises:
      BadDataError: `framing`, which names the file, the record and its byte, or `unreadable`, where
        the compressed file is broken.
    """
    offset, number = start, first
    while size is None or offset < size:
        header = _read(file, _HEADER.size, path)
        if not header and size is None:
            return
        place = f"{path}: record {number} at byte {offset}"
        if len(header) < _HEADER.size:
            raise BadDataError(
                "framing",
                f"{place}: expected a header of {_HEADER.size} bytes, "
                f"received {len(header)}: the file is truncated",
            )
        length, crc = _HEADER.unpack(header)
        if crc != masked_crc(header[:8]):
            raise BadDataError("framing", f"{place}: the checksum of its length does not match")
        remaining = None if size is None else size - offset - _HEADER.size - _FOOTER.size
        if length > _LONGEST or (remaining is not None and length > remaining):
            left = "" if remaining is None else f"; {max(remaining, 0)} remain"
            raise BadDataError(
                "framing", f"{place}: states {length} bytes; expected at most {_LONGEST}{left}"
            )
        data = _read(file, length + _FOOTER.size, path)
        if len(data) < length + _FOOTER.size:
            raise BadDataError(
                "framing",
                f"{place}: expected {length + _FOOTER.size} bytes after its header, "
                f"received {len(data)}: the file is truncated",
            )
        payload = data[:length]
        if _FOOTER.unpack_from(data, length)[0] != masked_crc(payload):
            raise BadDataError("framing", f"{place}: the checksum of its data does not match")
        yield offset, payload
        offset += _HEADER.size + length + _FOOTER.size
        number += 1


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C of some bytes, rotated and shifted as TFRecord files store it."""
    crc = google_crc32c.value(data)
    rotated = (crc >> 15) | (crc << 17)
    return int(rotated + _MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """Return a record as it stands in its file."""
    length = struct.pack("<Q", len(payload))
    crcs = (_FOOTER.pack(masked_crc(part)) for part in (length, payload))
    return b"".join((length, next(crcs), payload, next(crcs)))


def _read(file: BinaryIO, count: int, path: str) -> bytes:
    """Read `count` bytes, or as many as there are."""
    try:
        if count <= _BLOCK:
            return file.read(count)
        blocks = []
        while count and (block := file.read(min(count, _BLOCK))):
            blocks.append(block)
            count -= len(block)
        return b"".join(blocks)
    except (OSError, EOFError, zlib.error) as error:
        raise BadDataError("unreadable", f"{path}: {error}") from error
