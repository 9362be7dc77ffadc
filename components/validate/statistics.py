"""Define the component of statistics: TFX's own, which writes where all workers can."""

from typing import Any

from tfx.components.statistics_gen import component, executor
from tfx.dsl.components.base import executor_spec

from ragline.components.files import staging


class Executor(executor.Executor):
    """Runs TFX's executor, with the statistics in a store until the job has ended."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compute the statistics of each split."""
        [statistics] = output_dict["statistics"]
        folder = statistics.uri
        staged = staging.of("statistics", exec_properties, self._context, self._get_tmp_dir())
        with staging.written(folder, staged) as written:
            statistics.uri = written
            super().Do(input_dict, output_dict, exec_properties)
        statistics.uri = folder


class StatisticsGen(component.StatisticsGen):
    """Computes TFDV's statistics of each split."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)
