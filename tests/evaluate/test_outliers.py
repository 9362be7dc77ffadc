"""Standardised units move with the training data; a verdict that compares models must not.

A wider scaler makes every error smaller: a candidate trained on outliers looks better by its masked
MSE, and reconstructs worse. Trained, scored and judged here by the parts that a run uses;
test_verdict.py has the rule.
"""

import numpy as np
import oracle
import pytest
import tensorflow as tf
from train import samples

from ragline.components.contract.signatures import BASELINES
from ragline.components.evaluate.metrics import formulas, totals
from ragline.components.evaluate.verdict import judgement
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.objective import loss
from ragline.components.train.options import TrainOptions

pytestmark = pytest.mark.full
FEATURES = ("a", "b")
OPTIONS = TrainOptions(
    units=16, embedding_size=8, batch_size=16, epochs=12, patience=12, learning_rate=1e-2
)


def _waves(seed: int, number: int) -> list[np.ndarray]:
    """Two sines [T, 2] of 8 to 24 steps, each with a frequency and a phase of its own."""
    rng = np.random.default_rng(seed)
    made = []
    for length in rng.integers(8, 25, number):
        angle = rng.uniform(0, 2 * np.pi, 2) + np.arange(length)[:, None] * rng.uniform(0.1, 0.6, 2)
        made.append((np.sin(angle) + 0.05 * rng.normal(size=angle.shape)).astype(np.float32))
    return made


def _with_outliers(sequences: list[np.ndarray], share: float) -> list[np.ndarray]:
    """The same with so many of their values 10 times as far out."""
    rng = np.random.default_rng(9)
    return [
        np.where(rng.random(values.shape) < share, 10 * values, values).astype(np.float32)
        for values in sequences
    ]


def _totals(train: list[np.ndarray], evaluation: list[np.ndarray], folder) -> totals.Totals:
    """A model trained on one split, scored on the other, in the units of the first."""
    paths = {
        name: samples.write(
            folder / name,
            [
                samples.record(samples.Sample(values=values.astype(np.float32)))
                for values in oracle.standardise(train, split)
            ],
        )
        for name, split in (("train", train), ("eval", evaluation))
    }
    strategy = tf.distribute.get_strategy()
    trainer = Trainer(features=len(FEATURES), options=OPTIONS, strategy=strategy)
    fit_loop.fit(
        trainer,
        train_batches=lambda epoch: samples.read(
            paths["train"], batch_size=OPTIONS.batch_size, shuffle_seed=epoch
        ),
        eval_batches=lambda: samples.read(paths["eval"]),
        options=OPTIONS,
        checkpoints=Checkpoints(folder / "checkpoints", "x"),
        on_epoch=lambda epoch: None,
    )
    [batch] = samples.read(paths["eval"])
    embedding = trainer.model.encode(batch)
    outputs = trainer.model.decode(embedding, batch)
    sums = loss.sums_by_sequence(batch, outputs.values, embedding)
    ids = [str(row).encode() for row in range(len(evaluation))]
    return totals.sum_by_group(
        {name: value.numpy() for name, value in sums.items()}, ids, range(len(ids))
    )


@pytest.fixture(scope="module")
def scored(one_shard, tmp_path_factory):
    """The good model's totals and the candidate's, on the same sequences."""
    train, evaluation = _waves(0, 240), _waves(1, 120)
    return [
        _totals(split, evaluation, tmp_path_factory.mktemp("model"))
        for split in (train, _with_outliers(train, 0.03))
    ]


def _table(group_totals: totals.Totals, other: totals.Totals | None = None):
    table = {"model": {"overall": _plain(formulas.model_estimates(group_totals, FEATURES, (), ()))}}
    for name in BASELINES:
        table[name] = {"overall": _plain(formulas.baseline_estimates(group_totals, name))}
    if other is not None:
        table["newest"] = {"overall": _plain(formulas.comparable_estimates(other, FEATURES))}
    return table


def _plain(estimates):
    return {name: {"value": estimate.value} for name, estimate in estimates.items()}


def test_a_candidate_trained_with_outliers_is_refused_though_its_error_is_lower(scored):
    good, candidate = scored
    by_error, by_share = (
        [_table(group_totals)["model"]["overall"][metric]["value"] for group_totals in scored]
        for metric in ("masked_mse", "normalised_mse")
    )
    assert by_error[1] < by_error[0], "in standardised units the candidate looks better"
    assert by_share[1] > 1.05 * by_share[0], "and is worse"
    newest = {"state": "compared", "version": 1, "why": None}
    judged = judgement.judge(_table(candidate, good), newest, Rules())
    assert not judged.blessed
    [reason] = judged.reasons
    assert reason.startswith(f"normalised_mse {by_share[1]:.4g} is above the newest blessed")


def test_the_good_model_is_blessed_over_the_candidate(scored):
    good, candidate = scored
    newest = {"state": "compared", "version": 1, "why": None}
    assert judgement.judge(_table(good, candidate), newest, Rules()).blessed
