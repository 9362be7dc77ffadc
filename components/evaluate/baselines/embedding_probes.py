"""What an embedding [N, E] is like, apart from what can be reconstructed from it.

Collapse: a code of E numbers that moves in few directions. The effective rank (Roy and Vetterli
2007) is the exponential of the entropy of the singular values of the centred embeddings, each as
its share of their sum: 1 if all lie on a line, E if they spread alike in all directions.

Leakage: how much of the length a linear model reads off the code (R^2 of a ridge regression, of
sequences whose entities it was not fitted on).

Use: how well a label is told from the code, by its nearest neighbour and by logistic regression,
beside the same of the untrained model and of the length alone: what those know too, training has
not taught.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
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
    """What is known of N sequences.

    Attributes:
      entities: of each, [N].
      lengths: int [N].
      labels: column -> [N] of text, None where the label is missing.
      is_train: bool [N].
    """

    entities: Sequence[str]
    lengths: np.ndarray
    labels: Mapping[str, Sequence[str | None]]
    is_train: np.ndarray


def join(one: Sequences, other: Sequences) -> Sequences:
    """The sequences of both, in this order; both have the same label columns."""
    return Sequences(
        entities=[*one.entities, *other.entities],
        lengths=np.concatenate([one.lengths, other.lengths]),
        labels={column: [*labels, *other.labels[column]] for column, labels in one.labels.items()},
        is_train=np.concatenate([one.is_train, other.is_train]),
    )


def effective_rank(embedding: np.ndarray) -> float:
    """Of embeddings [N, E]; 0 if all are the same."""
    values = np.linalg.svd(embedding - embedding.mean(axis=0), compute_uv=False)
    # What is left of equal numbers by rounding is not a direction.
    values = values[values > values.max(initial=0.0) * 1e-9]
    if not values.sum() > 1e-9 * np.abs(embedding).max(initial=0.0):
        return 0.0
    shares = values / values.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def length_r2(embedding: np.ndarray, sequences: Sequences) -> float | None:
    """R^2 of a linear model of the length, out of fold; None with fewer than two entities."""
    predicted = np.full(len(embedding), np.nan)
    for fit, score in _folds(sequences.entities):
        model = make_pipeline(StandardScaler(), Ridge(1.0))
        predicted[score] = model.fit(embedding[fit], sequences.lengths[fit]).predict(
            embedding[score]
        )
    if np.isnan(predicted).any() or len(set(sequences.lengths)) < 2:
        return None
    return float(r2_score(sequences.lengths, predicted))


def neighbours_kept(embedding: np.ndarray, other: np.ndarray) -> float | None:
    """Share of each sequence's 10 nearest neighbours in one embedding that it has in the other.

    Args:
      embedding: [N, E].
      other: [N, E'], of the same sequences; None is returned with fewer than 12.
    """
    if len(embedding) < NEIGHBOURS + 2:
        return None
    one, two = (_neighbours(points) for points in (embedding, other))
    kept = [len(set(a) & set(b)) for a, b in zip(one, two, strict=True)]
    return float(np.mean(kept) / NEIGHBOURS)


def probes(
    inputs: Mapping[str, np.ndarray], sequences: Sequences, *, given_split: bool
) -> dict[str, Any]:
    """How well each label is told from each input.

    Args:
      inputs: name -> [N, ...], such as the embedding of the model and of the untrained one; the
        length is added.
      sequences: the same N sequences.
      given_split: fit on train and score on eval; otherwise 5 folds of eval, by entity, so that no
        entity stands on both sides. (The encoder has seen the entities of train.)

    Returns:
      column -> `labelled`, how many sequences were scored; `majority`, the share of the commonest
      class among them; and input -> `nearest_neighbour` and `logistic_regression`, the accuracy.
      A column with fewer than 20 labelled sequences, with one class or with more than 20 is left
      out.
    """
    length = np.stack([sequences.lengths, np.log(sequences.lengths)], axis=1)
    inputs = {**inputs, "length": length}
    found = {}
    for column, labels in sequences.labels.items():
        rows = np.array([i for i, label in enumerate(labels) if label is not None], int)
        classes = np.array([labels[row] for row in rows], object).astype(str)
        train = sequences.is_train[rows]
        if given_split:
            folds = [(np.flatnonzero(train), np.flatnonzero(~train))]
        else:
            kept = np.flatnonzero(~train)
            entities = [sequences.entities[rows[row]] for row in kept]
            folds = [(kept[fit], kept[score]) for fit, score in _folds(entities)]
        folds = [(fit, score) for fit, score in folds if len(score) and len(set(classes[fit])) > 1]
        scored = np.concatenate([score for _, score in folds]) if folds else np.zeros(0, int)
        if len(scored) < FEWEST_LABELLED or len(set(classes)) > MOST_CLASSES:
            continue
        _, times = np.unique(classes[scored], return_counts=True)
        found[column] = {
            "labelled": len(scored),
            "majority": float(times.max() / len(scored)),
            **{name: _accuracies(values[rows], classes, folds) for name, values in inputs.items()},
        }
    return found


def _accuracies(inputs: np.ndarray, classes: np.ndarray, folds: Sequence[Fold]) -> dict[str, float]:
    models = {
        "nearest_neighbour": KNeighborsClassifier(1),
        "logistic_regression": LogisticRegression(max_iter=1000),
    }
    accuracies = {}
    for name, model in models.items():
        right = total = 0
        for fit, score in folds:
            chain = make_pipeline(StandardScaler(), model)
            with warnings.catch_warnings():
                # A probe that is still improving after 1,000 rounds tells enough.
                warnings.simplefilter("ignore", ConvergenceWarning)
                predicted = chain.fit(inputs[fit], classes[fit]).predict(inputs[score])
            right, total = right + int((predicted == classes[score]).sum()), total + len(score)
        accuracies[name] = right / total
    return accuracies


def _folds(entities: Sequence[str]) -> Iterator[Fold]:
    """5 folds, or as many as there are entities; none of fewer than two."""
    folds = min(FOLDS, len(set(entities)))
    if folds >= 2:
        yield from GroupKFold(folds).split(np.zeros(len(entities)), groups=entities)


def _neighbours(points: np.ndarray) -> np.ndarray:
    """The 10 nearest others of each point, [N, 10]."""
    # Asked of the points fitted on, each point itself is left out.
    search = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(points)
    found: np.ndarray = search.kneighbors(return_distance=False)
    return found
