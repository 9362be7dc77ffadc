"""Describe sequences by statistics of each feature: the baseline that everybody can compute.

An embedding is worth its training if a label is predicted from it better than from what a query of
a database gives. Of a sequence [T, F], for each feature: mean, standard deviation, least, most,
first and last of the observed values (0, the training mean, of a feature never observed), and the
share of steps that have one; and the logarithm of the length. Reduced by a PCA to as many numbers
as the embedding has, if they are more.
"""

from collections.abc import Sequence

import numpy as np
from sklearn.decomposition import PCA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler


def fit(sequences: Sequence[np.ndarray], components: int) -> Pipeline:
    """Fit the scaling of the statistics, and the PCA where they are more than the components.

    Args:
      sequences: standardised values [T, F] each, NaN where missing.
      components: E, the size of the embedding.
    """
    rows = describe(sequences)
    size = min(components, *rows.shape)
    reduction = PCA(size, svd_solver="full") if size < rows.shape[1] else "passthrough"
    return make_pipeline(StandardScaler(), reduction).fit(rows)


def describe(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return the statistics of sequences [T, F], float64 [N, 7 F + 1]."""
    return np.stack([_of_sequence(sequence) for sequence in sequences])


def _of_sequence(sequence: np.ndarray) -> np.ndarray:
    observed = ~np.isnan(sequence)
    number = observed.sum(axis=0)
    seen = number > 0
    count = np.where(seen, number, 1)
    mean = np.where(observed, sequence, 0.0).sum(axis=0) / count
    deviation = np.sqrt(np.where(observed, np.square(sequence - mean), 0.0).sum(axis=0) / count)
    least = np.where(observed, sequence, np.inf).min(axis=0)
    most = np.where(observed, sequence, -np.inf).max(axis=0)
    columns = np.arange(sequence.shape[1])
    first = sequence[observed.argmax(axis=0), columns]
    last = sequence[len(sequence) - 1 - observed[::-1].argmax(axis=0), columns]
    values = [np.where(seen, row, 0.0) for row in (mean, deviation, least, most, first, last)]
    return np.concatenate([*values, number / len(sequence), [np.log(len(sequence))]])
