"""Processes of a cluster that are killed while a job runs in them, and what Flink saw of it."""

import glob
import os
import pathlib
import signal
import time
from collections.abc import Callable

from flink.cluster import Cluster, children


class Faults:
    """Kills processes of a cluster.

    Attributes:
      orphans: the Python workers of the task managers that were killed.
    """

    def __init__(self, cluster: Cluster, folder: pathlib.Path) -> None:
        """Take a cluster, and the folder that its jobs write in."""
        self._cluster = cluster
        self._folder = folder
        self._job = ""
        self._known: set[int] = set()
        self.orphans: set[int] = set()

    def strike(self, *kills: Callable[[], None], made: str = "") -> None:
        """Wait for the next job, and do one kill after the other, each once the job works.

        Args:
          kills: the methods of this class.
          made: the pattern of a file's name, if the job must have made such a file before a kill.

        Raises:
          TimeoutError: a kill cost the job nothing.
        """
        jobs = len(self._cluster.jobs())
        self._known = self._workers()
        there = self._files(made)
        self._cluster.wait_until(lambda: len(self._cluster.jobs()) > jobs, "a job starts")
        self._job = self._cluster.jobs()[-1]["jid"]

        def works() -> bool:
            job = self._cluster.jobs()[-1]
            if job["state"] in ("FAILED", "FINISHED"):
                raise SystemExit(f"expected a job that works, received one that {job['state']}")
            runs = job["state"] == "RUNNING" and job["tasks"]["running"] and self._own_workers()
            return bool(runs and (not made or self._files(made) - there))

        for kill in kills:
            self._cluster.wait_until(works, "a job works")
            kill()

    def workers(self) -> None:
        """Kill the Python workers of the job."""
        start = time.time()
        killed = self._own_workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        self._known |= killed
        self._wait_for_failure(start)

    def task_manager(self) -> None:
        """Kill a task manager, and start another in its place."""
        start = time.time()
        killed = self._cluster.task_managers[-1]
        self.orphans.update(children(killed.pid))
        self._cluster.kill(killed)
        self._cluster.start_task_manager()
        self._wait_for_failure(start)

    def job_manager(self) -> None:
        """Kill the job manager, which knows nothing of its jobs if it is started again."""
        self._cluster.kill(self._cluster.job_manager)

    def end_orphans(self) -> None:
        """Wait until no worker is left of a task manager that was killed."""

        def ended() -> bool:
            return not any(os.path.exists(f"/proc/{worker}/cmdline") for worker in self.orphans)

        self._cluster.wait_until(ended, "workers of a killed task manager end")

    def _wait_for_failure(self, start: float) -> None:
        def failed() -> bool:
            failures = self._cluster.failures(self._job)
            if any(failure["timestamp"] >= 1000 * start for failure in failures):
                return True
            [state] = [job["state"] for job in self._cluster.jobs() if job["jid"] == self._job]
            if state == "FINISHED":
                raise SystemExit("expected a job that needs what was killed, received its end")
            return False

        self._cluster.wait_until(failed, "a job that lost a process fails")

    def _workers(self) -> set[int]:
        managers = self._cluster.task_managers
        return {worker for process in managers for worker in children(process.pid)}

    def _own_workers(self) -> set[int]:
        """Return the workers of the job: others are kept a minute after theirs."""
        return self._workers() - self._known

    def _files(self, pattern: str) -> set[str]:
        where = f"{self._folder}/**/{pattern}"
        return set(glob.glob(where, recursive=True, include_hidden=True)) if pattern else set()
