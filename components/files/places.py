"""Read and write files by path, or by URI in one of Beam's file systems: `gs://bucket/name`.

Little is assumed of a store of objects: an object can be read, and written from its first byte to
its last; objects can be listed by the beginning of their names. A store has no folders, no object
is renamed or appended to, none is empty (Beam cannot write such a one to S3), and none is on this
machine's disk.
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
    """Return whether a place is on a disk, not in a store."""
    return "://" not in os.fspath(place)


def is_pattern(place: Place) -> bool:
    """Return whether a place is a URI that a store would take for a pattern."""
    return not is_local(place) and any(character in os.fspath(place) for character in "*?[]")


def is_folder_in_store(place: str) -> bool:
    """Return whether a place can be a folder in a store: `scheme://bucket`, or below it."""
    scheme, _, path = place.partition("://")
    return bool(scheme and path.strip("/")) and not is_pattern(place)


def in_workdir_of(artifact: Place, path: Place) -> str:
    """Resolve a path that a stage was given against the work directory of its artifact.

    Stages are given paths such as `checkpoints`, relative to the work directory: TFX's cache sees
    their parameters, and must not see where the work directory is.
    """
    folders = os.fspath(artifact).rstrip("/").split("/")[:-_BELOW_WORKDIR]
    return os.path.join("/".join(folders), path) if is_local(path) else os.fspath(path)


def open(place: Place) -> BinaryIO:
    """Open a file to be read as it is stored; the result is seekable.

    Raises:
      OSError: the file cannot be read, now or later; the error names it.
      FileNotFoundError: there is no such file.
    """
    if is_local(place):
        return io.BufferedReader(cast("io.RawIOBase", _Named(place)), _CHUNK_BYTES >> 4)
    path = os.fspath(place)
    if not _systems().exists(path):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return _stored(_systems().open, path)


class _Named(io.FileIO):
    """Reads a file, and names it in errors: those of the kernel's `read` do not."""

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
    """Open a file to be written; its content is undefined until it is closed."""
    if is_local(place):
        return builtins.open(place, "wb")
    return _stored(_systems().create, os.fspath(place))


def read(place: Place) -> bytes:
    """Return the content of a file.

    Raises:
      OSError: the file cannot be read.
      FileNotFoundError: there is no such file.
    """
    with open(place) as file:
        return file.read()


@contextlib.contextmanager
def fetched(folder: Place) -> Iterator[str]:
    """Yield a folder on this machine's disk: the folder itself, or a copy from a store."""
    if is_local(folder):
        yield os.fspath(folder)
        return
    with tempfile.TemporaryDirectory() as copy:
        fetch(os.fspath(folder), copy)
        yield copy


def fetch(folder: str, target: str) -> list[str]:
    """Copy all objects below a folder in a store into a local folder, and return their URIs."""
    objects = inside(folder)
    for place in objects:
        file = pathlib.Path(target, place.removeprefix(f"{folder}/"))
        file.parent.mkdir(parents=True, exist_ok=True)
        download(place, file)
    return objects


def download(place: Place, file: pathlib.Path) -> None:
    """Copy an object into a local file."""
    with open(place) as source, file.open("wb") as target:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)


def upload(file: pathlib.Path, place: str) -> None:
    """Copy a local file into a store; if that fails, the object is removed."""
    try:
        with file.open("rb") as source, create(place) as target:
            shutil.copyfileobj(source, target, _CHUNK_BYTES)
    except BaseException:  # Closing half a file has made an object of it.
        remove(place)
        raise


def exists(place: Place) -> bool:
    """Return whether there is such a file."""
    if is_local(place):
        return os.path.isfile(place)
    return bool(_systems().exists(os.fspath(place)))


def size(place: Place) -> int:
    """Return the bytes of a file as it is stored."""
    if is_local(place):
        return os.path.getsize(place)
    path = os.fspath(place)
    return int(_systems().get_filesystem(path).size(path))


def stamp(place: Place) -> tuple[float, ...]:
    """Return what changes when an object in a store is written: its size, and the time."""
    [match] = _systems().match([os.fspath(place)])
    if not match.metadata_list:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(place))
    [metadata] = match.metadata_list
    return _stamp(metadata)


def stamps(folder: Place) -> dict[str, tuple[float, ...]]:
    """Return path in a folder of a store -> the stamp of its object, by one listing."""
    [match] = _systems().match([f"{os.fspath(folder)}/**"])
    start = len(os.fspath(folder)) + 1
    return {metadata.path[start:]: _stamp(metadata) for metadata in match.metadata_list}


def _stamp(metadata: Any) -> tuple[float, ...]:
    return metadata.size_in_bytes, metadata.last_updated_in_seconds


def inside(folder: Place, pattern: str = "**") -> list[str]:
    """Return the files of a folder, sorted, by a pattern of their names; `**` is all below it."""
    if is_local(folder):
        below = "**/*" if pattern == "**" else pattern
        return sorted(str(path) for path in pathlib.Path(folder).glob(below) if path.is_file())
    [match] = _systems().match([f"{os.fspath(folder)}/{pattern}"])
    return sorted(metadata.path for metadata in match.metadata_list)


def make_folder(folder: Place) -> None:
    """Make a folder on a disk; a store has none."""
    if is_local(folder):
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)


def remove(place: Place) -> None:
    """Remove a file, if there is one."""
    if is_local(place):
        pathlib.Path(place).unlink(missing_ok=True)
    elif exists(place):
        _systems().delete([os.fspath(place)])


def remove_folder(folder: Place) -> None:
    """Remove a folder, or all objects below it."""
    if is_local(folder):
        shutil.rmtree(folder)
    else:
        remove_objects(inside(folder))


def remove_objects(objects: list[str]) -> None:
    """Remove objects in a store, of which each is there."""
    _systems().delete(objects)


def _systems() -> Any:
    # Late: it takes seconds, and local files do not need it.
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions

    if FileSystems._pipeline_options is None:  # Before the first pipeline; S3's wants options.
        FileSystems.set_options(PipelineOptions([]))  # type: ignore[no-untyped-call]
    return FileSystems


def _stored(opened: Any, path: str) -> BinaryIO:
    from apache_beam.io.filesystem import CompressionTypes

    file: BinaryIO = opened(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return file
