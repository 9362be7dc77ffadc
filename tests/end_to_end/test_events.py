"""A table of events, a row a step, through the whole pipeline to a served encoder, by the command.

Words, codes, times and missing values take the road that the gestures take in test_finished_run.py.
In `make test`, a word takes it in test_newcomer.py, and words are learnt in test_categories.py.
"""

import csv
import datetime
import json
import pathlib

import events
import numpy as np
import pytest
import tensorflow as tf
from commands import Run, run_pipeline
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

pytestmark = pytest.mark.full
LENGTHS = np.random.default_rng(5).integers(1, 15, 400)
MADE = {f"case-{number}": one for number, one in enumerate(events.make(7, LENGTHS))}
CONFIG = """
name = "events"
schema = "events.pbtxt"
workdir = "work"

[input]
train = "log.csv"
group_by = ["case"]
order_by = "when"
missing_text = [""]
steps = { time_delta = true }

[train]
epochs = 6
learning_rate = 0.01
"""


def _schema() -> schema_pb2.Schema:
    """That of the events, with times and what ingest makes of them."""
    schema = events.schema()
    shown = schema.tensor_representation_group[""].tensor_representation
    schema.feature.add(name="time_delta", type=schema_pb2.FLOAT)
    shown["time_delta"].CopyFrom(shown["amount"])
    shown["time_delta"].ragged_tensor.feature_path.step[:] = ["time_delta"]
    schema.feature.add(name="time", type=schema_pb2.INT)
    shown["time"].CopyFrom(shown["code"])
    shown["time"].ragged_tensor.feature_path.step[:] = ["time"]
    schema.feature.add(name="missing_bucket", type=schema_pb2.BYTES)
    shown["missing_bucket"].CopyFrom(shown["length_bucket"])
    shown["missing_bucket"].dense_tensor.column_name = "missing_bucket"
    return schema


def _write_log(path: pathlib.Path) -> None:
    """All steps in the order of their times, so that the cases are interleaved."""
    rng = np.random.default_rng(6)
    start = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
    rows = []
    for name, one in MADE.items():
        when = start + datetime.timedelta(seconds=float(rng.uniform(0, 1e5)))
        for word, code, amount in zip(one.activity, one.code, one.amount, strict=True):
            cell = "" if np.isnan(amount) else repr(float(amount))
            rows.append((when.isoformat(), name, word, int(code), cell))
            when += datetime.timedelta(seconds=float(rng.exponential(3600)) + 1e-3)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("when", "case", "activity", "code", "amount"))
        writer.writerows(sorted(rows))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("events")
    _write_log(folder / "log.csv")
    (folder / "events.pbtxt").write_text(text_format.MessageToString(_schema()))
    (folder / "events.toml").write_text(CONFIG)
    return run_pipeline(folder / "work", str(folder / "events.toml"))


def test_the_events_become_a_blessed_encoder(run):
    assert run.exit_code == 0, run.stderr
    assert run.summary["input"]["sequences"] == run.summary["input"]["accepted"] == len(MADE)
    assert run.summary["input"]["steps"] == LENGTHS.sum()
    assert [path.name for path in run.serving] == ["1"]


def test_words_are_scored_beside_the_numbers_and_better_than_by_their_shares(run):
    overall = run.summary["metrics"]["overall"]
    evaluated = run.summary["splits"]["eval"]
    assert overall["sequences"]["value"] == evaluated
    for name in events.WORDS:
        accuracy = overall[f"category/{name}/accuracy"]
        words = np.concatenate([getattr(one, name) for one in MADE.values()])
        words = words[words != ""] if name == "activity" else words
        _, counts = np.unique(words, return_counts=True)
        shares = counts / counts.sum()
        assert accuracy["lower"] < accuracy["value"] < accuracy["upper"]
        assert accuracy["value"] > shares.max()
        assert overall[f"category/{name}/cross_entropy"]["value"] < -(shares @ np.log(shares))
    assert {name for name in run.summary["metrics"] if name.startswith("missing_bucket=")} >= {
        "missing_bucket=0",
        "missing_bucket=10-50%",
    }


def test_the_served_encoder_takes_words_and_states_them(run):
    facts = json.loads((run.serving[0] / "assets.extra" / "encoder.json").read_text())
    assert [category["name"] for category in facts["categories"]] == list(events.WORDS)
    assert [feature["name"] for feature in facts["features"]] == ["amount", "time_delta"]
    encode = tf.saved_model.load(str(run.serving[0])).signatures["encode"]
    values = tf.constant([[[1.0, 0.0], [2.0, 60.0]]])
    told = {"values": values, "length": tf.constant([2], tf.int64)}
    code = tf.constant([[0, 40]], tf.int64)
    one, other = (
        encode(**told, code=code, activity=tf.constant([["register", word]]))["embedding"].numpy()
        for word in ("check", "pay")
    )
    assert one.shape == (1, facts["embedding_size"])
    assert np.abs(one - other).max() > 1e-3
