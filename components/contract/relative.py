"""Compare each term of an objective with its trivial baseline, and combine them into one number.

    relative of a term = its error / its baseline's error, both on the eval split
    objective          = sum of weight * relative / sum of weight

1 is as good as the trivial baseline, 0 is perfect. A trivial baseline answers the same whatever the
sequence is:

    numbers         the mean of each feature; the relative value is the mean over features of
                    error / variance, which is normalised_mse
    category        the training split's frequencies of its tokens, by cross-entropy
    classification  the training split's frequencies of its classes, by cross-entropy
    regression      the mean of the training split's labels, by squared error
    [[terms]]       what the term says of both splits

Frequencies are (count + 1) / (all counts + number of tokens), so that a token of eval that training
never saw has a finite cross-entropy (Laplace's rule of succession). A term is called what its
metric is called. What does not vary has no baseline to be compared with, and is no term.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

NUMBERS = "normalised_mse"
# A feature is constant if its spread is below 1e-5 of its distance from the training mean: a
# z-score in float32 has not many more digits, and a difference of sums in float64 none.
_CONSTANT = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredTerm:
    """Holds one summand of the objective, as it was measured on the eval split.

    Attributes:
      name: name of its metric, such as `head/gesture/loss`.
      weight: weight in the objective; 1, or that of a head or of one of `[[terms]]`.
      value: error of the model.
      baseline: error of the trivial baseline; above 0.
      accuracy_of_mode: share that the most frequent answer has right; None of squared errors.
      bigram: error of the bigrams of training, of a category; they read the step before, which no
        embedding holds, so that the term is not relative to it.
      accuracy_of_bigram: share that these have right.
    """

    name: str
    weight: float
    value: float
    baseline: float
    accuracy_of_mode: float | None = None
    bigram: float | None = None
    accuracy_of_bigram: float | None = None

    @property
    def relative(self) -> float:
        """Return the error relative to the trivial baseline's."""
        return self.value / self.baseline


def objective(terms: Collection[MeasuredTerm]) -> float:
    """Return the weighted mean of the relative errors; NaN if there is no term."""
    total = math.fsum(term.weight for term in terms)
    return math.fsum(term.weight * term.relative for term in terms) / total if terms else math.nan


def of_feature(metric: str, feature: str) -> str:
    """Return the name of a metric of one feature, such as `masked_mse/ax`."""
    return f"{metric}/{feature}"


def of_head(head: str, metric: str) -> str:
    """Return the name of a head's metric, such as `head/gesture/accuracy`."""
    return f"head/{head}/{metric}"


def of_category(category: str, metric: str) -> str:
    """Return the name of a category's metric, such as `category/activity/accuracy`."""
    return f"category/{category}/{metric}"


def of_term(term: str, metric: str) -> str:
    """Return the name of a metric of one of `[[terms]]`, such as `term/changes/error`."""
    return f"term/{term}/{metric}"


def masked_mean_of(total: float, count: float) -> float:
    """Divide at the end, on the host, in float64; the same definition as `masking.masked_mean`."""
    return float(np.float64(total) / np.float64(count)) if count else 0.0


def variance(number: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return the variance of each feature, exactly 0 if it is constant or has no value.

    Args:
      number: float64 [..., F], number of values.
      total: float64 [..., F], their sum, in standardised units, whose means are near 0.
      squares: float64 [..., F], the sum of their squares.
    """
    divisor = np.where(number > 0, number, 1.0)
    deviation = squares - np.square(total) / divisor
    return np.where(deviation > _CONSTANT * squares, deviation, 0.0) / divisor


def normalised_mse(squared_errors: np.ndarray, number: np.ndarray, spread: np.ndarray) -> float:
    """Return the mean over the features that vary of mean squared error / variance.

    Args:
      squared_errors: float64 [F], sums over the values of each feature.
      number: float64 [F], number of values.
      spread: float64 [F], variance of each feature; see `variance`.

    Returns:
      NaN if no feature varies.
    """
    varies = spread > 0
    if not varies.any():
        return math.nan
    return float(np.mean(squared_errors[varies] / number[varies] / spread[varies]))


def cross_entropy_of_frequencies(train_counts: np.ndarray, eval_counts: np.ndarray) -> float:
    """Return the cross-entropy on eval of the training split's frequencies, in nats.

    Args:
      train_counts: int64 [K], how often each token or class occurs in training.
      eval_counts: int64 [K], likewise in eval.

    Returns:
      0 where training or eval holds at most one token, so that there is nothing to tell apart.
    """
    if np.count_nonzero(train_counts) < 2 or np.count_nonzero(eval_counts) < 2:
        return 0.0
    frequencies = (train_counts + 1.0) / (train_counts.sum() + len(train_counts))
    return float(-np.sum(eval_counts * np.log(frequencies)) / eval_counts.sum())


def accuracy_of_mode(train_counts: np.ndarray, eval_counts: np.ndarray) -> float:
    """Return the share of eval that the most frequent token of training answers rightly."""
    total = eval_counts.sum()
    return float(eval_counts[train_counts.argmax()] / total) if total else 0.0
