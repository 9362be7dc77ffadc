"""What else reconstructs the eval split, and what the embedding is like.

The training mean, the sequence mean and the last value are among the sums of the candidate's own
`evaluate` signature, and TFMA's Evaluator scores them beside it. What is scored here needs a model
of its own: a PCA, the model as it was before training, and the newest blessed model.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import (
    ABSOLUTE,
    ENCODER_FILE,
    FEATURE_VALUES,
    MODEL,
    SQUARED,
    TRAINING_MEAN,
    error_sum,
)
from ragline.components.evaluate.baselines import embedding_probes, pca_baseline
from ragline.components.evaluate.baselines.raw_records import Records, batches
from ragline.components.evaluate.baselines.served_model import Model
from ragline.components.evaluate.metrics import formulas, slices, totals
from ragline.components.evaluate.metrics.formulas import Estimate
from ragline.components.evaluate.verdict.baseline_model import Blessed, digest
from ragline.components.evaluate.verdict.rules import NEWEST, PCA, UNTRAINED
from ragline.components.files.storage import read_json

# A PCA of so many sequences has the components of all; more would cost seconds.
MOST_FITTED = 5_000
# Neighbours and probes compare all with all.
MOST_EMBEDDED = 2_000

Standardise = Callable[[Any], list[np.ndarray]]


class Inputs(NamedTuple):
    """What the baselines are computed from.

    Attributes:
      candidate: folder of the trained model.
      untrained: folder of the same model before training.
      newest: the newest blessed model; None before the first.
      train: at most MOST_FITTED records of the train split.
      evaluation: all records of the eval split.
      standardise: see `records.standardiser`.
      columns: what the schema says.
      given_split: whether train and eval were given, not drawn by entity.
    """

    candidate: pathlib.Path
    untrained: pathlib.Path
    newest: Blessed | None
    train: Records
    evaluation: Records
    standardise: Standardise
    columns: Columns
    given_split: bool


def compute(inputs: Inputs) -> dict[str, Any]:
    """Scores every baseline and looks at the embedding.

    Returns:
      `baselines`, predictor -> slice -> metric -> {value, lower, upper, count}; `newest`, what the
      candidate was compared with: `state` (`first`, `same`, `compared` or `not_compared`),
      `version` and `why`; `embedding`, see `_embeddings`.
    """
    candidate, untrained = Model(inputs.candidate), Model(inputs.untrained)
    sums = untrained.sums(inputs.evaluation)
    sample = inputs.evaluation.take(_sample(inputs.evaluation))
    size = candidate.embed(inputs.evaluation.take([0])).shape[1]
    sums |= _pca_sums(inputs, size)
    found = {
        PCA: _by_slice(inputs.evaluation, sums, lambda t: formulas.baseline_estimates(t, PCA)),
        UNTRAINED: _by_slice(
            inputs.evaluation, sums, lambda t: formulas.baseline_estimates(t, MODEL)
        ),
    }
    state, answer = ask_newest(inputs.newest, inputs.candidate, inputs.evaluation, sample)
    if answer is not None:
        found[NEWEST] = answer.slices
    return {
        "baselines": found,
        "newest": state,
        "embedding": _embeddings(inputs, sample, candidate, untrained, answer and answer.embedding),
    }


class Answer(NamedTuple):
    """What the newest blessed model says: its metrics by slice, and its embedding of the sample."""

    slices: dict[str, dict[str, dict[str, float | None]]]
    embedding: np.ndarray


def ask_newest(
    newest: Blessed | None, candidate: pathlib.Path, evaluation: Records, sample: Records
) -> tuple[dict[str, Any], Answer | None]:
    """What the candidate is compared with (`state`, `version`, `why`), and what that one answers.

    Args:
      newest: the newest blessed model, if there is one.
      candidate: folder of the trained model.
      evaluation: records to score.
      sample: records to embed.
    """
    if newest is None:
        return {"state": "first", "version": None, "why": None}, None
    state = {"state": "compared", "version": newest.version, "why": None}
    if digest(candidate) == newest.digest:
        return state | {"state": "same"}, None
    if newest.unlike is not None:
        return state | {"state": "not_compared", "why": newest.unlike}, None
    try:
        return state, _ask(pathlib.Path(newest.path), evaluation, sample)
    except Exception as error:  # Of another schema, of another ragline, or damaged: in many ways.
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        return state | {"state": "not_compared", "why": why}, None


def _ask(path: pathlib.Path, evaluation: Records, sample: Records) -> Answer:
    """Scores a pushed model by its own transform, on raw records."""
    features = [feature["name"] for feature in read_json(path / ENCODER_FILE)["features"]]
    newest = Model(path)
    sums = newest.sums(evaluation)
    needed = {FEATURE_VALUES, error_sum(MODEL, SQUARED), error_sum(TRAINING_MEAN, SQUARED)}
    if lacking := needed - sums.keys():
        raise ValueError(f"its signature `evaluate` lacks {', '.join(sorted(lacking))}")
    return Answer(
        slices=_by_slice(evaluation, sums, lambda found: comparable(found, features)),
        embedding=newest.embed(sample),
    )


def comparable(found: totals.Totals, features: Sequence[str]) -> dict[str, Estimate]:
    """What may be compared with another model: what does not depend on the units."""
    estimates = formulas.model_estimates(found, features, (), ())
    shares = formulas.normalised_by_feature({name: e.value for name, e in estimates.items()})
    return {formulas.NORMALISED_MSE: estimates[formulas.NORMALISED_MSE]} | {
        formulas.of_feature(formulas.NORMALISED_MSE, feature): Estimate(share)
        for feature, share in shares.items()
    }


def _by_slice(
    records: Records,
    sums: Mapping[str, np.ndarray],
    estimate: Callable[[totals.Totals], dict[str, Estimate]],
) -> dict[str, dict[str, dict[str, float | None]]]:
    return {
        name: {
            metric: dataclasses.asdict(found)
            for metric, found in estimate(totals.of_rows(sums, records.sequence_ids, rows)).items()
        }
        for name, rows in records.by_slice().items()
    }


def _pca_sums(inputs: Inputs, components: int) -> dict[str, np.ndarray]:
    """The PCA's sums of errors over each sequence of the eval split, as `evaluate` has them."""
    fitted = pca_baseline.fit(
        [values for _, batch in batches(inputs.train) for values in inputs.standardise(batch)],
        components,
    )
    number = len(inputs.evaluation.serialised)
    squared = np.zeros((number, len(inputs.columns.features)))
    absolute = np.zeros(number)
    for rows, batch in batches(inputs.evaluation):
        values = inputs.standardise(batch)
        outputs = pca_baseline.reconstruct(fitted, values)
        for row, x, y in zip(rows, values, outputs, strict=True):
            squared[row] = np.nansum(np.square(y - x), axis=0)
            absolute[row] = np.nansum(np.abs(y - x))
    return {error_sum(PCA, SQUARED): squared, error_sum(PCA, ABSOLUTE): absolute}


def _sample(records: Records) -> list[int]:
    """The rows of at most MOST_EMBEDDED sequences, those whose hashed ids are the lowest."""
    order = sorted(
        range(len(records.serialised)), key=lambda row: totals.rank_of(records.sequence_ids[row])
    )
    return order[:MOST_EMBEDDED]


def _embeddings(
    inputs: Inputs, sample: Records, candidate: Model, untrained: Model, other: np.ndarray | None
) -> dict[str, Any]:
    """What the candidate's embedding is like, beside the untrained model's.

    Returns:
      `sequences`, of eval, that were looked at; `model` and `untrained`, each with `size`,
      `effective_rank`, `variance` of each dimension and `length_r2`; `neighbours_kept`, between the
      candidate and the newest blessed model; `probes`, see `embedding.probes`.
    """
    of_eval = {MODEL: candidate.embed(sample), UNTRAINED: untrained.embed(sample)}
    if not all(np.isfinite(values).all() for values in of_eval.values()):
        return {"sequences": len(sample.serialised), "finite": False}
    known = _known(sample, inputs, train=False)
    described = {
        name: {
            "size": values.shape[1],
            "effective_rank": embedding_probes.effective_rank(values),
            "variance": np.var(values.astype(np.float64), axis=0).tolist(),
            "length_r2": embedding_probes.length_r2(values, known),
        }
        for name, values in of_eval.items()
    }
    if inputs.given_split:
        train = inputs.train.take(range(min(MOST_EMBEDDED, len(inputs.train.serialised))))
        models = {MODEL: candidate, UNTRAINED: untrained}
        of_eval = {
            name: np.concatenate([model.embed(train), of_eval[name]])
            for name, model in models.items()
        }
        known = embedding_probes.join(_known(train, inputs, train=True), known)
    usable = other is not None and np.isfinite(other).all()
    return {
        "sequences": len(sample.serialised),
        "finite": True,
        **described,
        "neighbours_kept": embedding_probes.neighbours_kept(
            of_eval[MODEL][-len(sample.serialised) :], other
        )
        if usable
        else None,
        "probes": embedding_probes.probes(of_eval, known, given_split=inputs.given_split),
    }


def _known(records: Records, inputs: Inputs, *, train: bool) -> embedding_probes.Sequences:
    labels = {
        column: [None if v is None else slices.text_of(v) for v in records.columns[column]]
        for column in records.columns
        if column in inputs.columns.context
    }
    return embedding_probes.Sequences(
        entities=records.entities,
        lengths=records.lengths,
        labels=labels,
        is_train=np.full(len(records.serialised), train),
    )
