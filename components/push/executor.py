"""Run the push for TFX: a thin adapter between its dictionaries and `release_version.push`."""

import importlib.metadata
import pathlib
import tempfile
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from ragline.components.contract.columns import Columns
from ragline.components.contract.file_names import ACCOUNT_FILE, PUSH_FILE, VERDICT_FILE
from ragline.components.files import places, shards
from ragline.components.files.storage import digest_of, read_json, write_json
from ragline.components.push.contract import probes
from ragline.components.push.contract.sequences import Probe
from ragline.components.push.release import release_version
from ragline.components.serving import facts

_PACKAGES = ("ragline", "tensorflow", "keras", "tensorflow-transform")


class Executor(base_executor.BaseExecutor):
    """Pushes what is blessed, and keeps the folder that is served in order."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[Any]],
        output_dict: dict[str, list[Any]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Unpack TFX's dictionaries once and call `push`."""
        [report] = output_dict["report"]
        inputs = {name: artifact for name, [artifact] in input_dict.items()}
        serving = pathlib.Path(places.in_workdir_of(report.uri, exec_properties["serving"]))
        result = release_version.PushResult()
        if inputs["blessing"].get_int_custom_property("blessed"):
            model = pathlib.Path(path_utils.serving_model_path(inputs["model"].uri))
            stated = facts.read(model)
            columns = stated.columns
            verdict = read_json(pathlib.Path(inputs["verdict"].uri) / VERDICT_FILE)
            sequences = _sequences(
                artifact_utils.get_split_uri([inputs["examples"]], "eval"), columns
            )
            account = read_json(pathlib.Path(inputs["account"].uri) / ACCOUNT_FILE)
            added = facts_of_push(
                pipeline=self._context.pipeline_info.id,
                verdict=verdict,
                account=account,
                span=inputs["examples"].span,
            )
            source = release_version.ModelSource(
                fingerprint=stated.fingerprint,
                run_id=self._context.pipeline_run_id,
                reasons=tuple(verdict["reasons"]),
                source=str(model),
            )
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "probes.npz")
                chosen = probes.choose(sequences)
                probes.save(file, chosen, columns.names, columns.categories)
                result = release_version.push(model, serving, source, probes=file, facts=added)
        tidied = release_version.tidy(serving, exec_properties["keep"])
        written = _report(result, tidied, exec_properties["serving"])
        write_json(pathlib.Path(report.uri) / PUSH_FILE, written)


def _report(result: release_version.PushResult, tidied: list[str], serving: str) -> dict[str, Any]:
    number = result.version and result.version.number
    return {
        # As the stage was given the folder: what is relative holds when the work directory moves.
        "pushed": number and {"version": number, "path": f"{serving}/{number}"},
        "refusals": list(result.refusals),
        "notes": [*result.notes, *tidied],
    }


def facts_of_push(
    *, pipeline: str, verdict: dict[str, Any], account: dict[str, Any], span: int
) -> dict[str, Any]:
    """Return what a push adds to the facts that the model states: `assets.extra/encoder.json`."""
    shards = [shard["sha256"] for shard in account["splits"]["train"]["shards"]]
    return {
        "pipeline": pipeline,
        "training_data": {"span": span, "fingerprint": digest_of(shards)},
        "metrics": verdict["metrics"]["overall"],
        "versions": {package: importlib.metadata.version(package) for package in _PACKAGES},
    }


def _sequences(folder: str, columns: Columns) -> list[Probe]:
    stored = shards.read(shards.matching([f"{folder}/*"])).take(512).as_numpy_iterator()
    return probes.decode(stored, columns.names, columns.categories)
