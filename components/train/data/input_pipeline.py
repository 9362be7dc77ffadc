"""Read transformed records as padded batches of sequences of similar length, with sample_weight.

Records stay as they were written until their batch is known (`batching`), and are parsed a batch at
a time: a record at a time took longer than a small model's step.
"""

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Collection
from typing import Any, cast

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import LENGTH, OBSERVED, VALUES
from ragline.components.files import shards
from ragline.components.train import terms
from ragline.components.train.data import batching
from ragline.components.train.data.batching import BatchPlan
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.options import HeadOptions

# Batches that are parsed at once, and batches that wait.
_AHEAD = 4
_LENGTH_SPEC = {LENGTH: tf.io.FixedLenFeature([], tf.int64)}


def read(files: Collection[str], *, keep: bool = False) -> tf.data.Dataset:
    """Read serialised records.

    Args:
      files: gzipped TFRecord shards.
      keep: whether records stay in memory from the first pass on; to unpack them takes as long as
        some small updates.
    """
    stored = shards.read(files)
    return stored.cache() if keep else stored


def read_lengths(files: Collection[str]) -> np.ndarray:
    """Read the length of every record, int64 [N], without its values."""
    lengths = [_lengths(batch).numpy() for batch in read(files).batch(1024)]
    return np.concatenate(lengths) if lengths else np.zeros(0, np.int64)


def _lengths(records: tf.Tensor) -> tf.Tensor:
    return tf.io.parse_example(records, _LENGTH_SPEC)[LENGTH]


def batches(
    records: tf.data.Dataset,
    parse: Callable[[tf.Tensor], SequenceBatch],
    *,
    plan: BatchPlan,
    shuffle_seed: int | None = None,
) -> tf.data.Dataset:
    """Read every record once, in padded batches.

    Args:
      records: serialised, transformed records; see `read`.
      parse: serialised records of a batch -> the batch; see `parser`.
      plan: which sequences share a batch.
      shuffle_seed: None keeps the order of the records; the same seed gives the same batches.

    Returns:
      A dataset of `SequenceBatch`.
    """
    if shuffle_seed is not None:
        records = records.shuffle(plan.pool, seed=shuffle_seed)

    def cut(pool: np.int64, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        generator = None if shuffle_seed is None else np.random.default_rng([shuffle_seed, pool])
        return batching.cut_batches(plan, lengths, generator)

    def planned(pool: tf.Tensor, records: tf.Tensor) -> tf.RaggedTensor:
        order, bounds = tf.numpy_function(
            cut, [pool, _lengths(records)], [tf.int64, tf.int64], stateful=False
        )
        order.set_shape([None])
        bounds.set_shape([None])
        return tf.RaggedTensor.from_row_splits(tf.gather(records, order), bounds, validate=False)

    # Without tf.data's own tuning: to end a pass, it waits for its next turn, up to twice as long.
    # To look for a faster graph takes as long as to parse some hundred records.
    untuned = tf.data.Options()
    untuned.autotune.enabled = False
    untuned.experimental_optimization.apply_default_optimizations = False
    return (
        records.batch(plan.pool)
        .enumerate()
        .map(planned)
        .prefetch(1)
        .flat_map(tf.data.Dataset.from_tensor_slices)
        .map(parse, num_parallel_calls=_AHEAD)
        .prefetch(_AHEAD)
        .with_options(untuned)
    )


def drawn(records: tf.data.Dataset, one_of: int, seed: int) -> tf.data.Dataset:
    """Draw one of so many records by chance, the same ones in each pass.

    Not every n-th: of a log in which n machines take turns, that would be one machine.
    """
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=False)
    pairs = tf.data.Dataset.zip((records, numbers))
    return pairs.filter(lambda _, number: number % one_of == 0).map(lambda record, _: record)


def one_pass(batches: Iterable[Any]) -> Iterator[Any]:
    """Iterate over batches while Python's search for cyclic garbage is off.

    The search starts in whatever thread allocates, also in one in which TensorFlow runs a
    `numpy_function`. What it frees may call TensorFlow (a table's `__del__` does) and wait for a
    thread of the same pool: for ever, if all others are taken. A batch leaves no cycles.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield from batches
    finally:
        if was_on:
            gc.enable()


def sums_over(
    batches: Iterable[Any], sums_of: Callable[[Any], Mapping[str, tf.Tensor]]
) -> dict[str, Any]:
    """Add up the sums of all batches of one pass; see `one_pass`.

    Args:
      batches: the batches; of none, the result is empty.
      sums_of: batch -> its sums, name -> float64, scalar or vector, with the same names for every
        batch.

    Returns:
      name -> float, or np.ndarray of a vector.
    """
    totals: dict[str, tf.Tensor] = {}
    for batch in one_pass(batches):
        for name, value in sums_of(batch).items():
            totals[name] = totals[name] + value if name in totals else value
    return {
        name: total.numpy() if total.shape.rank else float(total) for name, total in totals.items()
    }


def parser(
    *,
    spec: Mapping[str, Any],
    features: int,
    average: str = "value",
    feature_weights: Collection[float] | np.ndarray = (),
    heads: Collection[HeadOptions] = (),
    categories: Collection[str] = (),
    fixed_steps: int | None = None,
) -> Callable[[tf.Tensor], SequenceBatch]:
    """Return a function that parses serialised records, string [B], into one padded batch.

    It is traced at its first call, for all passes over the records: a trace takes as long as a pass
    over a thousand of them.

    Args:
      spec: feature spec of the transformed records, as Transform states it (it names the column of
        a ragged output in its own way); `observed` is in it where values can be missing.
      features: F.
      average: what counts alike by the weights: each `value`, each `step`, each `sequence` or each
        `feature`.
      feature_weights: the weight of a value of each feature, [F], by which each feature counts
        alike; see `balanced`. None are needed where no value can be missing.
      heads: heads whose labels the batches carry.
      categories: names of the categories whose token ids the batches carry.
      fixed_steps: T of every batch; None pads each batch to its own longest sequence.
    """

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def parse(records: tf.Tensor) -> SequenceBatch:
        return _parse(
            records, spec, features, average, feature_weights, heads, categories, fixed_steps
        )

    return cast(Callable[[tf.Tensor], SequenceBatch], parse)


def _parse(
    records: tf.Tensor,
    spec: Mapping[str, Any],
    features: int,
    average: str,
    feature_weights: Collection[float] | np.ndarray,
    heads: Collection[HeadOptions],
    categories: Collection[str],
    fixed_steps: int | None,
) -> SequenceBatch:
    columns = (VALUES, LENGTH, OBSERVED, *(head.column for head in heads), *categories)
    parse_spec = {name: spec[name] for name in columns if name in spec}
    parsed = tf.io.parse_example(records, parse_spec)
    length = parsed[LENGTH]
    ragged = {
        name: parsed[name].with_row_splits_dtype(tf.int64)
        for name in (VALUES, OBSERVED, *categories)
        if name in parsed
    }
    per_value = [name for name in (VALUES, OBSERVED) if name in ragged]
    expected_lengths = {name: length * features for name in per_value}
    expected_lengths |= dict.fromkeys(categories, length)
    same_steps = [
        tf.debugging.assert_equal(
            ragged[name].row_lengths(),
            expected_length,
            f"the steps of {name} are not as many as the record's length",
        )
        for name, expected_length in expected_lengths.items()
    ]
    with tf.control_dependencies(same_steps):
        steps = tf.reduce_max(length) if fixed_steps is None else tf.constant(fixed_steps, tf.int64)

    def padded(name: str) -> tf.Tensor:
        width = steps * features if name in per_value else steps
        dense = ragged[name].to_tensor(shape=tf.stack([-1, width]))
        if name not in per_value:
            return tf.ensure_shape(dense, [None, fixed_steps])
        dense = tf.reshape(dense, [tf.size(length, tf.int64), steps, features])
        return tf.ensure_shape(dense, [None, fixed_steps, features])

    valid = tf.ensure_shape(tf.sequence_mask(length, steps), [None, fixed_steps])
    counted = tf.cast(padded(OBSERVED) if OBSERVED in ragged else valid, tf.float32)
    labels = {head.name: _label(parsed[head.column], head) for head in heads}
    token_ids = {name: padded(name) for name in categories}
    return SequenceBatch(
        values=padded(VALUES),
        length=length,
        sample_weight=_weight(counted, average, feature_weights),
        labels={name: label for name, (label, _) in labels.items()},
        label_weight={name: weight for name, (_, weight) in labels.items()},
        token_ids=token_ids,
        token_weight={
            name: _weight(tf.cast(valid & (ids >= 0), tf.float32), average)
            for name, ids in token_ids.items()
        },
    )


def balanced(numbers: np.ndarray) -> np.ndarray:
    """Return the weight of a value of each feature by which each feature counts alike, [F].

    The weights of all values add up to the number of values, as those of `value` do.

    Args:
      numbers: [F], observed values of each feature; one that was never observed has the weight 0.
    """
    mean = numbers.sum() / max(np.count_nonzero(numbers), 1)
    return np.where(numbers > 0, mean / np.maximum(numbers, 1), 0.0)


def _weight(
    counted: tf.Tensor, average: str, feature_weights: Collection[float] | np.ndarray = ()
) -> tf.Tensor:
    """Scale weights so that they sum to 1 over each step or sequence, or alike over each feature.

    Args:
      counted: float32 [B, T] or [B, T, F]; 1 where it counts, else 0.
      average: `value`, `step`, `sequence` or `feature`.
      feature_weights: see `parser`.
    """
    rank = counted.shape.rank
    if average == "feature" and rank == 3:
        return counted * tf.constant(feature_weights, tf.float32)
    if average == "sequence":
        axes = list(range(1, rank))
        return tf.math.divide_no_nan(counted, tf.reduce_sum(counted, axis=axes, keepdims=True))
    if average == "step" and rank == 3:
        return tf.math.divide_no_nan(counted, tf.reduce_sum(counted, axis=2, keepdims=True))
    return counted


def _label(column: tf.SparseTensor, head: HeadOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """Return label and weight [B] of a context column of at most one value, 0 where missing."""
    rows = tf.RaggedTensor.from_sparse(column)
    there = rows.row_lengths() > 0
    values = rows.to_tensor(shape=[None, 1])[:, 0]
    term = terms.of(head)
    label, usable = term.label(values)
    usable &= there
    if term.expected is None:
        return tf.where(usable, label, 0), tf.cast(usable, tf.float32)
    known = usable | ~there
    all_known = tf.debugging.Assert(
        tf.reduce_all(known),
        [
            f"{head.column}: head {head.name} expected {term.expected}; received",
            tf.boolean_mask(values, ~known),
        ],
    )
    with tf.control_dependencies([all_known]):
        return tf.where(usable, label, 0), tf.cast(there, tf.float32)
