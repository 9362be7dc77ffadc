"""What a SequenceBatch says of itself, as a tensor's holder and as an element of tf.data."""

import numpy as np
import pytest
import tensorflow as tf
from train import samples
from train.samples import FILLS, F

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import row_parts

LENGTHS = (3, 1, 5)


def _batch(fill: float = 0.0) -> SequenceBatch:
    return samples.batch([s.values for s in samples.make(0, LENGTHS)], fill, extra=2)


@pytest.mark.parametrize("fill", FILLS)
def test_its_mask_comes_from_its_lengths_alone(fill):
    batch = _batch(fill)
    expected = np.arange(7) < np.array(LENGTHS)[:, np.newaxis]
    np.testing.assert_array_equal(batch.valid, expected)
    np.testing.assert_array_equal(batch.sample_weight, expected.astype(np.float32))
    np.testing.assert_array_equal(batch.valid_values, _batch().values)
    assert int(batch.steps) == 7


def test_its_parts_are_the_whole():
    """A sequence that ended before a part has no valid step in it."""
    ids = {"activity": tf.reshape(tf.range(21, dtype=tf.int64), [3, 7])}
    batch = _batch()._replace(token_ids=ids, token_weight={"activity": tf.ones([3, 7])})
    parts = [batch.part(tf.constant(begin), tf.constant(begin + 3)) for begin in (0, 3, 6)]
    for whole, cut in (
        (batch.values, [part.values for part in parts]),
        (batch.valid, [part.valid for part in parts]),
        (batch.sample_weight, [part.sample_weight for part in parts]),
        (ids["activity"], [part.token_ids["activity"] for part in parts]),
    ):
        np.testing.assert_array_equal(tf.concat(cut, axis=1), whole)
    assert parts[1].length.dtype == tf.int64
    np.testing.assert_array_equal(parts[1].length, [0, -2, 2])


def test_it_is_an_element_of_a_dataset_and_an_argument_of_a_graph():
    dataset = tf.data.Dataset.from_tensors(_batch()).map(lambda batch: batch)
    assert isinstance(dataset.element_spec, SequenceBatch)
    rows = tf.function(lambda batch: row_parts.rows(batch, 1, 3), input_signature=None)
    [batch] = dataset
    assert isinstance(batch, SequenceBatch)
    row = rows(batch)
    assert isinstance(row, SequenceBatch)
    assert (row.values.shape, row.length.numpy().tolist()) == ((1, 7, F), [1])
    assert (row.labels, row.token_ids) == ({}, {})
