"""The TFX components of the baselines and of the verdict; the metrics are TFX's own Evaluator's."""

import dataclasses
import json
import logging
import pathlib

import pydantic
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types import artifact_utils
from tfx.types.standard_artifacts import (
    Examples,
    Model,
    ModelBlessing,
    ModelEvaluation,
    ModelRun,
    Schema,
    TransformGraph,
)
from tfx.utils import path_utils

from ragline import schemas
from ragline.components.contract.artifacts import BASELINES_FILE, UNTRAINED_FOLDER, VERDICT_FILE
from ragline.components.contract.artifacts import Baselines as BaselinesArtifact
from ragline.components.contract.artifacts import Verdict as VerdictArtifact
from ragline.components.contract.columns import Columns
from ragline.components.evaluate.baselines import baseline_scores, raw_records
from ragline.components.evaluate.metrics import slices, tfma_results
from ragline.components.evaluate.verdict import judgement
from ragline.components.evaluate.verdict.baseline_model import Blessed
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.files import places
from ragline.components.files.storage import read_json, write_json

# In full in the run's log; the command says it all at the end.
_log = logging.getLogger(__name__)


@component
def Baselines(  # noqa: N802 (a TFX component is named as a class)
    model: InputArtifact[Model],
    model_run: InputArtifact[ModelRun],
    examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    schema: InputArtifact[Schema],
    report: OutputArtifact[BaselinesArtifact],
    newest: Parameter[str],
    given_split: Parameter[int],
    source: Parameter[str],
) -> None:
    """Scores what a candidate must be held against, the newest blessed model among it.

    `newest` is that model (`Blessed` as JSON, or empty): as a parameter it is part of the cache
    key, so that a candidate is judged anew once another model was blessed.
    """
    del source  # Part of the cache key only.
    [schema_file] = pathlib.Path(schema.uri).iterdir()
    contract = schemas.load(schema_file)
    columns = Columns.from_schema(contract)
    sliced = slices.columns_of(columns)

    def read(split: str, most: int | None = None) -> raw_records.Records:
        return raw_records.read(artifact_utils.get_split_uri([examples], split), sliced, most)

    found = baseline_scores.compute(
        baseline_scores.Inputs(
            candidate=pathlib.Path(path_utils.serving_model_path(model.uri)),
            untrained=pathlib.Path(model_run.uri, UNTRAINED_FOLDER),
            newest=_placed(newest, report.uri),
            train=read("train", baseline_scores.MOST_FITTED),
            evaluation=read("eval"),
            standardise=raw_records.standardiser(transform_graph.uri, contract, columns),
            columns=columns,
            given_split=bool(given_split),
        )
    )
    write_json(pathlib.Path(report.uri) / BASELINES_FILE, found)


def _placed(newest: str, artifact: str) -> Blessed | None:
    """The newest blessed model where it is now; its path is stated from the work directory."""
    if not newest:
        return None
    stated = Blessed(**json.loads(newest))
    return dataclasses.replace(stated, path=places.in_workdir_of(artifact, stated.path))


@component
def Verdict(  # noqa: N802 (a TFX component is named as a class)
    evaluation: InputArtifact[ModelEvaluation],
    baselines_report: InputArtifact[BaselinesArtifact],
    verdict_report: OutputArtifact[VerdictArtifact],
    blessing: OutputArtifact[ModelBlessing],
    rules: Parameter[str],
    force: Parameter[str],
    new_signature: Parameter[str],
    source: Parameter[str],
) -> None:
    """Blesses the candidate, or not; a candidate that is not blessed is a sound result."""
    del source  # Part of the cache key only.
    table, left_out = tfma_results.load(evaluation.uri)
    beside = read_json(pathlib.Path(baselines_report.uri) / BASELINES_FILE)
    table = judgement.joined(table, beside)
    judged = judgement.judge(
        table,
        beside["newest"],
        pydantic.TypeAdapter(Rules).validate_json(rules),
        force or None,
        new_signature or None,
    )
    for reason in (*judged.reasons, *left_out):
        _log.info("verdict: %s", reason)
    write_json(
        pathlib.Path(verdict_report.uri) / VERDICT_FILE,
        judgement.to_dict(judged, left_out, table, beside),
    )
    verdict_report.set_int_custom_property("blessed", int(judged.blessed))
    blessing.set_int_custom_property("blessed", int(judged.blessed))
