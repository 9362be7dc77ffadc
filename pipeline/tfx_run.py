"""Runs a pipeline by TFX's LocalDagRunner, stage by stage, under a run id of ours."""

from collections.abc import Callable, Collection, Mapping

from tfx.dsl.compiler import compiler, constants
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import runtime_parameter_utils
from tfx.proto.orchestration import pipeline_pb2

_VERSIONS = "versions"


def run(
    compiled: pipeline_pb2.Pipeline,
    *,
    skip: Collection[str] = (),
    on_start: Callable[[int, int, str], object],
    is_sound: Callable[[str], bool],
    on_end: Callable[[str], object],
) -> None:
    """Runs every stage in order; a stage's exception comes out as it is.

    LocalDagRunner tells nobody which stage is at work, so it is asked for one stage at a time, by
    the field with which TFX's own partial runs skip the others.

    Args:
      compiled: what to run.
      skip: stages to leave out; nothing that runs may need them.
      on_start: told of each stage before it starts: its place from 1, how many there are, its name.
      is_sound: asked of each stage whether what it gave, new or out of the cache, can be used; a
        stage of which it cannot is run once more, past the cache, and asked of again.
      on_end: told of each stage that ended well.
    """
    nodes = [node.pipeline_node for node in compiled.nodes]
    wanted = [node for node in nodes if node.node_info.id not in skip]
    for place, node in enumerate(wanted, start=1):
        stage = node.node_info.id
        for other in nodes:
            other.execution_options.skip.SetInParent()
        node.execution_options.ClearField("skip")
        on_start(place, len(wanted), stage)
        LocalDagRunner().run_with_ir(compiled)
        while not is_sound(stage):
            node.execution_options.caching_options.enable_cache = False
            LocalDagRunner().run_with_ir(compiled)
        on_end(stage)


def compile_pipeline(
    pipeline: Pipeline, run_id: str, versions: Callable[[str], str]
) -> pipeline_pb2.Pipeline:
    """The pipeline in TFX's intermediate form, with what its cache would not see by itself.

    Args:
      pipeline: to be compiled.
      run_id: the run's name in ML Metadata.
      versions: stage -> the versions that its result depends on. They become a parameter of the
        stage: TFX's own stages have none that would take them.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    executed = _executors(compiled)
    for node in (node.pipeline_node for node in compiled.nodes):
        if node.node_info.id in executed:
            parameter = node.parameters.parameters[_VERSIONS]
            parameter.field_value.string_value = versions(node.node_info.id)
    return compiled


def _executors(compiled: pipeline_pb2.Pipeline) -> Mapping[str, object]:
    """The stages that execute something; a resolver, which only looks things up, does not."""
    config = pipeline_pb2.IntermediateDeploymentConfig()
    compiled.deployment_config.Unpack(config)
    return config.executor_specs
