"""What ML Metadata knows of one run: its stages' states, and where their outputs are.

Everything is found by the context of that very run, never by "the newest artifact": after a cached
stage, the newest is not the one that was used.
"""

import pathlib
from dataclasses import dataclass
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.storage import read_json

_STATES = {
    metadata_store_pb2.Execution.COMPLETE: "ran",
    metadata_store_pb2.Execution.CACHED: "cached",
}


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


def stages(database: pathlib.Path, pipeline: str, run_id: str) -> dict[str, Stage]:
    """The stages of a run that were started, in order.

    Args:
      database: of ML Metadata; not there before the first stage of the first run.
      pipeline: its name.
      run_id: of the run.
    """
    if not database.exists():
        return {}
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = metadata_store.MetadataStore(config)
    context = store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return {}
    found = {}
    for execution in sorted(store.get_executions_by_context(context.id), key=lambda e: e.id):
        [node] = [c for c in store.get_contexts_by_execution(execution.id) if c.type == "node"]
        milliseconds = execution.last_update_time_since_epoch - execution.create_time_since_epoch
        found[node.name.removeprefix(f"{pipeline}.")] = Stage(
            state=_STATES.get(execution.last_known_state, "failed"),
            seconds=milliseconds / 1000,
            outputs=_outputs(store, execution.id),
        )
    return found


def _outputs(store: metadata_store.MetadataStore, execution_id: int) -> dict[str, str]:
    outputs = {}
    for event in store.get_events_by_execution_ids([execution_id]):
        if event.type == metadata_store_pb2.Event.OUTPUT:
            [artifact] = store.get_artifacts_by_id([event.artifact_id])
            outputs[event.path.steps[0].key] = artifact.uri
    return outputs
