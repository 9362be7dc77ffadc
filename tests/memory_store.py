"""A store of objects for Beam, in the memory of this process: `mem://bucket/name`.

It is as strict as such stores are: no folders, no renaming, no adding to what is there, no empty
object, and an object is there once its writing has ended. Each has its name for all that was done
to it.
"""

import io
from collections.abc import Iterator
from typing import Any

from apache_beam.io.filesystem import (
    BeamIOError,
    CompressedFile,
    CompressionTypes,
    FileMetadata,
    FileSystem,
)
from apache_beam.options.pipeline_options import PipelineOptions

_AUTO = CompressionTypes.AUTO
OBJECTS: dict[str, bytes] = {}
WRITTEN: list[str] = []


def clear() -> None:
    OBJECTS.clear()
    WRITTEN.clear()


class MemoryStore(FileSystem):
    """`mem://`; as Beam's S3 file system, it wants options of a pipeline."""

    def __init__(self, pipeline_options: PipelineOptions | None) -> None:
        super().__init__(pipeline_options)
        if pipeline_options is None:
            raise ValueError("expected options, received none")

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
                yield FileMetadata(name, len(content), float(WRITTEN.count(name)))

    def create(self, path: str, mime_type: str = "", compression_type: str = _AUTO) -> Any:
        return self._compressed(path, _Object(path), compression_type)

    def open(self, path: str, mime_type: str = "", compression_type: str = _AUTO) -> Any:
        return self._compressed(path, _Opened(self._content(path)), compression_type)

    def _compressed(self, path: str, file: io.BytesIO, kind: str) -> Any:
        kind = self._get_compression_type(path, kind)
        plain = CompressionTypes.UNCOMPRESSED
        return file if kind == plain else CompressedFile(file, compression_type=kind)

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


class BeamStore(MemoryStore):
    """`beam://`: what Beam itself writes has another name first, as its S3 file system allows."""

    @classmethod
    def scheme(cls) -> str:
        return "beam"

    def mkdirs(self, path: str) -> None:
        pass

    def rename(self, sources: list[str], destinations: list[str]) -> None:
        for source, destination in zip(sources, destinations, strict=True):
            OBJECTS[destination] = OBJECTS.pop(source)
            WRITTEN.append(destination)


class _Opened(io.BytesIO):
    mode = "rb"


class _Object(io.BytesIO):
    mode = "wb"

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
