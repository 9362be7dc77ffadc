"""Show the progress of a call: one line in a notebook, the display of a run in a terminal."""

import logging
import sys
import time
from typing import Any

from ragline.pipeline.runs.display import Display, for_stream

_PAUSE = 0.2


def of_caller(*, wanted: bool = True) -> Display:
    """Return the display of this process: of a notebook, a terminal, or one that shows nothing."""
    if wanted and _in_notebook():
        return Notebook()
    if wanted and sys.stderr is not None and sys.stderr.isatty():
        return for_stream(sys.stderr)
    return Display()


def _in_notebook() -> bool:
    """Return whether a kernel of Jupyter runs this code; IPython is not imported for it."""
    python = sys.modules.get("IPython")
    shell = python.get_ipython() if python else None
    return shell is not None and hasattr(shell, "kernel")


class Notebook(Display):
    """Shows one line, which changes."""

    def __init__(self) -> None:
        """Show the line, which says `ragline` until a stage begins."""
        import IPython.display

        self._begun = time.monotonic()
        self._drawn = 0.0
        self._stage = self._note = ""
        self._total = self._done = 0.0
        show: Any = IPython.display.display
        self._handle = show(self._content("ragline"), raw=True, display_id=True)

    def line(self, text: str) -> None:
        """Show what a run says, until there is something else."""
        self._note = text
        self._draw()

    def note(self, record: logging.LogRecord) -> None:
        """Show a record behind the stage's name."""
        self._note = record.getMessage()
        self._draw()

    def start(self, place: int, total: int, stage: str) -> None:
        """Show the name of a stage."""
        self._stage, self._note, self._total = f"[{place}/{total}] {stage}", "", 0.0
        self._draw(now=True)

    def expect(self, total: float, unit: str, done: float) -> None:
        """Show a share of `total` from now on."""
        self._total, self._done = total, done

    def advance(self, number: float) -> None:
        """Add to what is done, and show its share."""
        self._done += number
        self._draw()

    def close(self) -> None:
        """Leave the last stage's name and the time that all took."""
        seconds = time.monotonic() - self._begun
        self._handle.update(self._content(f"{self._stage or 'ragline'}, {seconds:.0f} s"), raw=True)

    def _draw(self, *, now: bool = False) -> None:
        if now or time.monotonic() - self._drawn >= _PAUSE:
            self._drawn = time.monotonic()
            share = f"{min(1.0, self._done / self._total):4.0%}" if self._total else ""
            parts = filter(None, (self._stage, share, self._note))
            self._handle.update(self._content("  ".join(parts)), raw=True)

    def _content(self, text: str) -> dict[str, str]:
        return {"text/plain": text}
