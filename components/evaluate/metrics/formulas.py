"""Totals -> metrics with their intervals. Every metric is made of sums, divided once, at the end.

Over the valid, observed values x (standardised) of a slice, with reconstructions y; f is a feature,
n_f the number of its values, n that of all:

    masked_mse           sum (y - x)^2 / n
    masked_mse/f         the same over the values of f
    masked_mae           sum |y - x| / n
    masked_rmse          the root of masked_mse
    variance/f           sum (x - mean of f in the slice)^2 / n_f
    normalised_mse       the mean over features of masked_mse/f / variance/f
    explained_variance   1 - sum (y - x)^2 / sum (0 - x)^2; 0 is the training mean of each feature
    finite_share         sequences whose embedding and reconstruction are finite / all sequences
    head/h/loss          of a classification, mean cross-entropy over its labelled sequences
    head/h/accuracy      share of them that are right
    head/h/mse           of a regression, mean squared error over its labelled sequences
    category/c/cross_entropy  mean over the observed words of a category, in nats
    category/c/accuracy       share of them that are right

normalised_mse alone may be compared between models: it is the same in all units, while a standard
unit is as wide as the training data happened to vary. A feature that is constant in the slice has
no variance to be divided by; it is left out of the mean, and its variance is reported as exactly 0.

Intervals are a jackknife that leaves out a group of sequences at a time, since steps of a sequence
are not independent (Quenouille 1956; Tukey 1958). With G groups, the estimate t of all and t_g of
all but group g, the pseudo-values G t - (G - 1) t_g have a mean whose standard error is that of t;
the interval is t -+ the 97.5% quantile of Student's t with G - 1 degrees of freedom times it, cut
off at the metric's own bounds, since no squared error is below 0. Of fewer than 30 sequences there
is none: drawn from lognormal errors of lognormal lengths, it held the true value in 94% of the
cases for 450 sequences, in 86% for 30, and in 78% for 5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragline.components.contract import relative
from ragline.components.contract.relative import of_category, of_head
from ragline.components.contract.signatures import (
    ABSOLUTE,
    COUNTS,
    CROSS_ENTROPY,
    FEATURE_SUM,
    FEATURE_VALUES,
    HEAD_LOSS,
    HEAD_RIGHT,
    LABELLED,
    MODEL,
    N_FINITE,
    N_OBSERVED,
    N_RIGHT,
    N_SEQUENCES,
    N_VALUES,
    SQUARED,
    TRAINING_MEAN,
    category_sum,
    error_sum,
    head_sum,
)
from ragline.components.evaluate.metrics.totals import Totals

MASKED_MSE = "masked_mse"
MASKED_MAE = "masked_mae"
MASKED_RMSE = "masked_rmse"
NORMALISED_MSE = relative.NUMBERS
EXPLAINED_VARIANCE = "explained_variance"
FINITE_SHARE = "finite_share"
VARIANCE = "variance"
RECONSTRUCTION = (MASKED_MSE, MASKED_MAE, MASKED_RMSE, NORMALISED_MSE, EXPLAINED_VARIANCE)

FEWEST = 30  # Sequences of a slice that has intervals.
_CONFIDENCE = 0.95

Sums = Mapping[str, np.ndarray]
Fraction = tuple[np.ndarray, np.ndarray]  # A metric and what was counted.
# A head: its name, and the metrics that it has by its type.
Head = tuple[str, tuple[str, ...]]
HEAD_METRICS: Mapping[str, tuple[str, ...]] = {
    "classification": ("loss", "accuracy"),
    "regression": ("mse",),
}
_CATEGORY_METRICS = {"cross_entropy": CROSS_ENTROPY, "accuracy": N_RIGHT}


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric.

    Attributes:
      value: of the whole slice.
      lower: of its 95% interval over sequences; None if there is none.
      upper: likewise.
      count: what was counted, such as values or labelled sequences; None for a count itself.
    """

    value: float
    lower: float | None = None
    upper: float | None = None
    count: float | None = None


def of_feature(metric: str, feature: str) -> str:
    """The name of a metric of one feature, such as `masked_mse/ax`."""
    return f"{metric}/{feature}"


def model_metrics(
    features: Sequence[str], heads: Sequence[Head], categories: Sequence[str]
) -> tuple[str, ...]:
    """The names of all metrics of a model, counts included."""
    return (
        *RECONSTRUCTION,
        FINITE_SHARE,
        *(of_feature(metric, name) for name in features for metric in (MASKED_MSE, VARIANCE)),
        *(of_head(head, metric) for head, metrics in heads for metric in metrics),
        *(of_category(name, metric) for name in categories for metric in _CATEGORY_METRICS),
        *COUNTS,
    )


def bounds_of(metric: str) -> tuple[float, float]:
    """Between what a metric must lie."""
    of_part = metric.startswith(("head/", "category/"))
    if metric == FINITE_SHARE or (of_part and metric.endswith("/accuracy")):
        return 0.0, 1.0
    return (-np.inf, 1.0) if metric == EXPLAINED_VARIANCE else (0.0, np.inf)


def model_estimates(
    totals: Totals, features: Sequence[str], heads: Sequence[Head], categories: Sequence[str]
) -> dict[str, Estimate]:
    """Every metric of the model, with intervals where the slice is large enough for them.

    Args:
      totals: what `evaluate` returned, of the sequences of one slice.
      features: the F names, in order.
      heads: of the model.
      categories: their names.
    """

    def values(sums: Sums) -> dict[str, Fraction]:
        found = _reconstruction(sums, MODEL)
        found[FINITE_SHARE] = _ratio(sums[N_FINITE], sums[N_SEQUENCES])
        by_feature, variance = _by_feature(sums, MODEL)
        number = sums[FEATURE_VALUES]
        for index, feature in enumerate(features):
            own = number[..., index]
            found[of_feature(MASKED_MSE, feature)] = by_feature[..., index], own
            found[of_feature(VARIANCE, feature)] = variance[..., index], own
        for head, metrics in heads:
            labelled = sums[head_sum(head, LABELLED)]
            for metric in metrics:
                what = HEAD_RIGHT if metric == "accuracy" else HEAD_LOSS
                found[of_head(head, metric)] = _ratio(sums[head_sum(head, what)], labelled)
        for category in categories:
            observed = sums[category_sum(category, N_OBSERVED)]
            for metric, what in _CATEGORY_METRICS.items():
                total = sums[category_sum(category, what)]
                found[of_category(category, metric)] = _ratio(total, observed)
        return found

    return _estimates(totals, values) | {
        name: Estimate(float(totals[name].sum())) for name in COUNTS
    }


def baseline_estimates(totals: Totals, predictor: str) -> dict[str, Estimate]:
    """The metrics of reconstruction of a predictor whose errors are in the totals."""
    return _estimates(totals, lambda sums: _reconstruction(sums, predictor))


def normalised_by_feature(values: Mapping[str, float]) -> dict[str, float]:
    """The normalised MSE of each feature that is not constant.

    Args:
      values: a model's metrics, `masked_mse/f` and `variance/f` among them.
    """
    prefix = of_feature(VARIANCE, "")
    variances = {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }
    return {
        feature: values[of_feature(MASKED_MSE, feature)] / variance
        for feature, variance in variances.items()
        if variance > 0
    }


def _estimates(
    totals: Totals, values: Callable[[Sums], dict[str, Fraction]]
) -> dict[str, Estimate]:
    """Each metric of all sequences, and its interval from what it is without each group."""
    whole = values({name: total.sum(axis=0) for name, total in totals.items()})
    from scipy import stats  # Late: it takes a second, and a configuration needs only the names.

    used = totals[N_SEQUENCES] > 0
    number = int(used.sum())
    if totals[N_SEQUENCES].sum() < FEWEST or number < 2:
        return {name: Estimate(float(v), count=float(c)) for name, (v, c) in whole.items()}
    without = values({name: total.sum(axis=0) - total[used] for name, total in totals.items()})
    quantile = stats.t.ppf(0.5 + _CONFIDENCE / 2, number - 1)
    found = {}
    for name, (value, count) in whole.items():
        pseudo = number * value - (number - 1) * without[name][0]
        half = quantile * pseudo.std(ddof=1) / np.sqrt(number)
        low, high = bounds_of(name)
        bounds: tuple[float | None, float | None] = (None, None)
        if np.isfinite(half):
            bounds = (float(max(value - half, low)), float(min(value + half, high)))
        found[name] = Estimate(float(value), *bounds, count=float(count))
    return found


def _reconstruction(sums: Sums, predictor: str) -> dict[str, Fraction]:
    """Each metric's (value, count), of sums [...] and [..., F]."""
    squared = sums[error_sum(predictor, SQUARED)].sum(axis=-1)
    number = sums[N_VALUES]
    mse, _ = _ratio(squared, number)
    unexplained, _ = _ratio(squared, sums[error_sum(TRAINING_MEAN, SQUARED)].sum(axis=-1))
    by_feature, variance = _by_feature(sums, predictor)
    varies = variance > 0
    shares = np.where(varies, by_feature, 0.0) / np.where(varies, variance, 1.0)
    return {
        MASKED_MSE: (mse, number),
        MASKED_MAE: _ratio(sums[error_sum(predictor, ABSOLUTE)], number),
        MASKED_RMSE: (np.sqrt(mse), number),
        NORMALISED_MSE: _ratio(shares.sum(axis=-1), varies.sum(axis=-1)),
        EXPLAINED_VARIANCE: (1.0 - unexplained, number),
    }


def _by_feature(sums: Sums, predictor: str) -> tuple[np.ndarray, np.ndarray]:
    """Each feature's mean squared error and its variance, exactly 0 if constant, [..., F]."""
    number = sums[FEATURE_VALUES]
    squares = sums[error_sum(TRAINING_MEAN, SQUARED)]
    mse, _ = _ratio(sums[error_sum(predictor, SQUARED)], number)
    return mse, relative.variance(number, sums[FEATURE_SUM], squares)


def _ratio(total: np.ndarray, count: np.ndarray) -> Fraction:
    """Return (total / count, count); 0 where nothing was counted, as `masking.masked_mean` does."""
    total, count = np.asarray(total, np.float64), np.asarray(count, np.float64)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), 0.0), count
