"""The linear baseline: PCA of sequences that are resampled to a fixed length.

An autoencoder that is to be worth its training should reconstruct better from E numbers than a PCA
does from as many. A sequence [T, F] is resampled to 16 steps, evenly spread from its first step to
its last, by linear interpolation over each feature's observed values (before the first and after
the last of them, their value; of a feature never observed, 0, its training mean); projected on the
first components; and resampled back to its own T steps.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA

STEPS = 16


def fit(sequences: Sequence[np.ndarray], components: int) -> PCA:
    """A PCA of resampled sequences.

    Args:
      sequences: standardised values [T, F] each, NaN where missing.
      components: E; fewer if there are fewer sequences or fewer numbers in a resampled one.
    """
    rows = _flat(sequences)
    # Not the randomised solver, which `auto` takes of large data.
    return PCA(min(components, *rows.shape), svd_solver="full").fit(rows)


def reconstruct(pca: PCA, sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The reconstruction [T, F] of each sequence, which may have NaN where missing."""
    rows = pca.inverse_transform(pca.transform(_flat(sequences)))
    grids = rows.reshape(len(sequences), STEPS, -1)
    return [resample(grid, len(sequence)) for grid, sequence in zip(grids, sequences, strict=True)]


def resample(values: np.ndarray, steps: int) -> np.ndarray:
    """[T, F] -> [steps, F] by linear interpolation over the observed values of each feature."""
    places = np.linspace(0.0, 1.0, len(values)) if len(values) > 1 else np.array([0.5])
    wanted = np.linspace(0.0, 1.0, steps) if steps > 1 else np.array([0.5])
    columns = np.zeros((steps, values.shape[1]))
    for index, column in enumerate(values.T):
        seen = ~np.isnan(column)
        if seen.any():
            columns[:, index] = np.interp(wanted, places[seen], column[seen])
    return columns


def _flat(sequences: Sequence[np.ndarray]) -> np.ndarray:
    return np.stack([resample(sequence, STEPS).ravel() for sequence in sequences])
