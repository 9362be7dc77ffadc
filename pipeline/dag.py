"""Which stage feeds which. Wiring only: no paths of its own, no environment, no flags."""

import dataclasses
import pathlib
from typing import Any

# Each component from its own module: `tfx.v1` imports the cloud extensions too, in 6 seconds.
from tfx.components.evaluator.component import Evaluator
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.statistics_gen.component import StatisticsGen
from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.components.tuner.component import Tuner
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2

from ragline.components.contract.columns import Columns
from ragline.components.evaluate.component import Baselines, Verdict
from ragline.components.evaluate.metrics import eval_config as evaluate_config
from ragline.components.evaluate.metrics import slices
from ragline.components.evaluate.metrics.formulas import HEAD_METRICS
from ragline.components.evaluate.verdict.baseline_model import BaselineModel
from ragline.components.ingest.component import Ingest
from ragline.components.push.component import Push
from ragline.components.push.options import PushOptions
from ragline.components.train.options import HeadOptions, TrainOptions, TuneOptions
from ragline.components.transform import vocabulary
from ragline.components.validate.component import Gate
from ragline.components.validate.schema import ImportSchema
from ragline.pipeline.cache import cache_key


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkdirPaths:
    """The folders of a work directory that stages write into.

    `artifacts` and `metadata` are absolute, the others as stages are given them: from the work
    directory, so that TFX's cache, which sees them, holds wherever it stands.
    """

    artifacts: pathlib.Path
    metadata: pathlib.Path
    checkpoints: pathlib.Path
    trials: pathlib.Path
    quarantine: pathlib.Path
    serving: pathlib.Path


def create_pipeline(
    *,
    name: str,
    paths: WorkdirPaths,
    columns: Columns,
    schema_file: pathlib.Path,
    ingest_options: str,
    input_fingerprint: str,
    input_facts: dict[str, Any],
    drift_options: str,
    train_options: TrainOptions,
    tune_options: TuneOptions,
    heads: tuple[HeadOptions, ...],
    rules: str,
    baseline_model: BaselineModel | None,
    state: str,
    force_bless_reason: str,
    new_signature: str,
    given_split: bool,
    push_options: PushOptions,
    beam_arguments: list[str],
) -> Pipeline:
    """Wires the stages, in the order in which data meets them.

    Args:
      name: of the pipeline.
      paths: the folders that stages write into.
      columns: what the schema says.
      schema_file: the schema; its path must change when its content does, since TFX's cache sees
        the path alone.
      ingest_options: the tables `input` and `quarantine` of the configuration, as JSON.
      input_fingerprint: digest of the raw files' content.
      input_facts: how raw files are read, as the encoder states it.
      drift_options: how far the newest span may drift, DriftOptions as JSON.
      train_options: of the trainer.
      tune_options: of the search before it; without trials there is none.
      heads: supervised outputs on the code.
      rules: what blesses a model, Rules as JSON.
      baseline_model: the newest blessed model, which a candidate is compared with.
      state: digest of what is served, which decides whether the push is taken from the cache.
      force_bless_reason: why to bless the candidate in any case; empty not to.
      new_signature: the sentence on a signature that is not that of what is served; empty if it is.
      given_split: whether train and eval are given, not drawn by entity.
      push_options: of the push.
      beam_arguments: of every Beam pipeline.
    """
    schema = ImportSchema(schema_file=str(schema_file)).with_id("schema")
    ingest = Ingest(
        schema=schema.outputs["schema"],
        options=ingest_options,
        quarantine=str(paths.quarantine),
        fingerprint=f"{input_fingerprint} {cache_key.source()}",
    ).with_id("ingest")
    examples = ingest.outputs["examples"]
    statistics = StatisticsGen(examples=examples, schema=schema.outputs["schema"]).with_id(
        "statistics"
    )
    anomalies = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    ).with_id("anomalies")
    gate = Gate(
        anomalies=anomalies.outputs["anomalies"],
        account=ingest.outputs["account"],
        options=drift_options,
        source=cache_key.source(),
    ).with_id("gate")
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="ragline.components.transform.preprocessing.preprocessing_fn",
        custom_config={
            "features": list(columns.names),
            "categories": [dataclasses.asdict(category) for category in columns.categories],
            "max_tokens": vocabulary.MAX_TOKENS,
            "context": list(columns.context),
            "allow_missing": columns.allow_missing,
            "source": cache_key.source(),
        },
        disable_statistics=True,
    ).with_id("transform")
    transform.add_upstream_node(gate)
    transformed = {
        "examples": transform.outputs["transformed_examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "schema": schema.outputs["schema"],
        "train_args": trainer_pb2.TrainArgs(),
        "eval_args": trainer_pb2.EvalArgs(),
    }
    learned = {
        "options": dataclasses.asdict(train_options),
        "heads": [dataclasses.asdict(head) for head in heads],
        "source": cache_key.source(),
    }
    searches = []
    if tune_options.trials:
        searches = [
            Tuner(
                tuner_fn="ragline.components.train.tuner_fn.tuner_fn",
                custom_config=learned
                | {"tune": dataclasses.asdict(tune_options), "trials": str(paths.trials)},
                **transformed,
            ).with_id("tune")
        ]
    train = Trainer(
        run_fn="ragline.components.train.run_fn.run_fn",
        hyperparameters=searches[0].outputs["best_hyperparameters"] if searches else None,
        custom_config=learned | {"checkpoints": str(paths.checkpoints), "input": input_facts},
        **transformed,
    ).with_id("train")
    evaluate = Evaluator(
        examples=examples,
        model=train.outputs["model"],
        schema=schema.outputs["schema"],
        eval_config=evaluate_config.eval_config(
            features=columns.names,
            heads=[(head.name, HEAD_METRICS[head.type]) for head in heads],
            categories=[category.name for category in columns.categories],
            slices=slices.columns_of(columns),
            source=cache_key.source(),
        ),
    ).with_id("evaluate")
    baselines = Baselines(
        model=train.outputs["model"],
        model_run=train.outputs["model_run"],
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        baseline_model=baseline_model.to_json() if baseline_model else "",
        given_split=int(given_split),
        source=cache_key.source(),
    ).with_id("baselines")
    verdict = Verdict(
        evaluation=evaluate.outputs["evaluation"],
        baselines_report=baselines.outputs["report"],
        rules=rules,
        force_bless_reason=force_bless_reason,
        new_signature=new_signature,
        source=cache_key.source(),
    ).with_id("verdict")
    push = Push(
        model=train.outputs["model"],
        blessing=verdict.outputs["blessing"],
        verdict=verdict.outputs["verdict_report"],
        examples=examples,
        account=ingest.outputs["account"],
        serving=str(paths.serving),
        keep=push_options.keep,
        state=state,
        source=cache_key.source(),
    ).with_id("push")
    return Pipeline(
        pipeline_name=name,
        pipeline_root=str(paths.artifacts),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(paths.metadata)
        ),
        components=[
            schema, ingest, statistics, anomalies, gate, transform, *searches, train, evaluate,
            baselines, verdict, push,
        ],
        enable_cache=True,
        beam_pipeline_args=beam_arguments,
    )  # fmt: skip
