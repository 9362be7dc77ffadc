"""Every call that changes a file, counted; and a process that dies after the k-th of them.

    with calls.counted() as seen: ...      seen.made: the calls, in order
    with calls.dying(7): ...               the 7th is made, then nothing more: as after kill -9
    with calls.dying(7, once=True): ...    the 7th is made, then Ctrl-C: what cleans up may run
    with calls.failing(7): ...             the 7th is refused: the disk is full

What is patched is what Python's own library calls: `os`, and `open` where it opens for writing.
"""

import builtins
import contextlib
import errno
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

CHANGING = (
    "rename", "replace", "mkdir", "rmdir", "unlink", "remove", "link", "symlink", "truncate",
    "ftruncate", "chmod", "utime", "fsync", "fdatasync", "write", "sendfile", "copy_file_range",
    "removedirs", "setxattr",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Killed(BaseException):
    """The process is gone."""


@dataclass(slots=True)
class Seen:
    """What was called: `made` names each changing call, with its first argument."""

    made: list[str] = field(default_factory=list)


Before = Callable[[int], None]


@contextlib.contextmanager
def counted(before: Before = lambda number: None, after: Before = lambda number: None):
    """Counts changing calls from 1 and tells of each, before and after it is made."""
    seen = Seen()
    real = {name: getattr(os, name) for name in (*CHANGING, "open") if hasattr(os, name)}
    real_open = builtins.open

    def told(name: str, function: Callable[..., Any], changes: Callable[..., bool]) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if not changes(*arguments, **named):
                return function(*arguments, **named)
            number = len(seen.made) + 1
            before(number)
            seen.made.append(f"{name} {arguments[0] if arguments else ''}")
            result = function(*arguments, **named)
            try:
                after(number)
            except BaseException:
                if hasattr(result, "close"):
                    result.close()
                raise
            return result

        return call

    def opens(file: Any, mode: str = "r", *_: Any, **__: Any) -> bool:
        return bool(set(mode) & set("wax+"))

    def opens_low(path: Any, flags: int, *_: Any, **__: Any) -> bool:
        return bool(flags & _WRITES)

    patched = {
        name: told(name, function, opens_low if name == "open" else lambda *_, **__: True)
        for name, function in real.items()
    }
    try:
        for name, function in patched.items():
            setattr(os, name, function)
        builtins.open = io.open = told("open", real_open, opens)
        yield seen
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        builtins.open = io.open = real_open


@contextlib.contextmanager
def dying(number: int, *, once: bool = False) -> Iterator[Seen]:
    """Ends the process after a call; unless `once`, no later call is made, not even to clean up."""

    def before(call: int) -> None:
        if call > number and not once:
            raise Killed

    def after(call: int) -> None:
        if call == number:
            raise KeyboardInterrupt if once else Killed

    with counted(before, after) as seen, contextlib.suppress(Killed, KeyboardInterrupt):
        yield seen


@contextlib.contextmanager
def failing(number: int) -> Iterator[Seen]:
    """Refuses one call, as a full disk does."""

    def before(call: int) -> None:
        if call == number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a file")

    with counted(before) as seen, contextlib.suppress(OSError):
        yield seen
