"""Apply a strategy of `train.padding` to a batch; architecture.py applies it to the model.

crop          batches of similar length; the padding's weight is 0
equal_length  batches of one length each; there is no padding
remask        like crop, but the targets' padding repeats the last valid step
keras         every batch padded to one fixed number of steps, every step weighted alike
"""

import tensorflow as tf

from ragline.components.train.data.input_pipeline import Batch
from ragline.components.train.options import TrainOptions


def weight(options: TrainOptions, batch: Batch) -> tf.Tensor:
    """Return the sample_weight to train with: [B, T], or [B, T, F] where values can be missing."""
    if options.padding == "keras":
        return tf.ones(tf.shape(batch.values)[:2])
    return batch.sample_weight


def targets(options: TrainOptions, batch: Batch) -> tf.Tensor:
    """Return the targets to train on, float32 [B, T, F]."""
    if options.padding != "remask":
        return batch.values
    steps = tf.range(tf.shape(batch.values, tf.int64)[1])
    last = tf.minimum(steps, batch.length[:, tf.newaxis] - 1)
    return tf.gather(batch.values, last, batch_dims=1)
