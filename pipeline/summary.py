"""What a run did, read off ML Metadata and the artifacts of its stages: `summary.json`.

Everything is found by the context of this very run, never by "the newest artifact": after a cached
stage, the newest is not the one that was used.
"""

import importlib.metadata
import pathlib
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from components.artifacts import (
    ACCOUNT_FILE,
    PUSH_FILE,
    TRAINING_FILE,
    VERDICT_FILE,
)
from components.errors import BadDataError
from components.masking import masked_mean_of
from components.signatures import ABSOLUTE, BASELINES, MODEL, N_VALUES, SQUARED, error_sum
from components.storage import read_json

PACKAGES = (
    "ragline", "tensorflow", "keras", "tfx", "tfx-bsl", "tensorflow-transform",
    "tensorflow-data-validation", "tensorflow-model-analysis", "apache-beam", "ml-metadata",
    "protobuf", "pyarrow", "numpy",
)  # fmt: skip

_STATES = {
    metadata_store_pb2.Execution.COMPLETE: "ran",
    metadata_store_pb2.Execution.CACHED: "cached",
}
_SPLIT_METRICS = {"masked_mse": SQUARED, "masked_mae": ABSOLUTE}


def collect(
    database: pathlib.Path, pipeline: str, run_id: str, failure: Exception | None
) -> dict[str, Any]:
    """Gathers the summary of one run.

    Args:
      database: of ML Metadata.
      pipeline: its name.
      run_id: of the run.
      failure: what stopped it, if anything did.

    Returns:
      The keys that DESIGN.md lists under summary.json; what a stopped run did not reach is None.
    """
    stages, uris = _executions(database, pipeline, run_id)
    account = _read(uris, "ingest", "account", ACCOUNT_FILE)
    training = _read(uris, "train", "model_run", TRAINING_FILE)
    verdict = _read(uris, "verdict", "verdict_report", VERDICT_FILE)
    push = _read(uris, "push", "report", PUSH_FILE)
    status, exit_code, reasons = _ending(failure, verdict, push)
    blessed = bool(verdict and verdict["blessed"] and push and not push["violations"])
    return {
        "run_id": run_id,
        "status": status,
        "exit_code": exit_code,
        "input": account and _input(account),
        "splits": account and {name: s["sequences"] for name, s in account["splits"].items()},
        "train": training and _train(training),
        "metrics": verdict and verdict["metrics"],
        "baselines": verdict and training and _baselines(verdict, training),
        "verdict": {"blessed": blessed, "reasons": reasons},
        "pushed": push and push["pushed"],
        "stages": stages,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _ending(
    failure: Exception | None, verdict: dict[str, Any] | None, push: dict[str, Any] | None
) -> tuple[str, int, list[str]]:
    if isinstance(failure, BadDataError):
        return "bad_data", 3, [f"{failure.code}: {line}" for line in failure.lines]
    if failure is not None or verdict is None or push is None:
        return "failed", 1, [f"{type(failure).__name__}: {failure}"]
    if push["violations"]:
        return "not_blessed", 4, [f"padding contract: {line}" for line in push["violations"]]
    if not verdict["blessed"]:
        return "not_blessed", 4, verdict["reasons"]
    return "done", 0, verdict["reasons"]


def _input(account: dict[str, Any]) -> dict[str, Any]:
    splits = account["splits"].values()
    return {
        "sequences": account["read"],
        "steps": sum(split["steps"] for split in splits),
        "accepted": account["accepted"],
        "quarantined": account["quarantined"],
        "reasons": account["reasons"],
        "by_split": {
            name: {"sequences": split["sequences"], "steps": split["steps"]}
            for name, split in account["splits"].items()
        },
    }


def _train(training: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training.items() if key != "train_sums"}


def _baselines(verdict: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """The model and each baseline, on both splits, in one table."""
    overall, sums = verdict["metrics"]["overall"], training["train_sums"]

    def row(predictor: str, prefix: str) -> dict[str, dict[str, float]]:
        return {
            "train": {
                metric: masked_mean_of(sums[error_sum(predictor, error)], sums[N_VALUES])
                for metric, error in _SPLIT_METRICS.items()
            },
            "eval": {metric: overall[prefix + metric]["value"] for metric in _SPLIT_METRICS},
        }

    return {MODEL: row(MODEL, "")} | {name: row(name, f"{name}_") for name in BASELINES}


def _executions(
    database: pathlib.Path, pipeline: str, run_id: str
) -> tuple[dict[str, Any], dict[tuple[str, str], str]]:
    """Stage -> {state, seconds}, and (stage, output) -> uri, of one run."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    if not database.exists():
        return {}, {}
    store = metadata_store.MetadataStore(config)
    context = store.get_context_by_type_and_name("pipeline_run", f"{pipeline}.{run_id}")
    context = context or store.get_context_by_type_and_name("pipeline_run", run_id)
    if context is None:
        return {}, {}
    executions = sorted(store.get_executions_by_context(context.id), key=lambda e: e.id)
    stages: dict[str, Any] = {}
    names = {}
    for execution in executions:
        [node] = [
            c.name for c in store.get_contexts_by_execution(execution.id) if c.type == "node"
        ]
        names[execution.id] = node.removeprefix(f"{pipeline}.")
        milliseconds = execution.last_update_time_since_epoch - execution.create_time_since_epoch
        stages[names[execution.id]] = {
            "state": _STATES.get(execution.last_known_state, "failed"),
            "seconds": milliseconds / 1000,
        }
    uris = {}
    for event in store.get_events_by_execution_ids([execution.id for execution in executions]):
        if event.type == metadata_store_pb2.Event.OUTPUT:
            [artifact] = store.get_artifacts_by_id([event.artifact_id])
            uris[names[event.execution_id], event.path.steps[0].key] = artifact.uri
    return stages, uris


def _read(uris: dict[tuple[str, str], str], stage: str, output: str, file: str) -> Any:
    path = pathlib.Path(uris.get((stage, output), ""), file)
    return read_json(path) if path.is_file() else None
