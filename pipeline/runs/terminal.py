"""Write to standard streams that may be closed, full, or a pipe that nobody reads.

`say` prints a message on stderr; that nobody reads it is no error. `show` prints the result of a
command on stdout: a reader that stops early, as `head` does, is no error, a full disk is. In a
terminal, sentences are broken at its width; letters that a stream cannot encode are replaced.
"""

import contextlib
import io
import os
import shutil
import sys
import textwrap
import typing
from collections.abc import Iterator
from typing import TextIO

from ragline.components.contract.errors import UserError
from ragline.pipeline.runs.redaction import redacted

_NARROWEST = 20
# Letters of our own, for terminals that have ASCII alone.
_PLAIN = str.maketrans({"█": "#", "—": "-"})


class StdoutError(UserError):
    """Says that the result of a command could not be written to stdout."""


class LossyFile(io.FileIO):
    """Writes to a file descriptor, and drops what cannot be written."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Write what can be written, and return the number of bytes taken."""
        try:
            written: int | None = super().write(data)
        except OSError:
            written = None
        return len(data) if written is None else written


def lossy(descriptor: int) -> TextIO:
    """Open a file descriptor as a text file with line buffering, on which no write fails."""
    file = io.BufferedWriter(typing.cast(io.RawIOBase, LossyFile(descriptor, "w")))
    return io.TextIOWrapper(file, line_buffering=True, errors="backslashreplace")


def open_streams() -> None:
    """Open the null device in place of each standard stream that is closed.

    Otherwise the next file to be opened would get its number, and the output of the stream.
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
    """Print a message on stderr, without secrets, if that can be written."""
    with contextlib.suppress(OSError):
        print(_printable(redacted(text), sys.stderr, fit=True), file=sys.stderr, flush=True)


def show(text: str, *, fit: bool = False) -> None:
    """Print a result on stdout.

    Args:
      text: the result.
      fit: whether a terminal's width may break it, as it may break sentences.

    Raises:
      StdoutError: it could not be written, though somebody reads.
    """
    try:
        print(_printable(text, sys.stdout, fit=fit), flush=True)
    except BrokenPipeError:
        flush_or_drop()
    except OSError as error:
        flush_or_drop()
        raise StdoutError(f"stdout: {error.strerror}") from error


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep what C++ code writes on stderr, TensorFlow's greetings say, from the terminal.

    It is for commands, which are a process of their own: the file descriptor itself is replaced.
    """
    flush_or_drop()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        flush_or_drop()
        os.dup2(saved, 2)
        os.close(saved)


def fitted(text: str, width: int) -> str:
    """Break lines that are wider than a terminal at blanks, further lines indented."""
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        if len(line) <= width:
            lines.append(line)
        else:
            lines += textwrap.wrap(
                line.strip(),
                max(width, len(indent) + _NARROWEST),
                initial_indent=indent,
                subsequent_indent=f"{indent}  ",
                break_long_words=False,
                break_on_hyphens=False,
            )
    return "\n".join(lines)


def _printable(text: str, stream: TextIO, *, fit: bool) -> str:
    if fit and stream.isatty():
        text = fitted(text, shutil.get_terminal_size().columns)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def flush_or_drop() -> None:
    """Flush stdout and stderr; a stream that cannot be written becomes the null device."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
            stream.flush()
