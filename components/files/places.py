"""Files by path, or by the URI of an object in one of Beam's file systems: `gs://bucket/name`.

Of a store of objects little is assumed: that an object can be read, and written from its first byte
to its last; that those are listed whose names begin alike. It has no folders, nothing in it is
renamed or added to, and none of it is on the disk of this machine.
"""

import builtins
import contextlib
import errno
import io
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

Place = str | os.PathLike[str]

# An artifact is `WORKDIR/artifacts/<stage>/<output>/<execution>`.
ARTIFACTS = "artifacts"
_BELOW_WORKDIR = 4

_CHUNK_BYTES = 1 << 20


def is_local(place: Place) -> bool:
    """Whether it is on a disk, not in a store."""
    return "://" not in os.fspath(place)


def is_pattern(place: Place) -> bool:
    """Whether it is a URI that a store would take for a pattern, and so for its neighbours, too."""
    return not is_local(place) and any(character in os.fspath(place) for character in "*?[]")


def in_workdir_of(artifact: Place, path: Place) -> str:
    """A path that a stage was given: as it is if absolute, else below its artifact's workdir.

    Stages are given paths below the work directory as `checkpoints` or `serving`: TFX's cache sees
    what they are given, and must not see where the work directory stands.
    """
    folders = os.fspath(artifact).rstrip("/").split("/")[:-_BELOW_WORKDIR]
    return os.path.join("/".join(folders), path) if is_local(path) else os.fspath(path)


def open(place: Place) -> BinaryIO:
    """What stands there, as it is stored, seekable.

    Raises:
      OSError: it cannot be read, here or later, and names it; FileNotFoundError, it is not there.
    """
    if is_local(place):
        return io.BufferedReader(cast("io.RawIOBase", _Named(place)), _CHUNK_BYTES >> 4)
    path = os.fspath(place)
    if not _systems().exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return _stored(_systems().open, path)


class _Named(io.FileIO):
    """A file to be read, whose errors name it: the kernel's, of a read, do not."""

    def readinto(self, buffer: Any) -> int:
        try:
            return super().readinto(buffer)
        except OSError as error:
            error.filename = self.name
            raise

    def readall(self) -> bytes:
        try:
            return super().readall()
        except OSError as error:
            error.filename = self.name
            raise


def create(place: Place) -> BinaryIO:
    """A file to be written; until it is closed, what stands there is anybody's guess."""
    if is_local(place):
        return builtins.open(place, "wb")
    return _stored(_systems().create, os.fspath(place))


def read(place: Place) -> bytes:
    """All of a file.

    Raises:
      OSError: it cannot be read; FileNotFoundError, it is not there.
    """
    with open(place) as file:
        return file.read()


@contextlib.contextmanager
def fetched(folder: Place) -> Iterator[str]:
    """A folder on this machine's disk; of one in a store, a copy for as long as it is needed."""
    if is_local(folder):
        yield os.fspath(folder)
        return
    with tempfile.TemporaryDirectory() as copy:
        for place in inside(folder):
            file = pathlib.Path(copy, place.removeprefix(f"{os.fspath(folder)}/"))
            file.parent.mkdir(parents=True, exist_ok=True)
            with open(place) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target, _CHUNK_BYTES)
        yield copy


def upload(file: pathlib.Path, place: str) -> None:
    """Copies a local file into a store; if that fails, nothing stands there."""
    try:
        with file.open("rb") as source, create(place) as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except BaseException:  # Closing a half of it has made an object of it.
        remove(place)
        raise


def exists(place: Place) -> bool:
    """Whether a file stands there."""
    if is_local(place):
        return os.path.isfile(place)
    return bool(_systems().exists(os.fspath(place)))


def size(place: Place) -> int:
    """Bytes of a file as it is stored."""
    if is_local(place):
        return os.path.getsize(place)
    path = os.fspath(place)
    return int(_systems().get_filesystem(path).size(path))


def stamp(place: Place) -> tuple[float, ...]:
    """Of an object in a store, what changes when it is written: its size, and when that was."""
    [found] = _systems().match([os.fspath(place)])
    if not found.metadata_list:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(place))
    [stated] = found.metadata_list
    return stated.size_in_bytes, stated.last_updated_in_seconds


def inside(folder: Place, pattern: str = "**") -> list[str]:
    """The files of a folder by a pattern of their names in it, sorted; `**` is all below it."""
    if is_local(folder):
        below = "**/*" if pattern == "**" else pattern
        return sorted(str(one) for one in pathlib.Path(folder).glob(below) if one.is_file())
    [found] = _systems().match([f"{os.fspath(folder)}/{pattern}"])
    return sorted(one.path for one in found.metadata_list)


def make_folder(folder: Place) -> None:
    """Makes a folder, where there is such a thing."""
    if is_local(folder):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)


def remove(place: Place) -> None:
    """Removes a file, if it is there."""
    if is_local(place):
        pathlib.Path(place).unlink(missing_ok=True)
    elif exists(place):
        _systems().delete([os.fspath(place)])


def remove_folder(folder: Place) -> None:
    """Removes a folder, or all objects below it."""
    if is_local(folder):
        shutil.rmtree(folder)
    else:
        _systems().delete(inside(folder))


def _systems() -> Any:
    from apache_beam.io.filesystems import FileSystems  # Seconds; local files need none of it.

    return FileSystems


def _stored(opened: Any, path: str) -> BinaryIO:
    from apache_beam.io.filesystem import CompressionTypes

    file: BinaryIO = opened(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file
