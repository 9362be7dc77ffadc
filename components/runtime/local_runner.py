"""The engine of Beam's DirectRunner, without its download.

`--runner=DirectRunner` of Beam 2.77 first looks for another engine, to be downloaded, and takes its
own when that fails. `--runner=FnApiRunner` is its own, but tells its workers nothing of the
pipeline's options; those in other processes (`--direct_running_mode=multi_processing`) need them:
a plugin that is named there is imported before anything is unpickled.
"""

from typing import Any

from apache_beam.portability.api import beam_provision_api_pb2
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.runners.portability.portable_runner import JobServiceHandle
from apache_beam.runners.runner import PipelineRunner


class LocalRunner(PipelineRunner):
    """Runs a pipeline on this machine, as DirectRunner does in the end."""

    def run_pipeline(self, pipeline: Any, options: Any) -> Any:
        """See the base class."""
        stated = JobServiceHandle.encode_pipeline_options(options.get_all_options())
        info = beam_provision_api_pb2.ProvisionInfo(pipeline_options=stated)
        runner = fn_runner.FnApiRunner(provision_info=fn_runner.ExtendedProvisionInfo(info))
        return runner.run_pipeline(pipeline, options)
