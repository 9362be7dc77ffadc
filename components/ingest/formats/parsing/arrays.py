"""Read the arrays of a NumPy archive, a range at a time, and never unpickle one.

Stated sizes are compared with the bytes that are there before anything is allocated.
"""

import contextlib
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.source import raw_files

_SUFFIX = ".npy"
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    OSError,
    EOFError,
    NotImplementedError,  # A method of compression, or a version, that zipfile does not know.
    RuntimeError,  # An encrypted member.
    ValueError,  # A header that is none, or a name that is not text.
    TypeError,
    SyntaxError,
    tokenize.TokenError,
    OverflowError,
    MemoryError,  # So many brackets in a header that Python's parser gives up.
)
# Kinds of dtypes, as NumPy's letters, and what they are in words.
Kinds = tuple[str, str]
NUMBERS: Kinds = ("fiu", "numbers of at most 8 bytes")
INTEGERS: Kinds = ("iu", "integers")
WORDS: Kinds = ("USb", "text or booleans")
NAMES: Kinds = ("USiu", "text or integers")
TIMES: Kinds = ("fiuUSM", "numbers, ISO 8601 text or datetime64 in days to nanoseconds")
# Arrow's unit for each of NumPy's.
_UNITS = {"D": "s", "h": "s", "m": "s", "s": "s", "ms": "ms", "us": "us", "ns": "ns"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """States what the header of a member says; `offset` is where its data begin."""

    name: str
    member: zipfile.ZipInfo
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    fortran: bool
    offset: int

    @property
    def size(self) -> int:
        """Return the bytes of the data."""
        return math.prod(self.shape) * self.dtype.itemsize

    def is_of(self, kinds: Kinds) -> bool:
        """Return whether the dtype is one of some kinds."""
        kind = self.dtype.kind
        if kind == "M" and np.datetime_data(self.dtype)[0] not in _UNITS:
            return False
        return kind in kinds[0] and (kind in "US" or self.dtype.itemsize <= 8)

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


@contextlib.contextmanager
def opened(path: str) -> Iterator[zipfile.ZipFile]:
    """Open the archive in a file.

    Raises:
      BadDataError: `unreadable`.
    """
    with contextlib.ExitStack() as stack:
        with _readable(path):
            file = stack.enter_context(raw_files.open(path))
            archive = stack.enter_context(zipfile.ZipFile(file))
        yield archive


def read_arrays(archive: zipfile.ZipFile, path: str) -> list[Array]:
    """Return the arrays of an archive, in its order, as far as headers tell.

    Raises:
      BadDataError: `unreadable`, `zip_bomb` or `pickled`.
    """
    with _readable(path):
        members = archive.infolist()
        _check_sizes(members, places.size(path), path)
        arrays = [_array(archive, member, path) for member in members]
        if len({array.name for array in arrays}) < len(arrays):
            raise ValueError("expected each array once, received several of one name")
    return arrays


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str) -> Array:
    name = member.filename
    if not name.endswith(_SUFFIX):
        raise ValueError(f"expected only arrays, received {name!r}")
    with archive.open(member) as file:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"array {name!r}: its format {version} is not that of plain arrays")
        shape, fortran, dtype = _HEADERS[version](file)
        array = Array(
            name=name.removesuffix(_SUFFIX),
            member=member,
            dtype=dtype,
            shape=shape,
            fortran=fortran,
            offset=file.tell(),
        )
    if dtype.hasobject:
        raise BadDataError(
            "pickled",
            f"{path}: array {array.name!r} holds pickled objects, which can run any code when "
            "read; of such an array x write the numbers instead: "
            "np.savez(path, values=np.concatenate(x), length=[len(s) for s in x])",
        )
    remain = member.file_size - array.offset
    if not dtype.itemsize or min(shape, default=0) < 0 or array.size != remain:
        raise ValueError(
            f"array {array.name!r}: its header states {array}, {array.size} bytes; {remain} remain"
        )
    return array


def _check_sizes(members: Iterable[zipfile.ZipInfo], stored: int, path: str) -> None:
    """Refuse an archive whose members claim more than its bytes can hold, or swell beyond measure.

    Raises:
      BadDataError: `zip_bomb`.
    """
    packed = sum(member.compress_size for member in members)
    stated = sum(member.file_size for member in members)
    most = max(raw_files.BOMB_BYTES, raw_files.BOMB_RATIO * stored)
    if packed > stored or stated > most:
        raise BadDataError(
            "zip_bomb",
            f"{path}: {stored} bytes, whose members state {packed} bytes compressed and {stated} "
            f"decompressed: expected at most {raw_files.BOMB_RATIO} times as many, or "
            f"{raw_files.BOMB_BYTES} bytes",
        )


class ArrayReader:
    """Reads the rows of an array in order, some at a time."""

    def __init__(self, archive: zipfile.ZipFile, array: Array, path: str) -> None:
        self._path, self._name = path, array.name
        self._dtype, self._shape = array.dtype, array.shape[1:]
        # Stored by columns, each column is a stretch of the member, with a place of its own in it.
        by_column = array.fortran and len(array.shape) > 1
        self._files = []
        for column in range(math.prod(self._shape) if by_column else 1):
            with _readable(path):
                file = archive.open(array.member)
                file.seek(array.offset + column * array.shape[0] * array.dtype.itemsize)
            self._files.append(file)

    def take(self, rows: int) -> np.ndarray:
        """Return the next rows, [rows, ...]."""
        width = math.prod(self._shape)
        if not rows or not width:
            return np.zeros((rows, *self._shape), self._dtype)
        size = rows * width // len(self._files) * self._dtype.itemsize
        columns = []
        for file in self._files:
            with _readable(self._path):
                data = file.read(size)
                if len(data) != size:
                    raise EOFError(f"array {self._name!r} is truncated")
            columns.append(np.frombuffer(data, self._dtype))
        if len(columns) == 1:
            return columns[0].reshape(rows, *self._shape)
        return np.stack(columns, axis=1)

    def finish(self) -> None:
        """Read on to the member's end, where zipfile compares its checksum."""
        with _readable(self._path):
            if self._files and self._files[-1].read(1):
                raise ValueError(f"array {self._name!r} is longer than its header states")


def arrow(column: np.ndarray, *, absent: bool = False) -> pa.Array:
    """Convert a column to Arrow; `absent` turns NaN and empty text into null."""
    kind = column.dtype.kind
    if kind == "f":
        column = column.astype(np.float64)
        return pa.array(column, mask=np.isnan(column) if absent else None)
    if kind == "M":
        return pa.array(column.astype(f"M8[{_UNITS[np.datetime_data(column.dtype)[0]]}]"))
    if kind not in "US":
        return pa.array(column.astype(column.dtype.newbyteorder("=")))
    encoded = _encoded(column) if kind == "U" else column.tolist()
    texts = pa.array([None if absent and not text else text for text in encoded], pa.binary())
    try:
        return texts.cast(pa.string())
    except pa.ArrowInvalid:
        return texts  # What is not UTF-8 is found, cell by cell, where text is checked.


def _encoded(column: np.ndarray) -> list[bytes]:
    """Encode text as UTF-8; what is no code point, which a file may hold, is no UTF-8 then."""
    column = np.ascontiguousarray(column.astype(column.dtype.newbyteorder("=")))
    points = column.view(np.uint32)
    texts = np.where(points > 0x10FFFF, 0xD800, points).astype(np.uint32).view(column.dtype)
    return [text.encode("utf-8", "surrogatepass") for text in texts.tolist()]


@contextlib.contextmanager
def _readable(path: str) -> Iterator[None]:
    try:
        yield
    except _BROKEN as error:
        what = str(error) or type(error).__name__
        raise BadDataError(
            "unreadable", f"{path}: {what}; expected a whole .npz archive: write it again"
        ) from error
