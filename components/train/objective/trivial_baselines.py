"""Measure the trivial baselines of the objective's terms; see contract/relative.py.

Without the model, in a few passes over each split, however many terms there are: counts of the
tokens and classes, means of the labels, variances of the features.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract import masking, relative
from ragline.components.contract.masking import masked_mean_of
from ragline.components.train.data.input_pipeline import one_pass, sums_over
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.options import HeadOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialBaselines:
    """Holds the errors of the trivial baselines on the eval split.

    Attributes:
      number: float64 [F], number of observed values of each feature.
      variance: float64 [F], variance of each feature; 0 of one that is constant.
      errors: term of a head or category -> error; a term whose labels do not vary is left out.
      accuracies: term of a classification or category -> share that the most frequent answer of the
        training split has right.
    """

    number: np.ndarray
    variance: np.ndarray
    errors: Mapping[str, float]
    accuracies: Mapping[str, float]


def term_of_head(head: HeadOptions) -> str:
    """Return the name of a head's term: its loss."""
    return relative.of_head(head.name, "loss" if head.type == "classification" else "mse")


def term_of_category(category: str) -> str:
    """Return the name of a category's term: its cross-entropy."""
    return relative.of_category(category, "cross_entropy")


def measure(
    train: tf.data.Dataset,
    evaluation: Callable[[], tf.data.Dataset],
    *,
    heads: Collection[HeadOptions],
    categories: Collection[str],
) -> TrivialBaselines:
    """Measure every baseline.

    Args:
      train: batches of the training split; not read where there are no heads and no categories.
      evaluation: opens the batches of the eval split.
      heads: supervised outputs on the embedding.
      categories: names of the categorical columns.
    """
    errors, accuracies = {}, {}
    is_counted = bool(heads or categories)
    in_train = _count(train, heads, categories) if is_counted else {}
    in_eval = _count(evaluation(), heads, categories) if is_counted else {}
    for term, counts in in_train.items():
        train_counts, eval_counts = _as_long(counts, in_eval[term])
        error = relative.cross_entropy_of_frequencies(train_counts, eval_counts)
        if error > 0:
            errors[term] = error
            accuracies[term] = relative.accuracy_of_mode(train_counts, eval_counts)
    regressions = [head for head in heads if head.type == "regression"]
    if regressions:
        learned, measured = (_labels(batches, regressions) for batches in (train, evaluation()))
        for head in regressions:
            error = _error_of_mean(learned[head.name], measured[head.name])
            if error > 0:
                errors[term_of_head(head)] = error
    number, variance = _spread(evaluation())
    return TrivialBaselines(number=number, variance=variance, errors=errors, accuracies=accuracies)


def _count(
    batches: tf.data.Dataset, heads: Collection[HeadOptions], categories: Collection[str]
) -> dict[str, np.ndarray]:
    """Return term -> how often each class or token id occurs, int64."""
    classified = [head for head in heads if head.type == "classification"]
    counts = {term_of_head(head): np.zeros(head.outputs, np.int64) for head in classified}
    counts |= {term_of_category(name): np.zeros(1, np.int64) for name in categories}

    def add(term: str, ids: Any, weight: Any) -> None:
        counted = ids.numpy()[weight.numpy() > 0]
        both = _as_long(counts[term], np.bincount(counted, minlength=1))
        counts[term] = both[0] + both[1]

    for batch in one_pass(batches):
        for head in classified:
            add(term_of_head(head), batch.labels[head.name], batch.label_weight[head.name])
        for name in categories:
            add(term_of_category(name), batch.token_ids[name], batch.token_weight[name])
    return counts


def _labels(batches: tf.data.Dataset, heads: Collection[HeadOptions]) -> dict[str, np.ndarray]:
    """Return head -> the labels of a split, float64, without the missing ones."""
    parts: dict[str, list[np.ndarray]] = {head.name: [np.zeros(0)] for head in heads}
    for batch in one_pass(batches):
        for name, labels in parts.items():
            is_labelled = batch.label_weight[name].numpy() > 0
            labels.append(batch.labels[name].numpy().astype(np.float64)[is_labelled])
    return {name: np.concatenate(labels) for name, labels in parts.items()}


def _error_of_mean(train: np.ndarray, evaluation: np.ndarray) -> float:
    """Return the mean squared error, on labels of eval, of the mean of the training split's."""
    mean = masked_mean_of(train.sum(), len(train))
    return masked_mean_of(np.square(evaluation - mean).sum(), len(evaluation))


def _spread(batches: tf.data.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of observed values of each feature, and their variance: float64 [F]."""

    def sums_of(batch: SequenceBatch) -> dict[str, tf.Tensor]:
        counted = masking.counts(batch.sample_weight, batch.values)
        values = masking.select(counted, tf.cast(batch.values, tf.float64))
        parts = {"number": tf.cast(counted, tf.float64), "total": values}
        parts["squares"] = tf.square(values)
        return {name: tf.reduce_sum(part, axis=[0, 1]) for name, part in parts.items()}

    compiled = tf.function(sums_of, input_signature=[batches.element_spec], autograph=False)
    sums = sums_over(batches, compiled)
    return sums["number"], relative.variance(**sums)


def _as_long(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return two arrays of counts with zeros behind, so that they are equally long."""
    size = max(len(first), len(second))
    padded = [np.pad(counts, (0, size - len(counts))) for counts in (first, second)]
    return padded[0], padded[1]
