"""Standardise features by statistics over valid, observed values, in float64.

Underlying assumptions: each feature arrives as a ragged tensor [B, None] of its valid steps, so
padding does not exist here; a missing value is NaN; all features of a sequence have the same steps.

For a feature f, over all valid, observed values x of the training split, each of them transformed
(contract/feature_transforms):

    mean = sum x / n        variance = sum (x - mean)^2 / n        z = (x - mean) / sqrt(variance)

TFT merges (n, mean, variance) of batches by the stable update (Chan, Golub, LeVeque 1983), which is
exact enough only in float64: in float32, an offset of 1e6 with a spread of 0.1 loses half its
variance, and 1e38 has an infinite one. A constant feature has no scale; it becomes exactly 0. A
feature is constant if its minimum is its maximum, which are exact: rounding may leave a variance of
1e-34.
"""

from collections.abc import Sequence as Collection

import tensorflow as tf
import tensorflow_transform as tft

from ragline.components.contract import feature_statistics, feature_transforms
from ragline.components.contract.feature_transforms import Transform

_TENSORFLOW = feature_transforms.Runtime(
    log=tf.math.log,
    log1p=tf.math.log1p,
    sign=tf.math.sign,
    absolute=tf.math.abs,
    multiply=tf.math.multiply,
    at_least=lambda x, least: tf.where(x >= least, x, tf.constant(float("nan"), x.dtype)),
)


def stack_features(
    columns: Collection[tf.RaggedTensor], transforms: Collection[Transform]
) -> tf.Tensor:
    """Transform the flat values of F ragged columns [B, None], and stack them: float64 [sum T, F].

    Args:
      columns: the columns.
      transforms: the transform of each.
    """
    return tf.stack(
        [
            feature_transforms.apply(
                transform, tf.cast(column.flat_values, tf.float64), _TENSORFLOW
            )
            for column, transform in zip(columns, transforms, strict=True)
        ],
        axis=1,
    )


def standardise(values: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Compute z-scores by the training split's statistics.

    Args:
      values: float64 [N, F], transformed; not finite where missing.

    Returns:
      z, float32 [N, F], 0 where missing or where the feature is constant or never observed; and
      observed, bool [N, F]: False throughout of a feature that was never observed in training.
    """
    observed = tf.math.is_finite(values)
    infinity = tf.constant(float("inf"), tf.float64)
    # TFT leaves NaN out of its means and variances, and nothing else, so a missing value stays NaN.
    measured = tf.where(observed, values, tf.constant(float("nan"), tf.float64))
    mean = tft.mean(measured, reduce_instance_dims=False)
    variance = tft.var(measured, reduce_instance_dims=False)
    low = tft.min(tf.where(observed, values, infinity), reduce_instance_dims=False)
    high = tft.max(tf.where(observed, values, -infinity), reduce_instance_dims=False)
    # Named, so that the trainer finds them in the graph that TFT saves, which has no other nodes
    # than those that the outputs depend on.
    mean = tf.identity(mean, feature_statistics.MEAN)
    seen = tf.identity(high >= low, feature_statistics.SEEN)
    varies = tf.logical_and(seen, high > low, feature_statistics.VARIES)
    scale = tf.sqrt(tf.where(varies, variance, tf.ones_like(variance)), feature_statistics.SCALE)
    usable = tf.logical_and(observed, varies)
    z = (tf.where(usable, values, mean) - mean) / scale
    # Of a feature that train never saw, 0 is no value: it has no part in a loss or a metric.
    observed = tf.logical_and(observed, seen)
    return tf.cast(tf.where(usable, z, tf.zeros_like(z)), tf.float32), observed


def to_ragged_rows(matrix: tf.Tensor, like: tf.RaggedTensor) -> tf.RaggedTensor:
    """Cut a matrix [sum T, F] into sequences: ragged [B, None], T * F values row-major each.

    Args:
      matrix: rows of all steps of the batch, in order.
      like: a ragged column [B, None] that has the sequences' lengths.
    """
    features = matrix.shape[1]
    return tf.RaggedTensor.from_row_splits(
        tf.reshape(matrix, [-1]), like.row_splits * features, validate=False
    )
