"""Show the progress of a run: one live line a stage in a terminal, plain lines elsewhere.

The plain lines are for logs and for programs:

    [ 2/11] ingest
            ran, 3.0 s
"""

import contextlib
import datetime
import logging
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskProgressColumn,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

_STATES = {"ran": "green", "cached": "cyan"}
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


class Display:
    """Shows how far a run is; this one shows nothing."""

    def line(self, text: str) -> None:
        """Show a line that stays."""

    def note(self, record: logging.LogRecord) -> None:
        """Show a record of one of our own loggers."""

    def start(self, place: int, total: int, stage: str) -> None:
        """Show that a stage begins."""

    def end(self, state: str, seconds: float) -> None:
        """Show that the stage ended well."""

    def expect(self, total: float, unit: str, done: float) -> None:
        """See `ragline.components.runtime.progress`."""

    def advance(self, number: float) -> None:
        """See `ragline.components.runtime.progress`."""

    def close(self) -> None:
        """Show nothing more."""


_elsewhere: list[Display] = []


@contextlib.contextmanager
def elsewhere(display: Display) -> Iterator[None]:
    """Show the progress of this process by a display of its caller's, whatever its streams are."""
    _elsewhere.append(display)
    try:
        yield
    finally:
        _elsewhere.remove(display)


def for_stream(terminal: TextIO, *, plain: bool = False) -> Display:
    """Return the display for a stream: live in a terminal, unless plain lines are wanted."""
    if _elsewhere:
        return _elsewhere[-1]
    if plain or not terminal.isatty():
        return Plain(terminal)
    return Live(Console(file=terminal, highlight=False))


class Plain(Display):
    """Shows lines, each written once."""

    def __init__(self, file: TextIO) -> None:
        """Write lines to a file."""
        self._file = file

    def line(self, text: str) -> None:
        """Write a line."""
        self._file.write(f"{text}\n")

    def note(self, record: logging.LogRecord) -> None:
        """Write a line that belongs to the stage above it."""
        self.line(f"        {record.getMessage()}")

    def start(self, place: int, total: int, stage: str) -> None:
        """Write `[ 2/11] ingest`."""
        self.line(f"[{place:2}/{total}] {stage}")

    def end(self, state: str, seconds: float) -> None:
        """Write `ran, 3.0 s`."""
        self.line(f"        {state}, {seconds:.1f} s")


class Live(Display):
    """Shows a line that changes while its stage works, and a line that stays once it is done."""

    def __init__(self, console: Console) -> None:
        """Show the progress in a terminal."""
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12),
            TaskProgressColumn(table_column=Column(no_wrap=True)),
            _Rate(table_column=Column(no_wrap=True)),
            _Time(table_column=Column(no_wrap=True)),
            # What is left of the width; 80 columns have room for the epoch.
            TextColumn(
                "{task.fields[note]}",
                markup=False,
                style="dim",
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=console,
            expand=True,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.start()
        self._name = ""

    def line(self, text: str) -> None:
        """Show a line above the live line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def note(self, record: logging.LogRecord) -> None:
        """Show a record behind the bar; a warning above it, where it stays."""
        if record.levelno >= logging.WARNING or not self._progress.tasks:
            self.line(f"        {record.getMessage()}")
        else:
            self._progress.update(self._progress.tasks[0].id, note=record.getMessage())

    def start(self, place: int, total: int, stage: str) -> None:
        """Begin the live line of a stage."""
        self._clear()
        self._name = f"[{place:2}/{total}] {stage}"
        self._progress.add_task(f"{self._name:<20}", total=None, note="", unit="")

    def end(self, state: str, seconds: float) -> None:
        """Replace the live line by the line that stays."""
        note = self._progress.tasks[0].fields["note"] if self._progress.tasks else ""
        self._clear()
        line = Text(f"{self._name:<20} ")
        line.append(f"{state:<6}", style=_STATES.get(state, ""))
        line.append(f"{seconds:8.1f} s")
        if note:
            line.append(f"  {note}", style="dim")
        self._console.print(line, soft_wrap=True)

    def expect(self, total: float, unit: str, done: float) -> None:
        """Give the bar an end."""
        for task in self._progress.tasks:
            note = task.fields["note"]
            self._progress.reset(task.id, total=total, completed=int(done), note=note, unit=unit)

    def advance(self, number: float) -> None:
        """Move the bar."""
        for task in self._progress.tasks:
            self._progress.advance(task.id, number)

    def close(self) -> None:
        """Leave the terminal as it was, but for the name of a stage that failed."""
        failed = bool(self._progress.tasks)
        self._clear()
        self._progress.stop()
        if failed:
            self.line(self._name)

    def _clear(self) -> None:
        for task in self._progress.tasks:
            self._progress.remove_task(task.id)


class _Rate(ProgressColumn):
    """Shows units a second, of a task that counts."""

    def render(self, task: Task) -> Text:
        """Return such as `12.3 MB/s` or `8 batches/s`."""
        speed = task.speed
        if not speed or not task.fields["unit"]:
            return Text("")
        return Text(f"{rate(speed, task.fields['unit'])}/s", style="magenta")


class _Time(ProgressColumn):
    """Shows how long a task will take, if that is known; else how long it has taken."""

    def render(self, task: Task) -> Text:
        """Return such as `0:01:30 left` or `0:00:12`."""
        if task.time_remaining is not None:
            return Text(f"{_clock(task.time_remaining)} left", style="cyan")
        return Text(_clock(task.elapsed or 0), style="cyan")


def _clock(seconds: float) -> str:
    return str(datetime.timedelta(seconds=int(seconds)))


def rate(number: float, unit: str) -> str:
    """Return a number of units as text: `12.3 MB`, `8.0 batches`, `1.2 k sequences`."""
    for above, prefix in _PREFIXES:
        if number >= above:
            space = "" if unit == "B" else " "
            return f"{number / above:.1f} {prefix}{space}{unit}"
    return f"{number:.1f} {unit}"
