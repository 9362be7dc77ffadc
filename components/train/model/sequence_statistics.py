"""Describe sequences by statistics of each feature, of how it moves, and of the words.

mean, deviation, least, most     of the values, each [F]
correlation, for each lag d      mean of u[t] u[t + d], [F]; 0 of a sequence of d steps or fewer
bend, for each lag d             mean of |x[t + 2 d] - 2 x[t + d] + x[t]|, [F]; 0 of one of 2 d or
                                 fewer
observed                         share of the steps at which the value is not missing, [F]
log(length)
share, for each frequent token   steps with the token / length, [V] for each category
pair, of frequent tokens         steps with the first, followed by one with the second /
                                 (length - 1), [V V]; 0 of a sequence of one step

u = (x - mean) / (deviation + LEAST_DEVIATION) says how a feature moves, whatever its size. Missing
values are interpolated first. The linear path reads the statistics beside its grid, since the label
of a sequence is often in how it moves and seldom in its course; training also predicts them from
the embedding (`statistics_head.py`). Both take them standardised by the training split:

    z = (statistic - mean) / scale, at most FARTHEST from 0, so that no outlier decides anything
"""

from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import grid_resample
from ragline.components.train.objective.categories import Vocabulary

# In steps; docs/quality.md has what they are worth.
CORRELATION_LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 28, 32)
BEND_LAGS = (1, 2, 4, 8)
# Of each category. Their pairs are a hundred statistics.
MOST_TOKENS = 10
# Of a feature that hardly varies in a sequence, u would be noise of rounding.
LEAST_DEVIATION = 1e-2
FARTHEST = 5.0
# A statistic that varies less, of values that vary by 1, may vary by rounding alone.
_LEAST_SCALE = 1e-3
_END = tf.float64.max


def frequent_tokens(vocabularies: Iterable[Vocabulary]) -> dict[str, int]:
    """Return category -> V, how many of its tokens have statistics: those of the first ids."""
    return {vocabulary.name: min(vocabulary.size, MOST_TOKENS) for vocabulary in vocabularies}


def size_of(features: int, tokens: Iterable[int] = ()) -> int:
    """Return P, how many statistics there are of F features and of V tokens of each category."""
    by_feature = 5 + len(CORRELATION_LAGS) + len(BEND_LAGS)
    return by_feature * features + 1 + sum(number + number**2 for number in tokens)


# A function of its own: a model describes each batch in several places, and each would be traced.
@tf.function(autograph=False)  # type: ignore[untyped-decorator]
def describe(batch: SequenceBatch, tokens: Mapping[str, int]) -> tf.Tensor:
    """Return the statistics of each sequence; padding has no part in them.

    Args:
      batch: the sequences.
      tokens: category -> V; see `frequent_tokens`.

    Returns:
      float32 [B, P].
    """
    # Sums are of float64, so that padding moves none by more than a rounding of float32.
    values = tf.cast(grid_resample.filled(batch), tf.float64)
    valid = batch.valid[..., tf.newaxis]
    length = tf.cast(batch.length, tf.float64)[:, tf.newaxis]
    mean = _mean(values, valid, length)
    centred = masking.select(valid, values - mean[:, tf.newaxis])
    deviation = tf.sqrt(tf.reduce_sum(tf.square(centred), axis=1) / length)
    least = tf.reduce_min(tf.where(valid, values, _END), axis=1)
    most = tf.reduce_max(tf.where(valid, values, -_END), axis=1)
    unit = centred / (deviation + LEAST_DEVIATION)[:, tf.newaxis]
    correlations: list[tf.Tensor] = []
    for lag in CORRELATION_LAGS:
        # One after another: all at once, a long sequence's products are a dozen times its size.
        with tf.control_dependencies(correlations[-1:]):
            # Of the padding, a factor is 0.
            products = tf.reduce_sum(unit[:, lag:] * unit[:, :-lag], axis=1)
            correlations.append(products / tf.maximum(length - lag, 1.0))
    bends: list[tf.Tensor] = []
    for lag in BEND_LAGS:
        with tf.control_dependencies([*correlations, *bends][-1:]):
            moved = values[:, lag:] - values[:, :-lag]
            bend = tf.abs(moved[:, lag:] - moved[:, :-lag])
            bends.append(_mean(bend, valid[:, 2 * lag :], length - 2 * lag))
    observed = tf.ones_like(mean)
    if batch.sample_weight.shape.rank == 3:
        observed = _mean(tf.cast(batch.sample_weight > 0, tf.float64), valid, length)
    parts = [mean, deviation, least, most, *correlations, *bends, observed, tf.math.log(length)]
    for name, number in tokens.items():
        parts += _of_tokens(batch.token_ids[name], batch.valid, length, number)
    return tf.cast(tf.concat(parts, axis=1), tf.float32)


class SequenceStatistics(keras.Layer):
    """Standardises the statistics of sequences; holds their mean and scale."""

    def __init__(self, features: int, tokens: Mapping[str, int]) -> None:
        """Build the weights: mean 0 and scale 1.

        Args:
          features: F.
          tokens: category -> V; see `frequent_tokens`.
        """
        super().__init__(dtype="float32", name="sequence_statistics")
        self.size = size_of(features, tokens.values())
        self.tokens = dict(tokens)
        self.mean, self.scale = (
            self.add_weight(shape=(self.size,), initializer=start, trainable=False, name=name)
            for name, start in (("mean", "zeros"), ("scale", "ones"))
        )
        self.built = True

    def call(self, batch: SequenceBatch) -> tf.Tensor:
        """Return z, float32 [B, P]; 0 of a statistic that never varied."""
        z = tf.math.divide_no_nan(describe(batch, self.tokens) - self.mean, self.scale)
        return tf.stop_gradient(tf.clip_by_value(z, -FARTHEST, FARTHEST))

    def standardise(self, described: np.ndarray) -> np.ndarray:
        """Return z of statistics [n, P], as `call` does."""
        mean, scale = (weight.numpy().astype(np.float64) for weight in (self.mean, self.scale))
        z = (described - mean) / np.where(scale > 0.0, scale, np.inf)
        return z.clip(-FARTHEST, FARTHEST)

    def start_at(self, parts: Iterable[np.ndarray]) -> None:
        """Set mean and scale to those of statistics, in parts [n, P] of at least one row."""
        number, mean, squares = 0, np.zeros(self.size), np.zeros(self.size)
        for part in parts:
            described = part.astype(np.float64)
            # Chan, Golub and LeVeque 1979: no difference of large sums.
            of_part = described.mean(axis=0)
            share = len(part) / (number + len(part))
            squares += np.square(described - of_part).sum(axis=0)
            squares += np.square(of_part - mean) * number * share
            mean += (of_part - mean) * share
            number += len(part)
        scale = np.sqrt(squares / number)
        self.mean.assign(mean)
        self.scale.assign(np.where(scale > _LEAST_SCALE, scale, 0.0))


def _mean(values: tf.Tensor, mask: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
    """Return the mean over the steps of the mask [B, T, 1], of which there are a number [B, 1]."""
    return tf.reduce_sum(masking.select(mask, values), axis=1) / tf.maximum(number, 1.0)


def _of_tokens(
    token_ids: tf.Tensor, valid: tf.Tensor, length: tf.Tensor, number: int
) -> list[tf.Tensor]:
    """Return the shares [B, V] and the pairs [B, V V] of the first tokens of a category."""
    # Counts, which are exact in float32; of a missing or rarer token, a row of zeros.
    here = tf.one_hot(tf.where(valid, token_ids, -1), number)
    shares = tf.cast(tf.reduce_sum(here, axis=1), tf.float64) / length
    followed = tf.matmul(here[:, :-1], here[:, 1:], transpose_a=True)
    pairs = tf.cast(tf.reshape(followed, [-1, number**2]), tf.float64)
    return [shares, pairs / tf.maximum(length - 1.0, 1.0)]
