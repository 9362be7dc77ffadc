"""Write files that are whole or absent, and digest their content.

An unfinished file is a local one under a random name, which nobody can foresee and prepare a link
for; once whole, it gets its final name, or is copied into a store (see `places`). A work directory
keeps a journal of the random names, so that files that a killed process left are known by name.
"""

import contextlib
import hashlib
import json
import math
import os
import pathlib
import re
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from ragline.components.files import places
from ragline.components.files.places import Place

_CHUNK_BYTES = 1 << 20
# A name that begins with a dot matches no pattern of TFX's, and is no part of a Parquet data set.
_NAME = ".ragline-{}.tmp"
_OURS = re.compile(r"\.ragline-[0-9a-f]{32}\.tmp")
_journals: dict[pathlib.Path, int] = {}  # Journal -> its descriptor; it is of its folder.
# Holds the journals of the process that started this one.
_JOURNALS = "RAGLINE_JOURNALS"


def sha256(path: Place) -> str:
    """Return the hex SHA-256 of a file's content, read in chunks."""
    digest = hashlib.sha256()
    with places.open(path) as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def digest_of(parts: Iterable[str]) -> str:
    """Return the hex SHA-256 of a list of strings; different lists are different bytes."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def manifest(folder: Place) -> dict[str, dict[str, Any]]:
    """Return path in a folder -> `bytes` and `sha256`, of all files below it."""
    top = os.fspath(folder).rstrip("/")
    return {
        file.removeprefix(f"{top}/"): {"bytes": places.size(file), "sha256": sha256(file)}
        for file in places.inside(top)
    }


def fsync(path: pathlib.Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(staged: pathlib.Path, path: pathlib.Path) -> None:
    """Give a file its final name, once every byte of it is on the disk."""
    fsync(staged)
    os.replace(staged, path)
    fsync(path.parent)


class Staged:
    """Holds an unfinished file; as a context, it is published at the end, or discarded on an error.

    Attributes:
      file: path of the unfinished file, on this machine's disk.
    """

    def __init__(self, place: Place) -> None:
        """Begin with an empty file; its folder on a disk is made if it is missing."""
        self._place = os.fspath(place)
        if places.is_local(self._place):
            folder = pathlib.Path(self._place).parent
            folder.mkdir(parents=True, exist_ok=True)
        else:
            folder = pathlib.Path(tempfile.gettempdir())
        self.file = folder / _NAME.format(secrets.token_hex(16))
        _note(self.file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        os.close(os.open(self.file, flags, 0o666))

    def __enter__(self) -> pathlib.Path:
        return self.file

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self.publish()
        finally:
            self.discard()

    def publish(self) -> None:
        """Give the file its final name, once it is closed."""
        if places.is_local(self._place):
            rename(self.file, pathlib.Path(self._place))
        else:
            places.upload(self.file, self._place)
            self.discard()

    def discard(self) -> None:
        """Remove the unfinished file; a published one stays."""
        with contextlib.suppress(OSError):  # The folder cannot be written to.
            self.file.unlink(missing_ok=True)


@contextlib.contextmanager
def journal(file: pathlib.Path) -> Iterator[None]:
    """Keep a journal of the unfinished files of this process in and below the journal's folder.

    It is removed afterwards, unless the process is killed; see `clear`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    _journals[file] = os.open(file, flags, 0o666)
    try:
        yield
    finally:
        os.close(_journals.pop(file))
        file.unlink(missing_ok=True)


def with_journals() -> dict[str, str]:
    """Return the environment of a process whose unfinished files these journals name, too."""
    return {_JOURNALS: os.pathsep.join(map(str, _journals))}


def join_journals() -> None:
    """Keep names in the journals of the process that started this one, which removes them."""
    for file in filter(None, os.environ.get(_JOURNALS, "").split(os.pathsep)):
        flags = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW
        with contextlib.suppress(FileNotFoundError):
            _journals[pathlib.Path(file)] = os.open(file, flags)


def _note(file: pathlib.Path) -> None:
    for kept, descriptor in list(_journals.items()):
        if file.is_relative_to(top := kept.parent):
            os.write(descriptor, f"{file.relative_to(top)}\n".encode("utf-8", "surrogateescape"))


def clear(file: pathlib.Path) -> list[pathlib.Path]:
    """Remove the unfinished files that a killed process left, as its journal names them.

    No process may be writing one now.

    Returns:
      The files that were removed.
    """
    cleared = []
    for path in named(file):
        with contextlib.suppress(OSError):
            path.unlink()
            cleared.append(path)
    with contextlib.suppress(FileNotFoundError):
        os.close(os.open(file, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW))
    return cleared


def named(file: pathlib.Path) -> list[pathlib.Path]:
    """Return the paths that a journal names, of files that may be there or not."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return []
    with os.fdopen(descriptor, encoding="utf-8", errors="surrogateescape") as opened:
        paths = [file.parent / name for name in opened.read().splitlines()]
    return [path for path in paths if _OURS.fullmatch(path.name) and ".." not in path.parts]


def remove_unfinished(folder: Place) -> None:
    """Remove unfinished files from a folder, of workers that an engine lost and replaced.

    No process may be writing one now. In a store there are none: they are on the worker's disk.
    """
    if places.is_local(folder):
        for path in pathlib.Path(folder).iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)


def write_bytes(path: Place, data: bytes) -> None:
    """Write a file that is whole under its final name, or absent.

    Raises:
      OSError: the error names the file also where the kernel does not, as when the disk is full.
    """
    try:
        with Staged(path) as staged:
            staged.write_bytes(data)
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


def write_text(path: Place, text: str) -> None:
    """Write text in UTF-8; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Place, value: Any) -> None:
    """Write standard JSON, atomically; a number that is not finite, which JSON lacks, is null."""
    write_text(path, json.dumps(standard(value), indent=2, allow_nan=False) + "\n")


def standard(value: Any) -> Any:
    """Return a value as standard JSON can hold it: a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {key: standard(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [standard(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Place) -> Any:
    """Read a JSON file."""
    return json.loads(places.read(path).decode())
