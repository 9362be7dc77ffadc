"""Run a function of ours in a process of its own, with its progress and its errors.

The calling process keeps its signal handlers, streams and imports, and any thread may call. The
process ends with the call: also when the call is interrupted, and when the caller is killed.
"""

import contextlib
import importlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, cast

from ragline.components.contract.errors import RunFailedError, UserError
from ragline.pipeline.runs.display import Display

_MODULE = "ragline.pipeline.python.child"
_GRACE = 10.0  # Seconds; the process takes 5 of them at most to end itself and what it started.
_SHOWN = 2_000


def call(function: str, arguments: Mapping[str, Any], display: Display) -> Any:
    """Run one of `child.FUNCTIONS`.

    Args:
      function: its name.
      arguments: its arguments, as JSON takes them.
      display: display of its progress.

    Raises:
      UserError: what the function raised; of another error, RunFailedError.
    """
    with tempfile.TemporaryFile() as output:
        reader, writer = os.pipe()
        with os.fdopen(reader, encoding="utf-8") as events:
            try:
                process = subprocess.Popen(  # noqa: S603 (our own module)
                    [sys.executable, "-P", "-m", _MODULE, str(writer)],
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    pass_fds=(writer,),
                    start_new_session=True,
                )
            finally:
                os.close(writer)
            with _ended(process) as stdin, contextlib.closing(display):
                request = json.dumps({"function": function, "arguments": dict(arguments)})
                with contextlib.suppress(BrokenPipeError):
                    stdin.write(f"{request}\n".encode())
                    stdin.flush()
                for line in events:
                    name, *values = json.loads(line)
                    match name:
                        case "result":
                            return values[0]
                        case "error":
                            raise _error(*values)
                        case "defect":
                            raise RunFailedError(f"{function} failed by a defect:\n{values[0]}")
                        case "note":
                            display.note(_record(*values))
                        case _:
                            getattr(display, name)(*values)
                code = process.wait()
        output.seek(max(0, output.tell() - _SHOWN))
        said = output.read().decode(errors="replace").strip()
        raise RunFailedError(
            f"{function}: its process ended with exit code {code}, before it had a result; it said:"
            f"\n{said or 'nothing'}"
        )


@contextlib.contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[IO[bytes]]:
    """Yield the stdin of a process; end the process, and all that it started, with the context."""
    stdin = cast(IO[bytes], process.stdin)
    try:
        yield stdin
    except BaseException:
        process.send_signal(signal.SIGTERM)
        raise
    finally:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_GRACE)
        finally:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            with contextlib.suppress(BrokenPipeError):
                stdin.close()


def _error(module: str, name: str, arguments: list[str]) -> UserError:
    kind = getattr(importlib.import_module(module), name)
    error: UserError = kind(*arguments)
    return error


def _record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("ragline", level, "", 0, text, (), None)
