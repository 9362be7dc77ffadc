"""Wire the stages into a TFX pipeline: no paths of its own, no environment, no flags."""

import dataclasses
import json
import pathlib

from tensorflow_data_validation import StatsOptions

# Each component from its own module: `tfx.v1` imports the cloud extensions too, in 6 seconds.
from tfx.components.example_validator.component import ExampleValidator
from tfx.components.trainer.component import Trainer
from tfx.components.tuner.component import Tuner
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2
from tfx.types.channel import BaseChannel

from ragline.components.evaluate.component import Baselines, Evaluator, Verdict
from ragline.components.evaluate.metrics import eval_config as evaluate_config
from ragline.components.evaluate.metrics import slices
from ragline.components.ingest.component import Ingest
from ragline.components.ingest.options import input_facts
from ragline.components.push.component import Push
from ragline.components.train import terms
from ragline.components.transform import vocabulary
from ragline.components.transform.component import Transform
from ragline.components.validate.component import Gate
from ragline.components.validate.schema import ImportSchema
from ragline.components.validate.statistics import StatisticsGen
from ragline.pipeline.config import Config
from ragline.pipeline.run_facts import RunFacts


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkdirPaths:
    """Names the folders of a work directory that stages write into.

    `artifacts` and `metadata` are absolute. Stages are given the others, relative to the work
    directory, because TFX's cache sees them, and must hold when the work directory moves.
    """

    artifacts: pathlib.Path
    metadata: pathlib.Path
    checkpoints: pathlib.Path
    trials: pathlib.Path
    quarantine: pathlib.Path
    serving: pathlib.Path


def create_pipeline(config: Config, paths: WorkdirPaths, facts: RunFacts) -> Pipeline:
    """Wire the stages, in the order in which data meets them.

    Args:
      config: the options of every stage.
      paths: the folders that stages write into.
      facts: what else decides the stages' results.
    """
    importer = ImportSchema(schema_file=str(facts.schema_file)).with_id("schema")
    schema = importer.outputs["schema"]
    ingest = _ingest(config, paths, facts, schema)
    examples = ingest.outputs["examples"]
    statistics, anomalies, gate = _validate(config, facts, ingest, schema)
    transform = _transform(facts, examples, schema)
    transform.add_upstream_node(gate)
    *searches, train = _train(config, paths, facts, transform, schema)
    evaluate = _evaluate(config, facts, examples, train, schema)
    baselines, verdict = _judge(config, facts, examples, transform, train, evaluate, schema)
    push = Push(
        model=train.outputs["model"],
        blessing=verdict.outputs["blessing"],
        verdict=verdict.outputs["verdict_report"],
        examples=examples,
        account=ingest.outputs["account"],
        serving=str(paths.serving),
        keep=config.push.keep,
        state=facts.serving_state,
        source=facts.source,
    ).with_id("push")
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=str(paths.artifacts),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(
            str(paths.metadata)
        ),
        components=[
            importer, ingest, statistics, anomalies, gate, transform, *searches, train, evaluate,
            baselines, verdict, push,
        ],
        enable_cache=True,
        beam_pipeline_args=config.beam.arguments,
    )  # fmt: skip


def _ingest(config: Config, paths: WorkdirPaths, facts: RunFacts, schema: BaseChannel) -> Ingest:
    """Wire raw files -> examples, and the ingest report."""
    options = {
        "input": dataclasses.asdict(config.input),
        "quarantine": dataclasses.asdict(config.quarantine),
    }
    return Ingest(
        schema=schema,
        options=json.dumps(options),
        quarantine=str(paths.quarantine),
        fingerprint=f"{facts.input_fingerprint} {facts.source}",
    ).with_id("ingest")


def _validate(
    config: Config, facts: RunFacts, ingest: Ingest, schema: BaseChannel
) -> tuple[StatisticsGen, ExampleValidator, Gate]:
    """Wire examples -> statistics -> anomalies, at which the gate stops the run."""
    statistics = StatisticsGen(
        examples=ingest.outputs["examples"],
        schema=schema,
        # To count each value, the engine would hold every sequence's id. Sketches are exact for up
        # to 1024 values.
        stats_options=StatsOptions(use_sketch_based_topk_uniques=True),
    ).with_id("statistics")
    anomalies = ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema
    ).with_id("anomalies")
    gate = Gate(
        anomalies=anomalies.outputs["anomalies"],
        account=ingest.outputs["account"],
        options=json.dumps(dataclasses.asdict(config.drift)),
        source=facts.source,
    ).with_id("gate")
    return statistics, anomalies, gate


def _transform(facts: RunFacts, examples: BaseChannel, schema: BaseChannel) -> Transform:
    """Wire examples -> standardised examples, and the graph that standardises."""
    columns = facts.contract.columns
    return Transform(
        examples=examples,
        schema=schema,
        preprocessing_fn="ragline.components.transform.preprocessing.preprocessing_fn",
        custom_config={
            "features": list(columns.names),
            "transforms": list(columns.transforms),
            "categories": [dataclasses.asdict(category) for category in columns.categories],
            "max_tokens": vocabulary.MAX_TOKENS,
            "context": list(columns.context),
            "allow_missing": columns.allow_missing,
            "source": facts.source,
        },
        # Outputs of TFX's component that our executor does not write.
        disable_statistics=True,
        disable_analyzer_cache=True,
    ).with_id("transform")


def _train(
    config: Config, paths: WorkdirPaths, facts: RunFacts, transform: Transform, schema: BaseChannel
) -> list[Tuner | Trainer]:
    """Wire standardised examples -> a model; before it, if configured, a search for options."""
    inputs = {
        "examples": transform.outputs["transformed_examples"],
        "transform_graph": transform.outputs["transform_graph"],
        "schema": schema,
        "train_args": trainer_pb2.TrainArgs(),
        "eval_args": trainer_pb2.EvalArgs(),
    }
    options = {
        "options": dataclasses.asdict(config.train),
        "heads": [dataclasses.asdict(head) for head in config.heads],
        "terms": [dataclasses.asdict(term) for term in config.terms],
        "source": facts.source,
    }
    searches = []
    if config.tune.trials:
        searches = [
            Tuner(
                tuner_fn="ragline.components.train.tuner_fn.tuner_fn",
                custom_config=options
                | {"tune": dataclasses.asdict(config.tune), "trials": str(paths.trials)},
                **inputs,
            ).with_id("tune")
        ]
    train = Trainer(
        run_fn="ragline.components.train.run_fn.run_fn",
        hyperparameters=searches[0].outputs["best_hyperparameters"] if searches else None,
        custom_config=options
        | {"checkpoints": str(paths.checkpoints), "input": input_facts(config.input)},
        **inputs,
    ).with_id("train")
    return [*searches, train]


def _evaluate(
    config: Config, facts: RunFacts, examples: BaseChannel, train: Trainer, schema: BaseChannel
) -> Evaluator:
    """Wire examples and model -> metrics, over all sequences and by slice."""
    columns = facts.contract.columns
    return Evaluator(
        examples=examples,
        model=train.outputs["model"],
        schema=schema,
        eval_config=evaluate_config.eval_config(
            features=columns.names,
            heads=[(head.name, head.type) for head in config.heads],
            categories=[category.name for category in columns.categories],
            terms=terms.measured(config.terms),
            slices=slices.columns_of(columns),
            source=facts.source,
        ),
    ).with_id("evaluate")


def _judge(
    config: Config,
    facts: RunFacts,
    examples: BaseChannel,
    transform: Transform,
    train: Trainer,
    evaluate: Evaluator,
    schema: BaseChannel,
) -> tuple[Baselines, Verdict]:
    """Wire the metrics of the model and of the baselines -> the verdict."""
    baselines = Baselines(
        model=train.outputs["model"],
        model_run=train.outputs["model_run"],
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        schema=schema,
        baseline_model=facts.baseline_model.to_json() if facts.baseline_model else "",
        given_split=int(config.input.eval is not None),
        source=facts.source,
    ).with_id("baselines")
    verdict = Verdict(
        evaluation=evaluate.outputs["evaluation"],
        baselines_report=baselines.outputs["report"],
        rules=json.dumps(dataclasses.asdict(facts.contract.rules)),
        force_bless_reason=facts.force_bless_reason,
        new_signature=facts.new_signature,
        source=facts.source,
    ).with_id("verdict")
    return baselines, verdict
