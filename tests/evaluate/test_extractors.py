"""Batches of sequences through TFMA give the metrics of TFMA's own way, one sequence at a time."""

import pathlib

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_model_analysis as tfma
from evaluate.samples import FEATURES, make

from ragline.components.evaluate.metrics import eval_config, tfma_extractors, tfma_results

COLUMNS = ("length_bucket", "label")
BUCKETS = [b"1-7", b"8-15", b"16-31"]


def _config():
    return eval_config.eval_config(
        features=FEATURES, heads=(), categories=(), slices=COLUMNS, source="x"
    )


def _tables(extracts, extractors, output: pathlib.Path):
    config = _config()
    writers = tfma.default_writers(str(output), eval_shared_model=None, eval_config=config)
    with beam.Pipeline() as pipeline:
        _ = (
            pipeline
            | beam.Create(extracts, reshuffle=False)
            | tfma.ExtractAndEvaluate(
                extractors=extractors, evaluators=tfma.default_evaluators(eval_config=config)
            )
            | tfma.WriteResults(writers=writers)
        )
    return tfma_results.load(str(output))


def test_slices_of_batches_are_those_of_tfma(tmp_path: pathlib.Path) -> None:
    made = make(3, 90, missing=0.3)
    sums, rng = made.sums(), np.random.default_rng(0)
    ids = np.array(made.ids, object)
    buckets = np.array(BUCKETS, object)[rng.integers(3, size=90)]
    labels = np.array([7, -1, None, None], object)[rng.integers(4, size=90)]
    labels[50:] = None  # A batch in which no record has one.
    alone = [
        {
            "features": {"sequence_id": ids[row : row + 1], "length_bucket": buckets[row : row + 1]}
            | ({} if labels[row] is None else {"label": np.array([labels[row]])}),
            "labels": None,
            "example_weights": None,
            "predictions": {key: value[row : row + 1] for key, value in sums.items()},
        }
        for row in range(90)
    ]
    batches = [
        {
            "features": {
                "sequence_id": ids[rows],
                "length_bucket": buckets[rows],
                "label": labels[rows],
            },
            "predictions": {key: value[rows] for key, value in sums.items()},
        }
        for rows in (slice(50), slice(50, 89), slice(89, None))
    ]
    by_tfma = [tfma.extractors.SliceKeyExtractor(eval_config=_config())]
    expected, _ = _tables(alone, by_tfma, tmp_path / "alone")
    received, _ = _tables(batches, [tfma_extractors.slice_extractor(COLUMNS)], tmp_path / "batches")
    assert {*received["model"]} == {
        "overall", "label=-1", "label=7", *(f"length_bucket={b.decode()}" for b in BUCKETS)
    }  # fmt: skip
    for predictor, slices in expected.items():
        assert received[predictor].keys() == slices.keys()
        for name, metrics in slices.items():
            for metric, numbers in metrics.items():
                own = received[predictor][name][metric]
                assert own == pytest.approx(numbers, rel=1e-12, abs=1e-12, nan_ok=True)
    assert expected["model"]["overall"]["masked_mse"]["lower"] is not None


def test_a_record_batch_is_cut_into_sequences_of_like_length() -> None:
    length = np.random.default_rng(0).integers(1, 500, 300)
    names = [f"s{row}".encode() for row in range(300)]
    labels = [[row] if row % 3 else None for row in range(300)]
    batch = pa.record_batch(
        {
            "length": pa.array([[int(steps)] for steps in length], pa.large_list(pa.int64())),
            "sequence_id": pa.array([[name] for name in names], pa.large_list(pa.large_binary())),
            "label": pa.array(labels, pa.large_list(pa.int64())),
            "__raw_record__": pa.array([[b"r" + name] for name in names]),
        }
    )
    extracts = {"arrow_record_batch": batch}
    read = [*tfma_extractors.read_batches(extracts, ["label", "length_bucket"])]
    assert [len(part["input"]) for part in read] == [128, 128, 44]
    ids = np.concatenate([part["features"]["sequence_id"] for part in read])
    assert sorted(ids) == sorted(names)
    steps = [length[int(name[1:])] for name in ids]
    assert steps == sorted(steps)
    for part in read:
        features = part["features"]
        assert [b"r" + name for name in features["sequence_id"]] == part["input"].tolist()
        rows = [int(name[1:]) for name in features["sequence_id"]]
        assert features["label"].tolist() == [row if row % 3 else None for row in rows]
        assert features["length_bucket"].tolist() == [None] * len(rows)
