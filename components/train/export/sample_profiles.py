"""Describe a sample of sequences as a whole, for the report: errors by position, and neighbours.

Pure. A position is a share of the sequence: step t of T lies in bin floor(BINS * (t + 0.5) / T), so
that sequences of all lengths add up. Errors and missing values are counted over valid steps only.
"""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from sklearn.neighbors import NearestNeighbors

BINS = 20
NEIGHBOURS = 5


def by_position(
    sequences: Iterable[tuple[np.ndarray, np.ndarray]], names: Collection[str]
) -> dict[str, Any]:
    """Average errors and missing values over positions.

    Args:
      sequences: values [T, F] of each, NaN where missing, and their reconstruction [T, F].
      names: name of each feature.

    Returns:
      `mse`, the mean squared error in each bin; `missing`, feature -> share of steps without a
      value in each bin; None where nothing counts.
    """
    shape = (BINS, len(names))
    squares, observed, steps = np.zeros(shape), np.zeros(shape), np.zeros(BINS)
    for values, outputs in sequences:
        length = len(values)
        bins = ((np.arange(length) + 0.5) * BINS / length).astype(int)
        there = ~np.isnan(values)
        np.add.at(squares, bins, np.where(there, np.square(outputs - values), 0.0))
        np.add.at(observed, bins, there)
        np.add.at(steps, bins, 1)
    return {
        "mse": _ratios(squares.sum(axis=1), observed.sum(axis=1)),
        "missing": {
            name: _ratios(steps - observed[:, place], steps) for place, name in enumerate(names)
        },
    }


def _ratios(totals: np.ndarray, counts: np.ndarray) -> list[float | None]:
    return [
        round(float(total / count), 6) if count and np.isfinite(total) else None
        for total, count in zip(totals, counts, strict=True)
    ]


def nearest(embeddings: np.ndarray) -> dict[str, list[list[Any]]]:
    """Return the nearest others of each embedding [N, E], the nearest first.

    Returns:
      `index`, N lists of rows; `distance`, N lists of Euclidean distances. Both are empty where
      there are too few embeddings, or not all are finite.
    """
    if len(embeddings) <= NEIGHBOURS or not np.isfinite(embeddings).all():
        return {"index": [], "distance": []}
    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(embeddings)
    distances, rows = search.kneighbors()  # Leaves each point itself out.
    return {
        "index": rows.tolist(),
        "distance": [[float(f"{value:.4g}") for value in row] for row in distances],
    }
