"""What each strategy of `train.padding` does to a batch; `model.py` has what it does to the model.

crop          batches of similar length; the padding's weight is 0
equal_length  batches of one length each; there is no padding
remask        as crop, and the targets' padding repeats the last valid step
keras         every batch padded to one fixed number of steps, every step weighted alike
"""

import numpy as np
import tensorflow as tf

from components.train import batching
from components.train.batching import Plan
from components.train.input import Batch
from components.train.options import TrainOptions


def plan(options: TrainOptions, lengths: np.ndarray, features: int) -> Plan:
    """Which sequences share a batch in training.

    Args:
      options: strategy and batch size.
      lengths: int64 [N], of the training split.
      features: F.
    """
    if options.padding == "keras":
        return batching.as_they_come(options.batch_size)
    if options.padding == "equal_length":
        return batching.of_equal_length(lengths, options.batch_size, features)
    return batching.of_similar_length(lengths, options.batch_size, features)


def fixed_steps(options: TrainOptions, lengths: np.ndarray) -> int | None:
    """The number of steps that every training batch is padded to; None for its own longest."""
    return int(lengths.max()) if options.padding == "keras" else None


def weight(options: TrainOptions, batch: Batch) -> tf.Tensor:
    """The sample_weight to train with: [B, T], or [B, T, F] where values can be missing."""
    if options.padding == "keras":
        return tf.ones(tf.shape(batch.values)[:2])
    return batch.sample_weight


def targets(options: TrainOptions, batch: Batch) -> tf.Tensor:
    """The targets to train on, float32 [B, T, F]."""
    if options.padding != "remask":
        return batch.values
    steps = tf.range(tf.shape(batch.values, tf.int64)[1])
    last = tf.minimum(steps, batch.length[:, tf.newaxis] - 1)
    return tf.gather(batch.values, last, batch_dims=1)
