"""Send files through Beam by value: a path whose content goes wherever Beam sends the path.

Workers share no disk, and TensorFlow opens no `s3://`. TFT's elements are paths of a SavedModel and
of vocabularies, a few hundred kilobytes; their content therefore goes along. On each worker the
files are in TensorFlow's file system in memory, `ram://`: a killed worker leaves nothing behind.
"""

import hashlib
import io
import threading
import zipfile
from typing import Any

import tensorflow as tf

_ROOT = "ram://ragline"
_unpacked: set[str] = set()
_lock = threading.Lock()


class ByValue(str):
    """A path below `ram://`; pickled, it is the content of its folder.

    Attributes:
      archive: the folder's files, see `pack`.
    """

    archive: bytes
    _name: str

    def __new__(cls, archive: bytes, name: str = "") -> "ByValue":
        """Unpack an archive; the path is that of its folder, or of the file `name` in it."""
        folder = unpack(archive)
        path = super().__new__(cls, f"{folder}/{name}" if name else folder)
        path.archive, path._name = archive, name
        return path

    def __reduce__(self) -> tuple[Any, ...]:
        return ByValue, (self.archive, self._name)


def pack(folder: str) -> bytes:
    """Return the files below a folder as a ZIP archive; the same files are the same bytes.

    Args:
      folder: a folder in any of TensorFlow's file systems.
    """
    files = {}
    for path, _, names in tf.io.gfile.walk(folder):
        for name in names:
            file = f"{path}/{name}"
            with tf.io.gfile.GFile(file, "rb") as opened:
                files[file.removeprefix(f"{folder}/")] = opened.read()
    return pack_files(files)


def pack_files(files: dict[str, bytes]) -> bytes:
    """Return files, path -> content, as a ZIP archive; the same files are the same bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        for name in sorted(files):
            packed.writestr(zipfile.ZipInfo(name), files[name])  # Without the time of the moment.
    return archive.getvalue()


def unpack(archive: bytes) -> str:
    """Return the folder with the files of an archive, in the memory of this process."""
    folder = f"{_ROOT}/{hashlib.sha256(archive).hexdigest()}"
    with _lock:
        if folder not in _unpacked:
            extract(archive, folder)
            _unpacked.add(folder)
    return folder


def extract(archive: bytes, folder: str) -> None:
    """Write the files of an archive into a folder in any of TensorFlow's file systems."""
    with zipfile.ZipFile(io.BytesIO(archive)) as packed:
        for name in packed.namelist():
            file = f"{folder}/{name}"
            tf.io.gfile.makedirs(file.rpartition("/")[0])
            with tf.io.gfile.GFile(file, "wb") as opened:
                opened.write(packed.read(name))
