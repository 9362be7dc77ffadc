"""Open a work directory for a run: one run at a time, a folder for each, a quiet terminal.

What TFX, Beam and TensorFlow print goes to `runs/<run id>/log.txt`; the terminal gets what a person
wants to know.
"""

import contextlib
import copy
import datetime
import fcntl
import logging
import os
import pathlib
import secrets
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import tomli_w

from ragline.components.files import storage
from ragline.components.files.storage import write_text
from ragline.pipeline.cache import marker
from ragline.pipeline.config import Config, ConfigError, to_dict
from ragline.pipeline.runs.display import Display, for_stream
from ragline.pipeline.runs.machine_errors import BusyError
from ragline.pipeline.runs.redaction import redacted, redacted_data
from ragline.pipeline.runs.terminal import flush_or_drop, lossy

SUMMARY_FILE, REPORT_FILE, LOG_FILE = "summary.json", "report.html", "log.txt"
RUNS = "runs"
SAMPLES_FILE = "reconstruction_samples.json"
CONFIG_FILE = "config.toml"
SERVING = "serving"
_PAUSE = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Describes a run that holds its work directory.

    Attributes:
      workdir: path of the work directory, all links followed.
      journal: name of the journal of unfinished files in it.
      run_id: id of the run; ids sort by time.
      folder: folder runs/<run id>.
      display: display of the run's progress.
    """

    workdir: pathlib.Path
    journal: str
    run_id: str
    folder: pathlib.Path
    display: Display


@contextlib.contextmanager
def opened(config: Config, *, verbose: bool = False) -> Iterator[Session]:
    """Hold the work directory, make the run's folder, and keep the terminal quiet.

    Args:
      config: configuration of the run.
      verbose: whether to show the log in the terminal, too.

    Raises:
      BusyError, ConfigError, ForeignFolderError: see `held`.
    """
    with contextlib.ExitStack() as stack:
        workdir, journal = stack.enter_context(held(config))
        try:
            run_id = _new_run_id()
            folder = workdir / RUNS / run_id
            folder.mkdir(parents=True)
            write_text(folder / CONFIG_FILE, tomli_w.dumps(redacted_data(to_dict(config))))
        except OSError as error:
            raise _refused(error, workdir) from error
        display = stack.enter_context(quiet(folder / LOG_FILE, verbose=verbose))
        display.line(f"run {run_id} in {workdir}")
        yield Session(
            workdir=workdir, journal=journal, run_id=run_id, folder=folder, display=display
        )


@contextlib.contextmanager
def held(config: Config) -> Iterator[tuple[pathlib.Path, str]]:
    """Hold the work directory of a pipeline, or make it; yield it and the name of its journal.

    Raises:
      BusyError: another run holds it; nothing was touched.
      ConfigError: it cannot be made or written to.
      ForeignFolderError: it is somebody else's or another pipeline's; nothing was touched.
    """
    workdir = pathlib.Path(os.path.realpath(config.workdir))
    with contextlib.ExitStack() as stack:
        try:
            marker.check(workdir, config.name)
            workdir.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock(workdir))
            mark = marker.claim(workdir, config.name)
            stack.enter_context(storage.journal(workdir / mark.journal))
        except OSError as error:
            raise _refused(error, workdir) from error
        yield workdir, mark.journal


def _refused(error: OSError, workdir: pathlib.Path) -> ConfigError:
    return ConfigError(f"workdir: {error.filename or workdir}: {error.strerror}")


def _new_run_id() -> str:
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@contextlib.contextmanager
def lock(workdir: pathlib.Path) -> Iterator[None]:
    """Lock the work directory; the kernel releases the lock whenever the process ends.

    Raises:
      BusyError: another process holds it.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    descriptor = os.open(workdir / ".lock", flags, 0o666)
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise BusyError(f"{workdir}: another run holds it (process {file.read()})") from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


@contextlib.contextmanager
def quiet(log: pathlib.Path, *, verbose: bool = False) -> Iterator[Display]:
    """Send stdout and stderr, also of C++ code, to a log; yield the display in the terminal.

    Lines of our own loggers (`ragline.*`) go to both, with `verbose` all lines. A terminal that can
    no longer be written to does not disturb a run.
    """
    flush_or_drop()
    saved = [os.dup(1), os.dup(2)]
    with log.open("ab", buffering=0) as file, lossy(os.dup(2)) as terminal:
        shown = for_stream(terminal, plain=verbose)
        level = logging.getLogger().level
        stream_handlers = _remove_stream_handlers(logging.getLogger())
        handlers = _handlers(shown)
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            with _followed(log, terminal) if verbose else contextlib.nullcontext():
                yield shown
        finally:
            shown.close()
            for logger, handler in handlers:
                logger.removeHandler(handler)
            for handler in stream_handlers:
                logging.getLogger().addHandler(handler)
            logging.getLogger().setLevel(level)
            flush_or_drop()  # Lines that a full disk did not take must not reach the terminal.
            for target, source in zip((1, 2), saved, strict=True):
                os.dup2(source, target)
                os.close(source)


@contextlib.contextmanager
def _followed(log: pathlib.Path, terminal: TextIO) -> Iterator[None]:
    """Copy new lines of a log to the terminal; C++ code bypasses every handler."""
    over = threading.Event()

    def copy() -> None:
        with log.open(encoding="utf-8", errors="replace") as file:
            last = False
            while not last:
                last = over.wait(_PAUSE)
                terminal.write(file.read())

    thread = threading.Thread(target=copy, name="log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        flush_or_drop()
        over.set()
        thread.join()


class _Formatter(logging.Formatter):
    """Formats lines of the log, without secrets."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


class _Notes(logging.Handler):
    """Hands records of our own loggers to a display."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def emit(self, record: logging.LogRecord) -> None:
        shown = copy.copy(record)
        shown.msg, shown.args = redacted(record.getMessage()), ()
        self._display.note(shown)


def _remove_stream_handlers(logger: logging.Logger) -> Sequence[logging.Handler]:
    """Remove the handlers that write to stdout or stderr: with secrets, and each line twice.

    Importing TFX adds such a handler, and a notebook has one.
    """
    streams = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    removed = [
        handler for handler in logger.handlers if getattr(handler, "stream", None) in streams
    ]
    for handler in removed:
        logger.removeHandler(handler)
    return removed


def _handlers(display: Display) -> Sequence[tuple[logging.Logger, logging.Handler]]:
    """Install the handlers of a run: the log's, and the display's for our own loggers."""
    everything = logging.StreamHandler(sys.stderr)
    everything.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    ours = _Notes(display)
    ours.addFilter(lambda record: record.exc_info is None)
    root, ragline = logging.getLogger(), logging.getLogger("ragline")
    root.setLevel(logging.INFO)
    handlers: list[tuple[logging.Logger, logging.Handler]] = [(root, everything), (ragline, ours)]
    for logger, handler in handlers:
        logger.addHandler(handler)
    return handlers
