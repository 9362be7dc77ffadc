"""The machine's trouble in one sentence: a full disk, a folder that is read-only, no memory.

It reaches us in many shapes: an OSError; its text inside a RuntimeError, from Beam; an error of
TensorFlow's or of SQLite's own. It is nobody's defect, so what is said is the path and the cause.
"""

import errno
import os
import pathlib
import re
import shutil
from collections.abc import Iterator

from ragline.components.contract import exits
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
# Of a path alone: in a text, the same words may speak of anything.
_OF_A_PATH = (
    errno.EBUSY, errno.EEXIST, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR,
    errno.ENOTEMPTY, errno.EPERM, errno.ETXTBSY,
)  # fmt: skip
_FULL = (errno.ENOSPC, errno.EDQUOT)
_PATH = re.compile(r"(?<![\w/.])/[^\s'\";:,]+")


class BusyError(UserError):
    """Another process holds the work directory, or its database."""

    exit_code = exits.BUSY


class TroubleError(UserError):
    """The machine stopped the run; one sentence says where and why."""


def sentence(error: BaseException, workdir: pathlib.Path | None = None) -> str | None:
    """Path and cause, if an error is the machine's; None if it is anything else.

    A path is named only if the error names it.

    Args:
      error: what stopped the run.
      workdir: of the run, if there is one; said to be full, or not, where no other path is known.
    """
    for one in _chain(error):
        number = getattr(one, "errno", None)
        if number in _OF_A_PATH and getattr(one, "filename", None):
            return _sentence(number, "", one, workdir)
        for number, pattern in _CAUSES.items():
            text = f"{type(one).__name__}: {one}"
            if getattr(one, "errno", None) == number or re.search(pattern, text):
                return _sentence(number, _line(text, pattern), one, workdir)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _line(text: str, pattern: str) -> str:
    """The line that names the cause; Beam's texts are whole tracebacks."""
    lines = [line.strip() for line in text.splitlines() if re.search(pattern, line)]
    return lines[-1] if lines else text.partition("\n")[0]


def _sentence(number: int, line: str, error: BaseException, workdir: pathlib.Path | None) -> str:
    if number == errno.ENOMEM:
        return f"the machine ran out of memory: {line}"
    named = getattr(error, "filename", None)
    found = _PATH.search(line)
    path = named if named is not None else found and found.group()
    told = os.strerror(number) if path is None else f"{os.fspath(path)}: {os.strerror(number)}"
    full = workdir if path is None else path
    return f"{told}{_room(pathlib.Path(full))}" if number in _FULL and full is not None else told


def _room(path: pathlib.Path) -> str:
    """How much room there is where a path is, or would be."""
    folder = next(place for place in (path, *path.parents) if place.exists())
    usage = shutil.disk_usage(folder)
    return f" ({folder} has {usage.free / 1e6:.1f} MB of {usage.total / 1e6:.1f} MB free)"
