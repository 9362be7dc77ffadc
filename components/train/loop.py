"""One training loop, for one device or several.

An update is the gradient of sum / count over the *global* batch: each replica differentiates its own
sum divided by the count of all replicas, and the gradients are summed. A mean a replica, averaged,
would weigh a sequence by how little padding its replica's batch happens to hold (Keras under
MirroredStrategy was off by 48%). What an epoch reports is the ratio of sums over the whole split.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from components.masking import masked_mean, masked_mean_of
from components.train import loss
from components.train.checkpoint import Checkpoint, Checkpoints
from components.train.input import Batch
from components.train.model import MaskedAutoencoder
from components.train.options import TrainOptions

_log = logging.getLogger("ragline.train")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training split gave.

    Attributes:
      epoch: from 1.
      loss: masked mean over the training split, while the weights moved.
      masked_mse: masked mean over the eval split, after the last update.
      seconds: wall time of the updates alone.
      steps: valid steps seen.
      padded_steps: steps computed, padding included.
    """

    epoch: int
    loss: float
    masked_mse: float
    seconds: float
    steps: int
    padded_steps: int


def strategy_of(name: str) -> tf.distribute.Strategy:
    """The `tf.distribute` strategy that an option names: see `TrainOptions.strategy`."""
    several_gpus = len(tf.config.list_logical_devices("GPU")) > 1
    if name == "mirrored" or (name == "auto" and several_gpus):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])
    return tf.distribute.get_strategy()


class Trainer:
    """A model and its optimizer on a strategy: one update at a time, and whole evaluations."""

    def __init__(
        self, *, features: int, options: TrainOptions, strategy: tf.distribute.Strategy
    ) -> None:
        """Creates the variables on the strategy's devices, seeded by the options."""
        self._strategy = strategy
        self._clip_norm = options.clip_norm
        keras.utils.set_random_seed(options.seed)
        with strategy.scope():
            self.model = MaskedAutoencoder(features=features, options=options)
            self.optimizer = keras.optimizers.Adam(options.learning_rate)
            self.optimizer.build(self.model.trainable_variables)
        self._functions: dict[tuple[str, Any], Callable[[Any], tf.Tensor]] = {}

    def update(self, batches: tf.data.Dataset) -> np.ndarray:
        """One update a batch; float64 [sum of errors, count, valid steps, padded steps]."""
        return self._run(self._update_replica, batches)

    def evaluate(self, batches: tf.data.Dataset) -> np.ndarray:
        """The same four sums, with the weights as they are."""
        return self._run(self._evaluate_replica, batches)

    def _run(
        self, replica_step: Callable[[Batch], tf.Tensor], batches: tf.data.Dataset
    ) -> np.ndarray:
        distributed = self._strategy.experimental_distribute_dataset(batches)
        step = self._compiled(replica_step, distributed.element_spec)
        sums = tf.zeros([4], tf.float64)
        for batch in distributed:
            sums += step(batch)
        return sums.numpy()

    def _compiled(
        self, replica_step: Callable[[Batch], tf.Tensor], spec: Any
    ) -> Callable[[Any], tf.Tensor]:
        """One trace for batches of every shape, kept from epoch to epoch."""
        key = (replica_step.__name__, str(spec))
        if key not in self._functions:

            def step(batch: Any) -> tf.Tensor:
                sums = self._strategy.run(replica_step, args=(batch,))
                return self._strategy.reduce(tf.distribute.ReduceOp.SUM, sums, axis=None)

            self._functions[key] = tf.function(step, input_signature=[spec])
        return self._functions[key]

    def _update_replica(self, batch: Batch) -> tf.Tensor:
        replicas = tf.distribute.get_replica_context()
        variables = [variable.value for variable in self.model.trainable_variables]
        with tf.GradientTape() as tape:
            total, count = self._error(batch)
            objective = masked_mean(total, replicas.all_reduce(tf.distribute.ReduceOp.SUM, count))
        gradients = tape.gradient(objective, variables)
        gradients = replicas.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        gradients, _ = tf.clip_by_global_norm(gradients, self._clip_norm)
        # The optimizer sums over replicas once more, after a clip by the global norm would have
        # needed it; an equal share from each replica leaves the sum what it is.
        share = 1.0 / replicas.num_replicas_in_sync
        self.optimizer.apply([g * share for g in gradients], self.model.trainable_variables)
        return _sums(total, count, batch)

    def _evaluate_replica(self, batch: Batch) -> tf.Tensor:
        total, count = self._error(batch)
        return _sums(total, count, batch)

    def _error(self, batch: Batch) -> tuple[tf.Tensor, tf.Tensor]:
        outputs = self.model(batch.values, batch.length)
        return loss.squared_error_sums(batch.values, outputs, batch.sample_weight)


def _sums(total: tf.Tensor, count: tf.Tensor, batch: Batch) -> tf.Tensor:
    steps = tf.reduce_sum(batch.length)
    padded = tf.size(batch.values) // batch.values.shape[2]
    return tf.stack([tf.cast(value, tf.float64) for value in (total, count, steps, padded)])


def fit(
    trainer: Trainer,
    *,
    train_batches: Callable[[int], tf.data.Dataset],
    eval_batches: Callable[[], tf.data.Dataset],
    options: TrainOptions,
    checkpoints: Checkpoints,
    on_epoch: Callable[[Epoch], None],
) -> list[Epoch]:
    """Trains until the eval split's masked MSE stops falling; leaves the best epoch's weights.

    Args:
      trainer: holds the model; resumed from the newest checkpoint, if there is one.
      train_batches: epoch (from 1) -> its batches.
      eval_batches: the eval split's batches.
      options: epochs and patience.
      checkpoints: where each epoch is kept.
      on_epoch: told of each epoch that ran here.

    Returns:
      Every epoch, those of an interrupted run included.
    """
    history, best = _resume(trainer, checkpoints)
    while len(history) < options.epochs and not _is_over(history, options.patience):
        epoch = _one_epoch(trainer, len(history) + 1, train_batches, eval_batches)
        history.append(epoch)
        if _best(history) is epoch:
            best = trainer.model.get_weights()
        checkpoints.save(epoch.epoch, _snapshot(trainer, best, history))
        on_epoch(epoch)
    trainer.model.set_weights(best)
    return history


def best_epoch(history: Iterable[Epoch]) -> Epoch:
    """The epoch whose weights are kept: the lowest masked MSE on eval, the first of equals."""
    return _best(list(history))


def _best(history: list[Epoch]) -> Epoch:
    def order(epoch: Epoch) -> float:
        return epoch.masked_mse if math.isfinite(epoch.masked_mse) else math.inf

    return min(history, key=order)


def _is_over(history: list[Epoch], patience: int) -> bool:
    if not history:
        return False
    diverged = not math.isfinite(history[-1].loss)
    return diverged or len(history) - _best(history).epoch >= patience


def _one_epoch(
    trainer: Trainer,
    number: int,
    train_batches: Callable[[int], tf.data.Dataset],
    eval_batches: Callable[[], tf.data.Dataset],
) -> Epoch:
    started = time.perf_counter()
    total, count, steps, padded = trainer.update(train_batches(number))
    seconds = time.perf_counter() - started
    eval_total, eval_count, *_ = trainer.evaluate(eval_batches())
    return Epoch(
        epoch=number,
        loss=masked_mean_of(total, count),
        masked_mse=masked_mean_of(eval_total, eval_count),
        seconds=seconds,
        steps=int(steps),
        padded_steps=int(padded),
    )


def _snapshot(trainer: Trainer, best: list[np.ndarray], history: list[Epoch]) -> Checkpoint:
    return Checkpoint(
        weights=trainer.model.get_weights(),
        best=best,
        optimizer=[np.asarray(variable.value) for variable in trainer.optimizer.variables],
        state={"history": [dataclasses.asdict(epoch) for epoch in history]},
    )


def _resume(trainer: Trainer, checkpoints: Checkpoints) -> tuple[list[Epoch], list[np.ndarray]]:
    fresh = _snapshot(trainer, trainer.model.get_weights(), [])
    found = checkpoints.load(like=fresh)
    if found is None:
        return [], fresh.best
    trainer.model.set_weights(found.weights)
    for variable, value in zip(trainer.optimizer.variables, found.optimizer, strict=True):
        variable.assign(value)
    history = [Epoch(**epoch) for epoch in found.state["history"]]
    _log.info("resumed after epoch %d", len(history))
    return history, found.best
