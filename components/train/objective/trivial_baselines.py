"""Measure the trivial baselines of the objective's terms; see contract/relative.py.

Without the model, in a few passes over each split, however many terms there are: counts of the
tokens and classes, means of the labels, variances of the features.
"""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract import masking, relative
from ragline.components.train.data.input_pipeline import one_pass, sums_over
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.objective import bigram
from ragline.components.train.objective.bigram import Bigram, PairCounter, Pairs
from ragline.components.train.terms.interface import Term


@dataclass(frozen=True, slots=True, kw_only=True)
class TrivialBaselines:
    """Holds the errors of the trivial baselines on the eval split.

    Attributes:
      number: float64 [F], number of observed values of each feature.
      variance: float64 [F], variance of each feature; 0 of one that is constant.
      errors: metric of a term -> error; a term whose labels do not vary is left out.
      accuracies: metric of a term that counts right answers -> share that the most frequent answer
        of the training split has right.
      bigrams: metric of a category -> what the bigrams of the training split reach.
    """

    number: np.ndarray
    variance: np.ndarray
    errors: Mapping[str, float]
    accuracies: Mapping[str, float]
    bigrams: Mapping[str, Bigram] = field(default_factory=dict)


def measure(
    train: tf.data.Dataset,
    evaluation: Callable[[], tf.data.Dataset],
    terms: Collection[Term],
) -> TrivialBaselines:
    """Measure every baseline.

    Args:
      train: batches of the training split; not read where the reconstruction is the only term.
      evaluation: opens the batches of the eval split.
      terms: the terms of the objective, the reconstruction first.
    """
    number, variance = _spread(evaluation())
    errors, accuracies, bigrams = {}, {}, {}
    if variance.any():
        errors[terms[0].metric] = 1.0  # Its error is relative to the variance already.
    others = [term for term in terms[1:] if term.is_judged and not term.compares_sequences]
    in_train, pairs_in_train = _tallies(train, others)
    in_eval, pairs_in_eval = _tallies(evaluation(), others)
    for term, of_train, of_eval in zip(others, in_train, in_eval, strict=True):
        baseline = term.baseline(of_train, of_eval)
        if baseline.error > 0:
            errors[term.metric] = baseline.error
            if baseline.accuracy is not None:
                accuracies[term.metric] = baseline.accuracy
    for category, pairs in pairs_in_eval.items():
        metric = relative.of_category(category, "cross_entropy")
        if metric in errors:
            bigrams[metric] = bigram.score(pairs_in_train[category], pairs)
    return TrivialBaselines(
        number=number, variance=variance, errors=errors, accuracies=accuracies, bigrams=bigrams
    )


def _tallies(
    batches: tf.data.Dataset, terms: Collection[Term]
) -> tuple[list[Any], dict[str, Pairs]]:
    """Return what each term needs of a split, and each category's pairs, in one pass.

    Without a term, there is none of them.
    """
    tallies: list[Any] = [None for _ in terms]
    counters: dict[str, PairCounter] = {}
    for batch in one_pass(batches) if terms else ():
        tallies = [term.tally(before, batch) for term, before in zip(terms, tallies, strict=True)]
        for category, token_ids in batch.token_ids.items():
            counted = batch.token_weight[category].numpy() > 0
            counters.setdefault(category, PairCounter()).add(token_ids.numpy(), counted)
    return tallies, {category: counter.pairs() for category, counter in counters.items()}


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
