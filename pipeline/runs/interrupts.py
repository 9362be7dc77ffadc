"""End the process of a command on Ctrl-C, SIGTERM and a terminal that hangs up.

A signal raises KeyboardInterrupt in the main thread, once, so that `finally` blocks run. The
exception may get lost: a library's C++ code is at work, or a library takes it for a failure of its
own. A thread therefore ends the process after a few seconds. Either way the end is the same: one
sentence, the exit code 128 + the signal's number, and nothing left behind.

A command has a temporary folder of its own, which its child processes inherit (`TMPDIR`). By that
variable all of them are known and ended, even if the process that started them is gone.
"""

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

from ragline.components.contract import exits

_CODES = {
    signal.SIGINT: exits.INTERRUPTED,
    signal.SIGTERM: exits.TERMINATED,
    signal.SIGHUP: exits.HUNG_UP,
}
_GRACE = 5.0  # Seconds for `finally` blocks; most take milliseconds.
_AGAIN = 0.1  # Seconds after which a signal that interrupted nothing is sent again.
_FOLDER = "TMPDIR"


@contextlib.contextmanager
def ending_the_process() -> Iterator[None]:
    """End the block and the process on a signal; the handlers stay installed."""
    with temporary_folder() as folder:
        ending = _Ending(folder)
        ending.begin()
        try:
            try:
                yield
            finally:
                ending.is_over = True
        finally:
            if ending.received is not None:
                ending.end()


@contextlib.contextmanager
def temporary_folder() -> Iterator[str | None]:
    """Make a folder, use it as the process's temporary folder, and remove it.

    Yields None if none can be made; the code that needs one reports that.
    """
    try:
        folder = tempfile.mkdtemp(prefix="ragline-")
    except OSError:
        yield None
        return
    before, tempfile.tempdir = tempfile.tempdir, folder
    variable = os.environ.get(_FOLDER)
    os.environ[_FOLDER] = folder
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        os.environ.pop(_FOLDER)
        if variable is not None:
            os.environ[_FOLDER] = variable
        shutil.rmtree(folder, ignore_errors=True)


class _Ending:
    """Ends a process on a signal.

    Attributes:
      received: number of the first signal; None before it.
      is_over: whether nothing is left to be interrupted.
    """

    def __init__(self, folder: str | None) -> None:
        self.received: int | None = None
        self.is_over = False
        self._folder = folder
        self._stderr = os.dup(2)  # A run sends stderr to its log meanwhile.
        self._once = threading.Lock()
        self._main = threading.get_ident()

    def begin(self) -> None:
        """Handle signals from now on; those that the process was started to ignore stay ignored."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()
        for number in _CODES:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        """Interrupt the main thread, in which it is called; only the first time."""
        if self.received is None:
            self.received = number
            if self.is_over:
                self.end()
            raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        """End the process some seconds after a signal, whatever the main thread does."""
        number = 0
        while number not in _CODES:
            [number] = os.read(reader, 1)
        time.sleep(_AGAIN)
        if self.received is None:  # It came just before a system call, and interrupted nothing.
            signal.pthread_kill(self._main, number)
        time.sleep(_GRACE)
        self.received = self.received or number
        self.end()

    def end(self) -> NoReturn:
        """End the process and all processes that it started."""
        self._once.acquire()  # Never released: of two threads that come here, one ends it.
        received = signal.Signals(self.received or signal.SIGTERM)
        with contextlib.suppress(OSError):
            os.write(self._stderr, f"interrupted by {received.name}; {_ADVICE}\n".encode())
        _kill(self._folder)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(_CODES[received])


_ADVICE = "the same command starts again, and a run goes on where it was"


def _kill(folder: str | None) -> None:
    """Kill every process that this one started, directly or through others."""
    import psutil

    ours = psutil.Process()
    started = set(ours.children(recursive=True))
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if folder is not None and process.environ().get(_FOLDER) == folder:
                started.add(process)
    started.discard(ours)
    for process in started:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(started, timeout=_GRACE)
