"""Describe sequences by statistics, in NumPy.

The formulas are those of components/train/model/sequence_statistics.py. Sequences lie one after
another, float32 [sum T, F]; sums are of float64.
"""

import numpy as np

from ragline.components.serving.fast.network import FARTHEST_STATISTIC, Statistics


def standardised(values: np.ndarray, length: np.ndarray, statistics: Statistics) -> np.ndarray:
    """Return the standardised statistics, float32 [N, P], of sequences without missing values.

    Args:
      values: float32 [sum T, F].
      length: int64 [N].
      statistics: their lags, mean and scale.
    """
    described = _describe(values.astype(np.float64), length, statistics.lags).astype(np.float32)
    scale = np.where(statistics.scale > 0.0, statistics.scale, np.float32(np.inf))
    z: np.ndarray = (described - statistics.mean) / scale
    return z.clip(-FARTHEST_STATISTIC, FARTHEST_STATISTIC, out=z)


def _describe(values: np.ndarray, length: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    """Return the statistics, float64 [N, P]."""
    first = np.cumsum(length) - length
    number = length[:, np.newaxis].astype(np.float64)

    def mean(terms: np.ndarray, lag: int = 0) -> np.ndarray:
        of_sequence: np.ndarray = np.add.reduceat(terms, first) / np.maximum(number - lag, 1.0)
        return of_sequence

    middle = mean(values)
    variance = mean(np.square(values - np.repeat(middle, length, axis=0)))
    ends = [each.reduceat(values, first) for each in (np.minimum, np.maximum)]
    left = np.repeat(first + length, length) - np.arange(len(values))
    moves = []
    for lag in lags:
        moved = np.zeros_like(values)
        np.subtract(values[lag:], values[:-lag], out=moved[:-lag])
        np.abs(moved, out=moved)
        moved[left <= lag] = 0.0
        moves.append(mean(moved, lag))
    return np.concatenate([middle, np.sqrt(variance), *ends, *moves, np.log(number)], axis=1)
