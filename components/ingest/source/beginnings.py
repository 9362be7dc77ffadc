"""Guess the format of a file by its name and first bytes, and refuse what no format reads.

A name can be wrong, and a download can be half of one: bytes are looked at whatever the name says.
"""

import contextlib
import os
import re
import struct
import zipfile
from collections.abc import Iterable

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest import formats
from ragline.components.ingest.source import framing, raw_files

PEEKED = 1 << 16
# First bytes -> what such a file is, and what to do with it.
_OTHERS: tuple[tuple[bytes, str, str], ...] = (
    (
        b"version https://git-lfs.github.com/spec",
        "a pointer of Git LFS in place of the file",
        "`git lfs pull` fetches it",
    ),
    (b"\x1f\x8b", "compressed by gzip", "expected a name that ends in .gz"),
    (b"BZh", "compressed by bzip2", "expected a name that ends in .bz2"),
    (b"\x28\xb5\x2f\xfd", "compressed by Zstandard", "expected a name that ends in .zst"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it first: `xz -d`"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!", "a RAR archive", "unpack it first"),
    (b"\x93NUMPY", "one NumPy array", "save it as np.savez(path, values=x, length=lengths)"),
    (b"\x89HDF", "HDF5", "write it as Parquet: pandas.read_hdf(path).to_parquet(...)"),
    (b"ARROW1", "Arrow's own format", "write it as Parquet: pyarrow.parquet.write_table"),
    (b"\xd0\xcf\x11\xe0", "an Excel sheet", "save it as CSV"),
    (b"SQLite format 3\0", "a SQLite database", "write its table as CSV"),
    (b"%PDF", "a PDF document", "expected data"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", "save its arrays as .npz: scipy.io.loadmat"),
    (b"\x80\x04", "a Python pickle, which can run any code when read", "write it as Parquet"),
    (b"\x80\x05", "a Python pickle, which can run any code when read", "write it as Parquet"),
    (b"\xff\xfe", "text in UTF-16", "write it as UTF-8: `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "text in UTF-16", "write it as UTF-8: `iconv -f UTF-16 -t UTF-8`"),
)
# The end of a name -> what stands beside data and is none, as ragline itself writes it.
_BESIDE_DATA = {".toml": "a configuration", ".pbtxt": "a schema"}
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)


def guess(path: str) -> str:
    """Return the format of a file by its name, or where that says nothing, by its first bytes.

    Raises:
      BadDataError: `unknown_format`, or bytes that no format reads, whatever the name says;
        `no_data`, there are no bytes; or the file cannot be read.
    """
    named = _by_name(path, formats.FORMATS.own)
    added = () if named else formats.FORMATS.added
    named = named or _by_name(path, added)
    try:
        with raw_files.open(path) as file:
            beginning = file.read(PEEKED)
    except BadDataError:
        if named:  # Its format says what is wrong with it.
            return named
        raise
    if not named and (beside := _BESIDE_DATA.get(os.path.splitext(path.lower())[1])):
        only = os.path.join(os.path.dirname(path), "*.csv")
        raise BadDataError(
            "unknown_format",
            f"{path}: this is {beside}, not data; expected a pattern of the data's files alone, "
            f"such as {only}",
        )
    if named in added:  # What the package refuses, or takes for its own, may well be its.
        return named
    if not named and (recognised := _by_bytes(path, beginning, added)):
        return recognised
    check(path, beginning, named)
    if named:
        return named
    if recognised := _by_bytes(path, beginning, formats.FORMATS.own):
        return recognised
    suffixes = [suffix for name in formats.FORMATS for suffix in formats.of(name).suffixes]
    raise BadDataError(
        "unknown_format",
        f"{path}: neither its name (expected one that ends in {', '.join(suffixes)}) nor its "
        "first bytes say how to read it; expected input.format in the configuration, or "
        "`ragline init --format`",
    )


def _by_name(path: str, names: Iterable[str]) -> str | None:
    stem = path.lower().removesuffix(raw_files.compression(path))
    suffix = os.path.splitext(stem)[1]
    return next((name for name in names if suffix in formats.of(name).suffixes), None)


def _by_bytes(path: str, beginning: bytes, names: Iterable[str]) -> str | None:
    last_first = reversed([*names])
    return next((name for name in last_first if formats.of(name).recognises(path, beginning)), None)


def starts(beginning: bytes, *prefixes: bytes) -> bool:
    """Return whether a file begins with one of some bytes, after a BOM and blanks."""
    return beginning.removeprefix(raw_files.BOM).lstrip().startswith(prefixes)


def check(path: str, beginning: bytes, expected: str | None) -> None:
    """Refuse a file that no format reads, by its first bytes.

    Args:
      path: the path of the file, for the error.
      beginning: the first bytes of the file, decompressed.
      expected: the format that its name says, if any.

    Raises:
      BadDataError: `no_data`, an empty file; `unknown_format`, what no format reads.
    """
    if not beginning:
        # An empty file of lines is one without records.
        if expected is None or not formats.of(expected).is_line_based:
            raise BadDataError(
                "no_data",
                f"{path}: expected at least one record, the file is empty (0 bytes): fetch or "
                "write it again, or take it out of the pattern",
            )
        return
    for start, what, remedy in _OTHERS:
        if beginning.startswith(start) and not is_framed(beginning):
            raise _refusal(path, what, remedy)
    if _HTML.match(beginning.removeprefix(raw_files.BOM)):
        raise _refusal(path, "a web page", "fetch the data itself")
    if beginning.startswith(b"PK\x03\x04"):
        _check_zip(path)
    if expected is None and beginning.removeprefix(raw_files.BOM).lstrip()[:1] == b"[":
        raise _refusal(
            path, "a JSON array", "write a record a line: `jq -c '.[]' FILE > FILE.jsonl`"
        )


def is_framed(beginning: bytes) -> bool:
    """Return whether a file begins as a TFRecord: with a length and its checksum."""
    length, crc = beginning[:8], beginning[8:12]
    return len(crc) == 4 and crc == struct.pack("<I", framing.masked_crc(length))


def _refusal(path: str, what: str, remedy: str) -> BadDataError:
    return BadDataError("unknown_format", f"{path}: this is {what}, which is not read; {remedy}")


def _check_zip(path: str) -> None:
    names: list[str] = []
    # A broken archive is refused by the format of archives, which says where it breaks.
    with (
        contextlib.suppress(zipfile.BadZipFile, OSError, NotImplementedError, ValueError),
        places.open(path) as file,
        zipfile.ZipFile(file) as archive,
    ):
        names = archive.namelist()
    if any(name.startswith(("xl/", "word/")) for name in names):
        raise _refusal(path, "an Excel sheet or a document", "save it as CSV")
    if others := [name for name in names if not name.endswith(".npy")]:
        raise _refusal(path, f"a zip archive that holds {others[0]!r}", "unpack it first: `unzip`")
