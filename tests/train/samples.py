"""Sequences with missing values and missing labels, as records and as the batches of training."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass, field

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import Category
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.sequence_batch import SequenceBatch
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
VOCABULARIES = (
    Vocabulary(category=Category(name="activity", kind="bytes"), size=5),
    Vocabulary(category=Category(name="code", kind="int"), size=3),
)
TOKEN_ID_SPEC = {
    vocabulary.name: tf.io.RaggedFeature(tf.int64, value_key=vocabulary.name)
    for vocabulary in VOCABULARIES
}
LABELS = {
    "kind": tf.io.VarLenFeature(tf.string),
    "grade": tf.io.VarLenFeature(tf.int64),
    "score": tf.io.VarLenFeature(tf.float32),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Holds one sequence.

    Attributes:
      values: float32 [T, F]; 0 where missing.
      observed: bool [T, F]; None if no value of the data set can be missing.
      labels: column -> label, without those that are missing.
      token_ids: category -> int64 [T]; -1 where missing.
    """

    values: np.ndarray
    observed: np.ndarray | None = None
    labels: Mapping[str, bytes | int | float] = field(default_factory=dict)
    token_ids: Mapping[str, np.ndarray] = field(default_factory=dict)


def make(seed: int, lengths: Collection[int], *, missing: bool = False, scale: float = 1.0):
    """Make sequences of normal values, a third missing if `missing`, and half of the labels."""
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


def tokens(sample: Sample) -> list[tuple[np.ndarray, int]]:
    """Return the token ids of each category, and how many ids there are."""
    sizes = {vocabulary.name: vocabulary.size for vocabulary in VOCABULARIES}
    return [(ids, sizes[name]) for name, ids in sample.token_ids.items()]


def with_token_ids(seed: int, made: Collection[Sample]) -> list[Sample]:
    """Give each step of sequences token ids; a fifth of the activities are missing."""
    rng = np.random.default_rng(seed)
    return [
        dataclasses.replace(
            sample,
            token_ids={
                vocabulary.name: np.where(
                    rng.random(len(sample.values))
                    < (0.2 if vocabulary.category.allow_missing else 0),
                    -1,
                    rng.integers(vocabulary.size, size=len(sample.values)),
                )
                for vocabulary in VOCABULARIES
            },
        )
        for sample in made
    ]


def record(sample: Sample, length: int | None = None) -> bytes:
    """Serialise a sequence as Transform writes it."""
    columns = {
        "values": sample.values,
        "length": np.array(len(sample.values) if length is None else length),
        **{name: np.array(label) for name, label in sample.labels.items()},
        **sample.token_ids,
    }
    if sample.observed is not None:
        columns["observed"] = sample.observed.astype(np.int64)
    example = tf.train.Example()
    for name, column in columns.items():
        kind = {"f": "float_list", "i": "int64_list", "S": "bytes_list"}[column.dtype.kind]
        getattr(example.features.feature[name], kind).value.extend(column.ravel().tolist())
    return example.SerializeToString()


def write(path, records: Collection[bytes]) -> str:
    """Write one shard."""
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for serialised in records:
            writer.write(serialised)
    return str(path)


def read(
    path: str,
    *,
    missing: bool = False,
    batch_size: int = 256,
    plan: batching.BatchPlan | None = None,
    shuffle_seed: int | None = None,
    **options,
) -> tf.data.Dataset:
    """Read the batches of one shard, in order unless there is another plan."""
    hashable = {key: tuple(v) if isinstance(v, list) else v for key, v in options.items()}
    return input_pipeline.batches(
        input_pipeline.read([path]),
        _parser(missing, **hashable),
        plan=plan or batching.plan_unsorted(batch_size),
        shuffle_seed=shuffle_seed,
    )


@functools.cache  # As training does, which traces its parser once.
def _parser(missing: bool, **options) -> Callable[[tf.Tensor], SequenceBatch]:
    spec = SPEC | LABELS | TOKEN_ID_SPEC | (OBSERVED if missing else {})
    return input_pipeline.parser(spec=spec, features=F, **options)


def filled(
    batches: tf.data.Dataset, fill: float, extra: int = 0, token_id: int = 2**62
) -> tf.data.Dataset:
    """Fill the padding of batches, and add `extra` steps of it."""

    def fill_padding(batch: SequenceBatch) -> SequenceBatch:
        values, weight = (
            tf.pad(tensor, [[0, 0], [0, extra], [0, 0]][: tensor.shape.rank])
            for tensor in (batch.values, batch.sample_weight)
        )
        valid = tf.sequence_mask(batch.length, tf.shape(values)[1])[..., tf.newaxis]
        token_ids = {
            name: tf.pad(ids, [[0, 0], [0, extra]]) for name, ids in batch.token_ids.items()
        }
        return batch._replace(
            values=tf.where(valid, values, fill),
            sample_weight=weight,
            token_ids={
                name: tf.where(valid[..., 0], ids, token_id) for name, ids in token_ids.items()
            },
            token_weight={
                name: tf.pad(ids, [[0, 0], [0, extra]]) for name, ids in batch.token_weight.items()
            },
        )

    return batches.map(fill_padding)


def pad(sequences: Collection[np.ndarray], fill: float = 0.0, extra: int = 0):
    """Return values [B, T, F] and length [B], padded by `extra` steps more than needed."""
    length = np.array([len(values) for values in sequences], np.int64)
    padded = np.full(
        (len(sequences), length.max() + extra, sequences[0].shape[1]), fill, np.float32
    )
    for row, values in enumerate(sequences):
        padded[row, : len(values)] = values
    return tf.constant(padded), tf.constant(length)


def batch(sequences: Collection[np.ndarray], fill: float = 0.0, extra: int = 0) -> SequenceBatch:
    """Return a batch of sequences without missing values; see `pad`."""
    return SequenceBatch.complete(*pad(sequences, fill, extra))


def changes(model: keras.Model, start: list[np.ndarray]) -> list[np.ndarray]:
    """Return how much each weight that is trained differs from its start."""
    pairs = zip(model.weights, start, strict=True)
    return [weight.numpy() - before for weight, before in pairs if weight.trainable]


def draw(model: keras.Model) -> list[np.ndarray]:
    """Weights of a model, in its order, of which none is 0; no scale is, nor any sum far off."""
    rng = np.random.default_rng(0)
    return [
        rng.uniform(0.5, 2.0, weight.shape).astype(np.float32)
        if weight.path.endswith("/scale")
        else (rng.normal(size=weight.shape) * min(0.5, 1.0 / np.sqrt(weight.shape[0]))).astype(
            np.float32
        )
        for weight in model.weights
    ]
