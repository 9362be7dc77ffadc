"""Tests of the gate on what TFX's own StatisticsGen and ExampleValidator say of real records."""

import json
import pathlib
import re
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.types import artifact_utils, standard_artifacts

from ragline import schemas
from ragline.components.contract.artifacts import GateReport, IngestAccount
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.contract.file_names import ACCOUNT_FILE, GATE_FILE
from ragline.components.files.storage import write_json
from ragline.components.ingest.output.examples import encode_chunk
from ragline.components.ingest.records.chunk import Record, of_records
from ragline.components.runtime import tfdv_shim
from ragline.components.validate import gate
from ragline.components.validate.component import Gate

tfdv_shim.install()

COLUMNS = Columns.from_schema(schemas.load("gestures"))
SEQUENCES = 30


def _examples(seed: int) -> list[tf.train.Example]:
    """Records as ingest writes them, with missing values where the schema allows them."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(SEQUENCES):
        values = {name: random.normal(size=number % 7 + 1) for name in COLUMNS.names}
        values["heart_rate"][0] = np.nan
        made.append(
            Record(
                number=number,
                sequence_id=f"{seed}-{number}",
                entity_id=f"{seed}-{number}",
                length=number % 7 + 1,
                values=values,
                time=None,
                context={"label": "circle"} if number % 2 else {},
            )
        )
    records = encode_chunk(of_records(made, COLUMNS), COLUMNS)
    return [tf.train.Example.FromString(record) for record in records]


def _clean() -> dict[str, list[tf.train.Example]]:
    return {split: _examples(seed) for seed, split in enumerate(SPLITS)}


def _broken() -> dict[str, list[tf.train.Example]]:
    """Train breaks the schema in one value a column, eval lacks two, a third split is empty."""
    splits = _clean()
    features = [example.features.feature for example in splits["train"]]
    features[1]["label"].bytes_list.value[0] = b"juggling"
    features[2]["ax"].float_list.value[0] = np.nan
    features[3]["ay"].float_list.value[0] = np.inf
    features[4]["length"].int64_list.value[0] = 0
    del features[5]["gz"]
    features[6]["unheard_of"].float_list.value.append(1.0)
    for example in splits["eval"]:
        example.features.feature.pop("az")
        example.features.feature.pop("label", None)
    return splits | {"empty": []}


def _validate(
    splits: Mapping[str, list[tf.train.Example]], folder: pathlib.Path
) -> standard_artifacts.ExampleAnomalies:
    """Runs TFX's two stages before the gate, by their own executors."""
    from tfx.components.example_validator import executor as example_validator
    from tfx.components.statistics_gen import executor as statistics_gen

    artifacts: dict[str, Any] = {
        "examples": standard_artifacts.Examples(),
        "schema": standard_artifacts.Schema(),
        "statistics": standard_artifacts.ExampleStatistics(),
        "anomalies": standard_artifacts.ExampleAnomalies(),
    }
    for name, artifact in artifacts.items():
        artifact.uri = str(folder / name)
        (folder / name).mkdir(parents=True)
    shutil.copy(schemas.locate("gestures"), folder / "schema" / "schema.pbtxt")
    artifacts["examples"].split_names = artifact_utils.encode_split_names(list(splits))
    for split, examples in splits.items():
        shard = folder / "examples" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
        shard.parent.mkdir()
        with tf.io.TFRecordWriter(str(shard), "GZIP") as writer:
            for example in examples:
                writer.write(example.SerializeToString())
    context = BaseBeamExecutor.Context(
        beam_pipeline_args=["--runner=FnApiRunner"], tmp_dir=str(folder), unique_id="1"
    )
    given = {name: [artifact] for name, artifact in artifacts.items()}
    with pytest.MonkeyPatch.context() as patch:
        # TFX hands the arguments of the process, here pytest's, to absl.
        patch.setattr("sys.argv", ["ragline"])
        statistics_gen.Executor(context).Do(given, given, {})
    example_validator.Executor().Do(given, given, {})
    return artifacts["anomalies"]


def _pass(
    anomalies: standard_artifacts.ExampleAnomalies,
    folder: pathlib.Path,
    spans: Mapping[str, Any] | None = None,
) -> pathlib.Path:
    """Runs the gate as TFX does; returns the report's file."""
    account, report = IngestAccount(), GateReport()
    account.uri, report.uri = str(folder.with_name("account")), str(folder)
    write_json(pathlib.Path(account.uri) / ACCOUNT_FILE, {"spans": spans or {}})
    Gate.EXECUTOR_SPEC.executor_class().Do(
        {"anomalies": [anomalies], "account": [account]},
        {"report": [report]},
        {"options": '{"max_shift": 0.5}', "source": "a digest"},
    )
    return folder / GATE_FILE


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.ExampleAnomalies:
    return _validate(_broken(), tmp_path_factory.mktemp("broken") / "run")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> standard_artifacts.ExampleAnomalies:
    return _validate(_clean(), tmp_path_factory.mktemp("clean") / "run")


def test_clean_data_passes_and_leaves_a_report(
    clean: standard_artifacts.ExampleAnomalies, tmp_path: pathlib.Path
) -> None:
    report = _pass(clean, tmp_path)
    assert json.loads(report.read_text()) == {
        "splits": ["eval", "train"],
        "drift": None,
    }


def test_broken_data_stops_the_run_with_a_line_a_finding(
    broken: standard_artifacts.ExampleAnomalies, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(BadDataError, match=r"^anomalies: empty: ") as caught:
        _pass(broken, tmp_path)
    assert caught.value.code == "anomalies"
    expected = [
        "empty: no data",
        "eval: feature 'az': Column dropped",
        "eval: feature 'label': Column dropped",
        "train: feature 'ax': Invalid values: Float feature has NaN values",
        "train: feature 'ay': Invalid values: Float feature has Inf values",
        "train: feature 'gz': Column dropped: .*fewer examples than expected",
        "train: feature 'label': Unexpected string values: .*juggling",
        "train: feature 'length': Out-of-range values: Unexpectedly small value: 0",
        "train: feature 'unheard_of': New column",
    ]
    for line, start in zip(caught.value.lines, expected, strict=True):
        assert re.match(start, line)
    assert list(tmp_path.iterdir()) == []


def test_a_span_that_drifted_too_far_stops_the_run(
    clean: standard_artifacts.ExampleAnomalies, tmp_path: pathlib.Path
) -> None:
    def of(mean: float) -> dict[str, Any]:
        moment = {"count": 100, "missing": 0, "mean": mean, "m2": 400.0}
        return {"features": {"ax": moment}, "length": moment | {"mean": 9.0}}

    report = _pass(clean, tmp_path / "passes", {"1": of(0.0), "2": of(0.8)})
    assert json.loads(report.read_text())["drift"] == {
        "span": "2",
        "others": ["1"],
        "columns": {
            "ax": {"shift": 0.4, "spread": 1.0, "missing": 0.0},
            "length": {"shift": 0.0, "spread": 1.0, "missing": 0.0},
        },
    }
    with pytest.raises(BadDataError, match=r"^drift: span 2 beside 1: 'ax': its mean .* \+0.6 "):
        _pass(clean, tmp_path / "stops", {"1": of(0.0), "2": of(1.2)})
    assert not (tmp_path / "stops").exists()


def test_a_finding_of_several_reasons_is_one_line() -> None:
    anomalies = anomalies_pb2.Anomalies()
    info = anomalies.anomaly_info["ax"]
    info.reason.add(short_description="First", description="one thing")
    info.reason.add(short_description="Second", description="another")
    assert gate.describe_anomalies({"eval": anomalies}) == [
        "eval: feature 'ax': First: one thing; Second: another"
    ]


def test_a_finding_without_reasons_is_described() -> None:
    anomalies = anomalies_pb2.Anomalies()
    anomalies.anomaly_info["ax"].short_description = "Odd"
    anomalies.anomaly_info["ax"].description = "nobody knows why"
    anomalies.anomaly_info["ax"].severity = anomalies_pb2.AnomalyInfo.WARNING
    assert gate.describe_anomalies({"eval": anomalies}) == [
        "eval: feature 'ax': Odd: nobody knows why"
    ]


def test_a_finding_on_the_whole_data_set_names_no_feature() -> None:
    anomalies = anomalies_pb2.Anomalies()
    anomalies.dataset_anomaly_info.short_description = "Low num examples"
    anomalies.dataset_anomaly_info.description = "30 < 100"
    lines = gate.describe_anomalies({"train": anomalies_pb2.Anomalies(), "eval": anomalies})
    assert lines == ["eval: Low num examples: 30 < 100"]
