"""Runs a pipeline by TFX's LocalDagRunner, under a run id of ours, saying which stage is at work."""

import logging
import time
from collections.abc import Callable

from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils


def run(pipeline: Pipeline, run_id: str, *, say: Callable[[str], object]) -> None:
    """Runs every stage in order; a stage's exception comes out as it is.

    Args:
      pipeline: what to run.
      run_id: the run's name in ML Metadata.
      say: gets a line when a stage starts and ends.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    handler = _Progress(say, [node.pipeline_node.node_info.id for node in compiled.nodes])
    logger = logging.getLogger("absl")
    logger.addHandler(handler)
    try:
        LocalDagRunner().run_with_ir(compiled)
    finally:
        logger.removeHandler(handler)


class _Progress(logging.Handler):
    """Turns LocalDagRunner's own log lines into progress; it has no other way to watch it.

    If a release of TFX words them differently, a run is quieter and otherwise the same; a test says
    so.
    """

    def __init__(self, say: Callable[[str], object], stages: list[str]) -> None:
        super().__init__(logging.INFO)
        self._say = say
        self._stages = stages
        self._started = time.perf_counter()
        self._state = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg == "Component %s is running.":
            self._started, self._state = time.perf_counter(), "ran"
            place = self._stages.index(str(record.args[0])) + 1  # type: ignore[index]
            self._say(f"[{place}/{len(self._stages)}] {record.args[0]}\n")  # type: ignore[index]
        elif record.msg == "A cached execution %d is used.":
            self._state = "cached"
        elif record.msg == "Component %s is finished.":
            seconds = time.perf_counter() - self._started
            self._say(f"    {self._state}, {seconds:.1f} s\n")
