"""A run ends when one of Beam's worker processes does.

Beam 2.77 waits forever for a worker that died before it reported for work, and at its own end for
the workers that live: its thread that watched the process raises, and nobody reads that.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator

import psutil

_THREAD = "run_worker"  # Beam's name for those that watch a worker process.
_COMMAND = "sdk_worker_main"


class WorkerDiedError(Exception):
    """A worker process ended before its job did."""


@contextlib.contextmanager
def ending_with_them() -> Iterator[None]:
    """Within it, a worker's death raises WorkerDiedError in the main thread, which it must be."""
    running = threading.Event()
    running.set()
    main = threading.get_ident()
    before = threading.excepthook

    def stop(*_: object) -> None:
        if running.is_set():
            running.clear()
            raise WorkerDiedError("a worker process of Beam has died")

    def told(found: threading.ExceptHookArgs) -> None:
        before(found)
        if found.thread is not None and found.thread.name == _THREAD and running.is_set():
            _kill_the_others()
            signal.pthread_kill(main, signal.SIGUSR1)

    # It stays: one that comes late must not end the process, as it does without a handler.
    signal.signal(signal.SIGUSR1, stop)
    threading.excepthook = told
    try:
        yield
    finally:
        running.clear()
        threading.excepthook = before


def _kill_the_others() -> None:
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(_COMMAND in word for word in process.cmdline()):
                process.kill()
