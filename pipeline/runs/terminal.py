"""Standard streams that may be closed, full, or a pipe that nobody reads: no command ends by them.

What a command says (`say`) is for whoever listens. Its result (`show`) is what it was called for: a
reader that has seen enough of it, as `head` has, is no error; a full disk behind it is.
"""

import contextlib
import io
import os
import sys
import typing
from typing import TextIO

from ragline.components.contract.errors import UserError
from ragline.components.contract.redaction import redacted


class StdoutError(UserError):
    """The result of a command could not be written to stdout."""


class LossyFile(io.FileIO):
    """A file descriptor to write to, which takes what cannot be written, and drops it."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Writes what can be written, and returns how much was taken."""
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def lossy(descriptor: int) -> TextIO:
    """Opens a file descriptor as a text file, line by line, in which no write fails."""
    file = io.BufferedWriter(typing.cast(io.RawIOBase, LossyFile(descriptor, "w")))
    return io.TextIOWrapper(file, line_buffering=True, errors="backslashreplace")


def open_streams() -> None:
    """Opens the null device in place of each standard stream that is closed.

    The next file to be opened would get its number, and what is written to the stream.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            os.set_inheritable(number, True)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def say(text: str) -> None:
    """Prints on stderr, without secrets, if anybody listens."""
    with contextlib.suppress(OSError):
        print(redacted(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Prints a result on stdout.

    Raises:
      StdoutError: it could not be written, for another reason than that nobody reads on.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        flush_or_drop()
    except OSError as error:
        flush_or_drop()
        raise StdoutError(f"stdout: {error.strerror}") from error


def flush_or_drop() -> None:
    """Flushes stdout and stderr; one that does not take it becomes the null device."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
            stream.flush()
