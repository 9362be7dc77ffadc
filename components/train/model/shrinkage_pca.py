"""Compute principal components of resampled sequences, from a covariance that is shrunk.

A row is a sequence on a grid of K steps, K F numbers. There may be fewer rows than numbers, and the
components of so few rows fit them better than later sequences. Their covariance S is therefore
shrunk towards a separable one, which has K^2 + F^2 numbers in place of K^2 F^2: covariance in time
(x) covariance of features,

    T = (tr_F S) (x) (tr_K S) / tr S        tr_F, tr_K: the partial traces, [K, K] and [F, F]
    S' = (1 - r) S + r T
    r = mean_n |x_n x_n' - S|^2 / N / |S - T|^2, at most 1

Beside the grid, a row may hold other numbers, whose covariance is unchanged: with the grid's,
they have (1 - r) times their own.

The share r is that of Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional
covariance matrices", with T in place of their multiple of the identity. It vanishes as N grows: of
many sequences, the components are those of a plain PCA.
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg


class CovarianceStats(NamedTuple):
    """Holds the statistics of N rows that the components are computed from.

    Attributes:
      mean: float64 [D].
      covariance: S, float64 [D, D], divided by N.
      spread: mean over the rows of |x - mean|^4, of the grid alone.
      rows: N.
    """

    mean: np.ndarray
    covariance: np.ndarray
    spread: float
    rows: int

    def part(self, numbers: slice) -> "CovarianceStats":
        """Return the statistics of some numbers of each row; the spread is that of the grid."""
        covariance = self.covariance[numbers, numbers]
        return self._replace(mean=self.mean[numbers], covariance=covariance)


class RowSums:
    """Adds up rows that need not fit in memory, whose statistics take one pass.

    Rows are summed less a shift near their mean, so that no sum is of large numbers.
    """

    def __init__(self, shift: np.ndarray, grid: int) -> None:
        """Start at no rows.

        Args:
          shift: float64 [D].
          grid: how many numbers of a row, its first ones, are the grid.
        """
        self.rows, self._shift, self._grid = 0, shift, grid
        self._total, self._products = np.zeros(len(shift)), np.zeros((len(shift), len(shift)))
        # Of y [grid] of each row: |y|^2 y and |y|^4.
        self._third, self._fourth = np.zeros(grid), 0.0

    def add(self, rows: np.ndarray) -> None:
        """Add rows [n, D]."""
        moved = rows - self._shift
        squares = np.square(moved[:, : self._grid]).sum(axis=1)
        self.rows += len(rows)
        self._total += moved.sum(axis=0)
        self._products += moved.T @ moved
        self._third += squares @ moved[:, : self._grid]
        self._fourth += float(np.square(squares).sum())

    def merge(self, other: "RowSums") -> None:
        """Add the rows of another, of the same shift."""
        self.rows += other.rows
        self._total += other._total
        self._products += other._products
        self._third += other._third
        self._fourth += other._fourth

    def stats(self) -> CovarianceStats:
        """Return the statistics of the rows, at least one."""
        apart, products = self._total / self.rows, self._products / self.rows
        # The mean of |y - d|^4 = (|y|^2 - 2 y d + |d|^2)^2, of rows y of the grid and their mean d.
        of_grid, d = products[: self._grid, : self._grid], apart[: self._grid]
        spread = self._fourth / self.rows + 4.0 * (d @ of_grid @ d - d @ self._third / self.rows)
        spread += (d @ d) * (2.0 * np.trace(of_grid) - 3.0 * (d @ d))
        covariance = products - np.outer(apart, apart)
        return CovarianceStats(self._shift + apart, covariance, float(spread), self.rows)


def shrink(stats: CovarianceStats, steps: int, grid: int | None = None) -> np.ndarray:
    """Shrink a covariance; return S', float64 [D, D].

    Args:
      stats: statistics of rows that begin with K F numbers, row-major.
      steps: K.
      grid: K F; None if it is D.
    """
    own = stats.covariance[:grid, :grid]
    square = own.reshape(steps, -1, *(steps, len(own) // steps))
    in_time, across_features = np.einsum("kflf->kl", square), np.einsum("kfkg->fg", square)
    if not (scale := np.trace(in_time)) > 0.0:
        return stats.covariance
    target = np.kron(in_time, across_features) / scale
    noise = stats.spread - np.square(own).sum()
    distance = stats.rows * np.square(own - target).sum()
    share = min(noise / distance, 1.0) if distance > 0.0 else 0.0
    shrunk: np.ndarray = (1.0 - share) * stats.covariance
    shrunk[:grid, :grid] += share * target
    others = slice(len(own), None)
    shrunk[others, others] = stats.covariance[others, others]
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


class Maps(NamedTuple):
    """Holds the maps of rows to their principal components, and back to the grid.

    A component is that of a row whose numbers beside the grid are scaled to hold a share of all
    variance. The best linear reconstruction of the grid from components is their own directions.

    Attributes:
      mean: float64 [D], of the rows.
      to_components: float64 [D, n], of a row without its mean.
      to_grid: float64 [n, K F].
      variance: the sum of the components' variances.
    """

    mean: np.ndarray
    to_components: np.ndarray
    to_grid: np.ndarray
    variance: float


def maps(mean: np.ndarray, covariance: np.ndarray, grid: int, size: int, share: float) -> Maps:
    """Return the maps of rows of a covariance [D, D].

    Args:
      mean: [D], of the rows.
      covariance: [D, D].
      grid: K F.
      size: E, how many components are wanted; there are at most D.
      share: of all variance, what the numbers beside the grid hold; below 1.
    """
    variances = np.diag(covariance)
    of_grid, of_others = variances[:grid].sum(), variances[grid:].sum()
    weight = np.ones(len(mean))
    weight[grid:] = np.sqrt(share / (1.0 - share) * of_grid / of_others) if of_others > 0.0 else 0.0
    directions = components(weight[:, np.newaxis] * covariance * weight, size)
    to_components = (directions * weight).T
    variance = float(np.einsum("dn,de,en->", to_components, covariance, to_components))
    return Maps(mean, to_components, directions[:, :grid], variance)
