"""Describe sequences by statistics of each feature and of how it moves.

mean, deviation, least, most     of the values, each [F]
movement, for each lag d         mean of |x[t + d] - x[t]|, [F]; 0 of a sequence of d steps or fewer
log(length)

Missing values are interpolated first. The linear path reads the statistics beside its grid, since
the label of a sequence is often in how it moves and seldom in its course; training also predicts
them from the embedding (`statistics_head.py`). Both take them standardised by the training split:

    z = (statistic - mean) / scale, at most FARTHEST from 0, so that no outlier decides anything
"""

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import grid_resample

LAGS = (1, 2, 4, 8, 16, 32)  # In steps.
FARTHEST = 5.0
# A statistic that varies less, of values that vary by 1, may vary by rounding alone.
_LEAST_SCALE = 1e-3
_END = tf.float64.max


def size_of(features: int) -> int:
    """Return P, how many statistics there are of F features."""
    return (4 + len(LAGS)) * features + 1


def describe(batch: SequenceBatch) -> tf.Tensor:
    """Return the statistics of each sequence, float32 [B, P]; padding has no part in them."""
    # Sums are of float64, so that padding moves none by more than a rounding of float32.
    values = tf.cast(grid_resample.filled(batch), tf.float64)
    valid = batch.valid[..., tf.newaxis]
    length = tf.cast(batch.length, tf.float64)[:, tf.newaxis]
    mean = _mean(values, valid, length)
    variance = _mean(tf.square(values - mean[:, tf.newaxis]), valid, length)
    least = tf.reduce_min(tf.where(valid, values, _END), axis=1)
    most = tf.reduce_max(tf.where(valid, values, -_END), axis=1)
    moves = [
        _mean(tf.abs(values[:, lag:] - values[:, :-lag]), valid[:, lag:], length - lag)
        for lag in LAGS
    ]
    ends = [least, most, *moves, tf.math.log(length)]
    return tf.cast(tf.concat([mean, tf.sqrt(variance), *ends], axis=1), tf.float32)


class SequenceStatistics(keras.Layer):
    """Standardises the statistics of sequences; holds their mean and scale."""

    def __init__(self, features: int) -> None:
        """Build the weights, of F features: mean 0 and scale 1."""
        super().__init__(dtype="float32", name="sequence_statistics")
        self.size = size_of(features)
        self.mean, self.scale = (
            self.add_weight(shape=(self.size,), initializer=start, trainable=False, name=name)
            for name, start in (("mean", "zeros"), ("scale", "ones"))
        )
        self.built = True

    def call(self, batch: SequenceBatch) -> tf.Tensor:
        """Return z, float32 [B, P]; 0 of a statistic that never varied."""
        z = tf.math.divide_no_nan(describe(batch) - self.mean, self.scale)
        return tf.stop_gradient(tf.clip_by_value(z, -FARTHEST, FARTHEST))

    def start_at(self, batches: tf.data.Dataset) -> None:
        """Set mean and scale to those of sequences, in one pass over a dataset of batches."""
        compiled = tf.function(describe, input_signature=[batches.element_spec], autograph=False)
        number, mean, squares = 0, np.zeros(self.size), np.zeros(self.size)
        for batch in one_pass(batches):
            part = compiled(batch).numpy().astype(np.float64)
            # Chan, Golub and LeVeque 1979: no difference of large sums.
            of_part = part.mean(axis=0)
            share = len(part) / (number + len(part))
            squares += np.square(part - of_part).sum(axis=0)
            squares += np.square(of_part - mean) * number * share
            mean += (of_part - mean) * share
            number += len(part)
        scale = np.sqrt(squares / number)
        self.mean.assign(mean)
        self.scale.assign(np.where(scale > _LEAST_SCALE, scale, 0.0))


def _mean(values: tf.Tensor, mask: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Return the mean over the steps of the mask [B, T, 1], of which there are a number [B, 1]."""
    return tf.reduce_sum(masking.select(mask, values), axis=1) / tf.maximum(number, 1.0)
