"""Measure an embedding [N, E] by what it holds beside the reconstruction.

Collapse: an embedding that varies in few of its E directions. The effective rank (Roy and Vetterli
2007) is the exponential of the entropy of the singular values of the centred embeddings, each as
its share of their sum: 1 if all lie on a line, E if they vary alike in all directions.

Leakage: how well a linear model predicts the length from the embedding (R^2 of a ridge regression,
on sequences of entities that it was not fitted on).

Use: how well a label is predicted from the embedding, by its nearest neighbour and by logistic
regression, beside the same for a PCA and statistics of as many numbers, for the untrained model and
for the length alone: training has added only what those do not predict. Where one class is common,
accuracy hides the rest: the balanced accuracy is the mean over classes of the share of each that is
right, and the AUC the mean over classes of the area under the ROC curve of each against the rest.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
NEIGHBOURS = 10
FEWEST_LABELLED = 20
MOST_CLASSES = 20

# (rows to fit on, rows to score), int arrays.
Fold = tuple[np.ndarray, np.ndarray]


class Sequences(NamedTuple):
    """Holds entities, lengths and labels of N sequences.

    Attributes:
      entities: entity of each, [N].
      lengths: int [N].
      labels: column -> [N] of text, None where the label is missing.
      is_train: bool [N].
    """

    entities: Sequence[str]
    lengths: np.ndarray
    labels: Mapping[str, Sequence[str | None]]
    is_train: np.ndarray


def join(first: Sequences, second: Sequences) -> Sequences:
    """Concatenate sequences that have the same label columns."""
    return Sequences(
        entities=[*first.entities, *second.entities],
        lengths=np.concatenate([first.lengths, second.lengths]),
        labels={
            column: [*labels, *second.labels[column]] for column, labels in first.labels.items()
        },
        is_train=np.concatenate([first.is_train, second.is_train]),
    )


def effective_rank(embedding: np.ndarray) -> float:
    """Return the effective rank of embeddings [N, E]; 0 if all are the same."""
    values = np.linalg.svd(embedding - embedding.mean(axis=0), compute_uv=False)
    # Differences of equal numbers by rounding are no direction.
    values = values[values > values.max(initial=0.0) * 1e-9]
    if not values.sum() > 1e-9 * np.abs(embedding).max(initial=0.0):
        return 0.0
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def length_r2(embedding: np.ndarray, lengths: np.ndarray, entities: Sequence[str]) -> float | None:
    """Return R^2 of a linear model of the length, out of fold; None of fewer than two entities."""
    predicted = np.full(len(embedding), np.nan)
    for fit, score in _folds(entities):
        model = make_pipeline(StandardScaler(), Ridge(1.0))
        predicted[score] = model.fit(embedding[fit], lengths[fit]).predict(embedding[score])
    if np.isnan(predicted).any() or len(set(lengths)) < 2:
        return None
    return float(r2_score(lengths, predicted))


def neighbours_kept(embedding: np.ndarray, other: np.ndarray) -> float | None:
    """Return the share of the 10 nearest neighbours that two embeddings have in common.

    Args:
      embedding: [N, E].
      other: [N, E'], of the same sequences.

    Returns:
      The mean share; None of fewer than 12 sequences.
    """
    if len(embedding) < NEIGHBOURS + 2:
        return None
    neighbours, other_neighbours = (_neighbours(points) for points in (embedding, other))
    shared = [len(set(a) & set(b)) for a, b in zip(neighbours, other_neighbours, strict=True)]
    return float(np.mean(shared) / NEIGHBOURS)


def probes(
    inputs: Mapping[str, np.ndarray], sequences: Sequences, *, given_split: bool
) -> dict[str, Any]:
    """Measure how well each label is predicted from each input.

    Args:
      inputs: name -> [N, ...], such as the embedding of the model and of the untrained one; the
        length is added.
      sequences: the same N sequences.
      given_split: whether to fit on train and score on eval; otherwise on 5 folds of eval, by
        entity, so that no entity stands on both sides. (The encoder has seen those of train.)

    Returns:
      column -> `labelled`, the number of scored sequences; `majority`, the share of their most
      common class; `classes`, their number; and input -> see `_scores`. with fewer than 20 labelled
      sequences, with one class or with more than 20 is left out.
    """
    length = np.stack([sequences.lengths, np.log(sequences.lengths)], axis=1)
    inputs = {**inputs, "length": length}
    accuracies = {}
    for column, labels in sequences.labels.items():
        rows = np.array([i for i, label in enumerate(labels) if label is not None], int)
        classes = np.array([labels[row] for row in rows], object).astype(str)
        train = sequences.is_train[rows]
        if given_split:
            folds = [(np.flatnonzero(train), np.flatnonzero(~train))]
        else:
            eval_rows = np.flatnonzero(~train)
            entities = [sequences.entities[rows[row]] for row in eval_rows]
            folds = [(eval_rows[fit], eval_rows[score]) for fit, score in _folds(entities)]
        folds = [(fit, score) for fit, score in folds if len(score) and len(set(classes[fit])) > 1]
        scored = np.concatenate([score for _, score in folds]) if folds else np.zeros(0, int)
        if len(scored) < FEWEST_LABELLED or len(set(classes)) > MOST_CLASSES:
            continue
        _, counts = np.unique(classes[scored], return_counts=True)
        accuracies[column] = {
            "labelled": len(scored),
            "classes": len(counts),
            "majority": float(counts.max() / len(scored)),
            **{name: _scores(values[rows], classes, folds) for name, values in inputs.items()},
        }
    return accuracies


def _scores(values: np.ndarray, classes: np.ndarray, folds: Sequence[Fold]) -> dict[str, Any]:
    """Score what predicts the classes from one input.

    Returns:
      `size`, of the input; `nearest_neighbour` and `logistic_regression`, the accuracies;
      `nearest_neighbour_balanced`, `logistic_regression_balanced` and, of logistic regression,
      `auc`, None where no class can be told from the rest.
    """
    scored = np.concatenate([score for _, score in folds])
    actual, known = classes[scored], np.unique(classes)
    models = {
        "nearest_neighbour": KNeighborsClassifier(1),
        "logistic_regression": LogisticRegression(max_iter=1000),
    }
    scores: dict[str, Any] = {"size": values.shape[1]}
    for name, model in models.items():
        shares = np.concatenate([_predict(model, values, classes, fold, known) for fold in folds])
        right = known[shares.argmax(axis=1)] == actual
        scores[name] = float(right.mean())
        scores[f"{name}_balanced"] = balanced_accuracy(right, actual)
    scores["auc"] = area_under_curves(shares, actual, known)
    return scores


def _predict(
    model: Any, values: np.ndarray, classes: np.ndarray, fold: Fold, known: np.ndarray
) -> np.ndarray:
    """Return the share of each known class for each scored row, [N, K]."""
    fit, score = fold
    chain = make_pipeline(StandardScaler(), model)
    with warnings.catch_warnings():
        # A probe that is still improving after 1,000 rounds is good enough.
        warnings.simplefilter("ignore", ConvergenceWarning)
        chain.fit(values[fit], classes[fit])
    shares = np.zeros((len(score), len(known)))
    shares[:, np.searchsorted(known, chain.classes_)] = chain.predict_proba(values[score])
    return shares


def balanced_accuracy(right: np.ndarray, actual: np.ndarray) -> float:
    """Return the mean over the classes of the share of each that is right.

    Args:
      right: bool [N], whether each row is predicted rightly.
      actual: class of each row, [N].
    """
    return float(np.mean([right[actual == name].mean() for name in np.unique(actual)]))


def area_under_curves(shares: np.ndarray, actual: np.ndarray, known: np.ndarray) -> float | None:
    """Return the mean over the classes of the area under the ROC curve of each against the rest.

    Args:
      shares: the share of each of the K classes, [N, K].
      actual: class of each row, [N].
      known: the K classes, sorted.
    """
    areas = [
        roc_auc_score(actual == name, shares[:, place])
        for place, name in enumerate(known)
        if 0 < (actual == name).sum() < len(actual)
    ]
    return float(np.mean(areas)) if areas else None


def _folds(entities: Sequence[str]) -> Iterator[Fold]:
    """Return 5 folds, or as many as there are entities; none of fewer than two."""
    folds = min(FOLDS, len(set(entities)))
    if folds >= 2:
        yield from GroupKFold(folds).split(np.zeros(len(entities)), groups=entities)


def _neighbours(points: np.ndarray) -> np.ndarray:
    """Return the 10 nearest other points of each point, [N, 10]."""
    # Without an argument, kneighbors leaves each point itself out.
    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points)
    indices: np.ndarray = search.kneighbors(return_distance=False)
    return indices
