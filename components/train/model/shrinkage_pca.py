"""Compute principal components of resampled sequences, from a covariance that is shrunk.

A row is a sequence on a grid of K steps, K F numbers. There may be fewer rows than numbers, and the
components of so few rows fit them better than later sequences. Their covariance S is therefore
shrunk towards a separable one, which has K^2 + F^2 numbers in place of K^2 F^2: covariance in time
(x) covariance of features,

    T = (tr_F S) (x) (tr_K S) / tr S        tr_F, tr_K: the partial traces, [K, K] and [F, F]
    S' = (1 - r) S + r T
    r = mean_n |x_n x_n' - S|^2 / N / |S - T|^2, at most 1

The share r is that of Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional
covariance matrices", with T in place of their multiple of the identity. It vanishes as N grows: of
many sequences, the components are those of a plain PCA.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import scipy.linalg


class CovarianceStats(NamedTuple):
    """Holds the statistics of N rows that the components are computed from.

    Attributes:
      mean: float64 [D].
      covariance: S, float64 [D, D], divided by N.
      spread: mean over the rows of |x - mean|^4.
      rows: N.
    """

    mean: np.ndarray
    covariance: np.ndarray
    spread: float
    rows: int


def covariance_stats(parts: Callable[[], Iterable[np.ndarray]]) -> CovarianceStats:
    """Compute the statistics of rows that need not fit in memory: the mean, then the covariance.

    Args:
      parts: returns the same parts [n, D] at each of its two calls; at least one row in all.
    """
    rows, total = 0, np.zeros(())
    for part in parts():
        rows, total = rows + len(part), total + part.sum(axis=0, dtype=np.float64)
    mean = total / rows
    covariance, spread = np.zeros((len(mean), len(mean))), 0.0
    for part in parts():
        centred = part - mean
        covariance += centred.T @ centred
        spread += float(np.square(np.square(centred).sum(axis=1)).sum())
    return CovarianceStats(mean=mean, covariance=covariance / rows, spread=spread / rows, rows=rows)


def shrink(stats: CovarianceStats, steps: int) -> np.ndarray:
    """Shrink a covariance; return S', float64 [D, D].

    Args:
      stats: statistics of rows of K F numbers, row-major.
      steps: K.
    """
    square = stats.covariance.reshape(steps, -1, *(steps, len(stats.mean) // steps))
    in_time, across_features = np.einsum("kflf->kl", square), np.einsum("kfkg->fg", square)
    if not (scale := np.trace(in_time)) > 0.0:
        return stats.covariance
    target = np.kron(in_time, across_features) / scale
    noise = stats.spread - np.square(stats.covariance).sum()
    distance = stats.rows * np.square(stats.covariance - target).sum()
    share = min(noise / distance, 1.0) if distance > 0.0 else 0.0
    shrunk: np.ndarray = (1.0 - share) * stats.covariance + share * target
    return shrunk


def components(covariance: np.ndarray, size: int) -> np.ndarray:
    """Return the orthonormal directions of most variance, in descending order.

    Args:
      covariance: [D, D].
      size: number of directions; at most D are returned.

    Returns:
      float64 [size, D].
    """
    last = len(covariance) - 1
    _, vectors = scipy.linalg.eigh(covariance, subset_by_index=[max(last + 1 - size, 0), last])
    directions: np.ndarray = vectors.T[::-1]
    return directions
