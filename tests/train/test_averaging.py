"""The averages of the weights, beside NumPy's in float64."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from train import samples

from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

OPTIONS = TrainOptions(units=4, embedding_size=3, linear_steps=0, epochs=3, learning_rate=0.05)


@pytest.fixture(scope="module")
def batches(tmp_path_factory):
    """Five batches."""
    path = tmp_path_factory.mktemp("records") / "train.gz"
    made = samples.make(0, np.random.default_rng(0).integers(1, 20, 20))
    return samples.read(samples.write(path, list(map(samples.record, made))), batch_size=4)


def _trainer(**options) -> Trainer:
    return Trainer(
        features=samples.F,
        options=dataclasses.replace(OPTIONS, **options),
        strategy=tf.distribute.get_strategy(),
    )


@pytest.mark.parametrize("averaging", [pytest.param(0.0, marks=pytest.mark.full), 0.3, 0.99])
def test_an_average_is_numpys_of_every_update(batches, averaging):
    trainer = _trainer(averaging=averaging)
    expected = [weight.astype(np.float64) for weight in trainer.model.get_weights()]
    trainer.restart_averages()
    for update in range(1, 13):
        trainer.update(batches.skip(update % 5).take(1))
        share = min(averaging, (1 + update) / (10 + update))
        pairs = zip(expected, trainer.model.get_weights(), strict=True)
        expected = [share * average + (1 - share) * weight for average, weight in pairs]
    weights = trainer.model.get_weights()
    with trainer.averaged():
        actual = trainer.model.get_weights()
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)
    for one, other in zip(trainer.model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (
        averaging == 0.0
        or max(np.abs(a - b).max() for a, b in zip(actual, weights, strict=True)) > 1e-3
    )


def test_what_is_kept_is_what_was_evaluated(batches, tmp_path):
    def fit(averaging: float) -> tuple[Trainer, list[fit_loop.Epoch]]:
        trainer = _trainer(averaging=averaging)
        history = fit_loop.fit(
            trainer,
            train_batches=lambda epoch: batches,
            eval_batches=lambda: batches,
            options=OPTIONS,
            checkpoints=Checkpoints(tmp_path / str(averaging), "x"),
            on_epoch=lambda epoch: None,
        )
        return trainer, history

    actual = {averaging: fit(averaging) for averaging in (0.0, 0.99)}
    for trainer, history in actual.values():
        best = fit_loop.best_epoch(history)
        assert best.epoch > 0
        assert mean_of(trainer.evaluate(batches), LOSS) == pytest.approx(best.masked_mse, rel=1e-12)
    # The averages have no part in the updates.
    plain, averaged = ([epoch.loss for epoch in history] for _, history in actual.values())
    assert plain == averaged
    assert actual[0.0][1][-1].masked_mse != pytest.approx(actual[0.99][1][-1].masked_mse, rel=1e-3)
