"""What Ctrl-C, SIGTERM and a terminal that hangs up do to a command; for its process alone.

A signal raises KeyboardInterrupt in the main thread, once, so that what stands in `finally` is
done. It may not get through: a library's C++ code is at work, or something takes the exception for
a failure of its own. A thread of ours therefore ends the process when its time is up. Either way
the end is the same: one sentence, the exit code 128 + the signal's number, and nothing left behind.

What a command and the processes below it put in the temporary folder stands in a folder of the
command's own, of which every one of those processes knows (`TMPDIR`): so all of them are found, and
ended, even if the one that started them is gone.
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
_GRACE = 5.0  # Seconds for what stands in `finally`; most of it takes milliseconds.
_FOLDER = "TMPDIR"


@contextlib.contextmanager
def ending_the_process() -> Iterator[None]:
    """A signal ends what stands in it, and the process with it; its handlers stay."""
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
    """Makes a temporary folder that stands for the temporary folder, and removes it.

    It is None if none can be made; whoever needs one then says so.
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
    """The end of a process by a signal.

    Attributes:
      received: the first signal; None before it.
      is_over: whether nothing is left to be interrupted.
    """

    def __init__(self, folder: str | None) -> None:
        self.received: int | None = None
        self.is_over = False
        self._folder = folder
        self._stderr = os.dup(2)  # A run sends stderr to its log meanwhile.
        self._once = threading.Lock()

    def begin(self) -> None:
        """Waits for signals; those that the process was started to ignore stay ignored."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()
        for number in _CODES:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._interrupt)

    def _interrupt(self, number: int, _: FrameType | None) -> None:
        """Interrupts the main thread, in which it is called; the first time alone."""
        if self.received is None:
            self.received = number
            if self.is_over:
                self.end()
            raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        """Ends the process in time; C tells it of a signal, whatever the main thread does."""
        number = 0
        while number not in _CODES:
            [number] = os.read(reader, 1)
        time.sleep(_GRACE)
        self.received = self.received or number
        self.end()

    def end(self) -> NoReturn:
        """Ends the process, and all that it started."""
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
    """Kills every process that this one started, or that those started."""
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
