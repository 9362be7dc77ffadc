"""A search by the command, and that an equal run searches nothing."""

import pathlib

import pytest
import tensorflow as tf
from commands import run_pipeline
from conftest import write_jsonl


@pytest.mark.full
def test_a_run_searches_once_and_trains_with_what_was_best(gestures, tmp_path):
    """The configured step size is one that no training survives."""
    write_jsonl(tmp_path / "data" / "a.jsonl", gestures)
    arguments = (
        "examples/gestures.toml",
        *("--set", f"input.train={tmp_path}/data/*.jsonl"),
        *("--set", "train.epochs=2"),
        *("--set", "train.linear_steps=0"),
        *("--set", "train.units=24"),
        *("--set", "train.learning_rate=50.0"),
        *("--set", "tune.trials=2"),
    )
    run = run_pipeline(tmp_path / "work", *arguments)
    assert run.exit_code == 0, run.stderr
    assert [*run.summary["stages"]][5:8] == ["transform", "tune", "train"]
    search = run.summary["tune"]
    assert [tried["trial"] for tried in search["tried"]] == [2, 1]
    configured = {"learning_rate": 50.0, "units": 24, "layers": 1, "dropout": 0.0}
    assert search["tried"][1]["setting"] == configured
    assert search["best"] == search["tried"][0]["setting"] != configured
    assert search["tried"][0]["error"] < search["tried"][1]["error"]
    assert "trial 2/2  error " in run.stderr
    assert _units(run.serving[0]) == search["best"]["units"]
    again = run_pipeline(tmp_path / "work", *arguments)
    assert again.exit_code == 0, again.stderr
    assert {again.summary["stages"][name]["state"] for name in ("tune", "train")} == {"cached"}
    assert again.summary["tune"] == search
    assert "trial 2/2" not in again.stderr


def _units(encoder: pathlib.Path) -> int:
    """Of the pushed model: its first LSTM's recurrent kernel is [units, 4 units]."""
    reader = tf.train.load_checkpoint(str(encoder / "variables" / "variables"))
    shapes = reader.get_variable_to_shape_map().values()
    [units] = {shape[0] for shape in shapes if len(shape) == 2 and shape[1] == 4 * shape[0]}
    return units
