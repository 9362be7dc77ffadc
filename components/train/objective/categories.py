"""Compute a cross-entropy for each category of the steps.

    loss of a category = sum of weight * -log softmax(logits)[token id] / sum of weight

Like the loss of the values it is a masked mean, carried as (sum, count) and divided once. What does
not count, in the padding or because the token is missing, is selected away before any arithmetic.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import tensorflow as tf
import tensorflow_transform as tft

from ragline.components.contract import masking
from ragline.components.contract.columns import Category, Columns
from ragline.components.contract.signatures import (
    CROSS_ENTROPY,
    N_FINITE,
    N_OBSERVED,
    N_RIGHT,
    category_sum,
)
from ragline.components.train.data.sequence_batch import SequenceBatch

_MOST_EMBEDDED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Holds the number of token ids of a category.

    Attributes:
      category: the category.
      size: number of token ids: one for each token of Transform's vocabulary, and one for all
        others.
    """

    category: Category
    size: int

    @property
    def name(self) -> str:
        """Return the category's name."""
        return self.category.name

    @property
    def embedding_size(self) -> int:
        """Return the size of a token's embedding: min(32, ceil(1.6 * size^0.56)).

        The rule of fastai's tabular models (Howard and Gugger 2020, "fastai: A Layered API for Deep
        Learning"), an empirical one, with 32 in place of its 600: here a recurrent layer of some
        64 units reads it, and not a wide dense one.
        """
        return min(_MOST_EMBEDDED, math.ceil(1.6 * self.size**0.56))


def vocabularies_of(
    transform_output: tft.TFTransformOutput, columns: Columns
) -> tuple[Vocabulary, ...]:
    """Return the vocabulary of each category, as Transform has computed it."""
    return tuple(
        Vocabulary(
            category=category,
            size=int(transform_output.vocabulary_size_by_name(category.vocabulary)) + 1,
        )
        for category in columns.categories
    )


def cross_entropy(token_ids: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return the cross-entropy of each step, 0 where it does not count.

    Args:
      token_ids: int64 [B, T]; anything may stand where the weight is 0.
      logits: float32 [B, T, size]; anything may stand where the weight is 0.
      weight: float32 [B, T]; above 0 where it counts.

    Returns:
      float32 [B, T].
    """
    counted = weight > 0
    return masking.select(
        counted,
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            masking.select(counted, token_ids), masking.select(counted, logits)
        ),
    )


def right(token_ids: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """Return 1 where a step counts and its token has the highest logit: float32 [B, T]."""
    is_right = tf.equal(tf.argmax(logits, axis=2), token_ids)
    return tf.cast(tf.logical_and(weight > 0, is_right), tf.float32)


def weight_of(token_ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Return 1 where a step is valid and its token is not missing: float32 [B, T].

    Args:
      token_ids: int64 [B, T]; anything may stand where t >= length.
      length: int64 [B].
    """
    valid = masking.mask_of(length, tf.shape(token_ids)[1])
    return tf.cast(tf.logical_and(valid, token_ids >= 0), tf.float32)


def with_categories(
    sums: Mapping[str, tf.Tensor],
    vocabularies: Collection[Vocabulary],
    batch: SequenceBatch,
    logits: Mapping[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """Return the sums of every metric by sequence, those of the categories included, in float64.

    Args:
      sums: sums of the values, see `loss.sums_by_sequence`; a sequence with a logit that counts
        and is not finite is not counted as finite.
      vocabularies: vocabularies of all categories.
      batch: the sequences.
      logits: category -> float32 [B, T, size].

    Returns:
      name (see contract/signatures.py) -> float64 [B]. Without categories, `sums` as they are.
    """
    all_sums = dict(sums)
    for vocabulary in vocabularies:
        name = vocabulary.name
        token_ids, weight = batch.token_ids[name], batch.token_weight[name]
        counted = weight > 0
        step_sums = {
            CROSS_ENTROPY: cross_entropy(token_ids, logits[name], weight),
            N_RIGHT: right(token_ids, logits[name], weight),
            N_OBSERVED: counted,
        }
        for sum_name, by_step in step_sums.items():
            by_sequence = tf.reduce_sum(tf.cast(by_step, tf.float64), axis=1)
            all_sums[category_sum(name, sum_name)] = by_sequence
        finite = tf.math.is_finite(masking.select(counted, logits[name]))
        all_finite = tf.cast(tf.reduce_all(finite, axis=(1, 2)), tf.float64)
        all_sums[N_FINITE] = tf.minimum(all_sums[N_FINITE], all_finite)
    return all_sums
