"""Transformed records -> padded batches, bucketed by length, with their sample_weight.

Batches hold sequences of similar length, so that little of a batch is padding. Which sequences
share a batch has no part in the numbers (the loss is a ratio of sums), only in the time they take.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Collection
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components.sequence import LENGTH, OBSERVED, VALUES
from components.train.options import HeadOptions

_SHUFFLED_RECORDS = 20_000


class Batch(NamedTuple):
    """One padded batch.

    Attributes:
      values: float32 [B, T, F], standardised, 0 in the padding and where missing.
      length: int64 [B].
      sample_weight: float32 [B, T], or [B, T, F] where values can be missing; above 0 where it
        counts.
      labels: head -> int64 [B], the class, or float32 [B]; 0 where the label is missing.
      label_weight: head -> float32 [B]; 1 where the label is there, 0 where it is missing.
      codes: category -> int64 [B, T]; negative where the word is missing, 0 in the padding.
      code_weight: category -> float32 [B, T]; above 0 where it counts.
    """

    values: tf.Tensor
    length: tf.Tensor
    sample_weight: tf.Tensor
    labels: dict[str, tf.Tensor]
    label_weight: dict[str, tf.Tensor]
    codes: dict[str, tf.Tensor]
    code_weight: dict[str, tf.Tensor]


def read_lengths(files: Collection[str]) -> np.ndarray:
    """The length of every record, int64 [N], without reading its values."""
    spec = {LENGTH: tf.io.FixedLenFeature([], tf.int64)}
    records = tf.data.TFRecordDataset(list(files), "GZIP").batch(1024)
    lengths = [tf.io.parse_example(batch, spec)[LENGTH].numpy() for batch in records]
    return np.concatenate(lengths) if lengths else np.zeros(0, np.int64)


def batches(
    files: Collection[str],
    *,
    spec: Mapping[str, Any],
    features: int,
    batch_size: int,
    boundaries: Collection[int],
    average: str = "value",
    heads: Collection[HeadOptions] = (),
    categories: Collection[str] = (),
    fixed_steps: int | None = None,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Every record of the files once, in padded batches.

    Args:
      files: gzipped TFRecord shards of transformed records.
      spec: of the transformed records, as Transform states it (it names the column of a ragged
        output in its own way); `observed` is in it where values can be missing.
      features: F.
      batch_size: sequences in a batch; the last batch of a bucket may be smaller, none is dropped.
      boundaries: of the length buckets.
      average: what the weights make alike: each `value`, each `step` or each `sequence`.
      heads: whose labels the batches carry.
      categories: whose codes the batches carry, by name.
      fixed_steps: T of every batch; None pads each batch to its own longest sequence.
      shuffle_seed: None keeps the order of the files; the same seed gives the same batches.

    Returns:
      A dataset of `Batch`.
    """
    records = tf.data.TFRecordDataset(list(files), "GZIP")
    if shuffle_seed is not None:
        records = records.shuffle(_SHUFFLED_RECORDS, seed=shuffle_seed)
    elements = records.map(
        lambda record: parse(
            record,
            spec=spec,
            features=features,
            average=average,
            heads=heads,
            categories=categories,
        ),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    shapes = tf.nest.map_structure(lambda tensor: tensor.shape, elements.element_spec)
    if fixed_steps is not None:
        shapes = shapes._replace(
            values=[fixed_steps, features],
            sample_weight=[fixed_steps, *shapes.sample_weight[1:]],
            codes={name: [fixed_steps] for name in categories},
            code_weight={name: [fixed_steps] for name in categories},
        )
    return elements.bucket_by_sequence_length(
        element_length_func=lambda batch: tf.cast(batch.length, tf.int32),
        bucket_boundaries=list(boundaries),
        bucket_batch_sizes=[batch_size] * (len(boundaries) + 1),
        padded_shapes=shapes,
    ).prefetch(tf.data.AUTOTUNE)


def parse(
    record: tf.Tensor,
    *,
    spec: Mapping[str, Any],
    features: int,
    average: str = "value",
    heads: Collection[HeadOptions] = (),
    categories: Collection[str] = (),
) -> Batch:
    """One record, without the batch's dimension; padding will give the padded steps a weight of 0.

    Args:
      record: serialised.
      spec: as of `batches`, and so the others.
      features: F.
      average: what the weights make alike.
      heads: whose labels are read.
      categories: whose codes are read.
    """
    columns = (VALUES, LENGTH, OBSERVED, *(head.column for head in heads), *categories)
    wanted = {name: spec[name] for name in columns if name in spec}
    parsed = tf.io.parse_single_example(record, wanted)
    length = parsed[LENGTH]
    same_steps = tf.debugging.assert_equal(
        tf.size(parsed[VALUES], tf.int64),
        length * features,
        "a record's values do not have its length",
    )
    same_codes = [
        tf.debugging.assert_equal(
            tf.size(parsed[name], tf.int64), length, f"a record's {name} does not have its length"
        )
        for name in categories
    ]
    with tf.control_dependencies([same_steps, *same_codes]):
        values = tf.reshape(parsed[VALUES], [-1, features])
    if OBSERVED in parsed:
        counted = tf.cast(tf.reshape(parsed[OBSERVED], [-1, features]), tf.float32)
    else:
        counted = tf.ones([length])
    labels = {head.name: _label(parsed[head.column], head) for head in heads}
    codes = {name: parsed[name] for name in categories}
    return Batch(
        values=values,
        length=length,
        sample_weight=_weight(counted, average),
        labels={name: label for name, (label, _) in labels.items()},
        label_weight={name: weight for name, (_, weight) in labels.items()},
        codes=codes,
        code_weight={
            name: _weight(tf.cast(code >= 0, tf.float32), average) for name, code in codes.items()
        },
    )


def _weight(counted: tf.Tensor, average: str) -> tf.Tensor:
    """1 where it counts -> weights that sum to 1 over each step, or over the sequence, if asked.

    Args:
      counted: float32 [T] or [T, F].
      average: `value`, `step` or `sequence`.
    """
    if average == "sequence":
        return tf.math.divide_no_nan(counted, tf.reduce_sum(counted))
    if average == "step" and counted.shape.rank == 2:
        return tf.math.divide_no_nan(counted, tf.reduce_sum(counted, axis=1, keepdims=True))
    return counted


def _label(column: tf.SparseTensor, head: HeadOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """A context column of 0 or 1 values -> (label, weight), both 0 where it is missing."""
    values = column.values[:1]
    there = tf.size(values) > 0
    weight = tf.cast(there, tf.float32)
    if head.type == "regression":
        label = tf.reduce_sum(tf.cast(values, tf.float32))
        finite = tf.math.is_finite(label)
        return tf.where(finite, label, 0.0), tf.where(finite, weight, 0.0)
    text = values if values.dtype == tf.string else tf.strings.as_string(values)
    matches = tf.equal(tf.constant(head.classes), tf.strings.reduce_join(text))
    known = tf.debugging.Assert(
        tf.reduce_any(matches) | ~there,
        [
            f"{head.column}: head {head.name} expected one of {', '.join(head.classes)}; received",
            text,
        ],
    )
    with tf.control_dependencies([known]):
        return tf.argmax(tf.cast(matches, tf.int32), output_type=tf.int64), weight
