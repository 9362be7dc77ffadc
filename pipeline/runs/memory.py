"""Measure the peak memory of this process and its children, stage by stage."""

import contextlib
import threading
from collections.abc import Iterator

import psutil

_PAUSE = 0.2  # Seconds between two measurements, each of which takes a millisecond.


class MemoryWatch:
    """Measures memory in a thread, for the stage that `begin` names.

    Attributes:
      peaks: stage -> peak memory in bytes.
    """

    def __init__(self) -> None:
        """Measure nothing yet."""
        self.peaks: dict[str, int] = {}
        self._stage: str | None = None
        self._process = psutil.Process()
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Measure while the context lasts."""
        thread = threading.Thread(target=self._run, name="memory", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def begin(self, stage: str) -> None:
        """Count memory for a stage from now on."""
        self._stage = stage
        self._measure()

    def end(self) -> None:
        """Count memory for no stage from now on."""
        self._measure()
        self._stage = None

    def _run(self) -> None:
        while not self._over.wait(_PAUSE):
            self._measure()

    def _measure(self) -> None:
        stage = self._stage
        if stage is not None:
            self.peaks[stage] = max(self.peaks.get(stage, 0), self._memory())

    def _memory(self) -> int:
        total = 0
        with contextlib.suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # It may have ended meanwhile.
                    total += process.memory_info().rss
        return total
