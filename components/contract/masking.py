"""Make masks of lengths, and define the masked mean.

A mask comes from lengths, never from values: a true all-zero step is a step like any other. A
masked mean is carried as (sum, count) and divided once, at the end, so that it does not depend on
how the data was cut into batches. No value is ever multiplied by a mask: NaN * 0 is NaN, in the
value and in the gradient. `select` replaces values that do not count before any arithmetic.

    mask   [B, T]     True where the step counts
    weight [B, T]     one weight a step, for all F values of it, or
           [B, T, F]  one weight a value, where values can be missing; 0 = does not count
"""

import tensorflow as tf


def mask_of(length: tf.Tensor, steps: tf.Tensor | int) -> tf.Tensor:
    """Return the mask of the valid steps.

    Args:
      length: int [B].
      steps: T, the number of steps that the batch is padded to.

    Returns:
      bool [B, T], True where t < length.
    """
    return tf.sequence_mask(length, steps)


def select(mask: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return `values` where they count, and exactly 0 elsewhere, also for NaN and Inf.

    The gradient with respect to the values that do not count is exactly 0.

    Args:
      mask: bool, of the shape of `values` or without its last dimensions.
      values: [...].
    """
    while mask.shape.rank < values.shape.rank:
        mask = mask[..., tf.newaxis]
    return tf.where(mask, values, tf.zeros((), values.dtype))


def masked_sum(values: tf.Tensor, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the two halves of a masked mean: sum of weight * value, and sum of the weights.

    Args:
      values: float [B, T, F]; anything may stand where the weight is 0.
      weight: [B, T, F], or [B, T], which then holds for each of the F values of its step.

    Returns:
      (sum, count), scalars of the dtype of `values`.

    Raises:
      ValueError: if the weight has another shape. Keras would broadcast a [B] weight against
        [B, T], which weights time instead of sequences when B == T, and says nothing.
    """
    weight = tf.cast(_per_value(weight, values), values.dtype)
    return tf.reduce_sum(weight * select(weight > 0, values)), tf.reduce_sum(weight)


def total_weight(weight: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return the second half alone: sum of the weights over the values of `values` [B, T, F]."""
    return tf.reduce_sum(_per_value(weight, values))


def counts(weight: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return which values [B, T, F] count under a weight [B, T] or [B, T, F]: bool [B, T, F]."""
    return _per_value(weight, values) > 0


def _per_value(weight: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    if (
        values.shape.rank != 3
        or weight.shape.rank not in (2, 3)
        or not weight.shape.is_compatible_with(values.shape[: weight.shape.rank])
    ):
        raise ValueError(
            "expected values [B, T, F] with a weight [B, T] or [B, T, F], "
            f"received values {values.shape} with a weight {weight.shape}"
        )
    if weight.shape.rank == 2:
        weight = weight[..., tf.newaxis]
    return tf.broadcast_to(weight, tf.shape(values))


def masked_mean(total: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """Divide at the end, in a graph: total / count, and 0 where nothing was counted.

    `relative.masked_mean_of` is the same on the host.
    """
    return tf.math.divide_no_nan(total, count)
