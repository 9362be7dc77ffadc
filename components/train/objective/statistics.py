"""Describe sequences by statistics of each feature, which an embedding is trained to tell.

mean, deviation, least, most   of the observed values, each [F]; 0 of a feature never observed
log(length)
"""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.sequence_batch import SequenceBatch

_END = tf.float64.max


def size_of(features: int) -> int:
    """Return how many statistics there are of F features."""
    return 4 * features + 1


def describe(batch: SequenceBatch) -> tf.Tensor:
    """Return the statistics of each sequence, float32 [B, 4 F + 1]; padding has no part in them."""
    # Sums are of float64, so that padding moves none by more than a rounding of float32.
    values = tf.cast(batch.valid_values, tf.float64)
    counted = masking.select(batch.valid, masking.counts(batch.sample_weight, values))
    values = masking.select(counted, values)
    number = tf.reduce_sum(tf.cast(counted, tf.float64), axis=1)
    mean = tf.math.divide_no_nan(tf.reduce_sum(values, axis=1), number)
    squares = tf.square(masking.select(counted, values - mean[:, tf.newaxis]))
    variance = tf.math.divide_no_nan(tf.reduce_sum(squares, axis=1), number)
    least = tf.reduce_min(tf.where(counted, values, _END), axis=1)
    most = tf.reduce_max(tf.where(counted, values, -_END), axis=1)
    seen = number > 0.0
    ends = (masking.select(seen, end) for end in (least, most))
    length = tf.math.log(tf.cast(batch.length, tf.float64))[:, tf.newaxis]
    statistics = tf.concat([mean, tf.sqrt(variance), *ends, length], axis=1)
    return tf.cast(statistics, tf.float32)
