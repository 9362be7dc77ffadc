"""Score baselines on the eval split, and measure the embedding.

The training mean, the sequence mean and the last value are among the sums of the candidate's own
`evaluate` signature, and TFMA's Evaluator scores them beside it. Scored here are those that need a
model of their own: a PCA, the model before training, and the newest blessed model. Statistics of
each feature reconstruct nothing; labels are predicted from them, beside the embedding.

The eval split is read a part at a time, and of each slice the sums of its groups are kept. What is
held in memory does not grow with the split.
"""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import sklearn.decomposition

from ragline.components.contract import relative
from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import (
    ABSOLUTE,
    ENCODER_FILE,
    FEATURE_SUM,
    FEATURE_VALUES,
    MODEL,
    SQUARED,
    TRAINING_MEAN,
    error_sum,
)
from ragline.components.evaluate.baselines import (
    embedding_probes,
    pca_baseline,
    statistics_baseline,
)
from ragline.components.evaluate.baselines.raw_records import (
    RawRecords,
    Standardise,
    batches,
    standardised,
)
from ragline.components.evaluate.baselines.served_model import ServedModel
from ragline.components.evaluate.metrics import formulas, named, slices, totals
from ragline.components.evaluate.metrics.formulas import NORMALISED_MSE, Estimate
from ragline.components.evaluate.metrics.interface import Embedded
from ragline.components.evaluate.verdict.baseline_model import BaselineModel, digest
from ragline.components.evaluate.verdict.rules import NEWEST, PCA, STATISTICS, UNTRAINED
from ragline.components.files.storage import read_json
from ragline.components.runtime import blas
from ragline.components.serving import facts

# A PCA of so many sequences is as good as one of all, and takes seconds less.
MOST_FITTED = 5_000
# Limits the cost of neighbours and probes, which compare all sequences with all.
MOST_EMBEDDED = 2_000

Embed = Callable[[RawRecords], np.ndarray]
# Records -> the sums of each sequence, name -> [N, ...].
SumsOf = Callable[[RawRecords], Mapping[str, np.ndarray]]
# Each call reads the eval split once more, a part at a time.
Evaluation = Callable[[], Iterable[RawRecords]]


class Inputs(NamedTuple):
    """Holds what the baselines are computed from.

    Attributes:
      candidate: folder of the trained model.
      untrained: folder of the same model before training.
      baseline_model: the newest blessed model; None before the first.
      train: at most MOST_FITTED records of the train split.
      evaluation: the eval split, or the sample of it that is evaluated.
      sample: at most MOST_EMBEDDED records of that, those of the lowest hashed ids.
      standardise: see `raw_records.make_standardiser`.
      columns: the columns of the schema.
      given_split: whether the user's files make the splits; otherwise they are drawn by entity.
    """

    candidate: pathlib.Path
    untrained: pathlib.Path
    baseline_model: BaselineModel | None
    train: RawRecords
    evaluation: Evaluation
    sample: RawRecords
    standardise: Standardise
    columns: Columns
    given_split: bool


@blas.one_thread
def compute(inputs: Inputs) -> dict[str, Any]:
    """Score every baseline, and measure the embedding.

    Returns:
      `baselines`, predictor -> slice -> metric -> {value, lower, upper, count}; `baseline_model`,
      the comparison with the newest blessed model: `state` (`first`, `same`, `compared` or
      `not_compared`), `version` and `why`; `embedding`, see `_embeddings`.
    """
    candidate, untrained = ServedModel(inputs.candidate), ServedModel(inputs.untrained)
    size = facts.read(inputs.candidate).embedding_size
    train = standardised(inputs.train, inputs.standardise)
    pca, statistics = pca_baseline.fit(train, size), statistics_baseline.fit(train, size)
    by_slice = totals_by_slice(
        inputs.evaluation(),
        lambda records: untrained.sums(records) | _pca_sums(inputs, pca, records),
        (PCA, MODEL),
    )
    scores = {
        PCA: reconstruction_by_slice(by_slice, PCA),
        UNTRAINED: reconstruction_by_slice(by_slice, MODEL),
    }
    scores[PCA][slices.OVERALL] |= _by_feature(by_slice[slices.OVERALL], PCA, inputs.columns.names)
    state, blessed_scores = score_baseline_model(
        inputs.baseline_model, inputs.candidate, inputs.evaluation, inputs.sample
    )
    if blessed_scores is not None:
        scores[NEWEST] = blessed_scores.slices
    return {
        "baselines": scores,
        "baseline_model": state,
        "embedding": _embeddings(
            inputs,
            {
                MODEL: candidate.embed,
                PCA: lambda records: pca_baseline.describe(
                    pca, standardised(records, inputs.standardise)
                ),
                STATISTICS: lambda records: statistics.transform(
                    statistics_baseline.describe(standardised(records, inputs.standardise))
                ),
                UNTRAINED: untrained.embed,
            },
            blessed_scores and blessed_scores.embedding,
        ),
    }


class Scores(NamedTuple):
    """Holds the newest blessed model's metrics by slice, and its embedding of the sample."""

    slices: dict[str, dict[str, dict[str, float | None]]]
    embedding: np.ndarray


def score_baseline_model(
    baseline_model: BaselineModel | None,
    candidate: pathlib.Path,
    evaluation: Evaluation,
    sample: RawRecords,
) -> tuple[dict[str, Any], Scores | None]:
    """Return the state of the comparison with the newest blessed model, and that model's scores.

    Args:
      baseline_model: the newest blessed model, if there is one.
      candidate: folder of the trained model.
      evaluation: records to score.
      sample: records to embed.
    """
    if baseline_model is None:
        return {"state": "first", "version": None, "why": None}, None
    state = {"state": "compared", "version": baseline_model.version, "why": None}
    if digest(candidate) == baseline_model.digest:
        return state | {"state": "same"}, None
    if baseline_model.unlike is not None:
        return state | {"state": "not_compared", "why": baseline_model.unlike}, None
    try:
        return state, _score(pathlib.Path(baseline_model.path), evaluation, sample)
    except Exception as error:  # Of another schema or version, or damaged: in many ways.
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        return state | {"state": "not_compared", "why": reason}, None


def _score(path: pathlib.Path, evaluation: Evaluation, sample: RawRecords) -> Scores:
    """Score a pushed model, by its own transform, on raw records."""
    features = [feature["name"] for feature in read_json(path / ENCODER_FILE)["features"]]
    model = ServedModel(path)
    by_slice = totals_by_slice(evaluation(), model.sums)
    expected_sums = {FEATURE_VALUES, error_sum(MODEL, SQUARED), error_sum(TRAINING_MEAN, SQUARED)}
    if missing_sums := expected_sums - by_slice[slices.OVERALL].keys():
        raise ValueError(f"its signature `evaluate` lacks {', '.join(sorted(missing_sums))}")
    return Scores(
        slices=_by_slice(by_slice, lambda t: formulas.comparable_estimates(t, features)),
        embedding=model.embed(sample),
    )


def totals_by_slice(
    parts: Iterable[RawRecords], sums_of: SumsOf, predictors: Sequence[str] = ()
) -> dict[str, totals.Totals]:
    """Add up sums of sequences by slice and group.

    Args:
      parts: parts of the split, of which one is held at a time.
      sums_of: records -> the sums of each sequence.
      predictors: those whose metrics of the reconstruction are to be made of the totals.
    """
    measured = [each for predictor in predictors for each in named.of_baseline(predictor)]
    by_slice: dict[str, totals.Totals] = {}
    for records in parts:
        sums = named.with_each_sequence(sums_of(records), measured)
        for name, rows in records.by_slice().items():
            added = totals.sum_by_group(sums, records.sequence_ids, rows)
            by_slice[name] = totals.merge([by_slice.get(name, {}), added])
    return by_slice


def reconstruction_by_slice(
    by_slice: Mapping[str, totals.Totals], predictor: str
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return slice -> metric -> {value, ...} of a predictor whose errors are in the totals."""
    measured = named.of_baseline(predictor)
    return _by_slice(by_slice, lambda t: formulas.estimates(t, measured))


def _by_slice(
    by_slice: Mapping[str, totals.Totals],
    estimate: Callable[[totals.Totals], dict[str, Estimate]],
) -> dict[str, dict[str, dict[str, float | None]]]:
    return {
        name: {
            metric: dataclasses.asdict(metric_estimate)
            for metric, metric_estimate in estimate(of_slice).items()
        }
        for name, of_slice in by_slice.items()
    }


def _by_feature(
    sums: totals.Totals, predictor: str, features: Sequence[str]
) -> dict[str, dict[str, float | None]]:
    """Return the normalised MSE of each feature that varies: metric -> {value, ...}."""
    squares = error_sum(TRAINING_MEAN, SQUARED)
    number, total, squared_values, squared_errors = (
        sums[name].sum(axis=0)
        for name in (FEATURE_VALUES, FEATURE_SUM, squares, error_sum(predictor, SQUARED))
    )
    variance = relative.variance(number, total, squared_values)
    return {
        relative.of_feature(NORMALISED_MSE, feature): dataclasses.asdict(
            Estimate(float(squared_errors[place] / number[place] / variance[place]))
        )
        for place, feature in enumerate(features)
        if variance[place] > 0
    }


def _pca_sums(
    inputs: Inputs, pca: sklearn.decomposition.PCA, records: RawRecords
) -> dict[str, np.ndarray]:
    """Return the PCA's sums of errors by sequence, as `evaluate` has them."""
    sequences = len(records.serialised)
    squared = np.zeros((sequences, len(inputs.columns.features)))
    absolute = np.zeros(sequences)
    for rows, batch in batches(records):
        values = inputs.standardise(batch)
        outputs = pca_baseline.reconstruct(pca, values)
        for row, x, y in zip(rows, values, outputs, strict=True):
            squared[row] = np.nansum(np.square(y - x), axis=0)
            absolute[row] = np.nansum(np.abs(y - x))
    return {error_sum(PCA, SQUARED): squared, error_sum(PCA, ABSOLUTE): absolute}


def _embeddings(
    inputs: Inputs, embed: Mapping[str, Embed], other: np.ndarray | None
) -> dict[str, Any]:
    """Measure the candidate's embedding, and the untrained model's.

    Args:
      inputs: see `compute`.
      embed: what describes a sequence by numbers: the candidate, and what it is compared with.
      other: embeddings of the sample by the newest blessed model.

    Returns:
      `sequences`, the number of measured sequences of eval; `model` and `untrained`, each with
      `size`, `variance` of each dimension and the metrics of embeddings; beside them those between
      the candidate and the newest blessed model; `probes`, see `embedding_probes.probes`.
    """
    sample = inputs.sample
    embeddings = {name: embed_with(sample) for name, embed_with in embed.items()}
    if not all(np.isfinite(values).all() for values in embeddings.values()):
        return {"sequences": len(sample.serialised), "finite": False}
    sequences = _sequences(sample, inputs, train=False)
    newest = other if other is not None and np.isfinite(other).all() else None
    embedded = {
        name: Embedded(
            values=embeddings[name],
            lengths=sequences.lengths,
            entities=sequences.entities,
            newest=newest,
        )
        for name in (MODEL, UNTRAINED)
    }
    measures = named.of_embedding().values()
    metrics = {
        name: {
            "size": each.values.shape[1],
            "variance": np.var(each.values.astype(np.float64), axis=0).tolist(),
            **{one.label: one.of(each) for one in measures if not one.between_models},
        }
        for name, each in embedded.items()
    }
    compared = {one.label: one.of(embedded[MODEL]) for one in measures if one.between_models}
    if inputs.given_split:
        train = inputs.train.take(range(min(MOST_EMBEDDED, len(inputs.train.serialised))))
        embeddings = {
            name: np.concatenate([embed_with(train), embeddings[name]])
            for name, embed_with in embed.items()
        }
        sequences = embedding_probes.join(_sequences(train, inputs, train=True), sequences)
    probes = embedding_probes.probes(embeddings, sequences, given_split=inputs.given_split)
    return {
        "sequences": len(sample.serialised),
        "finite": True,
        **metrics,
        **compared,
        "probes": probes,
    }


def _sequences(records: RawRecords, inputs: Inputs, *, train: bool) -> embedding_probes.Sequences:
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
