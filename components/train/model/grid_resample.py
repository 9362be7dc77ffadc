"""Resample sequences of any length to a grid of K steps and back, by linear interpolation.

Grid step k stands at k (L - 1) / (K - 1) steps of a sequence of length L: the first at its first
step, the last at its last. The weights of both ways are decided by the lengths alone, from one
table of integers, so that they are exact to a rounding at any length:

    d[k, t] = |k (L - 1) - t (K - 1)|
    to the grid     max(0, K - 1 - d[k, t]) / (K - 1)   [K, T]
    from the grid   max(0, L - 1 - d[k, t]) / (L - 1)   [T, K]

To the grid, at most two of a row are above 0, and their steps are gathered: a product with all T
would be summed in an order, and take a memory, that the padding decides.

A single step (L = 1) fills the whole grid, and is read from the grid's middle.
"""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.sequence_batch import SequenceBatch


def to_grid(values: tf.Tensor, length: tf.Tensor, steps: int) -> tf.Tensor:
    """Resample each sequence to the grid.

    Args:
      values: float32 [B, T, F], finite in the padding, which has no part in the result.
      length: int [B], 1 <= length <= T.
      steps: K, at least 2.

    Returns:
      float32 [B, K, F].
    """
    last = tf.cast(length, tf.int64)[:, tf.newaxis] - 1
    place = tf.range(steps, dtype=tf.int64) * last  # In (K - 1)ths of a step.
    before = place // (steps - 1)
    way = (place - before * (steps - 1))[..., tf.newaxis]
    # Of all steps one after another: OpenVINO cannot gather within each row of a transpose.
    steps_in_all = tf.reshape(values, [-1, values.shape[2]])
    first = tf.range(tf.size(length, tf.int64))[:, tf.newaxis] * tf.shape(values, tf.int64)[1]
    low, high = (
        tf.gather(steps_in_all, first + step) for step in (before, tf.minimum(before + 1, last))
    )
    of_low, of_high = (tf.cast(part / (steps - 1), values.dtype) for part in (steps - 1 - way, way))
    return of_low * low + of_high * high


def from_grid(grid: tf.Tensor, length: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Read each sequence from the grid; the padding repeats its last step.

    Args:
      grid: float32 [B, K, F].
      length: int [B].
      steps: T.

    Returns:
      float32 [B, T, F].
    """
    last = tf.cast(length, tf.int32)[:, tf.newaxis] - 1
    points = grid.shape[1]
    distance = _distance(tf.minimum(tf.range(steps)[tf.newaxis], last), length, points)
    last = last[..., tf.newaxis]
    weight = tf.maximum(last - distance, 0) / tf.maximum(last, 1)
    # A single step is the mean of the one or two grid steps in the middle.
    middle = [float(2 * k in (points - 2, points - 1, points)) for k in range(points)]
    alone = tf.constant(middle, weight.dtype)[:, tf.newaxis] / sum(middle)
    weight = tf.where(last == 0, alone, weight)
    return tf.matmul(tf.cast(weight, grid.dtype), grid, transpose_a=True)


def filled(batch: SequenceBatch) -> tf.Tensor:
    """Return the values, float32 [B, T, F], with what is missing filled in; see `fill`."""
    values = batch.valid_values
    if batch.sample_weight.shape.rank != 3:
        return values
    return fill(values, (batch.sample_weight > 0) & batch.valid[..., tf.newaxis])


def fill(values: tf.Tensor, observed: tf.Tensor) -> tf.Tensor:
    """Fill missing values of padded sequences on the line between observed ones, by feature.

    Before the first observed value stands that value, after the last one the last; a feature that
    was never observed is 0. Resampled to a grid, that is interpolation over the observed values
    alone: the line's corners are whole steps.

    Args:
      values: [B, T, F]; anything may stand where not observed.
      observed: bool [B, T, F]; False in the padding.

    Returns:
      [B, T, F], in the padding the last observed value of the feature.
    """
    there = tf.transpose(observed, [0, 2, 1])
    by_feature = masking.select(there, tf.transpose(values, [0, 2, 1]))
    # The places of the observed values first, in their order: the n-th of them is at [..., n].
    order = tf.argsort(tf.where(there, 0, 1), axis=2, stable=True)
    seen = tf.cast(there, tf.int32)
    number = tf.cumsum(seen, axis=2)
    most = tf.maximum(number[..., -1:] - 1, 0)
    before, after = (
        tf.gather(order, tf.clip_by_value(nth, 0, most), batch_dims=2)
        for nth in (number - 1, number - seen)
    )
    low, high = (tf.gather(by_feature, place, batch_dims=2) for place in (before, after))
    way = tf.cast(tf.range(tf.shape(values)[1]) - before, values.dtype)
    share = tf.math.divide_no_nan(way, tf.cast(after - before, values.dtype))
    return tf.transpose(low + (high - low) * share, [0, 2, 1])


def _distance(places: tf.Tensor, length: tf.Tensor, steps: int) -> tf.Tensor:
    """Return the table d of the steps at `places`, int [B or 1, T], as int32 [B, K, T]."""
    last = tf.cast(length, tf.int32)[:, tf.newaxis, tf.newaxis] - 1
    points = tf.range(steps)[tf.newaxis, :, tf.newaxis]
    return tf.abs(points * last - places[:, tf.newaxis, :] * (steps - 1))
