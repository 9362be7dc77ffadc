"""What the first bytes of a file say of its format; and what no reader takes, with what to do.

A name can be wrong, and a download can be half of one: bytes are looked at whatever the name says.
"""

import contextlib
import re
import struct
import zipfile

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.options import FormatName
from ragline.components.ingest.source import framing

PEEKED = 1 << 16
_BOM = b"\xef\xbb\xbf"
_STARTS: dict[bytes, FormatName] = {
    b"PAR1": "parquet",
    b"PK\x03\x04": "npz",
    b"<": "xes",
    b"{": "jsonl",
    b"@": "ts",
    b"#": "ts",
}
_DELIMITERS = ",;\t|"
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
    (b"Obj\x01", "Avro", "write it as Parquet"),
    (b"%PDF", "a PDF document", "expected data"),
    (b"MATLAB 5.0 MAT-file", "a MATLAB file", "save its arrays as .npz: scipy.io.loadmat"),
    (b"\x80\x04", "a Python pickle, which can run any code when read", "write it as Parquet"),
    (b"\x80\x05", "a Python pickle, which can run any code when read", "write it as Parquet"),
    (b"\xff\xfe", "text in UTF-16", "write it as UTF-8: `iconv -f UTF-16 -t UTF-8`"),
    (b"\xfe\xff", "text in UTF-16", "write it as UTF-8: `iconv -f UTF-16 -t UTF-8`"),
)
_ARFF = re.compile(rb"\s*(?:%[^\n]*\n\s*)*@relation\b", re.IGNORECASE)
_HTML = re.compile(rb"\s*<(?:!doctype\s+html|html)\b", re.IGNORECASE)
# Formats of which an empty file is none; an empty file of lines is one without records.
_NEVER_EMPTY = ("npz", "parquet", "xes")


def check(path: str, beginning: bytes, expected: FormatName | None) -> None:
    """Refuses a file that no reader takes, by its first bytes.

    Args:
      path: of the file, for the error.
      beginning: its first bytes, decompressed.
      expected: the format that its name says, if any.

    Raises:
      BadDataError: `no_data`, an empty file; `unknown_format`, what no reader takes.
    """
    if not beginning:
        if expected is None or expected in _NEVER_EMPTY:
            raise BadDataError(
                "no_data",
                f"{path}: expected at least one record, the file is empty (0 bytes): fetch or "
                "write it again, or take it out of the pattern",
            )
        return
    for start, what, remedy in _OTHERS:
        if beginning.startswith(start) and not is_framed(beginning):
            raise _refusal(path, what, remedy)
    if _ARFF.match(beginning.removeprefix(_BOM)):
        raise _refusal(path, "ARFF", "write it as .ts or as CSV")
    if _HTML.match(beginning.removeprefix(_BOM)):
        raise _refusal(path, "a web page", "fetch the data itself")
    if beginning.startswith(b"PK\x03\x04"):
        _check_zip(path)
    if expected is None and beginning.removeprefix(_BOM).lstrip()[:1] == b"[":
        raise _refusal(
            path, "a JSON array", "write a record a line: `jq -c '.[]' FILE > FILE.jsonl`"
        )


def of(beginning: bytes) -> FormatName | None:
    """The format that the first bytes of a file that `check` has passed say; None if none."""
    text = beginning.removeprefix(_BOM).lstrip()
    for start, name in _STARTS.items():
        if text.startswith(start):
            return name
    return "csv" if _is_table(beginning.removeprefix(_BOM)) else None


def is_framed(beginning: bytes) -> bool:
    """Whether a file begins as a TFRecord: with a length and its checksum."""
    length, crc = beginning[:8], beginning[8:12]
    return len(crc) == 4 and crc == struct.pack("<I", framing.masked_crc(length))


def _refusal(path: str, what: str, remedy: str) -> BadDataError:
    return BadDataError("unknown_format", f"{path}: this is {what}, which is not read; {remedy}")


def _check_zip(path: str) -> None:
    names: list[str] = []
    # A broken archive is refused by the reader of archives, which says where it breaks.
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


def _is_table(beginning: bytes) -> bool:
    """Whether text is a table: as many cells in each of its first lines."""
    if b"\0" in beginning:
        return False
    try:
        # A character may be cut off at the end.
        text = beginning[:-4].decode("utf-8") if len(beginning) == PEEKED else beginning.decode()
    except UnicodeDecodeError:
        return False
    lines = [line for line in text.splitlines() if line.strip()][:20]
    if len(text) >= PEEKED - 4:
        lines = lines[:-1] or lines
    if len(lines) < 2:
        return False
    if any(len({line.count(d) for line in lines}) == 1 and d in lines[0] for d in _DELIMITERS):
        return True
    cells = [line.split() for line in lines]
    return len({len(row) for row in cells}) == 1 and len(cells[0]) > 1 and _has_numbers(cells[-1])


def _has_numbers(cells: list[str]) -> bool:
    return any(re.fullmatch(r"[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?", cell) for cell in cells)
