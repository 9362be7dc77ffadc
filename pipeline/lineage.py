"""What ML Metadata knows of one run: its stages' states, and where their outputs are.

Everything is found by the context of that very run, never by "the newest artifact": after a cached
stage, the newest is not the one that was used.
"""

import collections
import pathlib
from dataclasses import dataclass
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.storage import read_json

_Execution = metadata_store_pb2.Execution
_Artifact = metadata_store_pb2.Artifact
_Event = metadata_store_pb2.Event
_STATES = {_Execution.COMPLETE: "ran", _Execution.CACHED: "cached"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a run.

    Attributes:
      state: `ran`, `cached` or `failed`.
      seconds: from the start of its execution to its last update.
      outputs: output -> uri of its artifact.
    """

    state: str
    seconds: float
    outputs: dict[str, str]

    def read(self, output: str, file: str) -> Any:
        """The content of a JSON file in an output; None if the stage did not get to write it."""
        path = pathlib.Path(self.outputs.get(output, ""), file)
        return read_json(path) if path.is_file() else None


def connect(database: pathlib.Path) -> metadata_store.MetadataStore:
    """Opens a database of ML Metadata, or makes one."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    return metadata_store.MetadataStore(config)


def stages(database: pathlib.Path, pipeline: str, run_id: str) -> dict[str, Stage]:
    """The stages of a run that were started, in order.

    Args:
      database: of ML Metadata; not there before the first stage of the first run.
      pipeline: its name.
      run_id: of the run.
    """
    if not database.exists():
        return {}
    store = connect(database)
    return {
        stage: Stage(
            state=_STATES.get(executions[-1].last_known_state, "failed"),
            seconds=sum(map(_milliseconds, executions)) / 1000,
            outputs={
                name: artifact.uri
                for execution in executions
                for name, artifact in outputs(store, execution).items()
                if artifact.state != _Artifact.DELETED
            },
        )
        for stage, executions in executions_of(store, pipeline, run_id).items()
    }


def executions_of(
    store: metadata_store.MetadataStore, pipeline: str, run_id: str
) -> dict[str, list[metadata_store_pb2.Execution]]:
    """Stage -> its executions in a run, in order: two, where what was cached could not be used."""
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    found = collections.defaultdict(list)
    if context is not None:
        for execution in sorted(store.get_executions_by_context(context.id), key=lambda e: e.id):
            contexts = store.get_contexts_by_execution(execution.id)
            [node] = [context for context in contexts if context.type == "node"]
            found[node.name.removeprefix(f"{pipeline}.")].append(execution)
    return dict(found)


def outputs(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution
) -> dict[str, metadata_store_pb2.Artifact]:
    """Output -> the artifact that a stage made, now or when it was cached."""
    return _artifacts(store, execution, _Event.OUTPUT)


def looked_up(
    store: metadata_store.MetadataStore, execution: metadata_store_pb2.Execution
) -> dict[str, metadata_store_pb2.Artifact]:
    """Output -> the artifact of an earlier run that a resolver found."""
    return _artifacts(store, execution, _Event.INTERNAL_OUTPUT)


def delete(
    store: metadata_store.MetadataStore, artifacts: list[metadata_store_pb2.Artifact]
) -> None:
    """Marks artifacts as gone: no stage reads them, no cache serves them."""
    for artifact in artifacts:
        artifact.state = _Artifact.DELETED
    store.put_artifacts(artifacts)


def _artifacts(
    store: metadata_store.MetadataStore,
    execution: metadata_store_pb2.Execution,
    kind: metadata_store_pb2.Event.Type,
) -> dict[str, metadata_store_pb2.Artifact]:
    events = [e for e in store.get_events_by_execution_ids([execution.id]) if e.type == kind]
    found = {a.id: a for a in store.get_artifacts_by_id([event.artifact_id for event in events])}
    return {event.path.steps[0].key: found[event.artifact_id] for event in events}


def _milliseconds(execution: metadata_store_pb2.Execution) -> int:
    started: int = execution.create_time_since_epoch
    ended: int = execution.last_update_time_since_epoch
    return ended - started
