"""Define the metrics of errors over the valid, observed values, in standardised units.

Of values x with reconstructions y; f is a feature, n_f the number of its values, n that of all.
"""

import numpy as np

from ragline.components.contract import relative
from ragline.components.contract.signatures import (
    ABSOLUTE,
    FEATURE_SUM,
    FEATURE_VALUES,
    N_FINITE,
    N_SEQUENCES,
    N_VALUES,
    SQUARED,
    TRAINING_MEAN,
    error_sum,
)
from ragline.components.evaluate.metrics.interface import (
    Arrays,
    FeatureMetric,
    Fraction,
    ModelMetric,
    ReconstructionMetric,
    Subject,
    ratio,
)

_SQUARES = error_sum(TRAINING_MEAN, SQUARED)


class MaskedMse(ReconstructionMetric):
    """Makes sum (y - x)^2 / n."""

    label = "masked_mse"
    meaning = "mean squared error of the values"

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return squared errors, and values."""
        return error_sum(of.predictor, SQUARED), N_VALUES

    def finish(self, totals: Arrays) -> Fraction:
        """Return sum (y - x)^2 / n, and n."""
        squared, number = totals
        return ratio(squared.sum(axis=-1), number)


class MaskedMae(ReconstructionMetric):
    """Makes sum |y - x| / n."""

    label = "masked_mae"
    meaning = "mean absolute error of the values"

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return absolute errors, and values."""
        return error_sum(of.predictor, ABSOLUTE), N_VALUES


class MaskedRmse(MaskedMse):
    """Makes the root of masked_mse."""

    label = "masked_rmse"
    meaning = "root of `masked_mse`"

    def finish(self, totals: Arrays) -> Fraction:
        """Return the root of masked_mse, and n."""
        mse, number = super().finish(totals)
        return np.sqrt(mse), number


class NormalisedMse(ReconstructionMetric):
    """Makes the mean over features of masked_mse/f / variance/f.

    It alone may be compared between models: it is the same in all units, while a standard unit is
    as wide as the training data happened to vary. A feature that is constant in the slice has no
    variance to be divided by, and is left out of the mean.
    """

    label = relative.NUMBERS
    meaning = "mean over the features of error / variance; a constant feature is left out"
    between_models = True

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return squared errors, and the number, the sum and the squares of each feature."""
        return error_sum(of.predictor, SQUARED), FEATURE_VALUES, FEATURE_SUM, _SQUARES

    def finish(self, totals: Arrays) -> Fraction:
        """Return the mean of masked_mse/f / variance/f, and how many features vary."""
        squared, number, total, squares = totals
        by_feature, _ = ratio(squared, number)
        variance = relative.variance(number, total, squares)
        varies = variance > 0
        shares = np.where(varies, by_feature, 0.0) / np.where(varies, variance, 1.0)
        return ratio(shares.sum(axis=-1), varies.sum(axis=-1))


class ExplainedVariance(ReconstructionMetric):
    """Makes 1 - sum (y - x)^2 / sum (0 - x)^2; 0 is the training mean of each feature."""

    label = "explained_variance"
    meaning = "1 less the squared error / that of the training mean"
    lower_is_better = False
    bounds = (-np.inf, 1.0)

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return squared errors, those of the training mean, and values."""
        return error_sum(of.predictor, SQUARED), _SQUARES, N_VALUES

    def finish(self, totals: Arrays) -> Fraction:
        """Return 1 - sum (y - x)^2 / sum (0 - x)^2, and n."""
        squared, squares, number = totals
        unexplained, _ = ratio(squared.sum(axis=-1), squares.sum(axis=-1))
        return 1.0 - unexplained, number


class FiniteShare(ModelMetric):
    """Makes sequences whose embedding and reconstruction are finite / all sequences."""

    label = "finite_share"
    meaning = "share of the sequences whose embedding and reconstruction are finite"
    lower_is_better = False
    bounds = (0.0, 1.0)

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return finite sequences, and all."""
        return N_FINITE, N_SEQUENCES


class FeatureMse(FeatureMetric):
    """Makes sum (y - x)^2 / n_f over the values of a feature."""

    label = "masked_mse"
    meaning = "mean squared error of the feature's values"

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return squared errors, and values."""
        return error_sum(of.predictor, SQUARED), FEATURE_VALUES


class FeatureVariance(FeatureMetric):
    """Makes sum (x - mean of f in the slice)^2 / n_f; exactly 0 if the feature is constant."""

    label = "variance"
    meaning = "variance of the feature's values; exactly 0 if they are constant"
    lower_is_better = None

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return the number of values, their sum, and their squares."""
        return FEATURE_VALUES, FEATURE_SUM, _SQUARES

    def finish(self, totals: Arrays) -> Fraction:
        """Return the variance of the feature, and n_f."""
        number, total, squares = totals
        return relative.variance(number, total, squares), number
