"""The engine of Beam's DirectRunner, without its download, and not waiting for the dead.

`--runner=DirectRunner` of Beam 2.77 first looks for another engine, to be downloaded, and takes its
own when that fails. `--runner=FnApiRunner` is its own, but tells its workers nothing of the
pipeline's options; those in other processes (`--direct_running_mode=multi_processing`) need them:
a plugin that is named there is imported before anything is unpickled.

It also waits forever for the answer of a worker process that has died: the thread that watched the
process raises, and nobody reads that. Here that thread answers in the worker's place.
"""

import threading
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_provision_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineRunner

DIED = "a worker process of Beam has died"


class LocalRunner(PipelineRunner):
    """Runs a pipeline on this machine, as DirectRunner does in the end."""

    def run_pipeline(self, pipeline: Any, options: Any) -> Any:
        """See the base class."""
        stated = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=stated)
        runner = fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))
        return runner.run_pipeline(pipeline, options)


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _Worker(worker_handlers.SubprocessSdkWorkerHandler):
    """A worker process, which fails what it was to do when it dies.

    Of the folder that the command was given in, it imports nothing (`-P`).
    """

    def start_worker(self) -> None:
        self.worker = local_job_service.SubprocessSdkWorker(
            self._worker_command_line.replace(b" -m ", b" -P -m ", 1),
            self.control_address,
            self.provision_info,
            self.worker_id,
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._watch)
        self.worker_thread.start()

    def _watch(self) -> None:
        try:
            self.worker.run()
        except RuntimeError:  # It ended with another exit code than 0.
            connection = self.control_conn
            connection.push = self._fail
            for name, future in [*connection._futures_by_id.items()]:
                future.set(_failure(name))

    def _fail(self, request: Any) -> Any:
        """Answers what is asked of the dead; the end of the connection is no question."""
        if request is worker_handlers.BeamFnControlServicer._DONE_MARKER:
            return None
        name = request.instruction_id
        return worker_handlers.ControlFuture(name, _failure(name))


def _failure(name: str) -> Any:
    return beam_fn_api_pb2.InstructionResponse(instruction_id=name, error=DIED)
