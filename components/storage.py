"""Files that are whole or absent, and digests that name their content."""

import contextlib
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterable
from typing import Any

_CHUNK_BYTES = 1 << 20


def sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's content, read in chunks."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def digest_of(parts: Iterable[str]) -> str:
    """Hex SHA-256 of a list of strings; no two different lists share their bytes."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def manifest(folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """What stands below a folder: file, by its path in it -> `bytes` and `sha256`."""
    return {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": sha256(file),
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def fsync(path: pathlib.Path) -> None:
    """Flushes a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(staged: pathlib.Path, path: pathlib.Path) -> None:
    """Gives a file its final name, once every byte of it is on the disk."""
    fsync(staged)
    os.replace(staged, path)
    fsync(path.parent)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a file that is whole under its final name, or not there at all.

    Raises:
      OSError: it names the file even where the kernel does not, as when the disk is full.
    """
    staged = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged.write_text(text, encoding="utf-8")
        rename(staged, path)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise
    finally:
        with contextlib.suppress(OSError):  # Of a folder that cannot be written to.
            staged.unlink(missing_ok=True)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes standard JSON, atomically; a number that is not finite, which JSON lacks, is null."""
    write_text(path, json.dumps(standard(value), indent=2, allow_nan=False) + "\n")


def standard(value: Any) -> Any:
    """The value as standard JSON can hold it: a number that is not finite becomes None."""
    if isinstance(value, dict):
        return {key: standard(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [standard(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | os.PathLike[str]) -> Any:
    """Reads a JSON file."""
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
