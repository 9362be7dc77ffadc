"""Repeat a run of which nothing has changed, by ML Metadata alone.

TFX's cache looks stage after stage up, and TFX, Beam and TensorFlow take most of ten seconds to be
imported for it. All that it hashes is known before them: it follows from what the wiring takes, of
which a run that ended well leaves a digest (`RunFacts.key`). If that is the digest of a new run,
and what the earlier one made is as it was made, every stage would come from the cache; it is
recorded as TFX records it, as a cached execution with the same inputs and outputs.
"""

import pathlib
from collections.abc import Callable, Iterable, Mapping

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.pipeline.cache import lineage
from ragline.pipeline.cache.cache_guard import CacheGuard

_Execution = metadata_store_pb2.Execution
_RUN, _KEYS = "pipeline_run", "ragline_keys"  # A type of context, and a property of such a context.
_DONE = (_Execution.COMPLETE, _Execution.CACHED)


def remember(database: pathlib.Path, run_id: str, keys: Iterable[str]) -> None:
    """Record the keys of a run all of whose stages ended well; a run of one of them repeats it."""
    store = lineage.connect(database)
    context = store.get_context_by_type_and_name(_RUN, run_id)
    context.custom_properties[_KEYS].string_value = " ".join(keys)
    store.put_contexts([context])


def find(
    database: pathlib.Path, pipeline: str, key: str, guard: CacheGuard
) -> dict[str, metadata_store_pb2.Execution] | None:
    """Return stage -> its execution in the newest run of a key, in order; None to run the stages.

    Args:
      database: database of ML Metadata; missing before the first stage of the first run.
      pipeline: name of the pipeline.
      key: digest of what the wiring takes.
      guard: check of the artifacts. If one of them is removed or damaged, stages run.
    """
    if not database.exists():
        return None
    store = lineage.connect(database)
    contexts = store.get_contexts_by_type(_RUN)
    runs = [run for run in contexts if key in run.custom_properties[_KEYS].string_value.split()]
    if not runs:
        return None
    executions = lineage.executions(store, pipeline, max(runs, key=lambda run: run.id).name)
    sound = all(
        execution.last_known_state in _DONE and _has_outputs(store, execution, guard)
        for execution in executions.values()
    )
    return executions if sound else None


def _has_outputs(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution, guard: CacheGuard
) -> bool:
    made = {
        event.path.steps[0].key
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == metadata_store_pb2.Event.OUTPUT
    }
    present = lineage.outputs(store, execution)
    return made == present.keys() and all(
        guard.is_sound(artifact.uri) for artifact in present.values()
    )


def repeat(
    database: pathlib.Path,
    pipeline: str,
    run_id: str,
    executions: Mapping[str, metadata_store_pb2.Execution],
    *,
    on_start: Callable[[int, int, str], object],
    on_end: Callable[[str], object],
) -> None:
    """Record in a run, for each execution of a former one, that its outputs were reused.

    Args:
      database: database of ML Metadata.
      pipeline: name of the pipeline.
      run_id: id of the run.
      executions: what `find` returned.
      on_start: called before each stage with its place from 1, the number of stages and its name.
      on_end: called with the name of each stage afterwards.
    """
    store = lineage.connect(database)
    run = _add_run(store, pipeline, run_id)
    for place, (stage, former) in enumerate(executions.items(), start=1):
        on_start(place, len(executions), stage)
        contexts = store.get_contexts_by_execution(former.id)
        store.put_execution(
            _Execution(
                type_id=former.type_id,
                last_known_state=_Execution.CACHED,
                properties=former.properties,
                custom_properties=former.custom_properties,
            ),
            _artifacts_and_events(store, former),
            [run, *(context for context in contexts if context.type != _RUN)],
            force_reuse_context=True,
        )
        on_end(stage)


def _add_run(
    store: metadata_store.MetadataStore, pipeline: str, run_id: str
) -> metadata_store_pb2.Context:
    """Add the context of a run, a child of its pipeline's, as TFX does."""
    kind = store.get_context_type(_RUN)
    [number] = store.put_contexts([metadata_store_pb2.Context(type_id=kind.id, name=run_id)])
    parent = store.get_context_by_type_and_name("pipeline", pipeline)
    store.put_parent_contexts(
        [metadata_store_pb2.ParentContext(parent_id=parent.id, child_id=number)]
    )
    return store.get_context_by_type_and_name(_RUN, run_id)


def _artifacts_and_events(
    store: metadata_store.MetadataStore, former: metadata_store_pb2.Execution
) -> list[tuple[metadata_store_pb2.Artifact, metadata_store_pb2.Event]]:
    """Return what an execution took and made, without what was removed since."""
    events = store.get_events_by_execution_ids([former.id])
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return [
        (
            artifacts[event.artifact_id],
            metadata_store_pb2.Event(
                artifact_id=event.artifact_id, type=event.type, path=event.path
            ),
        )
        for event in events
        if artifacts[event.artifact_id].state != metadata_store_pb2.Artifact.DELETED
    ]
