"""Categorical steps in the model: an embedding for each code, a cross-entropy for each category.

    loss of a category = sum of weight * -log softmax(logits)[code] / sum of weight

Like the loss of the values it is a masked mean, carried as (sum, count) and divided once. What does
not count, in the padding or because the word is missing, is selected away before any arithmetic.
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

_MOST_EMBEDDED = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The codes of a category, as Transform found them.

    Attributes:
      category: whose.
      size: how many codes there are: one a word, and one for all words that are in no vocabulary.
    """

    category: Category
    size: int

    @property
    def name(self) -> str:
        """The category's."""
        return self.category.name

    @property
    def embedding_size(self) -> int:
        """How many numbers a code becomes: min(32, ceil(1.6 * size^0.56)).

        The rule of fastai's tabular models (Howard and Gugger 2020, "fastai: A Layered API for Deep
        Learning"), found by trying out, with 32 in place of its 600: here a recurrent layer of some
        64 units reads it, and not a wide dense one.
        """
        return min(_MOST_EMBEDDED, math.ceil(1.6 * self.size**0.56))


def vocabularies_of(
    transform_output: tft.TFTransformOutput, columns: Columns
) -> tuple[Vocabulary, ...]:
    """Of each category: the words that Transform found, and one code for all others."""
    return tuple(
        Vocabulary(
            category=category,
            size=int(transform_output.vocabulary_size_by_name(category.vocabulary)) + 1,
        )
        for category in columns.categories
    )


def cross_entropy(codes: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """The cross-entropy of each step, 0 where it does not count.

    Args:
      codes: int64 [B, T]; anything may stand where the weight is 0.
      logits: float32 [B, T, size], likewise.
      weight: float32 [B, T]; above 0 where it counts.

    Returns:
      float32 [B, T].
    """
    counted = weight > 0
    return masking.select(
        counted,
        tf.nn.sparse_softmax_cross_entropy_with_logits(
            masking.select(counted, codes), masking.select(counted, logits)
        ),
    )


def right(codes: tf.Tensor, logits: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
    """1 where a step counts and its code has the highest logit: float32 [B, T]."""
    hit = tf.equal(tf.argmax(logits, axis=2), codes)
    return tf.cast(tf.logical_and(weight > 0, hit), tf.float32)


def weight_of(codes: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """1 where a step is valid and its word is there: float32 [B, T].

    Args:
      codes: int64 [B, T]; anything may stand where t >= length.
      length: int64 [B].
    """
    valid = masking.mask_of(length, tf.shape(codes)[1])
    return tf.cast(tf.logical_and(valid, codes >= 0), tf.float32)


def with_categories(
    sums: Mapping[str, tf.Tensor],
    vocabularies: Collection[Vocabulary],
    codes: Mapping[str, tf.Tensor],
    logits: Mapping[str, tf.Tensor],
    weight: Mapping[str, tf.Tensor],
) -> dict[str, tf.Tensor]:
    """What one sequence adds to every metric, its categories included, in float64.

    Args:
      sums: of the values, see `loss.sums_by_sequence`; a sequence of which a logit that counts is
        not finite is taken off its finite ones.
      vocabularies: of all categories; the other arguments are by their names.
      codes: int64 [B, T] each.
      logits: float32 [B, T, size] each.
      weight: float32 [B, T] each; above 0 where it counts.

    Returns:
      name (see contract/signatures.py) -> float64 [B]. Without categories, `sums` as they are.
    """
    found = dict(sums)
    for vocabulary in vocabularies:
        name = vocabulary.name
        counted = weight[name] > 0
        parts = {
            CROSS_ENTROPY: cross_entropy(codes[name], logits[name], weight[name]),
            N_RIGHT: right(codes[name], logits[name], weight[name]),
            N_OBSERVED: counted,
        }
        for sum_, part in parts.items():
            by_sequence = tf.reduce_sum(tf.cast(part, tf.float64), axis=1)
            found[category_sum(name, sum_)] = by_sequence
        finite = tf.math.is_finite(masking.select(counted, logits[name]))
        all_finite = tf.cast(tf.reduce_all(finite, axis=(1, 2)), tf.float64)
        found[N_FINITE] = tf.minimum(found[N_FINITE], all_finite)
    return found
