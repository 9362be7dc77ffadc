"""A session cluster of Flink on this machine: a job manager and task managers, each a process."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from flink.fetch import Flink

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
SLOTS = 2
_SECONDS = 300

_LOG4J = """
rootLogger.level = INFO
rootLogger.appenderRef.stderr.ref = stderr
appender.stderr.name = stderr
appender.stderr.type = CONSOLE
appender.stderr.target = SYSTEM_ERR
appender.stderr.layout.type = PatternLayout
appender.stderr.layout.pattern = %d{HH:mm:ss,SSS} %-5p %c{1} - %m%n
"""


class Cluster:
    """A job manager and task managers; a job that loses tasks is tried again five times.

    Attributes:
      url: where the job manager serves jobs.
      task_managers: their processes, those that were killed among them.
    """

    def __init__(self, flink: Flink, folder: pathlib.Path, task_managers: int = 2) -> None:
        """Start the processes, whose logs go to `folder`, and wait until they can take jobs."""
        self._flink = flink
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "log4j.properties").write_text(_LOG4J)
        rpc, rest = free_ports(2)
        self.url = f"http://localhost:{rest}"
        (folder / "config.yaml").write_text(json.dumps(_configuration(rpc, rest, folder)))
        self._processes: list[subprocess.Popen[bytes]] = []
        self.task_managers: list[subprocess.Popen[bytes]] = []
        self.start_job_manager()
        for _ in range(task_managers):
            self.start_task_manager()
        try:
            self.wait_for_task_managers()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_SECONDS)
            process.kill()
            process.wait()

    def start_job_manager(self) -> None:
        """Start the job manager, again if it was killed."""
        self.job_manager = self._start("job-manager", JOB_MANAGER, "-Xmx768m")

    def start_task_manager(self) -> None:
        """Start one more task manager."""
        name = f"task-manager-{len(self.task_managers)}"
        self.task_managers.append(self._start(name, TASK_MANAGER, "-Xmx768m"))

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill one of the processes with -9."""
        process.send_signal(signal.SIGKILL)
        process.wait()

    def get(self, path: str) -> Any:
        """Ask the job manager."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=10) as answer:
            return json.load(answer)

    def slots(self) -> int:
        """Return the number of slots of the task managers that are known."""
        try:
            return int(self.get("/overview")["slots-total"])
        except (OSError, urllib.error.URLError):
            return 0

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs, the oldest first."""
        jobs: list[dict[str, Any]] = self.get("/jobs/overview")["jobs"]
        return sorted(jobs, key=lambda job: job["start-time"])

    def failures(self, job: str) -> list[dict[str, Any]]:
        """Return what failed in a job, though Flink tried it again."""
        return list(self.get(f"/jobs/{job}/exceptions")["exceptionHistory"]["entries"])

    def wait_for_task_managers(self) -> None:
        """Wait until the job manager knows every task manager that lives."""
        living = sum(process.poll() is None for process in self.task_managers)
        self.wait_until(lambda: self.slots() == SLOTS * living, "task managers register")

    def wait_until(self, holds: Callable[[], bool], what: str, seconds: float = _SECONDS) -> None:
        """Wait for something to happen."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds} s; see {self._folder}")
            time.sleep(0.05)

    def _start(self, name: str, main: str, heap: str) -> subprocess.Popen[bytes]:
        command = [
            *(self._flink.java, heap, "-XX:MaxMetaspaceSize=512m", "-XX:+UseSerialGC"),
            *(f"-Dlog4j.configurationFile={self._folder / 'log4j.properties'}", *_OPENED),
            *("-cp", os.pathsep.join(map(str, (*self._flink.jars, self._flink.job_server))), main),
            *("--configDir", str(self._folder)),
        ]
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        self._processes.append(process)
        return process


# As in the configuration that comes with Flink, for Java 17.
_OPENED = tuple(
    f"--add-opens=java.base/{package}=ALL-UNNAMED"
    for package in (
        *("java.lang", "java.net", "java.io", "java.nio", "java.text", "java.time", "java.util"),
        *("java.lang.reflect", "java.util.concurrent", "java.util.concurrent.atomic"),
        *("java.util.concurrent.locks", "sun.nio.ch"),
    )
)


def _configuration(rpc: int, rest: int, folder: pathlib.Path) -> dict[str, Any]:
    memory = {
        "framework.heap.size": "128m",
        "framework.off-heap.size": "128m",
        "task.heap.size": "512m",
        "task.off-heap.size": "0m",
        "managed.size": "128m",
        "network.min": "192m",
        "network.max": "192m",
        "jvm-metaspace.size": "512m",
        "jvm-overhead.min": "192m",
        "jvm-overhead.max": "192m",
    }
    return {
        "jobmanager.rpc.address": "localhost",
        "jobmanager.rpc.port": rpc,
        "rest.address": "localhost",
        "rest.bind-address": "localhost",
        "rest.port": rest,
        "rest.bind-port": str(rest),
        "taskmanager.host": "localhost",
        "taskmanager.numberOfTaskSlots": SLOTS,
        "taskmanager.cpu.cores": "1.0",
        **{f"taskmanager.memory.{key}": value for key, value in memory.items()},
        # A stage that writes for a later one takes so many buffers of 32 KB; 512 by default.
        "taskmanager.network.sort-shuffle.min-buffers": 32,
        "io.tmp.dirs": str(folder / "tmp"),
        "blob.storage.directory": str(folder / "blobs"),
        # A process that dies is noticed by its connections, a machine that does by its heartbeat.
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 10000,
        # Workers are kept from stage to stage only if Beam's classes are Flink's own, in its `lib`.
        "classloader.resolve-order": "parent-first",
        "cluster.evenly-spread-out-slots": "true",
        # It counts as one what fails at once; `fixed-delay` counts each part of a job that had a
        # task on a lost machine, which are thirty of Transform's.
        "restart-strategy.type": "exponential-delay",
        # Longer than `--environment_cache_millis`, for which a task manager keeps a job's workers
        # after its last task: a try within that time is given what is kept, though it be dead.
        "restart-strategy.exponential-delay.initial-backoff": "10 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
        "restart-strategy.exponential-delay.attempts-before-reset-backoff": 5,
    }


def free_ports(count: int) -> list[int]:
    """Return ports on which nothing listens."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for opened in sockets:
            opened.bind(("localhost", 0))
        return [opened.getsockname()[1] for opened in sockets]


def children(process: int) -> set[int]:
    """Return the processes that one has started, such as the workers of a task manager."""
    started: set[int] = set()
    for file in pathlib.Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            started.update(map(int, file.read_text().split()))
    return started
