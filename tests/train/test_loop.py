import dataclasses
import functools
import gc
import threading

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf

from ragline.components.runtime import cores
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import STEPS, Trainer
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

F = 2
OPTIONS = TrainOptions(units=6, embedding_size=4, batch_size=8, epochs=4, patience=4)
_STEP = 2.0**10


@pytest.fixture(scope="module")
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(length, F)).astype(np.float32) for length in (9, 1, 4, 7, 2, 12, 3, 5)]


def _dataset(sequences, batch_size: int, extra: int = 0, fill: float = 0.0) -> tf.data.Dataset:
    def batches():
        for start in range(0, len(sequences), batch_size):
            part = sequences[start : start + batch_size]
            steps = max(map(len, part)) + extra
            values = np.full((len(part), steps, F), fill, np.float32)
            weight = np.zeros((len(part), steps), np.float32)
            for row, sequence in enumerate(part):
                values[row, : len(sequence)], weight[row, : len(sequence)] = sequence, 1.0
            length = np.array([len(s) for s in part], np.int64)
            yield SequenceBatch(values, length, weight)

    spec = SequenceBatch(
        tf.TensorSpec([None, None, F], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None, None], tf.float32),
    )
    return tf.data.Dataset.from_generator(batches, output_signature=spec)


def _trainer(options: TrainOptions = OPTIONS) -> Trainer:
    strategy = tf.distribute.get_strategy()
    return Trainer(features=F, options=options, strategy=strategy)


@pytest.fixture
def one_at_a_time(monkeypatch) -> None:
    """Batches of one shard, as in conftest.py."""
    monkeypatch.setattr(cores, "batch_shards", lambda device: 1)


@pytest.fixture(scope="module")
def untrained() -> Trainer:
    return _trainer()


@functools.cache
def _plain(shards: int, **options) -> tuple[Trainer, list[np.ndarray]]:
    """A trainer of plain gradient steps, and what its variables are at first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "batch_shards", lambda device: shards)
        trainer = _trainer(dataclasses.replace(OPTIONS, clip_norm=1e9, **options))
    trainer.optimizer = keras.optimizers.SGD(_STEP)
    return trainer, [variable.numpy() for variable in trainer.variables]


def _one_update(dataset: tf.data.Dataset, shards: int = 2, **options) -> list[np.ndarray]:
    """The change of trained weights by a plain gradient step, which hides nothing of the gradient.

    A step as long as this, so that rounding of the weights hides nothing either.
    """
    trainer, start = _plain(shards, **options)
    for variable, value in zip(trainer.variables, start, strict=True):
        variable.assign(value)
    before = trainer.model.get_weights()
    trainer.update(dataset)
    pairs = zip(trainer.model.weights, before, strict=True)
    return [(weight.numpy() - value) / _STEP for weight, value in pairs if weight.trainable]


@pytest.mark.parametrize("change", ["more padding", "NaN in the padding", "another order"])
def test_an_update_depends_only_on_the_sequences(sequences, change):
    expected = _one_update(_dataset(sequences, 8))
    changed = {
        "more padding": lambda: _dataset(sequences, 8, extra=11),
        "NaN in the padding": lambda: _dataset(sequences, 8, extra=1, fill=float("nan")),
        "another order": lambda: _dataset(sequences[::-1], 8),
    }[change]()
    for one, other in zip(expected, _one_update(changed), strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())


@pytest.mark.parametrize("number", [8, 5, 1])
def test_two_shards_of_a_batch_make_the_update_of_one(sequences, number):
    """Of a batch of one row, the first shard is empty."""
    first, second = (_one_update(_dataset(sequences[:number], number), n) for n in (1, 2))
    for one, two in zip(first, second, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_allclose(two, one, rtol=0, atol=1e-6 * np.abs(one).max())


def test_the_gradient_is_that_of_the_mean_over_all_values(untrained, sequences):
    """Finite differences of the float64 oracle, on a few weights of every layer."""
    weights = [weight.astype(np.float64) for weight in untrained.model.get_weights()]

    def error() -> float:
        return oracle.mean_squared_error(
            sequences, [oracle.reconstruct(values, weights) for values in sequences]
        )

    update = _one_update(_dataset(sequences, 8), statistics=0.0)
    variables = zip(weights, untrained.model.weights, strict=True)
    trained = [weight for weight, variable in variables if variable.trainable]
    for weight, change in zip(trained, update, strict=True):
        place = tuple(np.unravel_index(np.abs(change).argmax(), change.shape))
        kept, step = weight[place], 1e-5
        weight[place] = kept + step
        above = error()
        weight[place] = kept - step
        slope = (above - error()) / (2 * step)
        weight[place] = kept
        assert change[place] == pytest.approx(-slope, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("batch_size", [1, 3, 7, 256])
def test_evaluation_does_not_depend_on_the_batch_size(untrained, sequences, batch_size):
    sums = untrained.evaluate(_dataset(sequences, batch_size))
    weights = untrained.model.get_weights()
    outputs = [oracle.reconstruct(values, weights) for values in sequences]
    expected = oracle.mean_squared_error(sequences, outputs)
    assert mean_of(sums, LOSS) == pytest.approx(expected, rel=1e-6)
    assert sums[STEPS] == sum(map(len, sequences))


def _fit(sequences, checkpoints, options=OPTIONS, on_epoch=lambda epoch: None):
    trainer = _trainer(options)
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: _dataset(sequences[epoch % 3 :] + sequences[: epoch % 3], 3),
        eval_batches=lambda: _dataset(sequences, 8),
        options=options,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
    )
    return trainer, history


def _without_time(history: list[fit_loop.Epoch]) -> list[tuple]:
    return [(e.epoch, e.loss, e.masked_mse, e.steps, e.padded_steps) for e in history]


class _KilledError(Exception):
    pass


def test_an_interrupted_training_ends_as_an_undisturbed_one(sequences, tmp_path, one_at_a_time):
    undisturbed, expected = _fit(sequences, Checkpoints(tmp_path / "a", "x"))

    def kill(epoch: fit_loop.Epoch) -> None:
        if epoch.epoch == 2:
            raise _KilledError

    with pytest.raises(_KilledError):
        _fit(sequences, Checkpoints(tmp_path / "b", "x"), on_epoch=kill)
    ran = []
    resumed, history = _fit(sequences, Checkpoints(tmp_path / "b", "x"), on_epoch=ran.append)
    assert [epoch.epoch for epoch in ran] == [3, 4]
    assert _without_time(history) == _without_time(expected)
    pairs = zip(undisturbed.model.get_weights(), resumed.model.get_weights(), strict=True)
    assert all((one == other).all() for one, other in pairs)


def test_training_keeps_the_best_epoch_and_stops_when_patience_ends(
    sequences, tmp_path, one_at_a_time
):
    options = TrainOptions(
        units=6, embedding_size=4, epochs=50, patience=2, learning_rate=0.3, clip_norm=100.0
    )
    trainer, history = _fit(sequences, Checkpoints(tmp_path, "x"), options)
    best = fit_loop.best_epoch(history)
    assert history[-1].epoch == fit_loop.best_epoch(history[1:]).epoch + 2 < 50
    assert best.objective == min(epoch.objective for epoch in history)
    sums = trainer.evaluate(_dataset(sequences, 8))
    assert mean_of(sums, LOSS) == pytest.approx(best.masked_mse, rel=1e-12)


def test_garbage_is_collected_in_no_thread_of_tensorflow(sequences, tmp_path):
    threads = set()

    def note(phase: str, info: dict[str, int]) -> None:
        threads.add(threading.current_thread().name)

    usual = gc.get_threshold()
    gc.callbacks.append(note)
    gc.set_threshold(10)
    try:
        _fit(sequences, Checkpoints(tmp_path, "x"), dataclasses.replace(OPTIONS, epochs=1))
    finally:
        gc.set_threshold(*usual)
        gc.callbacks.remove(note)
    assert "MainThread" in threads
    # As Python calls a thread that it did not start.
    assert not any(name.startswith("Dummy") for name in threads)


def test_clipping_bounds_the_global_norm(sequences):
    options = TrainOptions(units=6, embedding_size=4, clip_norm=1e-3)
    trainer = _trainer(options)
    trainer.optimizer = keras.optimizers.SGD(1.0)
    before = [variable.numpy() for variable in trainer.variables]
    trainer.update(_dataset(sequences, 8))
    changes = [v.numpy() - b for v, b in zip(trainer.variables, before, strict=True)]
    norm = np.sqrt(sum(np.square(change).sum() for change in changes))
    assert norm == pytest.approx(1e-3, rel=1e-3)
