"""How much memory this process and its children hold at most, stage by stage."""

import contextlib
import threading
from collections.abc import Iterator

import psutil

_PAUSE = 0.2  # Seconds between two looks, each of which takes a millisecond.


class Watch:
    """A thread that looks at the memory; `during` says which stage it is for."""

    def __init__(self) -> None:
        """Watches nothing yet."""
        self.peaks: dict[str, int] = {}
        self._stage: str | None = None
        self._process = psutil.Process()
        self._over = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Looks, as long as it lasts."""
        thread = threading.Thread(target=self._run, name="watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def begin(self, stage: str) -> None:
        """What is held from now on is the stage's."""
        self._stage = stage
        self._look()

    def end(self) -> None:
        """The stage is over."""
        self._look()
        self._stage = None

    def _run(self) -> None:
        while not self._over.wait(_PAUSE):
            self._look()

    def _look(self) -> None:
        stage = self._stage
        if stage is not None:
            self.peaks[stage] = max(self.peaks.get(stage, 0), self._held())

    def _held(self) -> int:
        held = 0
        with contextlib.suppress(psutil.Error):
            for process in (self._process, *self._process.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # It may have ended meanwhile.
                    held += process.memory_info().rss
        return held
