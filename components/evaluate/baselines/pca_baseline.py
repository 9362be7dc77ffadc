"""Reconstruct sequences by a PCA of sequences resampled to a fixed length: the linear baseline.

An autoencoder is worth its training if it reconstructs better from E numbers than a PCA does from
as many. A sequence [T, F] is resampled to 16 steps, evenly spread from its first step to
its last, by linear interpolation over each feature's observed values (before the first and after
the last of them, their value; of a feature never observed, 0, its training mean); projected on the
first components; and resampled back to its own T steps.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA

STEPS = 16


def fit(sequences: Sequence[np.ndarray], components: int) -> PCA:
    """Fit a PCA of resampled sequences.

    Args:
      sequences: standardised values [T, F] each, NaN where missing.
      components: E; fewer if there are fewer sequences or fewer numbers in a resampled one.
    """
    rows = _flat(sequences)
    # Not the randomised solver, which `auto` takes for large data.
    return PCA(min(components, *rows.shape), svd_solver="full").fit(rows)


def reconstruct(pca: PCA, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Reconstruct sequences [T, F], which may have NaN where missing."""
    rows = pca.inverse_transform(pca.transform(_flat(sequences)))
    grids = rows.reshape(len(sequences), STEPS, -1)
    return [resample(grid, len(sequence)) for grid, sequence in zip(grids, sequences, strict=True)]


def describe(pca: PCA, sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return the numbers that the PCA makes of sequences [T, F], float64 [N, E]."""
    numbers: np.ndarray = pca.transform(_flat(sequences))
    return numbers


def resample(values: np.ndarray, steps: int) -> np.ndarray:
    """Resample [T, F] to [steps, F] by linear interpolation over each feature's observed values."""
    places = np.linspace(0.0, 1.0, len(values)) if len(values) > 1 else np.array([0.5])
    targets = np.linspace(0.0, 1.0, steps) if steps > 1 else np.array([0.5])
    columns = np.zeros((steps, values.shape[1]))
    for index, column in enumerate(values.T):
        observed = ~np.isnan(column)
        if observed.any():
            columns[:, index] = np.interp(targets, places[observed], column[observed])
    return columns


def _flat(sequences: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([resample(sequence, STEPS).ravel() for sequence in sequences])
