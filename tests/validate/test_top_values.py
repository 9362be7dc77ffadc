"""What statistics count of words and ids: exactly where they are few, in little memory always."""

import pathlib

import apache_beam as beam
import pyarrow as pa
import pytest
from commands import ROOT

from ragline.pipeline.config import load, read_contract
from ragline.pipeline.runs import runner

IDS = 3000
LABELS = ["circle", "wave", "wave", "tap", "wave"]


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")  # Of protobuf, in TFX.
def test_labels_are_counted_exactly_and_ids_by_a_sketch(tmp_path: pathlib.Path) -> None:
    import tensorflow_data_validation as tfdv  # After the shim that it needs.

    (tmp_path / "a.jsonl").write_text("{}\n")
    config = load(ROOT / "examples" / "gestures.toml", [f"input.train={tmp_path}/a.jsonl"])
    pipeline = runner.pipeline_of(config, read_contract(config), tmp_path)
    [stage] = [stage for stage in pipeline.components if stage.id == "statistics"]
    options = tfdv.StatsOptions.from_json(stage.exec_properties["stats_options_json"])
    ids = [[b"gesture-%d" % number] for number in range(IDS)]
    labels = [[LABELS[number % 5].encode()] for number in range(IDS)]
    batch = pa.RecordBatch.from_pydict({"sequence_id": ids, "label": labels})
    file = str(tmp_path / "statistics.pb")
    with beam.Pipeline("ragline.components.runtime.local_runner.LocalRunner") as made:
        counted = made | beam.Create([batch]) | tfdv.GenerateStatistics(options)
        counted | tfdv.WriteStatisticsToBinaryFile(file)
    [dataset] = tfdv.load_stats_binary(file).datasets
    of = {feature.path.step[0]: feature.string_stats for feature in dataset.features}
    assert (of["sequence_id"].unique, of["label"].unique) == (IDS, 3)
    top = {bucket.label: bucket.sample_count for bucket in of["label"].rank_histogram.buckets}
    assert top == {"wave": IDS * 3 / 5, "circle": IDS / 5, "tap": IDS / 5}
    of_ids = {bucket.sample_count for bucket in of["sequence_id"].rank_histogram.buckets}
    assert of_ids - {1.0}, "estimates: exact counts hold all ids in memory"
