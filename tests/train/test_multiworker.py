"""One loop for every strategy: one device, two of one process, two processes on loopback.

Each is a whole training by Adam, clipped by the global norm, with an uneven last batch, which stops
early. What is compared is the last checkpoint: weights, averages, best weights and optimizer.
test_replicas.py has one update of each.
"""

import json
import pathlib
import re
import signal
from dataclasses import dataclass

import numpy as np
import pytest
from commands import python

from ragline.components.contract import relative
from ragline.components.contract.relative import MeasuredTerm

pytestmark = pytest.mark.full
SCRIPT = pathlib.Path(__file__).with_name("train_multiworker.py")
EPOCHS, PATIENCE, CLIP_NORM = 20, 1, 0.1  # Of its options.


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Holds what `train_multiworker.py` left: exit codes by name, and a folder of logs."""

    exit_codes: dict[str, list[int]]
    folder: pathlib.Path

    def last(self, name: str) -> tuple[list[dict], dict[str, np.ndarray]]:
        """The history and the arrays of a training's last checkpoint."""
        with np.load(max((self.folder / name / "x").glob("epoch-*.npz"))) as file:
            arrays = {key: file[key].astype(np.float64) for key in sorted(file) if "/" in key}
            return json.loads(str(file["state"]))["history"], arrays

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text()

    def epochs(self, name: str) -> list[int]:
        return [int(number) for number in re.findall(r"^epoch (\d+)$", self.log(name), re.M)]

    def is_as_one(self, name: str) -> bool:
        """To 1e-6, in every number that decides what comes next."""
        (expected, those), (history, these) = self.last("one"), self.last(name)
        here, there = (
            [[epoch[key] for key in ("steps", "loss", "masked_mse")] for epoch in epochs]
            for epochs in (history, expected)
        )
        return (
            len(here) == len(there)
            and np.allclose(here, there, rtol=0, atol=1e-6)
            and all(np.allclose(these[key], those[key], rtol=0, atol=1e-6) for key in those)
        )


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> Result:
    folder = tmp_path_factory.mktemp("multiworker")
    done = python(SCRIPT, folder, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return Result(exit_codes=json.loads(done.stdout.splitlines()[-1]), folder=folder)


def test_the_training_stops_early_and_every_gradient_is_clipped(result):
    assert result.exit_codes["alone"] == [0], result.log("alone")[-2000:]
    history, arrays = result.last("one")
    best = min(
        history, key=lambda epoch: relative.objective([MeasuredTerm(**t) for t in epoch["terms"]])
    )
    assert 0 < best["epoch"] == history[-1]["epoch"] - PATIENCE
    assert history[-1]["epoch"] < EPOCHS
    # Adam's second moments, of every second variable: together they are the mean of squared norms.
    updates, *moments = (array for key, array in arrays.items() if key.startswith("optimizer"))
    norm = np.sqrt(sum(array.sum() for array in moments[1::2]) / (1 - 0.999**updates))
    assert norm == pytest.approx(CLIP_NORM, rel=1e-4)


def test_two_devices_train_as_one(result):
    assert result.is_as_one("mirrored")


def test_a_mean_of_two_means_does_not(result):
    assert not result.is_as_one("means")


def test_two_workers_train_as_one_device_though_one_is_killed(result):
    """kill -9 in the midst of an epoch: the other ends, and two that are started then go on."""
    assert result.exit_codes["killed"] == [1, -signal.SIGKILL], result.log("killed-0")[-2000:]
    assert result.exit_codes["again"] == [0, 0], result.log("again-0")[-2000:]
    before, after = result.epochs("killed-0"), result.epochs("again-0")
    assert before[:2] == [0, 1]
    assert before + after == [epoch["epoch"] for epoch in result.last("one")[0]]
    assert result.is_as_one("workers")
