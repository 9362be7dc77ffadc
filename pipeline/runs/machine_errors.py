"""Describe an error of the machine in one sentence: a full disk, a read-only folder, no memory.

Such an error has many shapes: an OSError; its text inside a RuntimeError of Beam; an error class of
TensorFlow or SQLite. It is no defect of ragline, so the sentence states the path and the cause.
So is the failure of an engine elsewhere that lost its machines, of a store that is out of reach, or
of a worker that lacks a package.
"""

import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from ragline.components.contract import exits, registry
from ragline.components.contract.errors import UserError

_CAUSES = {
    errno.ENOSPC: r"No space left on device|database or disk is full",
    errno.EDQUOT: r"Disk quota exceeded",
    errno.EROFS: r"Read-only file system|readonly database",
    errno.EACCES: r"Permission denied",
    errno.EIO: r"Input/output error|disk I/O error",
    errno.ENOTDIR: r"Not a directory",
    errno.EBUSY: r"database is locked",
    errno.ENOMEM: r"Cannot allocate memory|OOM when allocating|MemoryError|bad_alloc|out of memory",
}
# Only with a path: in a text, the same words may mean anything.
_OF_A_PATH = (
    errno.EBUSY, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR,
    errno.ENOTEMPTY, errno.EPERM, errno.ETXTBSY,
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT)
# Beam's words for it; the traceback of a worker in them is no failure of the engine.
_ENGINE = re.compile(r"Pipeline \S+ failed in state (\w+): (?!.*Traceback)(.*)", re.DOTALL)
# What the library of a store says once it has tried often enough, in the error itself or in Beam's.
_STORE = re.compile(r"S3ClientError\W+(.+?)['\"], (?:\d+|None)\)")
_OBJECT = re.compile(r"s3://[^\s'\"]+")
_PATH = re.compile(r"(?<![\w/.])/[^\s'\";:,]+")


class BusyError(UserError):
    """Says that another process holds the work directory, or its database."""

    exit_code = exits.BUSY


class MachineError(UserError):
    """Says where and why the machine stopped the run, in one sentence."""


def sentence(error: BaseException, workdir: pathlib.Path | None = None) -> str | None:
    """Return path and cause, if an error is the machine's; None if it is any other.

    A path is named only if the error names it.

    Args:
      error: error that stopped the run.
      workdir: work directory of the run, if there is one; its free space is stated where the disk
        is full and the error names no path.
    """
    for cause in _chain(error):
        number = getattr(cause, "errno", None)
        if number in _OF_A_PATH and getattr(cause, "filename", None):
            return _sentence(number, "", cause, workdir)
        for number, pattern in _CAUSES.items():
            text = f"{type(cause).__name__}: {cause}"
            if getattr(cause, "errno", None) == number or re.search(pattern, text):
                return _sentence(number, _line(text, pattern), cause, workdir)
        text = f"{type(cause).__name__}: {cause}"
        if lacking := registry.not_installed(text):
            return f"on a Beam worker: {lacking}"
        if refused := _STORE.search(text):
            place = _OBJECT.search(text)
            return f"{place.group() if place else 's3://'}: {refused.group(1)}"
        if failed := _ENGINE.search(text):
            state, reason = failed.groups()
            return f"the engine of [beam] ended the job as {state}: {reason.partition(chr(10))[0]}"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that caused it."""
    visited: set[int] = set()
    while error is not None and id(error) not in visited:
        visited.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _line(text: str, pattern: str) -> str:
    """Return the line that names the cause; Beam's texts are whole tracebacks."""
    lines = [line.strip() for line in text.splitlines() if re.search(pattern, line)]
    return lines[-1] if lines else text.partition("\n")[0]


def _sentence(number: int, line: str, error: BaseException, workdir: pathlib.Path | None) -> str:
    if number == errno.ENOMEM:
        return f"the machine ran out of memory: {line}"
    path = getattr(error, "filename", None)
    if path is None and (path_in_line := _PATH.search(line)):
        path = path_in_line.group()
    text = os.strerror(number) if path is None else f"{os.fspath(path)}: {os.strerror(number)}"
    full = workdir if path is None else path
    return f"{text}{_room(pathlib.Path(full))}" if number in _FULL and full is not None else text


def _room(path: pathlib.Path) -> str:
    """Return how much room there is where a path is, or would be."""
    folder = next(place for place in (path, *path.parents) if place.exists())
    usage = shutil.disk_usage(folder)
    return f" ({folder} has {usage.free / 1e6:.1f} MB of {usage.total / 1e6:.1f} MB free)"
