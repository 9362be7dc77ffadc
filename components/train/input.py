"""Transformed records -> padded batches, bucketed by length, with their sample_weight.

Batches hold sequences of similar length, so that little of a batch is padding. Which sequences share
a batch has no part in the numbers (the loss is a ratio of sums), only in the time they take.
"""

from collections.abc import Mapping
from collections.abc import Sequence as Collection
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from components.sequence import LENGTH, OBSERVED, VALUES

# Few enough buckets that most batches are full, enough that padding stays small.
_BATCHES_A_BUCKET = 4
_MAX_BUCKETS = 32
_SHUFFLED_RECORDS = 20_000


class Batch(NamedTuple):
    """One padded batch.

    Attributes:
      values: float32 [B, T, F], standardised, 0 in the padding and where missing.
      length: int64 [B].
      sample_weight: float32 [B, T], or [B, T, F] where values can be missing; 1 where it counts.
    """

    values: tf.Tensor
    length: tf.Tensor
    sample_weight: tf.Tensor


def read_lengths(files: Collection[str]) -> np.ndarray:
    """The length of every record, int64 [N], without reading its values."""
    spec = {LENGTH: tf.io.FixedLenFeature([], tf.int64)}
    records = tf.data.TFRecordDataset(list(files), "GZIP").batch(1024)
    lengths = [tf.io.parse_example(batch, spec)[LENGTH].numpy() for batch in records]
    return np.concatenate(lengths) if lengths else np.zeros(0, np.int64)


def bucket_boundaries(lengths: np.ndarray, batch_size: int) -> list[int]:
    """Upper bounds (exclusive) of the length buckets: quantiles of the data's own lengths.

    Args:
      lengths: int64 [N].
      batch_size: sequences in a batch.

    Returns:
      Increasing bounds; bucket i holds bounds[i - 1] <= length < bounds[i]; may be empty, which is
      one bucket for all.
    """
    buckets = int(np.clip(len(lengths) // (_BATCHES_A_BUCKET * batch_size), 1, _MAX_BUCKETS))
    shares = np.arange(1, buckets) / buckets
    return sorted({int(bound) + 1 for bound in np.quantile(lengths, shares, method="lower")})


def batches(
    files: Collection[str],
    *,
    spec: Mapping[str, Any],
    features: int,
    batch_size: int,
    boundaries: Collection[int],
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Every record of the files once, in padded batches.

    Args:
      files: gzipped TFRecord shards of transformed records.
      spec: of the transformed records, as Transform states it (it names the column of a ragged output
        in its own way); `observed` is in it where values can be missing.
      features: F.
      batch_size: sequences in a batch; the last batch of a bucket may be smaller, none is dropped.
      boundaries: of the length buckets.
      shuffle_seed: None keeps the order of the files; the same seed gives the same batches.

    Returns:
      A dataset of `Batch`.
    """
    records = tf.data.TFRecordDataset(list(files), "GZIP")
    if shuffle_seed is not None:
        records = records.shuffle(_SHUFFLED_RECORDS, seed=shuffle_seed)
    return (
        records.map(
            lambda record: _parse(record, spec, features),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .bucket_by_sequence_length(
            element_length_func=lambda batch: tf.cast(batch.length, tf.int32),
            bucket_boundaries=list(boundaries),
            bucket_batch_sizes=[batch_size] * (len(boundaries) + 1),
        )
        .prefetch(tf.data.AUTOTUNE)
    )


def _parse(record: tf.Tensor, spec: Mapping[str, Any], features: int) -> Batch:
    """One record; its weight is 1 throughout, and padding gives the padded steps a weight of 0."""
    wanted = {name: spec[name] for name in (VALUES, LENGTH, OBSERVED) if name in spec}
    parsed = tf.io.parse_single_example(record, wanted)
    length = parsed[LENGTH]
    same_steps = tf.debugging.assert_equal(
        tf.size(parsed[VALUES], tf.int64),
        length * features,
        "a record's values do not have its length",
    )
    with tf.control_dependencies([same_steps]):
        values = tf.reshape(parsed[VALUES], [-1, features])
    if OBSERVED in parsed:
        weight = tf.cast(tf.reshape(parsed[OBSERVED], [-1, features]), tf.float32)
    else:
        weight = tf.ones([length])
    return Batch(values=values, length=length, sample_weight=weight)
