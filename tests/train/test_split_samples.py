"""A sample of a split: which entities it holds, and that a training reads it and no more."""

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Collection
from typing import Any

import apache_beam as beam
import events
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.testing.util import assert_that
from sampled_events import NAMES, SPLITS, kept, rank
from train.samples import write

from ragline.components.contract import sampling
from ragline.components.evaluate.baselines import baseline_scores, raw_records
from ragline.components.evaluate.baselines.served_model import ServedModel
from ragline.components.evaluate.metrics import eval_config, tfma_extractors
from ragline.components.serving import facts
from ragline.components.train.data import split_samples

ENTITIES, EACH = 400, 3


def _record(entity: str, length: int) -> bytes:
    example = tf.train.Example()
    example.features.feature["entity_id"].bytes_list.value.append(entity.encode())
    example.features.feature["length"].int64_list.value.append(length)
    return example.SerializeToString()


def _entities(file: str | pathlib.Path) -> list[bytes]:
    spec = {"entity_id": tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(str(file), "GZIP")
    return [tf.io.parse_single_example(r, spec)["entity_id"].numpy() for r in records]


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> tuple[list[str], dict[str, list[int]]]:
    """Seven shards, in which the sequences of an entity stand far apart; and their lengths."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("split")
    lengths = {f"machine {k}": rng.integers(1, 60, EACH).tolist() for k in range(ENTITIES)}
    rows = [(name, lengths[name][turn]) for turn in range(EACH) for name in lengths]
    parts = (rows[start::7] for start in range(7))
    return [
        write(folder / f"{part}.gz", [_record(*row) for row in of_part])
        for part, of_part in enumerate(parts)
    ], lengths


@pytest.mark.parametrize("wanted", [1, 300, 2_000, 20_000])
def test_the_sample_is_that_of_the_oracle_and_divides_no_entity(split, tmp_path, wanted):
    files, lengths = split
    total = sum(map(sum, lengths.values()))
    limit = max(wanted / total, min(map(rank, lengths)))
    kept = {name for name in lengths if rank(name) <= limit}
    sample = split_samples.draw(files, wanted, tmp_path / "sample.gz")
    assert sample == sampling.SplitSample(
        highest_rank=limit,
        steps=sum(sum(lengths[name]) for name in kept),
        of_steps=total,
        sequences=EACH * len(kept),
        of_sequences=EACH * ENTITIES,
    )
    assert sorted(_entities(tmp_path / "sample.gz")) == sorted(
        name.encode() for name in kept for _ in range(EACH)
    )
    assert all(sample.keeps(name.encode()) == (name in kept) for name in lengths)


def test_twice_the_sample_contains_the_first(split, tmp_path):
    held: set[bytes] = set()
    for power in range(12):
        split_samples.draw(split[0], 2**power, tmp_path / "sample.gz")
        larger = {*_entities(tmp_path / "sample.gz")}
        assert held <= larger
        held = larger
    assert 1 < len(held) < ENTITIES


def test_the_sample_has_as_many_steps_as_are_wanted_in_expectation():
    """Of 2,000 splits of 40 entities, whose sizes differ a hundredfold."""
    rng = np.random.default_rng(1)
    steps = rng.integers(10, 1_000, 40)
    wanted, kept = int(steps.sum() // 4), []
    for draw in range(2_000):
        ranks = np.array([rank(f"{draw} {number}") for number in range(40)])
        limit = sampling.highest_rank(wanted, int(steps.sum()), ranks.min())
        kept.append(int(steps[ranks <= limit].sum()))
    error = np.std(kept) / np.sqrt(len(kept))
    assert abs(np.mean(kept) - wanted) < 4 * error < 0.03 * wanted


def test_a_split_of_no_more_steps_is_read_whole(split, tmp_path):
    total = sum(map(sum, split[1].values()))
    for wanted in (total, 10 * total):
        assert split_samples.draw(split[0], wanted, tmp_path / "sample.gz") is None
    assert not (tmp_path / "sample.gz").exists()
    assert split_samples.draw(split[0], total // 2, tmp_path / "sample.gz").steps < total


def test_neither_the_order_of_files_nor_of_records_has_a_part_in_it(split, tmp_path):
    samples, kept = [], []
    for name, files in (("a", split[0]), ("b", [*reversed(split[0])])):
        samples.append(split_samples.draw(files, 900, tmp_path / name))
        kept.append(sorted(_entities(tmp_path / name)))
    assert samples[0] == samples[1]
    assert kept[0] == kept[1]
    split_samples.draw(split[0], 900, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "a").read_bytes()


def test_the_split_hash_has_no_part_in_it():
    """All entities of the training split have a high hash of the split, and any rank here."""
    names = [f"e{number}" for number in range(4_000)]
    high = [
        name
        for name in names
        if hashlib.blake2b(name.encode(), digest_size=8).digest()[0] >= 0.8 * 256
    ]
    kept = sum(sampling.rank(name.encode()) <= 0.25 for name in high) / len(high)
    assert abs(kept - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(high))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "entity"),
        ({"entity": "customer", "group_by": ["run"]}, "customer"),
        ({"entity": None, "group_by": ["run", "day"]}, "run"),
        ({"entity": "{SEQUENCE}", "group_by": []}, "sequence"),
        ({"group_by": ["{FILE}"]}, "file"),
    ],
)
def test_an_entity_is_named_as_the_input_names_it(options, word):
    assert sampling.entity_word(options) == word


def test_what_was_read_is_a_sentence():
    def of(steps: int, of_steps: int) -> sampling.SplitSample:
        return sampling.SplitSample(
            highest_rank=0.5, steps=steps, of_steps=of_steps, sequences=1, of_sequences=2
        )

    train, evaluation = {"train": of(2_000_000, 71_300_000)}, {"eval": of(5, 1_000)}
    assert sampling.sentence({}, "x") is None
    assert sampling.sentence(train, "customer") == (
        "trained on 2,000,000 of 71,300,000 steps, sampled by customer"
    )
    assert sampling.sentence(train | evaluation, "run") == (
        "trained on 2,000,000 of 71,300,000 steps, judged by 5 of 1,000 steps of the eval split, "
        "sampled by run"
    )


# A training, and what comes after it.


def test_a_training_reads_the_sample_alone_and_says_so(events_model):
    result = events_model
    rows = {split: kept(split) for split in SPLITS}
    steps = {split: [len(SPLITS[split][row].code) for row in rows[split]] for split in SPLITS}
    assert all(8 < len(each) < len(SPLITS[split]) - 8 for split, each in rows.items())
    assert {epoch["steps"] for epoch in result.training["history"]} == {sum(steps["train"])}
    for split, sums in result.training["sums"].items():
        assert sums["sequences"] == len(rows[split])
        sample = result.training["samples"][split]
        assert (sample["steps"], sample["sequences"]) == (sum(steps[split]), len(rows[split]))
        assert sample["of_sequences"] == len(SPLITS[split])
    total = {split: sum(len(each.code) for each in made) for split, made in SPLITS.items()}
    assert result.training["sampled"] == (
        f"trained on {sum(steps['train']):,} of {total['train']:,} steps, judged by "
        f"{sum(steps['eval']):,} of {total['eval']:,} steps of the eval split, sampled by entity"
    )
    stated = facts.read(result.model)
    assert {k: dataclasses.asdict(v) for k, v in stated.samples.items()} == (
        result.training["samples"]
    )
    assert [*result.model.with_name("run").glob("sample*")] == []  # Nothing of it is left.


def test_of_a_model_that_read_everything_no_fact_changes(events_model, tmp_path):
    stated = facts.read(events_model.model)
    whole = dataclasses.replace(stated, samples={})
    facts.write(tmp_path, whole)
    document = json.loads((tmp_path / "assets.extra" / "encoder.json").read_text())
    assert "samples" not in document
    assert facts.read(tmp_path).fingerprint == whole.fingerprint != stated.fingerprint


def _raw(split: str, folder: pathlib.Path) -> str:
    """The split as ingest writes it, in two shards."""
    folder.mkdir()
    rows = zip(SPLITS[split], NAMES[split], strict=True)
    records = [made.example(name) for made, name in rows]
    for shard in range(2):
        write(folder / f"{shard}.gz", records[shard::2])
    return str(folder)


def test_the_evaluation_is_of_the_same_sequences(events_model):
    """Record batches, as TFX reads them, through the extractors of a model of a sample."""
    model = str(events_model.model)
    config = eval_config.eval_config(
        features=("amount",),
        heads=(),
        categories=events.WORDS,
        slices=("length_bucket",),
        source="",
    )
    shared = tfma.default_eval_shared_model(eval_saved_model_path=model, eval_config=config)
    first, *_ = tfma_extractors.extractors(shared, config)
    rows = pa.record_batch(
        {
            "length": [[len(each.code)] for each in SPLITS["eval"]],
            "sequence_id": [[str(row).encode()] for row in range(len(SPLITS["eval"]))],
            "entity_id": [[name.encode()] for name in NAMES["eval"]],
            "__raw_record__": [[b""]] * len(SPLITS["eval"]),
        }
    )

    def ids(parts: Collection[Any]) -> None:
        names = [name for part in parts for name in part["features"]["sequence_id"]]
        assert sorted(map(int, names)) == kept("eval")

    with beam.Pipeline() as pipeline:
        extracts = [{"arrow_record_batch": each} for each in (rows, rows.slice(0, 0))]
        read = pipeline | beam.Create(extracts, reshuffle=False) | first.ptransform
        assert_that(read, ids)


def test_the_baselines_are_of_the_same_sequences_and_hold_a_part_at_a_time(events_model, tmp_path):
    folder = _raw("eval", tmp_path / "raw")
    sample = facts.read(events_model.model).samples["eval"]
    columns = ("length_bucket",)
    [whole] = raw_records.parts(folder, columns, sample)
    expected = sorted(NAMES["eval"][row] for row in kept("eval"))
    assert sorted(whole.entities) == expected
    lowest = raw_records.lowest(folder, columns, 2_000, sample)
    assert sorted(lowest.entities) == expected
    assert raw_records.lowest(folder, columns, 5, sample).serialised == lowest.serialised[:5]

    most = sum(map(len, whole.serialised)) // 6
    held: list[int] = []

    def counted() -> Collection[raw_records.RawRecords]:
        for part in raw_records.parts(folder, columns, sample, most):
            held.append(sum(map(len, part.serialised)))
            yield part

    model = ServedModel(events_model.model)
    in_parts = baseline_scores.totals_by_slice(counted(), model.sums, ["model"])
    at_once = baseline_scores.totals_by_slice([whole], model.sums, ["model"])
    assert len(held) > 5
    assert max(held) <= most
    assert in_parts.keys() == at_once.keys()
    for name, totals in at_once.items():
        for key, values in totals.items():
            np.testing.assert_allclose(in_parts[name][key], values, rtol=2e-6, atol=2e-6)
    assert in_parts["overall"]["sequences"].sum() == len(expected)
