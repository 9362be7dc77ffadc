"""Give each sequence a fixed number of numbers by what one would use without ragline.

Each makes many features of a sequence, standardises them by the training split and reduces them to
the first principal components of it. A category counts as a signal for each of its ten most
frequent words, 1 where it stands and 0 elsewhere.

    pca         the values, resampled to 16 steps (components/evaluate/baselines/pca_baseline.py)
    statistics  of each signal mean, deviation, quantiles, first, last, slope, and share observed
    minirocket  10,000 random convolutions, as sktime's variant for sequences of any length has them
"""

import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.embeddings.sets import Split, Splits
from ragline.components.evaluate.baselines import pca_baseline

RIVALS = ("pca", "statistics", "minirocket")
_WORDS = 10
_SHORTEST = 9  # Steps of MiniRocket's kernels.


def embed(rival: str, splits: Splits, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `size` numbers of each sequence of train and test, or as many as there can be."""
    train, test = signals(splits)
    if rival == "pca":
        flat = [grids(train), grids(test)]
        reduced = PCA(min(size, *flat[0].shape), svd_solver="full")
        return reduced.fit_transform(flat[0]), reduced.transform(flat[1])
    features = _minirocket(train, test, seed) if rival == "minirocket" else (
        np.stack([_statistics(x) for x in train]), np.stack([_statistics(x) for x in test])
    )  # fmt: skip
    components = min(size, *features[0].shape)
    chain = make_pipeline(StandardScaler(), PCA(components, random_state=seed))
    return chain.fit_transform(features[0]), chain.transform(features[1])


def signals(splits: Splits) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return [T, F'] of each sequence, standardised by train, with the categories as signals."""
    train, test = splits
    rows = np.concatenate(train.values)
    mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    deviation[deviation == 0.0] = np.inf
    frequent = {
        name: [w for w, _ in Counter(w for ws in words for w in ws).most_common(_WORDS)]
        for name, words in train.words.items()
    }

    def of(split: Split) -> list[np.ndarray]:
        made = [(values - mean) / deviation for values in split.values]
        for name, vocabulary in frequent.items():
            made = [
                np.hstack([values, np.array(words)[:, np.newaxis] == np.array(vocabulary)])
                for values, words in zip(made, split.words[name], strict=True)
            ]
        return made

    return of(train), of(test)


def grids(sequences: Sequence[np.ndarray]) -> np.ndarray:
    """Return sequences [T, F'], resampled to 16 steps, as rows."""
    return np.stack([pca_baseline.resample(x, pca_baseline.STEPS).ravel() for x in sequences])


def _statistics(values: np.ndarray) -> np.ndarray:
    """Return the statistics of [T, F']; of a signal never observed, zeros."""
    rows = []
    for column in values.T:
        observed = np.flatnonzero(~np.isnan(column))
        if not len(observed):
            rows.append(np.zeros(11))
            continue
        seen = column[observed]
        slope = np.polyfit(observed, seen, 1)[0] if len(observed) > 1 else 0.0
        steps = np.abs(np.diff(seen)).mean() if len(seen) > 1 else 0.0
        quantiles = np.quantile(seen, (0.0, 0.25, 0.5, 0.75, 1.0))
        rows.append(
            [seen.mean(), seen.std(), *quantiles, seen[0], seen[-1], slope * len(column), steps]
        )
    share = (~np.isnan(values)).mean(axis=0)
    return np.concatenate([np.ravel(rows), share, [len(values), np.log(len(values))]])


def _minirocket(
    train: Sequence[np.ndarray], test: Sequence[np.ndarray], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    # Late: it is in no environment but the benchmark's.
    from sktime.transformations.rocket import MiniRocketMultivariateVariable

    def panel(sequences: Sequence[np.ndarray]) -> list[pd.DataFrame]:
        whole = [pca_baseline.resample(values, len(values)) for values in sequences]
        short = [max(0, _SHORTEST - len(values)) for values in whole]
        padded = [np.pad(x, ((0, n), (0, 0))) for x, n in zip(whole, short, strict=True)]
        return [pd.DataFrame(values) for values in padded]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # sktime converts the panel, and says so.
        transform = MiniRocketMultivariateVariable(random_state=seed).fit(panel(train))
        return tuple(np.asarray(transform.transform(panel(x)), float) for x in (train, test))
