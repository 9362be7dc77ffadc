"""Read from ML Metadata what one run did: its stages' states, and where their outputs are.

Everything is looked up by the context of that very run, never as "the newest artifact": after a
cached stage, the newest artifact is not the one that was used.
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.components.files.storage import read_json

_Execution = metadata_store_pb2.Execution
_Artifact = metadata_store_pb2.Artifact
_Event = metadata_store_pb2.Event
_OUTPUTS = "ragline_outputs"  # A property of a context.
_STATES = {_Execution.COMPLETE: "ran", _Execution.CACHED: "cached"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Describes one stage of a run.

    Attributes:
      state: `ran`, `cached` or `failed`.
      seconds: from the start of its execution to its last update.
      outputs: output -> uri of its artifact.
    """

    state: str
    seconds: float
    outputs: dict[str, str]

    def read(self, output: str, file: str) -> Any:
        """Return the content of a JSON file in an output; None if the stage did not write it."""
        path = pathlib.Path(self.outputs.get(output, ""), file)
        return read_json(path) if path.is_file() else None


def connect(database: pathlib.Path) -> metadata_store.MetadataStore:
    """Open a database of ML Metadata, or make one."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    return metadata_store.MetadataStore(config)


def stages(database: pathlib.Path, pipeline: str, run_id: str) -> dict[str, Stage]:
    """Return the stages of a run that were started, in order.

    Args:
      database: database of ML Metadata; missing before the first stage of the first run.
      pipeline: name of the pipeline.
      run_id: id of the run.
    """
    if not database.exists():
        return {}
    store = connect(database)
    return {
        stage: Stage(
            state=_STATES.get(execution.last_known_state, "failed"),
            seconds=_milliseconds(execution) / 1000,
            outputs={name: artifact.uri for name, artifact in outputs(store, execution).items()},
        )
        for stage, execution in executions(store, pipeline, run_id).items()
    }


def executions(
    store: metadata_store.MetadataStore, pipeline: str, run_id: str
) -> dict[str, metadata_store_pb2.Execution]:
    """Return stage -> its execution in a run, in order."""
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return {}
    by_stage = {}
    for execution in sorted(store.get_executions_by_context(context.id), key=lambda e: e.id):
        [node] = [c for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
        by_stage[node.name.removeprefix(f"{pipeline}.")] = execution
    return by_stage


def outputs(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution
) -> dict[str, metadata_store_pb2.Artifact]:
    """Return output -> its artifact: made by this execution, or reused by it."""
    events = [
        event
        for event in store.get_events_by_execution_ids([execution.id])
        if event.type == _Event.OUTPUT
    ]
    artifacts = {a.id: a for a in store.get_artifacts_by_id([e.artifact_id for e in events])}
    return {
        event.path.steps[0].key: artifacts[event.artifact_id]
        for event in events
        if artifacts[event.artifact_id].state != _Artifact.DELETED
    }


def link(
    store: metadata_store.MetadataStore,
    execution: metadata_store_pb2.Execution,
    artifacts: Mapping[str, int],
) -> None:
    """Make artifacts, output -> id, outputs of an execution as well."""
    store.put_events(
        [
            metadata_store_pb2.Event(
                artifact_id=artifact,
                execution_id=execution.id,
                type=_Event.OUTPUT,
                path=_Event.Path(steps=[_Event.Path.Step(key=name), _Event.Path.Step(index=0)]),
            )
            for name, artifact in artifacts.items()
        ]
    )


def expect(
    store: metadata_store.MetadataStore, context: metadata_store_pb2.Context, outputs: Iterable[str]
) -> None:
    """Record which outputs the executions of a context make, before any of them is made."""
    names = " ".join(sorted(outputs))
    if context.custom_properties[_OUTPUTS].string_value != names:
        context.custom_properties[_OUTPUTS].string_value = names
        store.put_contexts([context])


def outputs_under_way(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution
) -> list[str]:
    """Return the names of the outputs that an execution makes, finished or not."""
    contexts = store.get_contexts_by_execution(execution.id)
    outputs = [c.custom_properties[_OUTPUTS].string_value.split() for c in contexts]
    return sorted({name for names in outputs for name in names})


def next_execution(database: pathlib.Path, is_free: Callable[[int], bool]) -> None:
    """Give the next execution a number whose output folders, which it names, are free.

    They are not free where the database was lost, or is older than the artifacts beside it.
    """
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        rows = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'Execution'")
        [last] = rows.fetchone() or [0]
        number = last + 1
        while not is_free(number):
            number += 1
        if number > last + 1:
            connection.execute("DELETE FROM sqlite_sequence WHERE name = 'Execution'")
            connection.execute("INSERT INTO sqlite_sequence VALUES ('Execution', ?)", (number - 1,))


def share(store: metadata_store.MetadataStore, source: int, target: int) -> None:
    """Associate the executions of one context with another as well; both by their ids."""
    associated = {execution.id for execution in store.get_executions_by_context(target)}
    lacking = [e.id for e in store.get_executions_by_context(source) if e.id not in associated]
    if lacking:
        links = [
            metadata_store_pb2.Association(context_id=target, execution_id=execution)
            for execution in lacking
        ]
        store.put_attributions_and_associations([], links)


def delete(
    store: metadata_store.MetadataStore, ids: Iterable[int]
) -> list[metadata_store_pb2.Artifact]:
    """Mark artifacts as deleted, so that no stage reads and no cache serves them; return them."""
    artifacts: list[metadata_store_pb2.Artifact] = store.get_artifacts_by_id(list(ids))
    for artifact in artifacts:
        artifact.state = _Artifact.DELETED
    store.put_artifacts(artifacts)
    return artifacts


def _milliseconds(execution: metadata_store_pb2.Execution) -> int:
    started: int = execution.create_time_since_epoch
    ended: int = execution.last_update_time_since_epoch
    return ended - started
