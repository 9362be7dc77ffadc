"""Make metrics with intervals of totals. Every metric is made of sums, divided once, at the end.

What the metrics are, and of which sums they are made, is in `reconstruction.py`, `supervised.py`
and the packages that add some.

Intervals are a jackknife that leaves out a group of sequences at a time, since steps of a sequence
are not independent (Quenouille 1956; Tukey 1958). With G groups, the estimate t of all and t_g of
all but group g, the pseudo-values G t - (G - 1) t_g have a mean whose standard error is that of t;
the interval is t -+ the 97.5% quantile of Student's t with G - 1 degrees of freedom times it, cut
off at the metric's own bounds, since no squared error is below 0. Of fewer than 30 sequences there
is none: drawn from lognormal errors of lognormal lengths, it held the true value in 94% of the
cases for 450 sequences, in 86% for 30, and in 78% for 5.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ragline.components.contract.relative import of_feature
from ragline.components.contract.signatures import COUNTS, N_SEQUENCES
from ragline.components.evaluate.metrics import named
from ragline.components.evaluate.metrics.interface import Head, Parts
from ragline.components.evaluate.metrics.named import Measured
from ragline.components.evaluate.metrics.reconstruction import (
    FeatureMse,
    FeatureVariance,
    FiniteShare,
    MaskedMse,
    NormalisedMse,
)
from ragline.components.evaluate.metrics.totals import Totals

MASKED_MSE = MaskedMse.label
NORMALISED_MSE = NormalisedMse.label
FINITE_SHARE = FiniteShare.label
VARIANCE = FeatureVariance.label

FEWEST = 30  # Sequences of a slice that has intervals.
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """Holds the value of a metric, its interval, and what was counted.

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


def model_metrics(
    features: Sequence[str],
    heads: Sequence[Head],
    categories: Sequence[str],
    terms: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return the names of all metrics of a model, counts included."""
    parts = Parts(features=features, heads=heads, categories=categories, terms=terms)
    return (*(each.name for each in named.of_model(parts)), *COUNTS)


def model_estimates(
    totals: Totals,
    features: Sequence[str],
    heads: Sequence[Head],
    categories: Sequence[str],
    terms: Sequence[str] = (),
) -> dict[str, Estimate]:
    """Return every metric of the model, with intervals where the slice is large enough.

    Args:
      totals: what `evaluate` returned and `each_sequence` added, of the sequences of one slice.
      features: the F names, in order.
      heads: of the model.
      categories: their names.
      terms: names of the `[[terms]]`.
    """
    parts = Parts(features=features, heads=heads, categories=categories, terms=terms)
    counts = {name: Estimate(float(totals[name].sum())) for name in COUNTS}
    return estimates(totals, named.of_model(parts)) | counts


def baseline_estimates(totals: Totals, predictor: str) -> dict[str, Estimate]:
    """Return the metrics of reconstruction of a predictor whose errors are in the totals."""
    return estimates(totals, named.of_baseline(predictor))


def comparable_estimates(totals: Totals, features: Sequence[str]) -> dict[str, Estimate]:
    """Return the metrics that can be compared between models: those independent of the units.

    Those are the normalised MSE, and that of each feature which is not constant.
    """
    kept = (NormalisedMse, FeatureMse, FeatureVariance)
    every = named.of_model(Parts(features=features))
    own = estimates(totals, [each for each in every if type(each.metric) in kept])
    return {NORMALISED_MSE: own[NORMALISED_MSE]} | {
        of_feature(NORMALISED_MSE, feature): _over_variance(
            own[of_feature(MASKED_MSE, feature)], own[of_feature(VARIANCE, feature)].value
        )
        for feature in features
        if own[of_feature(VARIANCE, feature)].value > 0
    }


def _over_variance(error: Estimate, variance: float) -> Estimate:
    """Divide an error and its interval by a variance, taken as known."""
    lower, upper = (
        None if bound is None else bound / variance for bound in (error.lower, error.upper)
    )
    return Estimate(error.value / variance, lower, upper)


def normalised_by_feature(values: Mapping[str, float]) -> dict[str, float]:
    """Return the normalised MSE of each feature that is not constant.

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


def estimates(totals: Totals, measured: Collection[Measured]) -> dict[str, Estimate]:
    """Return each metric of all sequences, with its interval where there is one."""
    from scipy import stats  # Late: it takes a second, and a configuration needs only the names.

    whole = {name: total.sum(axis=0) for name, total in totals.items()}
    used = totals[N_SEQUENCES] > 0
    number = int(used.sum())
    few = totals[N_SEQUENCES].sum() < FEWEST or number < 2
    without = {name: total.sum(axis=0) - total[used] for name, total in totals.items()}
    quantile = 0.0 if few else stats.t.ppf(0.5 + _CONFIDENCE / 2, number - 1)
    result = {}
    for each in measured:
        value, count = each.finish(whole)
        bounds: tuple[float | None, float | None] = (None, None)
        if not few:
            pseudo = number * value - (number - 1) * each.finish(without)[0]
            half = quantile * pseudo.std(ddof=1) / np.sqrt(number)
            low, high = each.bounds
            if np.isfinite(half):
                bounds = (float(max(value - half, low)), float(min(value + half, high)))
        result[each.name] = Estimate(float(value), *bounds, count=float(count))
    return result
