"""Sequence -> tf.train.Example of the raw record contract."""

import tensorflow as tf

from components.sequence import (
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    SEQUENCE_ID,
    Columns,
    ContextValue,
    Sequence,
    length_bucket,
)


def encode(sequence: Sequence, columns: Columns) -> bytes:
    """A serialised Example: one float column [T] a feature, the bookkeeping, the context.

    The bytes are deterministic, so that equal sequences make equal shards.
    """
    features = {
        SEQUENCE_ID: _bytes(sequence.sequence_id),
        ENTITY_ID: _bytes(sequence.entity_id),
        LENGTH: _ints(sequence.length),
        LENGTH_BUCKET: _bytes(length_bucket(sequence.length)),
    }
    for index, name in enumerate(columns.names):
        column = tf.train.FloatList(value=sequence.values[:, index])
        features[name] = tf.train.Feature(float_list=column)
    for name, value in sequence.context.items():
        features[name] = _context(value)
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _context(value: ContextValue) -> tf.train.Feature:
    if isinstance(value, str):
        return _bytes(value)
    if isinstance(value, int):
        return _ints(value)
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def _bytes(text: str) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode("utf-8")]))


def _ints(number: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
