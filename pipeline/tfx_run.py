"""Runs a pipeline by TFX's LocalDagRunner, stage by stage, under a run id of ours."""

from collections.abc import Callable, Collection

from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils


def run(
    pipeline: Pipeline,
    run_id: str,
    *,
    skip: Collection[str] = (),
    on_start: Callable[[int, int, str], object],
    on_end: Callable[[str], object],
) -> None:
    """Runs every stage in order; a stage's exception comes out as it is.

    LocalDagRunner tells nobody which stage is at work, so it is asked for one stage at a time, by
    the field with which TFX's own partial runs skip the others.

    Args:
      pipeline: what to run.
      run_id: the run's name in ML Metadata.
      skip: stages to leave out; nothing that runs may need them.
      on_start: told of each stage before it starts: its place from 1, how many there are, its name.
      on_end: told of each stage that ended well.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    nodes = [node.pipeline_node for node in compiled.nodes]
    wanted = [node for node in nodes if node.node_info.id not in skip]
    for place, node in enumerate(wanted, start=1):
        for other in nodes:
            other.execution_options.skip.SetInParent()
        node.execution_options.ClearField("skip")
        on_start(place, len(wanted), node.node_info.id)
        LocalDagRunner().run_with_ir(compiled)
        on_end(node.node_info.id)
