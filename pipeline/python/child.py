"""Run one function for `process.py`: `python -m ragline.pipeline.python.child DESCRIPTOR`.

stdin holds the request, one line of JSON, and ends when the caller does; then this process ends,
too. The descriptor takes events, a line of JSON each: a name and its values.

    ["start", 2, 11, "ingest"]              a call of the display, by its name
    ["result", {...}]                       the result
    ["error", "module", "Class", [...]]     an error of ours, and what makes it anew
    ["defect", "traceback"]                 any other
"""

import json
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from ragline.components.contract.errors import UserError
from ragline.pipeline.runs import display, interrupts, machine_errors
from ragline.pipeline.runs.machine_errors import MachineError

_PAUSE = 0.1


class Events(display.Display):
    """Sends what it is to show to the caller; advances at most ten times a second."""

    def __init__(self, file: TextIO) -> None:
        """Send events to a file."""
        self._file = file
        self._lock = threading.Lock()
        self._advanced = 0.0
        self._sent = 0.0

    def send(self, *event: Any) -> None:
        """Send an event; from any thread."""
        with self._lock:
            self._file.write(f"{json.dumps(event)}\n")
            self._file.flush()

    def line(self, text: str) -> None:
        """See the base class."""
        self.send("line", text)

    def note(self, record: logging.LogRecord) -> None:
        """See the base class."""
        self.send("note", record.levelno, record.getMessage())

    def start(self, place: int, total: int, stage: str) -> None:
        """See the base class."""
        self.send("start", place, total, stage)

    def end(self, state: str, seconds: float) -> None:
        """See the base class."""
        self.send("end", state, seconds)

    def expect(self, total: float, unit: str, done: float) -> None:
        """See the base class."""
        self._advanced = 0.0
        self.send("expect", total, unit, done)

    def advance(self, number: float) -> None:
        """See the base class."""
        self._advanced += number
        if time.monotonic() - self._sent >= _PAUSE:
            self._sent = time.monotonic()
            self.send("advance", self._advanced)
            self._advanced = 0.0


def _run(
    config: str,
    overrides: list[str],
    workdir: str | None,
    force_bless: str,
    new_signature: str,
) -> dict[str, Any]:
    from ragline.pipeline import config as configuration
    from ragline.pipeline.runs import runner

    outcome = runner.run(configuration.load(config, overrides, workdir), force_bless, new_signature)
    return {"summary": outcome.summary, "folder": str(outcome.folder)}


def _encode(
    source: str,
    pattern: str,
    overrides: list[str],
    output: str,
    max_drift: float | None,
    errors: bool,
    bfloat16: bool,
) -> dict[str, Any]:
    from ragline.pipeline.bulk import encode_files

    request = encode_files.read_request(
        source, pattern, overrides, max_drift=max_drift, errors=errors, bfloat16=bfloat16
    )
    return encode_files.encode(request, output)


FUNCTIONS: Mapping[str, Callable[..., dict[str, Any]]] = {"run": _run, "encode": _encode}


def main() -> None:
    """Run the function that the request names."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)
    events = Events(os.fdopen(descriptor, "w", encoding="utf-8"))
    request = json.loads(sys.stdin.readline())
    with interrupts.ending_the_process():
        threading.Thread(target=_end_with_caller, name="caller", daemon=True).start()
        with display.elsewhere(events):
            try:
                events.send("result", FUNCTIONS[request["function"]](**request["arguments"]))
            except UserError as error:
                _send_error(events, error)
            except Exception as error:
                sentence = None
                if isinstance(error, OSError):
                    sentence = machine_errors.sentence(error)
                if sentence is None:
                    events.send("defect", traceback.format_exc())
                else:
                    _send_error(events, MachineError(sentence))


def _send_error(events: Events, error: UserError) -> None:
    kind = type(error)
    arguments = [str(argument) for argument in error.args]
    events.send("error", kind.__module__, kind.__qualname__, arguments)


def _end_with_caller() -> None:
    while os.read(0, 1):  # Not by sys.stdin, whose lock would be held at this process's end.
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
