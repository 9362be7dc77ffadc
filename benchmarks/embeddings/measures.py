"""Measure embeddings by their labels and their neighbours; fitted on train, scored on test."""

import warnings

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import normalized_mutual_info_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.embeddings.sets import Splits
from ragline.components.evaluate.baselines import embedding_probes


def measure(
    train: np.ndarray, test: np.ndarray, splits: Splits, raw: np.ndarray
) -> dict[str, float | None]:
    """Return the figures of embeddings [N, E] of train and [M, E] of test.

    Args:
      train: embeddings of train.
      test: embeddings of test.
      splits: labels of the sequences.
      raw: [M, ...] the test sequences, resampled; the neighbours in it are the ones to keep.

    Returns:
      `lr` and `1-nn`, the accuracy of logistic regression and of the nearest neighbour; `nmi`, the
      normalised mutual information of k-means, of as many clusters as classes, with the classes;
      `kept`, the share of the 10 nearest neighbours in `raw`. All on standardised embeddings.
    """
    labels = [np.array(split.labels) for split in splits]
    scaler = StandardScaler().fit(train)
    fitted, scored = scaler.transform(train), scaler.transform(test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        linear = LogisticRegression(max_iter=1000).fit(fitted, labels[0])
    nearest = KNeighborsClassifier(1).fit(fitted, labels[0])
    clusters = KMeans(len(set(labels[0])), n_init=10, random_state=0).fit(scored).labels_
    return {
        "lr": float(linear.score(scored, labels[1])),
        "1-nn": float(nearest.score(scored, labels[1])),
        "nmi": float(normalized_mutual_info_score(labels[1], clusters)),
        "kept": embedding_probes.neighbours_kept(scored, raw),
    }
