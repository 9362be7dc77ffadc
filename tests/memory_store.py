"""A store of objects for Beam, in the memory of this process: `mem://bucket/name`.

It is as strict as such stores are: no folders, no renaming, no adding to what is there, no empty
object, and an object is there once its writing has ended. Each has its name for all that was done
to it.
"""

import io
from collections.abc import Iterator

from apache_beam.io.filesystem import BeamIOError, FileMetadata, FileSystem

OBJECTS: dict[str, bytes] = {}
WRITTEN: list[str] = []


def clear() -> None:
    OBJECTS.clear()
    WRITTEN.clear()


class MemoryStore(FileSystem):
    """`mem://`."""

    @classmethod
    def scheme(cls) -> str:
        return "mem"

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join([basepath.rstrip("/"), *paths])

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def has_dirs(self) -> bool:
        return False

    def mkdirs(self, path: str) -> None:
        raise BeamIOError("a store has no folders", {path: "mkdirs"})

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for name, content in list(OBJECTS.items()):
            if name.startswith(dir_or_prefix):
                yield FileMetadata(name, len(content))

    def create(self, path: str, mime_type: str = "", compression_type: str = "") -> io.BytesIO:
        return _Object(path)

    def open(self, path: str, mime_type: str = "", compression_type: str = "") -> io.BytesIO:
        return io.BytesIO(self._content(path))

    def copy(self, sources: list[str], destinations: list[str]) -> None:
        raise BeamIOError("nobody asked for it", {tuple(sources): "copy"})

    def rename(self, sources: list[str], destinations: list[str]) -> None:
        raise BeamIOError("a store renames nothing", {tuple(sources): "rename"})

    def exists(self, path: str) -> bool:
        return path in OBJECTS

    def size(self, path: str) -> int:
        return len(self._content(path))

    def last_updated(self, path: str) -> float:
        raise BeamIOError("nobody asked for it", {path: "last_updated"})

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, self.size(path))

    def delete(self, paths: list[str]) -> None:
        for path in paths:
            self._content(path)
            del OBJECTS[path]

    def _content(self, path: str) -> bytes:
        if path not in OBJECTS:
            raise BeamIOError("no such object", {path: "open"})
        return OBJECTS[path]


class _Object(io.BytesIO):
    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        if not self.closed:
            if not self.getvalue():
                raise BeamIOError("Beam writes no empty object to S3", {self._path: "close"})
            OBJECTS[self._path] = self.getvalue()
            WRITTEN.append(self._path)
        super().close()
