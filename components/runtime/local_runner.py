"""Run a pipeline on Beam's in-process engine, without a download, and survive dead workers.

`--runner=DirectRunner` of Beam 2.77 first tries to download another engine, and takes its own when
that fails. `--runner=FnApiRunner` is its own engine, but gives its workers none of the pipeline's
options; workers in other processes (`--direct_running_mode=multi_processing`) need them, because
the plugins in them are imported before anything is unpickled.

It also waits forever for a worker process that has died: the thread that watches the process
raises, and nobody sees it. Here that thread answers in the worker's place, with a failure.
"""

import threading
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2, beam_provision_api_pb2
from apache_beam.runners.portability import local_job_service
from apache_beam.runners.portability.fn_api_runner import fn_runner, worker_handlers
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineRunner

from ragline.components.runtime import beam_memo

beam_memo.install()

DIED = "a worker process of Beam has died"


class LocalRunner(PipelineRunner):
    """Runs a pipeline on this machine, as DirectRunner does without its download."""

    def run_pipeline(self, pipeline: Any, options: Any) -> Any:
        """See the base class."""
        encoded = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=encoded)
        runner = fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))
        return runner.run_pipeline(pipeline, options)


@worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class _Worker(worker_handlers.SubprocessSdkWorkerHandler):
    """Runs a worker process, and fails its open requests when it dies.

    The worker imports nothing from the folder that the command was given in (`-P`).
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
        """Answer a request to a dead worker with a failure; its end needs no answer."""
        if request is worker_handlers.BeamFnControlServicer._DONE_MARKER:
            return None
        name = request.instruction_id
        return worker_handlers.ControlFuture(name, _failure(name))


def _failure(name: str) -> Any:
    return beam_fn_api_pb2.InstructionResponse(instruction_id=name, error=DIED)
