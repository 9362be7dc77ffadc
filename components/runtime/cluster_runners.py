"""Run a pipeline on Flink or Spark, by a job server of Beam's that ends with the job.

Beam starts a job server, a Java process, for each job, and stops it when this process exits: first
it removes a temporary folder, and if that is gone by then, as it is after a run of ragline, the
server is left running for ever. It also takes the signal handler of SIGINT, which only a main
thread can.
"""

import atexit
import shutil
from typing import Any

from apache_beam.runners.portability import flink_runner, job_server, spark_runner


class JobServer(job_server.JobServer):
    """Runs a job server in a process of its own, which ends at the latest with this process."""

    def __init__(self, server: job_server.SubprocessJobServer) -> None:
        """Wrap a server that is not yet started."""
        self._server = server

    def start(self) -> Any:
        """See the base class."""
        endpoint = self._server.start()  # type: ignore[no-untyped-call]
        atexit.register(self.stop)
        return endpoint

    def stop(self) -> None:
        """Stop the process, whatever became of its temporary folder."""
        atexit.unregister(self.stop)
        folder, self._server._local_temp_root = self._server._local_temp_root, None
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
        self._server.stop()  # type: ignore[no-untyped-call]


class _EndsWithJob:
    """Stops the job server when the job is over."""

    _server: JobServer | None = None

    def default_job_server(self, options: Any) -> job_server.JobServer:
        server: job_server.JobServer = super().default_job_server(options)  # type: ignore[misc]
        if not isinstance(server, job_server.StopOnExitJobServer):
            return server
        self._server = JobServer(server._job_server)
        return self._server

    def run_portable_pipeline(self, *pipeline: Any) -> Any:
        result = super().run_portable_pipeline(*pipeline)  # type: ignore[misc]
        if self._server:
            result._cleanup_callbacks = [*result._cleanup_callbacks, self._server.stop]
        return result


class FlinkRunner(_EndsWithJob, flink_runner.FlinkRunner):
    """Runs a pipeline on Flink."""


class SparkRunner(_EndsWithJob, spark_runner.SparkRunner):
    """Runs a pipeline on Spark."""
