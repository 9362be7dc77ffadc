"""Every Beam part, run on one engine, and what came out of it, record by record."""

import dataclasses
import pathlib
import shutil
import warnings
from collections.abc import Collection
from typing import Any

import pyarrow.parquet as pq
import pytest
from google.protobuf import json_format
from ingest.whole_runs import columns_of, records_of
from tensorflow_metadata.proto.v0 import statistics_pb2
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

import ragline
from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.evaluate import executor
from ragline.components.evaluate.metrics import eval_config as evaluate_config
from ragline.components.evaluate.metrics import slices, tfma_results
from ragline.pipeline import config as configuration
from ragline.pipeline.cache import artifact_manifests, cache_guard, cache_key, lineage
from ragline.pipeline.runs import preflight, runner, tfx_run, workdir

PARTS = ("ingest", "statistics", "transform", "evaluate", "encode")
# What is no Beam part, or needs what is none.
_OTHERS = ("anomalies", "gate", "train", "evaluate", "baselines", "verdict", "push")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A `[beam]` table."""

    runner: str
    options: tuple[str, ...] = ()

    @property
    def overrides(self) -> tuple[str, ...]:
        return (f"beam.runner={self.runner}", f"beam.options={list(self.options)}")


def run(
    folder: pathlib.Path,
    data: pathlib.Path,
    encoder: pathlib.Path,
    engine: Engine,
    parts: Collection[str] = PARTS,
) -> dict[str, Any]:
    """Part -> what came out of it; ingest is always among them, since the others need it."""
    left_out = [*_OTHERS, *(part for part in PARTS[1:] if part not in parts)]
    stages = _stages(folder, data, engine, left_out)
    examples = stages["ingest"].outputs["examples"]
    results: dict[str, Any] = {"ingest": _shards(examples)}
    if "statistics" in parts:
        statistics = stages["statistics"].outputs["statistics"]
        results["statistics"] = {
            split: _statistics(pathlib.Path(statistics, f"Split-{split}")) for split in SPLITS
        }
    if "transform" in parts:
        results["transform"] = by_id(stages["transform"].outputs["transformed_examples"])
    if "evaluate" in parts:
        results["evaluate"] = evaluation(folder, examples, encoder, engine)
    if "encode" in parts:
        results["encode"] = embeddings(folder, data, encoder, engine)
    return results


def _stages(
    folder: pathlib.Path, data: pathlib.Path, engine: Engine, left_out: Collection[str]
) -> dict[str, lineage.Stage]:
    """The pipeline's own, as a configuration wires them."""
    overrides = (f"input.train={data}", *engine.overrides)
    config = configuration.load("examples/gestures.toml", overrides, str(folder / "work"))
    with (
        workdir.opened(config) as session,
        pytest.MonkeyPatch.context() as patch,
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "label", DeprecationWarning)  # Of protobuf, in TFX.
        # TFX hands the arguments of the process, here pytest's, to absl.
        patch.setattr("sys.argv", ["ragline"])
        database = session.workdir / preflight.DATABASE
        run_id = session.run_id
        compiled = tfx_run.compile_pipeline(
            runner.pipeline_of(config, configuration.read_contract(config), session.workdir),
            run_id,
            cache_key.versions(),
        )
        guard = cache_guard.CacheGuard(
            database, artifact_manifests.ArtifactManifests(session.workdir), config.name, run_id
        )
        tfx_run.run(compiled, guard, skip=left_out, on_start=_ignore, on_end=_ignore)
    return lineage.stages(database, config.name, run_id)


def _ignore(*_: object) -> None:
    """Nobody is to be told."""


def _shards(examples: str) -> dict[str, list[list[bytes]]]:
    """Split -> shard -> its records, in order."""
    return {
        split: [
            list(records_of([path]))
            for path in sorted(pathlib.Path(examples, f"Split-{split}").iterdir())
        ]
        for split in SPLITS
    }


def by_id(examples: str) -> dict[str, dict[bytes, dict[str, Any]]]:
    """Split -> sequence -> column -> its values."""
    return {
        split: {
            record["sequence_id"][0]: record
            for record in map(
                columns_of, records_of(sorted(pathlib.Path(examples, f"Split-{split}").iterdir()))
            )
        }
        for split in SPLITS
    }


def _statistics(folder: pathlib.Path) -> dict[str, Any]:
    """What TFDV says of a split; its features stand in any order."""
    [file] = folder.iterdir()
    [dataset] = statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read_bytes()).datasets
    as_data = json_format.MessageToDict(dataset)
    return as_data | {"features": {one["path"]["step"][0]: one for one in as_data["features"]}}


def evaluation(folder: pathlib.Path, examples: str, encoder: pathlib.Path, engine: Engine) -> Any:
    """The Evaluator's metrics of an encoder: (predictor, slice, metric, bound) -> number."""
    columns = Columns.from_schema(schemas.load("gestures"))
    artifacts = {
        "examples": standard_artifacts.Examples(),
        "model": standard_artifacts.Model(),
        "schema": standard_artifacts.Schema(),
        "evaluation": standard_artifacts.ModelEvaluation(),
    }
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
    artifacts["examples"].uri = examples
    artifacts["examples"].split_names = '["train", "eval"]'
    shutil.copytree(encoder, folder / "model" / "Format-Serving")
    (folder / "schema").mkdir()
    shutil.copy(schemas.locate("gestures"), folder / "schema" / "schema.pbtxt")
    arguments = configuration.BeamOptions(runner=engine.runner, options=engine.options).arguments
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=arguments, tmp_dir=str(folder / "tmp"), unique_id="1"
    )
    asked = evaluate_config.eval_config(
        features=columns.names,
        heads=[],
        categories=[],
        slices=slices.columns_of(columns),
        source="",
    )
    given = {name: [artifact] for name, artifact in artifacts.items()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["ragline"])
        executor.Executor(context).Do(
            given, given, {"eval_config": proto_utils.proto_to_json(asked)}
        )
    table, _ = tfma_results.load(artifacts["evaluation"].uri)
    return {
        (predictor, slice_name, metric, bound): number
        for predictor, by_slice in table.items()
        for slice_name, metrics in by_slice.items()
        for metric, numbers in metrics.items()
        for bound, number in numbers.items()
        if number is not None
    }


def embeddings(
    folder: pathlib.Path, data: pathlib.Path, encoder: pathlib.Path, engine: Engine
) -> list[dict[str, Any]]:
    """What `ragline encode` writes."""
    ragline.encode(encoder, input=str(data), output=folder / "encoded", overrides=engine.overrides)
    return pq.read_table(folder / "encoded").to_pylist()
