"""Define the TFX components of the metrics, the baselines and the verdict."""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Iterator

import pydantic
from tfx.components.evaluator import component as tfx_evaluator
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import executor_spec
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
from ragline.components.contract.artifacts import BaselinesReport, VerdictReport
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.file_names import (
    BASELINES_FILE,
    TRAINING_FILE,
    UNTRAINED_FOLDER,
    VERDICT_FILE,
)
from ragline.components.evaluate.baselines import baseline_scores, raw_records
from ragline.components.evaluate.executor import Executor
from ragline.components.evaluate.metrics import slices, tfma_results
from ragline.components.evaluate.verdict import judgement, objective
from ragline.components.evaluate.verdict.baseline_model import BaselineModel
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.files import places
from ragline.components.files.storage import read_json, write_json
from ragline.components.serving import facts

# Goes to the run's log in full; the command prints the verdict at its end.
_log = logging.getLogger(__name__)


class Evaluator(tfx_evaluator.Evaluator):
    """Computes TFMA's metrics: TFX's component, whose executor is ours."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


@component
def Baselines(  # noqa: N802 (a TFX component is named as a class)
    model: InputArtifact[Model],
    model_run: InputArtifact[ModelRun],
    examples: InputArtifact[Examples],
    transform_graph: InputArtifact[TransformGraph],
    schema: InputArtifact[Schema],
    report: OutputArtifact[BaselinesReport],
    baseline_model: Parameter[str],
    given_split: Parameter[int],
    source: Parameter[str],
) -> None:
    """Score the predictors that a candidate is compared with, the newest blessed model among them.

    `baseline_model` is that model (BaselineModel as JSON, or empty): as a parameter it is part of
    the cache key, so that a candidate is judged anew once another model was blessed.
    """
    del source  # Part of the cache key only.
    [schema_file] = pathlib.Path(schema.uri).iterdir()
    contract = schemas.load(schema_file)
    columns = Columns.from_schema(contract)
    sliced = slices.columns_of(columns)

    candidate = pathlib.Path(path_utils.serving_model_path(model.uri))
    samples = facts.read(candidate).samples
    folders = {split: artifact_utils.get_split_uri([examples], split) for split in SPLITS}

    def few(split: str, most: int) -> raw_records.RawRecords:
        return raw_records.lowest(folders[split], sliced, most, samples.get(split))

    def evaluation() -> Iterator[raw_records.RawRecords]:
        return raw_records.parts(folders["eval"], sliced, samples.get("eval"))

    scores = baseline_scores.compute(
        baseline_scores.Inputs(
            candidate=candidate,
            untrained=pathlib.Path(model_run.uri, UNTRAINED_FOLDER),
            baseline_model=_in_workdir(baseline_model, report.uri),
            train=few("train", baseline_scores.MOST_FITTED),
            evaluation=evaluation,
            sample=few("eval", baseline_scores.MOST_EMBEDDED),
            standardise=raw_records.make_standardiser(transform_graph.uri, contract, columns),
            columns=columns,
            given_split=bool(given_split),
        )
    )
    training = read_json(pathlib.Path(model_run.uri) / TRAINING_FILE)
    scores["training"] = objective.training_facts(training)
    write_json(pathlib.Path(report.uri) / BASELINES_FILE, scores)


def _in_workdir(baseline_model: str, artifact: str) -> BaselineModel | None:
    """Return the newest blessed model, its path resolved in the work directory as it is now."""
    if not baseline_model:
        return None
    recorded = BaselineModel(**json.loads(baseline_model))
    return dataclasses.replace(recorded, path=places.in_workdir_of(artifact, recorded.path))


@component
def Verdict(  # noqa: N802 (a TFX component is named as a class)
    evaluation: InputArtifact[ModelEvaluation],
    baselines_report: InputArtifact[BaselinesReport],
    verdict_report: OutputArtifact[VerdictReport],
    blessing: OutputArtifact[ModelBlessing],
    rules: Parameter[str],
    force_bless_reason: Parameter[str],
    new_signature: Parameter[str],
    source: Parameter[str],
) -> None:
    """Bless the candidate, or not; a candidate that is not blessed is no error."""
    del source  # Part of the cache key only.
    table, left_out = tfma_results.load(evaluation.uri)
    scores = read_json(pathlib.Path(baselines_report.uri) / BASELINES_FILE)
    table = judgement.join_scores(table, scores)
    outcome = judgement.judge(
        table,
        scores["baseline_model"],
        pydantic.TypeAdapter(Rules).validate_json(rules),
        force_bless_reason or None,
        new_signature or None,
        scores["training"],
        scores["embedding"],
    )
    for reason in (*outcome.reasons, *left_out):
        _log.info("verdict: %s", reason)
    write_json(
        pathlib.Path(verdict_report.uri) / VERDICT_FILE,
        judgement.to_dict(outcome, left_out, table, scores),
    )
    verdict_report.set_int_custom_property("blessed", int(outcome.blessed))
    blessing.set_int_custom_property("blessed", int(outcome.blessed))
