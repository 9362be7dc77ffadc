"""Gather what a run did from the artifacts of its stages: `summary.json`."""

import importlib.metadata
import pathlib
import shlex
import statistics
from collections.abc import Mapping
from typing import Any

from ragline.components.contract import exits
from ragline.components.contract.columns import SPLITS
from ragline.components.contract.errors import BadDataError, UserError
from ragline.components.contract.file_names import (
    ACCOUNT_FILE,
    GATE_FILE,
    LOGS_FOLDER,
    PUSH_FILE,
    TRAINING_FILE,
    TRIALS_FILE,
    VERDICT_FILE,
)
from ragline.components.contract.relative import masked_mean_of
from ragline.components.contract.signatures import (
    ABSOLUTE,
    BASELINES,
    MODEL,
    N_VALUES,
    SQUARED,
    error_sum,
)
from ragline.components.files import places
from ragline.pipeline.cache.lineage import Stage
from ragline.pipeline.report import feature_statistics

PACKAGES = (
    "ragline", "tensorflow", "keras", "tfx", "tfx-bsl", "tensorflow-transform",
    "tensorflow-data-validation", "tensorflow-model-analysis", "apache-beam", "ml-metadata",
    "protobuf", "pyarrow", "numpy",
)  # fmt: skip

_SPLIT_METRICS = {"masked_mse": SQUARED, "masked_mae": ABSOLUTE}
_METRICS = ("masked_mse", "masked_mae", "normalised_mse", "explained_variance")


def collect(
    stages: Mapping[str, Stage],
    run_id: str,
    failure: Exception | None,
    peaks: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Gather the summary of one run.

    Args:
      stages: stages of the run that were started.
      run_id: id of the run.
      failure: the error that stopped the run; None if none did.
      peaks: stage -> peak memory of this process and its children, in bytes.

    Returns:
      The content of summary.json; a key is None if the run stopped before its stage.
    """

    def read(stage: str, output: str, file: str) -> Any:
        return stages[stage].read(output, file) if stage in stages else None

    account = read("ingest", "account", ACCOUNT_FILE)
    gate = read("gate", "report", GATE_FILE)
    trials = read("tune", "tuner_results", TRIALS_FILE)
    training = read("train", "model_run", TRAINING_FILE)
    verdict = read("verdict", "verdict_report", VERDICT_FILE)
    push = _in_workdir(read("push", "report", PUSH_FILE), stages)
    status, exit_code, reasons = _status(failure, verdict, push)
    return {
        "run_id": run_id,
        "status": status,
        "exit_code": exit_code,
        "input": account and _input(account),
        "data": account and _data(account, stages),
        "drift": gate and gate["drift"],
        "splits": account and {name: s["sequences"] for name, s in account["splits"].items()},
        "tune": trials and _tune(trials),
        "train": training and _train(training),
        "metrics": verdict and verdict["metrics"],
        "baselines": verdict and training and _baselines(verdict, training),
        "verdict": {
            "blessed": status == "done",
            "forced": verdict and verdict["forced"],
            "new_signature": verdict and verdict["new_signature"],
            "reasons": reasons,
        },
        "baseline_model": verdict and verdict["baseline_model"],
        "embedding": verdict and verdict["embedding"],
        "constant_features": verdict and verdict["constant_features"],
        "pushed": push and push["pushed"],
        "tensorboard": training and _tensorboard(stages["train"]),
        "stages": {
            name: {
                "state": stage.state,
                "seconds": stage.seconds,
                "peak_bytes": (peaks or {}).get(name),
                "outputs": stage.outputs,
            }
            for name, stage in stages.items()
        },
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }


def _in_workdir(push: dict[str, Any] | None, stages: Mapping[str, Stage]) -> dict[str, Any] | None:
    """Return the push's report with its path, stated from the work directory, as it is now."""
    if not push or not push["pushed"]:
        return push
    path = places.in_workdir_of(stages["push"].outputs["report"], push["pushed"]["path"])
    return push | {"pushed": push["pushed"] | {"path": path}}


def comparison_row(stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Return the row of one strategy in the table of `ragline compare`, from its run's stages.

    Returns:
      `padding`, the strategy; `reported_loss`, the strategy's own training loss;
      `train_mse` and `eval_mse`, the true masked ones; `loss_share` and `gradient_share` of
      padding; `bias`, what a loss over all steps would add to the masked mean; `padding_waste`;
      `seconds`, of an epoch, the median.
    """
    training = stages["train"].read("model_run", TRAINING_FILE)
    diagnostics = training["padding_diagnostics"]
    plain_loss, masked_loss = (
        diagnostics["plain_loss"],
        diagnostics["masked_loss"],
    )  # null of a training that diverged
    return {
        "padding": training["padding"],
        "reported_loss": diagnostics["loss"],
        "train_mse": _split_metric(training, "train", MODEL, SQUARED),
        "eval_mse": _split_metric(training, "eval", MODEL, SQUARED),
        "loss_share": diagnostics["loss_share"],
        "gradient_share": diagnostics["gradient_share"],
        "bias": None if plain_loss is None or masked_loss is None else plain_loss - masked_loss,
        "padding_waste": training["padding_waste"],
        "seconds": statistics.median(epoch["seconds"] for epoch in training["history"][1:]),
    }


def reason(failure: Exception | None) -> str:
    """Return why a run stopped, in one line; of a worker's traceback from Beam, the last line."""
    if isinstance(failure, UserError):
        return str(failure)
    lines = [line for line in str(failure).splitlines() if line.strip()] or [""]
    line = lines[-1 if lines[0].startswith("Traceback") else 0]
    return f"{type(failure).__name__}: {line}"


def _status(
    failure: Exception | None, verdict: dict[str, Any] | None, push: dict[str, Any] | None
) -> tuple[str, int, list[str]]:
    """Return the status of a run, its exit code, and the reasons."""
    if isinstance(failure, BadDataError):
        return "bad_data", exits.BAD_DATA, [f"{failure.code}: {line}" for line in failure.lines]
    if failure is not None or verdict is None or push is None:
        return "failed", exits.DEFECT, [reason(failure)]
    if push["refusals"]:
        return "not_blessed", exits.NOT_BLESSED, [*push["refusals"], *push["notes"]]
    reasons = [*verdict["reasons"], *push["notes"]]
    if not verdict["blessed"]:
        return "not_blessed", exits.NOT_BLESSED, reasons
    return "done", exits.DONE, reasons


def _input(account: dict[str, Any]) -> dict[str, Any]:
    splits = account["splits"].values()
    return {
        "sequences": account["read"],
        "steps": sum(split["steps"] for split in splits),
        "accepted": account["accepted"],
        "quarantined": account["quarantined"],
        "reasons": account["reasons"],
        "spans": list(account["spans"]),
        "missing_spans": account["missing_spans"],
        "by_split": {
            name: {"sequences": split["sequences"], "steps": split["steps"]}
            for name, split in account["splits"].items()
        },
    }


def _data(account: dict[str, Any], stages: Mapping[str, Stage]) -> dict[str, Any]:
    """Describe the data: lengths by split, features, effects of policies, some rejected records."""
    uri = stages["statistics"].outputs.get("statistics") if "statistics" in stages else None
    train = (
        None if uri is None else feature_statistics.read(pathlib.Path(uri, f"Split-{SPLITS[0]}"))
    )
    return {
        "formats": account["formats"],
        "spans": account["spans"],
        "policies": account["policies"],
        "examples": account["examples"],
        "rejected": account["rejected"],
        "lengths": {name: split["lengths"] for name, split in account["splits"].items()},
        "features": feature_statistics.merge_ranges(account["features"], train),
    }


def _tensorboard(stage: Stage) -> dict[str, str] | None:
    """Return the folder of curves and projector files, and the command that shows them."""
    uri = stage.outputs.get("model_run")
    if uri is None:
        return None
    folder = str(pathlib.Path(uri, LOGS_FOLDER))
    return {"folder": folder, "command": f"tensorboard --logdir {shlex.quote(folder)}"}


def _tune(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the setting that the training took, and all that were tried, the best first.

    Args:
      trials: trials of TFX's Tuner: `trial_id`, `score` and the values of the setting.
    """

    def describe_trial(*, trial_id: str, score: float, **setting: Any) -> dict[str, Any]:
        return {"trial": int(trial_id) + 1, "error": score, "setting": setting}

    tried = [describe_trial(**trial) for trial in trials]
    return {"best": tried[0]["setting"], "tried": tried}


def _train(training: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in training.items() if key != "sums"}


def _baselines(verdict: dict[str, Any], training: dict[str, Any]) -> dict[str, Any]:
    """Put the model and each baseline into one table.

    Returns:
      predictor -> `train`, metric -> value, None if it is only scored on eval; `eval`, metric ->
      value; and of a baseline `slices`, slice -> metric -> {value, lower, upper, count}.
    """
    table = {}
    for predictor in (MODEL, *verdict["baselines"]):
        by_slice = verdict["metrics"] if predictor == MODEL else verdict["baselines"][predictor]
        own_sums = predictor in (MODEL, *BASELINES)
        table[predictor] = {
            "train": {
                metric: _split_metric(training, "train", predictor, error) if own_sums else None
                for metric, error in _SPLIT_METRICS.items()
            },
            "eval": {
                metric: by_slice["overall"].get(metric, {}).get("value") for metric in _METRICS
            },
        }
        if predictor != MODEL:
            table[predictor]["slices"] = by_slice
    return table


def _split_metric(training: dict[str, Any], split: str, predictor: str, error: str) -> float:
    """Return a masked mean over a split, from the trainer's sums by its final weights."""
    sums = training["sums"][split]
    return masked_mean_of(sums[error_sum(predictor, error)], sums[N_VALUES])
