"""Sample sequences of the eval split with their errors and embeddings, for the report.

The sample is the same in every run: the sequences whose hashed ids are the lowest. The values of
twelve of them are kept, the ten worst reconstructed, the median and the best; padding never is.
"""

import hashlib
import heapq
import pathlib
from collections.abc import Collection as Collected
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import ENTITY_ID, SEQUENCE_ID, Columns
from ragline.components.contract.relative import masked_mean_of
from ragline.components.contract.signatures import FEATURE_VALUES, MODEL, SQUARED, error_sum
from ragline.components.files.storage import write_text
from ragline.components.train.data import input_pipeline
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.export import sample_profiles
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.objective import loss

MOST_SEQUENCES = 2_000
# Limits of the sequences that are drawn; a screen has hardly more pixels than MOST_STEPS.
MOST_STEPS = 500
MOST_FEATURES = 8
MOST_WORST = 10
FEWEST_STEPS = 10
_BATCH = 64
_ERROR = error_sum(MODEL, SQUARED)


def sample_reconstructions(
    model: MaskedAutoencoder,
    files: Collected[str],
    *,
    columns: Columns,
    parsing: Mapping[str, Any],
) -> tuple[dict[str, Any], np.ndarray]:
    """Reconstruct a sample of the eval split.

    Args:
      model: with the weights that are exported.
      files: the split's shards of transformed records.
      columns: the schema's features and context.
      parsing: arguments of `input_pipeline.parser`.

    Returns:
      `sequences`, the sample's columns `sequence_id`, `entity_id`, `length`, `mse` (masked,
      standardised units; None if nothing was observed) and `x`, `y`, the first two principal
      components of the embeddings, and `context`, column -> values as text, None where absent;
      `explained`, the share of the embeddings' variance in x and in y; `neighbours` and
      `positions`, see `sample_profiles`; `reconstructions`, see `_to_drawing`. And the embeddings,
      float32 [N, E].
    """
    records = _sample(files)
    names = [_first(feature[SEQUENCE_ID]) for feature, _ in records]
    scores: dict[str, list[Any]] = {"length": [], "mse": []}
    parts, values = [], []
    parse = input_pipeline.parser(**parsing)
    for start in range(0, len(records), _BATCH):
        batch = parse(tf.constant([record for _, record in records[start : start + _BATCH]]))
        embedding, outputs, sums = _reconstruct(model, batch)
        squared, counted = sums[_ERROR].numpy(), sums[FEATURE_VALUES].numpy()
        parts.append(embedding.numpy())
        scores["length"] += batch.length.numpy().tolist()
        scores["mse"] += [
            masked_mean_of(float(s), float(n)) if n else None
            for s, n in zip(squared.sum(axis=1), counted.sum(axis=1), strict=True)
        ]
        values += _values(batch, outputs)
    embedded = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    places, explained = project_to_plane(embedded)
    return {
        "sequences": {
            SEQUENCE_ID: names,
            ENTITY_ID: [_first(feature[ENTITY_ID]) for feature, _ in records],
            **scores,
            "x": places[:, 0].tolist(),
            "y": places[:, 1].tolist(),
            "context": {
                column: [_first(feature[column]) for feature, _ in records]
                for column in columns.context
            },
        },
        "explained": explained,
        "neighbours": sample_profiles.nearest(embedded),
        "positions": sample_profiles.by_position(values, columns.names),
        "reconstructions": [
            _to_drawing(label, place, names[place], scores, *values[place], columns.names)
            for label, place in choose_samples(scores["mse"], scores["length"]).items()
        ],
    }, embedded


def choose_samples(errors: Collected[float | None], lengths: Collected[int]) -> dict[str, int]:
    """Return `worst`, `worst_2` to `worst_10`, `median` and `best` -> index of the sequence.

    Of median and best, sequences of a few steps show little: longer ones are taken, if there are
    three. No sequence is there twice.
    """
    numbers = np.array([np.nan if error is None else error for error in errors], np.float64)
    finite = np.isfinite(numbers)
    long = finite & (np.array(lengths, np.int64) >= FEWEST_STEPS)

    def ordered(rows: np.ndarray) -> list[int]:
        places = np.flatnonzero(rows)
        in_order: list[int] = places[np.argsort(numbers[places], kind="stable")].tolist()
        return in_order

    worst = ordered(finite)[: -MOST_WORST - 1 : -1]
    labels = {f"worst_{place}" if place > 1 else "worst": row for place, row in enumerate(worst, 1)}
    shown = ordered(long if long.sum() >= 3 else finite)
    if shown:
        for label, row in (("median", shown[len(shown) // 2]), ("best", shown[0])):
            if row not in labels.values():
                labels[label] = row
    return labels


def project_to_plane(points: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return the first two principal components of points, [N, 2], and their shares of variance.

    Their signs are such that the largest weight is positive, so that runs look alike.

    Args:
      points: [N, E].
    """
    centred = points.astype(np.float64) - (points.mean(axis=0) if len(points) else 0)
    projected, shares = np.zeros((len(points), 2)), [0.0, 0.0]
    if len(points) < 2 or not np.isfinite(centred).all():
        return projected, shares
    _, singular_values, axes = np.linalg.svd(centred, full_matrices=False)
    total = float(np.square(singular_values).sum())
    for place, axis in enumerate(axes[:2]):
        sign = np.sign(axis[np.abs(axis).argmax()]) or 1.0
        projected[:, place] = centred @ (sign * axis)
        shares[place] = float(singular_values[place] ** 2 / total) if total else 0.0
    return projected, shares


def write_projector(folder: pathlib.Path, shown: Mapping[str, Any], embeddings: np.ndarray) -> None:
    """Write the files of TensorBoard's projector: an embedding a line, and its labels beside it."""
    sequences = shown["sequences"]
    columns = {name: sequences[name] for name in (SEQUENCE_ID, "length", "mse")}
    columns |= sequences["context"]
    lines = zip(*columns.values(), strict=True)
    write_text(folder / "metadata.tsv", _tsv([list(columns), *lines]))
    write_text(folder / "tensors.tsv", _tsv(embeddings.tolist()))
    write_text(
        folder / "projector_config.pbtxt",
        'embeddings {\n  tensor_name: "eval"\n  tensor_path: "tensors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n}\n',
    )


def _tsv(rows: Iterable[Iterable[Any]]) -> str:
    """Write tab-separated values, which have no quotes: tabs and line ends become spaces."""

    def line(row: Iterable[Any]) -> str:
        return "\t".join(" ".join(str("" if cell is None else cell).split()) for cell in row)

    return "".join(f"{line(row)}\n" for row in rows)


def _sample(files: Collected[str]) -> list[tuple[Any, bytes]]:
    """Return (features, record) of the sample, the shortest first, for little padding."""
    every = (
        (tf.train.Example.FromString(record).features.feature, record)
        for record in input_pipeline.read(files).as_numpy_iterator()
    )

    def rank(item: tuple[Any, bytes]) -> bytes:
        return hashlib.blake2b(item[0][SEQUENCE_ID].bytes_list.value[0]).digest()

    kept = heapq.nsmallest(MOST_SEQUENCES, every, key=rank)
    return sorted(kept, key=lambda item: len(item[1]))


def _reconstruct(
    model: MaskedAutoencoder, batch: SequenceBatch
) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
    """Return the embeddings of a batch, its reconstruction, and the sums of errors."""
    embedding = model.encode(batch)
    outputs = model.decode(embedding, batch).values
    return embedding, outputs, loss.sums_by_sequence(batch, outputs, embedding)


def _values(batch: SequenceBatch, outputs: tf.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return values, NaN where missing, and outputs of each sequence: [T, F] without padding."""
    weight = batch.sample_weight.numpy()
    if weight.ndim == 2:
        weight = np.broadcast_to(weight[..., np.newaxis], batch.values.shape)
    values = np.where(weight > 0, batch.values.numpy(), np.nan)
    return [
        (values[row, :length], outputs.numpy()[row, :length])
        for row, length in enumerate(batch.length.numpy().tolist())
    ]


def _to_drawing(
    label: str,
    place: int,
    name: str,
    scores: Mapping[str, Any],
    values: np.ndarray,
    outputs: np.ndarray,
    names: Collected[str],
) -> dict[str, Any]:
    """Describe one sequence for a drawing.

    Returns:
      `which`, `sequence_id`, `length`, `mse`, and `features`, name -> `values` and `outputs` of its
      first MOST_STEPS steps, standardised, None where missing; of the features that vary most.
    """
    varied = np.argsort(-np.nan_to_num(np.nanvar(_some(values), axis=0)), kind="stable")
    kept = sorted(varied[:MOST_FEATURES].tolist())
    return {
        "which": label,
        SEQUENCE_ID: name,
        "length": scores["length"][place],
        "mse": scores["mse"][place],
        "features": {
            list(names)[column]: {
                "values": _rounded(values[:MOST_STEPS, column]),
                "outputs": _rounded(outputs[:MOST_STEPS, column]),
            }
            for column in kept
        },
    }


def _some(values: np.ndarray) -> np.ndarray:
    """Replace each column that has no value by 0, so that it has a variance."""
    return np.where(np.isnan(values).all(axis=0), 0.0, values)


def _rounded(column: np.ndarray) -> list[float | None]:
    return [round(float(value), 4) if np.isfinite(value) else None for value in column]


def _first(feature: Any) -> str | None:
    """Return a column's first value as text; None where it has none."""
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else ()
    if not len(values):
        return None
    value = values[0]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else format(value)
