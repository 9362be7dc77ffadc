"""TFX's own Tuner with our tuner_fn, on records that a real Transform wrote.

Only TFX's launcher is missing, which tests/end_to_end/test_tune.py has.
"""

import dataclasses
import json
import pathlib
from types import SimpleNamespace

import events
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tfx.components.tuner import executor
from tfx.types import standard_artifacts
from train import samples

from ragline.components.contract.columns import ENTITY_ID
from ragline.components.contract.file_names import TRIALS_FILE
from ragline.components.train.data.records import Task, training_job
from ragline.components.train.options import TrainOptions, TuneOptions
from ragline.components.train.tuner_fn import divide, tuner_fn

OPTIONS = TrainOptions(
    units=5, embedding_size=4, epochs=1, learning_rate=0.02, linear_steps=4, statistics=0.0
)
LENGTHS = np.random.default_rng(3).integers(1, 9, 60)


@pytest.fixture(scope="module")
def fn_args(tmp_path_factory) -> SimpleNamespace:
    """What TFX hands to a tuner_fn: 60 sequences, two an entity, and 20 of NaN to evaluate by."""
    folder = tmp_path_factory.mktemp("tuner")
    made = {"train": events.make(1, LENGTHS), "eval": events.make(2, LENGTHS[:20])}
    names = {split: [f"{split} {k // 2}" for k in range(len(each))] for split, each in made.items()}
    events.transform(folder, made, names=names)
    _spoil(folder / "eval.gz")
    (folder / "schema.pbtxt").write_text(text_format.MessageToString(events.schema()))
    return SimpleNamespace(
        custom_config={
            "options": dataclasses.asdict(OPTIONS),
            "heads": [],
            "terms": [],
            "source": "",
            "tune": dataclasses.asdict(TuneOptions(trials=2, held_out=0.25)),
        },
        schema_path=str(folder / "schema.pbtxt"),
        train_files=[str(folder / "train.gz")],
        eval_files=[str(folder / "eval.gz")],
        transform_graph_path=str(folder / "transform"),
        hyperparameters=None,
        working_dir=str(folder / "working"),
    )


def _spoil(file: pathlib.Path) -> None:
    """Makes each value NaN: what is scored by them has no score."""
    records = tf.data.TFRecordDataset(str(file), "GZIP").as_numpy_iterator()
    spoilt = [tf.train.Example.FromString(record) for record in records]
    for example in spoilt:
        feature = example.features.feature["values$ragged_values"].float_list
        assert feature.value
        feature.value[:] = [np.nan] * len(feature.value)
    samples.write(file, [example.SerializeToString() for example in spoilt])


def _entities(file: str) -> list[bytes]:
    spec = {ENTITY_ID: tf.io.FixedLenFeature([], tf.string)}
    records = tf.data.TFRecordDataset(file, "GZIP")
    return [tf.io.parse_single_example(r, spec)[ENTITY_ID].numpy() for r in records]


def test_records_are_divided_by_entity_and_none_is_lost(fn_args, tmp_path):
    train = Task.from_job(training_job(fn_args)).splits["train"]
    parts = divide(train, 0.25, tmp_path)
    kept, held = (_entities(part.files[0]) for part in parts)
    assert sorted(kept + held) == sorted(_entities(fn_args.train_files[0]))
    assert not set(kept) & set(held)
    assert len(set(held)) == 8  # A quarter of 30, to the nearest even.
    for part in parts:
        steps = sum(int(tf.reduce_sum(batch.length)) for batch in part.for_metrics(OPTIONS))
        assert steps == part.lengths.sum()
        assert len(part.lengths) == len(_entities(part.files[0]))


def _search(fn_args: SimpleNamespace, folder: pathlib.Path) -> tuple[dict, list[dict]]:
    """What was best, and the trials."""
    custom = fn_args.custom_config | {"trials": str(folder / "trials")}
    result = tuner_fn(SimpleNamespace(**{**vars(fn_args), "custom_config": custom}))
    result.tuner.search(**result.fit_kwargs)
    outputs = {}
    for key, kind in (
        ("best_hyperparameters", standard_artifacts.HyperParameters),
        ("tuner_results", standard_artifacts.TunerResults),
    ):
        outputs[key] = kind()
        outputs[key].uri = str(folder / key)
    executor.write_best_hyperparameters(
        result.tuner, {key: [artifact] for key, artifact in outputs.items()}
    )
    [best] = pathlib.Path(outputs["best_hyperparameters"].uri).iterdir()
    trials = pathlib.Path(outputs["tuner_results"].uri, TRIALS_FILE)
    return json.loads(best.read_text()), json.loads(trials.read_text())


def test_tfx_searches_and_the_trainer_takes_what_was_best(fn_args, tmp_path):
    best, trials = _search(fn_args, tmp_path)
    assert len(trials) == 2
    scores = {trial["trial_id"]: trial["score"] for trial in trials}
    assert sorted(scores) == ["0", "1"]
    assert trials[0]["score"] == min(scores.values())
    assert all(0 < score < 20 for score in scores.values())  # None is of the eval split.
    first = next(trial for trial in trials if trial["trial_id"] == "0")
    assert (first["units"], first["learning_rate"]) == (5, 0.02)
    tuned = Task.from_job(
        training_job(SimpleNamespace(**{**vars(fn_args), "hyperparameters": best}))
    ).options
    setting = {key: value for key, value in trials[0].items() if key not in ("trial_id", "score")}
    # What the options leave to the data is decided by then.
    decided = {"batch_size": tuned.batch_size, "patience": tuned.patience}
    assert min(decided.values()) > 0
    assert tuned == dataclasses.replace(OPTIONS, **decided, **setting)


@pytest.mark.full
def test_another_search_finds_the_same(fn_args, tmp_path):
    assert _search(fn_args, tmp_path / "first") == _search(fn_args, tmp_path / "second")
