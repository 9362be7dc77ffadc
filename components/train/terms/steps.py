"""Define the terms of steps, the reconstruction and each category; list the terms of a model."""

from collections.abc import Sequence as Collection
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract import relative
from ragline.components.contract.masking import total_weight
from ragline.components.train import errors, padding, terms
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.objective import categories, loss
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions
from ragline.components.train.terms.heads import frequencies
from ragline.components.train.terms.interface import Baseline, Outputs, Sums, Term, mean, mean_of
from ragline.components.train.terms.statistics import StatisticsTerm

LOSS = "loss"
# The squared errors of each feature, [F]; all others are scalars.
FEATURE_ERRORS = "feature_errors"


def of_model(
    options: TrainOptions,
    heads: Collection[HeadOptions],
    category_names: Collection[str],
    further: Collection[TermOptions] = (),
) -> tuple[Term, ...]:
    """Return a model's terms: reconstruction, heads, categories, `[[terms]]`, statistics."""
    return (
        ReconstructionTerm(options),
        *(terms.of(head) for head in heads),
        *(CategoryTerm(name) for name in category_names),
        *(terms.of_sequences(term) for term in further),
        *([StatisticsTerm(options.statistics)] if options.statistics else []),
    )


class ReconstructionTerm(Term):
    """Reconstructs the values; its baseline is the mean of each feature."""

    key, metric = LOSS, relative.NUMBERS

    def __init__(self, options: TrainOptions) -> None:
        """Take the options of the training."""
        self._error, self._padding = options.error, padding.of(options.padding)

    def count(self, batch: SequenceBatch) -> tf.Tensor:
        """Return the sum of the values' weights."""
        to_count = self._padding.for_loss(batch)
        return total_weight(to_count.sample_weight, to_count.values)

    def total(self, batch: SequenceBatch, outputs: Outputs) -> tf.Tensor:
        """Return the sum of `train.error`."""
        to_count = self._padding.for_loss(batch)
        return loss.error_sums(
            self._error, to_count.values, outputs.values, to_count.sample_weight
        )[0]

    def evaluated(self, batch: SequenceBatch, outputs: Outputs) -> dict[str, tf.Tensor]:
        """Return the squared errors of all values, and of each feature."""
        counted = tf.cast(batch.sample_weight > 0, tf.float32)
        total, count = loss.error_sums(errors.SQUARED, batch.values, outputs.values, counted)
        by_feature = loss.squared_errors(batch.values, outputs.values, counted)
        return {self.key: total, f"{self.key}_count": count, FEATURE_ERRORS: by_feature}

    def value(self, sums: Sums, baselines: Any) -> float:
        """Return the normalised mean squared error, of which 1 is the baseline."""
        errors = sums[FEATURE_ERRORS]
        return relative.normalised_mse(errors, baselines.number, baselines.variance)


class CategoryTerm(Term):
    """Tells the tokens of a category apart, by cross-entropy."""

    def __init__(self, name: str) -> None:
        """Take the category's name."""
        self.name = name
        # Its colons keep it apart from a head's.
        self.key = f"category:{name}:entropy"
        self.metric = relative.of_category(name, "cross_entropy")

    def count(self, batch: SequenceBatch) -> tf.Tensor:
        """Return the sum of the tokens' weights."""
        return tf.reduce_sum(batch.token_weight[self.name])

    def total(self, batch: SequenceBatch, outputs: Outputs) -> tf.Tensor:
        """Return the weighted sum of cross-entropies."""
        weight = batch.token_weight[self.name]
        return tf.reduce_sum(weight * self._entropy(batch, outputs, weight))

    def evaluated(self, batch: SequenceBatch, outputs: Outputs) -> dict[str, tf.Tensor]:
        """Return the sums of cross-entropies, and of right answers."""
        weight = tf.cast(batch.token_weight[self.name] > 0, tf.float32)
        right = categories.right(batch.token_ids[self.name], outputs.logits[self.name], weight)
        return {
            self.key: tf.reduce_sum(self._entropy(batch, outputs, weight)),
            f"{self.key}_count": tf.reduce_sum(weight),
            f"{self.key}_right": tf.reduce_sum(right),
        }

    def results(self, train: Sums, evaluated: Sums) -> dict[str, float]:
        """Return the category's cross-entropies, and the accuracy on eval."""
        right, count = evaluated[f"{self.key}_right"], evaluated[f"{self.key}_count"]
        return {
            "cross_entropy": mean_of(train, self.key),
            "eval_cross_entropy": mean_of(evaluated, self.key),
            "eval_accuracy": mean(right, count),
        }

    def tally(self, before: Any, batch: SequenceBatch) -> Any:
        """Return how often each token occurs, int64."""
        ids, weight = batch.token_ids[self.name].numpy(), batch.token_weight[self.name].numpy()
        counts = np.bincount(ids[weight > 0], minlength=1)
        first, second = _as_long(np.zeros(1, np.int64) if before is None else before, counts)
        return first + second

    def baseline(self, train: np.ndarray, evaluation: np.ndarray) -> Baseline:
        """Return what the frequencies of the tokens reach."""
        return frequencies(*_as_long(train, evaluation))

    def _entropy(self, batch: SequenceBatch, outputs: Outputs, weight: tf.Tensor) -> tf.Tensor:
        token_ids, logits = batch.token_ids[self.name], outputs.logits[self.name]
        return categories.cross_entropy(token_ids, logits, weight)


def _as_long(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays of counts with zeros behind, so that they are equally long."""
    size = max(len(first), len(second))
    padded = [np.pad(counts, (0, size - len(counts))) for counts in (first, second)]
    return padded[0], padded[1]
