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
from collections.abc import Callable, Iterable, Iterator, Mapping
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
      processes: the master, then the workers.
    """

    def __init__(self, url: str, page: str, folder: pathlib.Path) -> None:
        self.url = url
        self._page = page
        self._folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

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
        workers = [worker.pid for worker in self.processes[1:]]
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
    port, *pages = free_ports(2 + WORKERS)
    cluster = Cluster(f"spark://{_HOST}:{port}", f"http://{_HOST}:{pages[0]}", folder)
    host = ["--host", _HOST, "--webui-port"]
    master = ["master.Master", *host, str(pages[0]), "--port", str(port)]
    workers = [
        ["worker.Worker", *host, str(page), "--cores", "1", "--memory", "1g", cluster.url]
        for page in pages[1:]
    ]
    environment = {
        **os.environ,
        **ENVIRONMENT,
        "SPARK_HOME": str(folder),
        "SPARK_SCALA_VERSION": "2.12",
    }
    with contextlib.ExitStack() as stack:
        for number, (name, *arguments) in enumerate((master, *workers)):
            log = stack.enter_context((folder / f"{number}.log").open("wb"))
            command = [java, "-cp", str(jar), f"org.apache.spark.deploy.{name}", *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
            stack.callback(process.wait, _SECONDS)
            stack.callback(process.terminate)
            cluster.processes.append(process)
        deadline = time.monotonic() + _SECONDS
        while cluster.workers() < WORKERS:
            if time.monotonic() > deadline:
                raise TimeoutError(f"workers: not within {_SECONDS} s; see {folder}")
            time.sleep(0.2)
        yield cluster
