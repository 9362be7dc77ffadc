"""Sequences with missing values and missing labels, as records and as the batches of training."""

import dataclasses
from collections.abc import Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import Category
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.input_pipeline import Batch
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions

F = 2
FILLS = (0.0, 1e9, 1e38, float("nan"), float("inf"))
SPEC = {
    "values": tf.io.RaggedFeature(tf.float32, value_key="values"),
    "length": tf.io.FixedLenFeature([], tf.int64),
}
OBSERVED = {"observed": tf.io.RaggedFeature(tf.int64, value_key="observed")}
KIND = HeadOptions(name="kind", column="kind", type="classification", classes=("a", "b", "c"))
GRADE = HeadOptions(name="grade", column="grade", type="classification", classes=("7", "1", "-3"))
SCORE = HeadOptions(name="score", column="score", type="regression", weight=0.5)
WORDS = (
    Vocabulary(category=Category(name="activity", kind="bytes"), size=5),
    Vocabulary(category=Category(name="code", kind="int"), size=3),
)
CODES = {word.name: tf.io.RaggedFeature(tf.int64, value_key=word.name) for word in WORDS}
LABELS = {
    "kind": tf.io.VarLenFeature(tf.string),
    "grade": tf.io.VarLenFeature(tf.int64),
    "score": tf.io.VarLenFeature(tf.float32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sequence.

    Attributes:
      values: float32 [T, F]; 0 where missing.
      observed: bool [T, F]; None if no value of the data set can be missing.
      labels: column -> label, without those that are missing.
      codes: category -> int64 [T]; -1 where missing.
    """

    values: np.ndarray
    observed: np.ndarray | None = None
    labels: Mapping[str, bytes | int | float] = field(default_factory=dict)
    codes: Mapping[str, np.ndarray] = field(default_factory=dict)


def make(seed: int, lengths: Collection[int], *, missing: bool = False, scale: float = 1.0):
    """Normal values; a third of them missing, if any; half of the labels."""
    rng = np.random.default_rng(seed)
    samples = []
    for length in lengths:
        observed = rng.random((length, F)) > 1 / 3 if missing else None
        values = (scale * rng.normal(size=(length, F))).astype(np.float32)
        labels = {
            "kind": KIND.classes[rng.integers(3)].encode(),
            "grade": int(GRADE.classes[rng.integers(3)]),
            "score": float(np.float32(rng.normal())),
        }
        samples.append(
            Sample(
                values=values if observed is None else np.where(observed, values, np.float32(0)),
                observed=observed,
                labels={name: label for name, label in labels.items() if rng.random() > 0.5},
            )
        )
    return samples


def with_codes(seed: int, made: Collection[Sample]) -> list[Sample]:
    """The same sequences, each with a code a step; a fifth of the activities missing."""
    rng = np.random.default_rng(seed)
    return [
        dataclasses.replace(
            sample,
            codes={
                word.name: np.where(
                    rng.random(len(sample.values)) < (0.2 if word.category.allow_missing else 0),
                    -1,
                    rng.integers(word.size, size=len(sample.values)),
                )
                for word in WORDS
            },
        )
        for sample in made
    ]


def record(sample: Sample, length: int | None = None) -> bytes:
    """As Transform writes it."""
    columns = {
        "values": sample.values,
        "length": np.array(len(sample.values) if length is None else length),
        **{name: np.array(label) for name, label in sample.labels.items()},
        **sample.codes,
    }
    if sample.observed is not None:
        columns["observed"] = sample.observed.astype(np.int64)
    example = tf.train.Example()
    for name, column in columns.items():
        kind = {"f": "float_list", "i": "int64_list", "S": "bytes_list"}[column.dtype.kind]
        getattr(example.features.feature[name], kind).value.extend(column.ravel().tolist())
    return example.SerializeToString()


def write(path, records: Collection[bytes]) -> str:
    """One shard."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for one in records:
            writer.write(one)
    return str(path)


def read(path: str, *, missing: bool = False, batch_size: int = 256, **options) -> tf.data.Dataset:
    """The batches of one shard; as they come, unless the options have another plan."""
    spec = SPEC | LABELS | CODES | (OBSERVED if missing else {})
    options = {"plan": batching.as_they_come(batch_size)} | options
    return input_pipeline.batches(input_pipeline.read([path]), spec=spec, features=F, **options)


def filled(
    batches: tf.data.Dataset, fill: float, extra: int = 0, code: int = 2**62
) -> tf.data.Dataset:
    """The same batches with other padding, and so many steps more of it."""

    def fill_padding(batch: Batch) -> Batch:
        values, weight = (
            tf.pad(tensor, [[0, 0], [0, extra], [0, 0]][: tensor.shape.rank])
            for tensor in (batch.values, batch.sample_weight)
        )
        valid = tf.sequence_mask(batch.length, tf.shape(values)[1])[..., tf.newaxis]
        codes = {name: tf.pad(one, [[0, 0], [0, extra]]) for name, one in batch.codes.items()}
        return batch._replace(
            values=tf.where(valid, values, fill),
            sample_weight=weight,
            codes={name: tf.where(valid[..., 0], one, code) for name, one in codes.items()},
            code_weight={
                name: tf.pad(one, [[0, 0], [0, extra]]) for name, one in batch.code_weight.items()
            },
        )

    return batches.map(fill_padding)


def pad(sequences: Collection[np.ndarray], fill: float = 0.0, extra: int = 0):
    """values [B, T, F] and length [B], with so many steps more than are needed."""
    length = np.array([len(values) for values in sequences], np.int64)
    padded = np.full(
        (len(sequences), length.max() + extra, sequences[0].shape[1]), fill, np.float32
    )
    for row, values in enumerate(sequences):
        padded[row, : len(values)] = values
    return tf.constant(padded), tf.constant(length)
