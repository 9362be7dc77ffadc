"""A standalone cluster of Spark on this machine: a master and two workers, each a process.

All are of the job server's jar, which holds Spark: what its workers start is of the same.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from flink.cluster import children, free_ports

WORKERS = 2
_SECONDS = 120
_HOST = "127.0.0.1"
_PYTHON = b"ragline-worker"
# What Spark reads of Java 17's own, besides what Java opens to all.
_OPENED = (
    *("java.io", "java.lang", "java.lang.invoke", "java.lang.reflect", "java.net", "java.nio"),
    *("java.util", "java.util.concurrent", "sun.nio.ch", "sun.security.action"),
    "sun.util.calendar",
)
# For all processes: job server, master, workers, and what those start.
ENVIRONMENT = {
    "JAVA_TOOL_OPTIONS": " ".join(
        ["-Xmx768m", *(f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENED)]
    ),
    "SPARK_LOCAL_IP": _HOST,
}


class Cluster:
    """What was started.

    Attributes:
      url: where the master takes jobs.
    """

    def __init__(self, command: Sequence[str], folder: pathlib.Path) -> None:
        """Start a master and workers by a command that takes a class of Spark's."""
        self._command, self._folder = command, folder
        port, *pages = free_ports(2 + WORKERS)
        self.url = f"spark://{_HOST}:{port}"
        self._page = f"http://{_HOST}:{pages[0]}"
        host = ["--host", _HOST, "--webui-port"]
        self._of_master = ["master.Master", *host, str(pages[0]), "--port", str(port)]
        self._master = self._start(*self._of_master)
        self._workers = [
            self._start(
                *("worker.Worker", *host, str(page), "--cores", "1", "--memory", "1g", self.url)
            )
            for page in pages[1:]
        ]

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [*self._command, f"org.apache.spark.deploy.{name}", *arguments]
        environment = {
            **os.environ,
            **ENVIRONMENT,
            "SPARK_HOME": str(self._folder),
            "SPARK_SCALA_VERSION": "2.12",
        }
        with (self._folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=self._folder, env=environment
            )

    def end(self) -> None:
        """End all processes."""
        for process in (self._master, *self._workers):
            process.terminate()
        for process in (self._master, *self._workers):
            process.wait(_SECONDS)

    def state(self) -> Mapping[str, Any]:
        """Ask the master for its workers and for its jobs."""
        with urllib.request.urlopen(f"{self._page}/json/", timeout=10) as answer:
            state: Mapping[str, Any] = json.load(answer)
            return state

    def workers(self) -> int:
        """Return the number of workers that are there."""
        with contextlib.suppress(OSError):
            return sum(worker["state"] == "ALIVE" for worker in self.state()["workers"])
        return 0

    def executors(self) -> set[int]:
        """Return the process ids of executors, which a worker starts for a job."""
        workers = [worker.pid for worker in self._workers]
        return _children(workers, b"CoarseGrainedExecutor")

    def kill_executor(self) -> None:
        """Kill an executor that has a Python worker, and wait for another in its place."""
        working = self._wait_for(lambda: [e for e in self.executors() if _children([e], _PYTHON)])
        known = self.executors()
        os.kill(working[0], signal.SIGKILL)
        self._wait_for(lambda: self.executors() - known)

    def kill_python_workers(self) -> None:
        """Kill the Python workers of a job, and wait until a task fails of it."""
        failed = self._failed_tasks()
        for worker in self._wait_for(lambda: _children(self.executors(), _PYTHON)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGKILL)
        self._wait_for(lambda: self._failed_tasks() > failed)

    def kill_master(self) -> None:
        """Kill the master once an executor has a Python worker."""
        self._wait_for(lambda: _children(self.executors(), _PYTHON))
        self._master.kill()
        self._master.wait()

    def start_master(self) -> None:
        """Start another master in its place, and wait until the workers have come to it."""
        self._master = self._start(*self._of_master)
        self.wait_for_workers()

    def wait_for_workers(self) -> None:
        """Wait until all workers are there."""
        self._wait_for(lambda: self.workers() == WORKERS)

    def _failed_tasks(self) -> int:
        logs = self._folder.glob("work/*/*/stderr")
        return sum(log.read_bytes().count(b"Exception in task") for log in logs)

    def _wait_for(self, result: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + _SECONDS
        while not (value := result()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {_SECONDS} s; see {self._folder}")
            time.sleep(0.05)
        return value


def _children(processes: Iterable[int], command: bytes) -> set[int]:
    """Return what the processes have started, of those whose command line has such a part."""
    chosen = set()
    for child in (child for process in processes for child in children(process)):
        with contextlib.suppress(OSError):
            if command in pathlib.Path(f"/proc/{child}/cmdline").read_bytes():
                chosen.add(child)
    return chosen


@contextlib.contextmanager
def started(java: str, jar: pathlib.Path, folder: pathlib.Path) -> Iterator[Cluster]:
    """Start the processes, whose logs go to `folder`; end them when the context ends."""
    (folder / "jars").mkdir(parents=True)
    (folder / "jars" / jar.name).symlink_to(jar)
    cluster = Cluster([java, "-cp", str(jar)], folder)
    try:
        cluster.wait_for_workers()
        yield cluster
    finally:
        cluster.end()
