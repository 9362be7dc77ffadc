"""Run a pipeline by TFX's LocalDagRunner, stage by stage, under a run id of ours."""

import copy
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import compiler, constants
from tfx.dsl.io import filesystem, filesystem_registry
from tfx.orchestration import data_types_utils, metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.local.local_dag_runner import LocalDagRunner
from tfx.orchestration.pipeline import Pipeline
from tfx.orchestration.portable import (
    cache_utils,
    inputs_utils,
    outputs_utils,
    runtime_parameter_utils,
)
from tfx.orchestration.portable.mlmd import context_lib
from tfx.proto.orchestration import pipeline_pb2

from ragline.components.files import places, staging
from ragline.pipeline.cache import lineage
from ragline.pipeline.cache.cache_guard import CacheGuard

_VERSIONS = "versions"
# Stage that is a Beam job -> its output that is records.
_OUTPUTS = {
    "ingest": "examples",
    "statistics": None,
    "transform": "transformed_examples",
    "evaluate": None,
}


def run(
    compiled: pipeline_pb2.Pipeline,
    guard: CacheGuard,
    *,
    skip: Collection[str] = (),
    on_start: Callable[[int, int, str], object],
    on_end: Callable[[str], object],
) -> None:
    """Run every stage in order; a stage's exception is raised as it is.

    LocalDagRunner reports to nobody which stage is at work, so it is given one stage at a time, by
    the field with which TFX's own partial runs skip the others.

    Args:
      compiled: compiled pipeline.
      guard: check of the artifacts that a stage would reuse. If one is damaged, the stage runs past
        the cache; a resolver looks further back.
      skip: stages to leave out; no stage that runs may need them.
      on_start: called before each stage with its place from 1, the number of stages and its name.
      on_end: called with the name of each stage that ended well.
    """
    nodes = [node.pipeline_node for node in compiled.nodes]
    wanted = [node for node in nodes if node.node_info.id not in skip]
    for place, node in enumerate(wanted, start=1):
        stage = node.node_info.id
        for skipped in nodes:
            skipped.execution_options.skip.SetInParent()
        node.execution_options.ClearField("skip")
        on_start(place, len(wanted), stage)
        executed = _is_executed(compiled, stage)
        while damaged := guard.damaged(stage, _earlier(compiled, node)):
            if executed:
                node.execution_options.caching_options.enable_cache = False
                break
            guard.discard(damaged)
        guard.make_way(stage, node.outputs.outputs, _in_store(node, _run_id(compiled)))
        LocalDagRunner().run_with_ir(compiled)
        guard.finish(stage)
        on_end(stage)


def compile_pipeline(
    pipeline: Pipeline, run_id: str, versions: str, records: str | None = None
) -> pipeline_pb2.Pipeline:
    """Compile a pipeline to TFX's intermediate form, with what TFX's cache would not see by itself.

    Args:
      pipeline: the pipeline.
      run_id: the run's name in ML Metadata.
      versions: versions of what our code imports; a parameter of every stage, also of TFX's own,
        which declare none.
      records: folder in a store that gets the records of the run; None for the work directory.
    """
    compiled = compiler.Compiler().compile(pipeline)
    runtime_parameter_utils.substitute_runtime_parameter(
        compiled, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id}
    )
    for node in (node.pipeline_node for node in compiled.nodes):
        if _is_executed(compiled, node.node_info.id):
            parameter = node.parameters.parameters[_VERSIONS]
            parameter.field_value.string_value = versions
        if records and node.node_info.id in _OUTPUTS:
            _put_into_store(node, records, run_id)
    return compiled


class _Store(filesystem.Filesystem):
    """Tells TFX whether an artifact is in a store, before it takes it from its cache."""

    @staticmethod
    def exists(name: str) -> bool:  # type: ignore[override]
        """Return whether there is an object below a URI."""
        return bool(places.inside(name))


def _put_into_store(node: pipeline_pb2.PipelineNode, records: str, run_id: str) -> None:
    """Let a stage share nothing with its workers but a store.

    Its output of records gets a URI there, which TFX neither makes nor removes. Where that is is a
    parameter of the stage, so that the cache has no records from elsewhere.
    """
    _Store.SUPPORTED_SCHEMES = [f"{records.partition('://')[0]}://"]
    filesystem_registry.DEFAULT_FILESYSTEM_REGISTRY.register(_Store, priority=0)
    node.parameters.parameters[staging.RECORDS].field_value.string_value = records
    stage = node.node_info.id
    if output := _OUTPUTS[stage]:
        uri = f"{records.rstrip('/')}/{stage}/{output}/{run_id}"
        node.outputs.outputs[output].artifact_spec.external_artifact_uris.append(uri)


def _in_store(node: pipeline_pb2.PipelineNode, run_id: str) -> list[str]:
    """Return the URIs below which a stage writes into a store: its outputs' and its staging's."""
    if staging.RECORDS not in node.parameters.parameters:
        return []
    records = node.parameters.parameters[staging.RECORDS].field_value.string_value
    outputs = node.outputs.outputs.values()
    return [
        *(uri for output in outputs for uri in output.artifact_spec.external_artifact_uris),
        staging.in_store(records, node.node_info.id, run_id),
    ]


def _run_id(compiled: pipeline_pb2.Pipeline) -> str:
    run_id: str = compiled.runtime_spec.pipeline_run_id.field_value.string_value
    return run_id


def _is_executed(compiled: pipeline_pb2.Pipeline, stage: str) -> bool:
    """Return whether a stage executes something; a resolver only looks artifacts up."""
    return stage in runner_utils.extract_local_deployment_config(compiled).executor_specs


def _earlier(compiled: pipeline_pb2.Pipeline, node: pipeline_pb2.PipelineNode) -> dict[str, int]:
    """Return the artifacts that a stage would take from earlier runs: URI -> id in ML Metadata.

    A resolver takes what it resolves to, any other stage what the cache has for it. They are looked
    up as TFX's launcher does a moment later.

    TFX's cache key contains the URIs of the inputs. Each execution therefore gets a second key
    without them, so that an execution before the work directory moved counts as one here.
    """
    deployment = runner_utils.extract_local_deployment_config(compiled)
    connection = deployment.metadata_connection_config.database_connection_config
    with metadata.Metadata(connection) as handle:
        context_lib.prepare_contexts(metadata_handle=handle, node_contexts=node.contexts)
        resolved = inputs_utils.resolve_input_artifacts(pipeline_node=node, metadata_handle=handle)
        [inputs] = resolved or [{}]
        reusable = inputs
        if _is_executed(compiled, node.node_info.id):
            key_of = functools.partial(
                cache_utils.get_cache_context,
                metadata_handle=handle,
                pipeline_node=node,
                pipeline_info=compiled.pipeline_info,
                executor_spec=runner_utils.extract_executor_spec(deployment, node.node_info.id),
                output_artifacts=outputs_utils.OutputsResolver(
                    node, compiled.pipeline_info, compiled.runtime_spec
                ).generate_output_artifacts(execution_id=0),
                parameters=data_types_utils.build_parsed_value_dict(
                    inputs_utils.resolve_parameters_with_schema(node.parameters)
                ),
            )
            context = key_of(input_artifacts=inputs)
            placeless = key_of(input_artifacts=_placeless(inputs))
            _add_context(node, placeless)
            lineage.share(handle.store, placeless.id, context.id)
            lineage.expect(handle.store, placeless, node.outputs.outputs)
            reusable = cache_utils.get_cached_outputs(handle, context) or {}
    return {artifact.uri: artifact.id for artifacts in reusable.values() for artifact in artifacts}


def _placeless(inputs: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return copies of artifacts without their URIs."""
    copies = {name: [copy.deepcopy(artifact) for artifact in inputs[name]] for name in inputs}
    for artifact in (artifact for artifacts in copies.values() for artifact in artifacts):
        artifact.uri = ""
    return copies


def _add_context(node: pipeline_pb2.PipelineNode, context: metadata_store_pb2.Context) -> None:
    """Let TFX associate the execution that it is about to make with a context."""
    spec = pipeline_pb2.ContextSpec()
    spec.type.name = context_lib.CONTEXT_TYPE_EXECUTION_CACHE
    spec.name.field_value.string_value = context.name
    if spec not in node.contexts.contexts:
        node.contexts.contexts.append(spec)
