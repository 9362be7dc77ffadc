"""Compute the loss and every error sum: masked sums over valid, observed values.

    loss = sum of weight * error(output - target) / sum of weight

One definition, carried as (sum, count) and divided once. `sample_weight` says what counts, and how
much; it comes from the input pipeline, never from the values. Targets and outputs are selected
before they meet, so padding of any content, NaN included, has no part in the loss and a gradient of
exactly 0.
"""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.contract.signatures import (
    ABSOLUTE,
    FEATURE_SUM,
    FEATURE_VALUES,
    LAST_VALUE,
    MODEL,
    N_FINITE,
    N_SEQUENCES,
    N_STEPS,
    N_VALUES,
    SEQUENCE_MEAN,
    SQUARED,
    TRAINING_MEAN,
    error_sum,
)
from ragline.components.train import errors
from ragline.components.train.data.sequence_batch import SequenceBatch


def error_sums(
    error: str, targets: tf.Tensor, outputs: tf.Tensor, sample_weight: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the two halves of a reconstruction loss.

    Args:
      error: name of the error of a value; see `train.errors`.
      targets: float32 [B, T, F].
      outputs: float32 [B, T, F].
      sample_weight: [B, T], or [B, T, F] where values can be missing; 0 = does not count.

    Returns:
      (sum of weighted errors, sum of weights), float32 scalars.

    Raises:
      ValueError: if the weight has another shape.
    """
    difference = _difference(targets, outputs, masking.counts(sample_weight, targets))
    return masking.masked_sum(errors.of(error).of(difference), sample_weight)


def squared_errors(targets: tf.Tensor, outputs: tf.Tensor, sample_weight: tf.Tensor) -> tf.Tensor:
    """Return the sum of squared errors of each feature, float64 [F]; arguments of `error_sums`."""
    difference = _difference(targets, outputs, masking.counts(sample_weight, targets))
    return tf.reduce_sum(tf.square(tf.cast(difference, tf.float64)), axis=[0, 1])


def sums_by_sequence(
    batch: SequenceBatch, outputs: tf.Tensor, embedding: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Return what one sequence adds to every metric of reconstruction, in float64.

    The baselines are computed beside the model, on the same values: the training mean of a feature
    is 0 in standardised units; a sequence's own mean is over its valid, observed values; the last
    value is that of the last earlier step in which the feature was observed, and the training mean
    before the first.

    Args:
      batch: the sequences.
      outputs: float32 [B, T, F], the model's reconstruction.
      embedding: float32 [B, E].

    Returns:
      name (see contract/signatures.py) -> float64 [B], or [B, F] of what is said of each feature.
    """
    counted = masking.counts(batch.sample_weight, batch.values)
    values = masking.select(counted, tf.cast(batch.values, tf.float64))
    number = tf.reduce_sum(tf.cast(counted, tf.float64), axis=1)
    total = tf.reduce_sum(values, axis=1)
    own_mean = masking.masked_mean(total, number)[:, tf.newaxis]
    predictions = {
        MODEL: tf.cast(outputs, tf.float64),
        TRAINING_MEAN: tf.zeros_like(values),
        SEQUENCE_MEAN: tf.broadcast_to(own_mean, tf.shape(values)),
        LAST_VALUE: _last_values(values, counted),
    }
    finite = masking.select(counted, tf.cast(outputs, tf.float64))
    is_finite = tf.reduce_all(tf.math.is_finite(finite), axis=(1, 2)) & tf.reduce_all(
        tf.math.is_finite(embedding), axis=1
    )
    sums = {
        N_SEQUENCES: tf.ones_like(batch.length, tf.float64),
        N_STEPS: tf.cast(batch.length, tf.float64),
        N_VALUES: tf.reduce_sum(number, axis=1),
        N_FINITE: tf.cast(is_finite, tf.float64),
        FEATURE_VALUES: number,
        FEATURE_SUM: total,
    }
    for predictor, predicted in predictions.items():
        errors = _difference(values, predicted, counted)
        sums[error_sum(predictor, SQUARED)] = tf.reduce_sum(tf.square(errors), axis=1)
        sums[error_sum(predictor, ABSOLUTE)] = tf.reduce_sum(tf.abs(errors), axis=(1, 2))
    return sums


def _last_values(values: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    """Return each feature's last counted value before each step; 0 before the first.

    Sorted so that the counted values come first, in their order, the last one before a step is the
    n-th of them, where n is how many there were before it.

    Args:
      values: [B, T, F].
      counted: bool [B, T, F].
    """
    by_feature = tf.transpose(values, [0, 2, 1])
    there = tf.transpose(counted, [0, 2, 1])
    order = tf.argsort(tf.where(there, 0, 1), axis=2, stable=True)
    first = tf.gather(by_feature, order, batch_dims=2)
    before = tf.cumsum(tf.cast(there, tf.int32), axis=2, exclusive=True)
    last = tf.gather(first, tf.maximum(before - 1, 0), batch_dims=2)
    return tf.transpose(masking.select(before > 0, last), [0, 2, 1])


def _difference(targets: tf.Tensor, outputs: tf.Tensor, counted: tf.Tensor) -> tf.Tensor:
    return masking.select(counted, outputs) - masking.select(counted, targets)
