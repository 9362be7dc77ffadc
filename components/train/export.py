"""The SavedModel: raw values in, Transform's graph inside, TensorFlow alone to load it.

All signatures take one path: raw ragged columns -> Transform -> pad -> model. They therefore agree
to the last bit, and what a caller's padding holds is gone before the first arithmetic operation.
"""

import pathlib
from collections.abc import Sequence as Collection

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from components import masking
from components.sequence import LENGTH, OBSERVED, VALUES, Columns
from components.signatures import (
    EMBEDDING,
    ENCODE,
    ENCODE_FLAT,
    EVALUATE,
    EXAMPLES,
    MODEL,
    N_VALUES,
    RECONSTRUCTION_ERROR,
    ROW_LENGTHS,
    SCORE,
    SERVING_DEFAULT,
    SQUARED,
    error_sum,
)
from components.train import loss
from components.train.model import MaskedAutoencoder
from components.train.options import HeadOptions


def export(
    model: MaskedAutoencoder,
    *,
    transform_output: tft.TFTransformOutput,
    schema: schema_pb2.Schema,
    columns: Columns,
    heads: Collection[HeadOptions],
    directory: pathlib.Path,
) -> None:
    """Writes the model with its five signatures.

    Keras's ExportArchive, not tf.saved_model.save: what the latter writes of a Keras 3 model cannot
    be loaded by a session, which is how TF Serving loads (keras#19274).

    Args:
      model: for any device (`use_cudnn=False`).
      transform_output: Transform's graph.
      schema: of the raw records.
      columns: the schema's features.
      heads: of the model, in its order.
      directory: where the SavedModel goes.
    """
    encoder = _Encoder(model, transform_output.transform_features_layer(), columns)
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.track(encoder.transform)
    raw_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    feature_spec = {name: raw_spec[name] for name in columns.names}
    label_spec = {head.column: raw_spec[head.column] for head in heads}

    def parse(examples: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        return tf.io.parse_example(examples, feature_spec)

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.embed(parse(examples))

    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.io.parse_example(examples, label_spec) if heads else {}
        return encoder.sums(parse(examples), heads, labels)

    def encode(values: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.embed(encoder.from_padded(values, length))

    def encode_flat(values: tf.Tensor, row_lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.embed(encoder.from_flat(values, row_lengths))

    def score(values: tf.Tensor, length: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.score(encoder.from_padded(values, length))

    features = len(columns.features)
    examples_spec = tf.TensorSpec([None], tf.string, EXAMPLES)
    padded_spec = (
        tf.TensorSpec([None, None, features], tf.float32, VALUES),
        tf.TensorSpec([None], tf.int64, LENGTH),
    )
    flat_spec = (
        tf.TensorSpec([None, features], tf.float32, VALUES),
        tf.TensorSpec([None], tf.int64, ROW_LENGTHS),
    )
    archive.add_endpoint(SERVING_DEFAULT, serve, [examples_spec])
    archive.add_endpoint(ENCODE, encode, list(padded_spec))
    archive.add_endpoint(ENCODE_FLAT, encode_flat, list(flat_spec))
    archive.add_endpoint(SCORE, score, list(padded_spec))
    archive.add_endpoint(EVALUATE, evaluate, [examples_spec])
    archive.write_out(str(directory), verbose=False)


class _Encoder:
    """The one path: raw ragged columns, name -> [B, None], to what a signature returns."""

    def __init__(self, model: MaskedAutoencoder, transform: tf.Module, columns: Columns) -> None:
        self.transform = transform
        self._model = model
        self._columns = columns

    def from_padded(self, values: tf.Tensor, length: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        """[B, T, F] and [B] -> ragged columns; a length outside 1..T is an error, not a clip."""
        steps = tf.shape(values, tf.int64)[1]
        checks = [
            _positive(length, LENGTH),
            tf.debugging.assert_less_equal(length, steps, f"{LENGTH}: expected at most T"),
            _same_batch(values, length, LENGTH),
        ]
        with tf.control_dependencies(checks):
            valid = tf.boolean_mask(values, masking.mask_of(length, steps))
        return self._columns_of(valid, length)

    def from_flat(self, values: tf.Tensor, row_lengths: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        """[sum T, F] and [B] -> ragged columns."""
        total = tf.reduce_sum(row_lengths)
        checks = [
            _positive(row_lengths, ROW_LENGTHS),
            tf.debugging.assert_equal(
                total, tf.shape(values, tf.int64)[0], f"{ROW_LENGTHS}: expected to sum to sum T"
            ),
        ]
        with tf.control_dependencies(checks):
            row_lengths = tf.identity(row_lengths)
        return self._columns_of(values, row_lengths)

    def embed(self, raw: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """`embedding` [B, E]."""
        values, _, length = self._standardise(raw)
        return {EMBEDDING: self._model.encode(values, length)}

    def score(self, raw: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """`embedding` [B, E] and the masked mean squared error of each sequence [B]."""
        embedding, sums = self._evaluate(raw)
        squared = tf.reduce_sum(sums[error_sum(MODEL, SQUARED)], axis=1)
        error = masking.masked_mean(squared, sums[N_VALUES])
        return {EMBEDDING: embedding, RECONSTRUCTION_ERROR: tf.cast(error, tf.float32)}

    def sums(
        self,
        raw: dict[str, tf.RaggedTensor],
        heads: Collection[HeadOptions],
        labels: dict[str, tf.SparseTensor],
    ) -> dict[str, tf.Tensor]:
        """What each sequence adds to every metric, float64 [B] or [B, F]."""
        embedding, sums = self._evaluate(raw)
        for head, layer in zip(heads, self._model.heads, strict=True):
            target, weight = _labels(labels[head.column], head)
            sums |= loss.head_sums_by_sequence(head, target, layer(embedding), weight)
        return sums

    def _evaluate(self, raw: dict[str, tf.RaggedTensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        values, weight, length = self._standardise(raw)
        embedding = self._model.encode(values, length)
        outputs = self._model.decode(embedding, values, length)
        return embedding, loss.sums_by_sequence(values, outputs, embedding, length, weight)

    def _columns_of(self, flat: tf.Tensor, length: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        return {
            name: tf.RaggedTensor.from_row_lengths(flat[:, index], length, validate=False)
            for index, name in enumerate(self._columns.names)
        }

    def _standardise(
        self, raw: dict[str, tf.RaggedTensor]
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Values [B, T, F], weight [B, T] or [B, T, F] and length [B], as the trainer sees them."""
        length = raw[self._columns.names[0]].row_lengths()
        checks = [_positive(length, LENGTH)] + [
            tf.debugging.assert_equal(
                raw[name].row_lengths(), length, f"{name}: expected as many steps as the others"
            )
            for name in self._columns.names[1:]
        ]
        with tf.control_dependencies(checks):
            length = tf.identity(length)
        transformed = self.transform(raw)
        values = self._pad(transformed[VALUES], length)
        if OBSERVED in transformed:
            return values, tf.cast(self._pad(transformed[OBSERVED], length), tf.float32), length
        return values, tf.sequence_mask(length, tf.shape(values)[1], tf.float32), length

    def _pad(self, rows: tf.RaggedTensor, length: tf.Tensor) -> tf.Tensor:
        """Ragged [B, T * F] -> [B, T, F], 0 in the padding; T >= 1 even if the batch is empty."""
        features = len(self._columns.features)
        steps = tf.reduce_max(tf.concat([length, [1]], axis=0))
        dense = rows.to_tensor(shape=tf.stack([tf.shape(length, tf.int64)[0], steps * features]))
        return tf.reshape(dense, [-1, steps, features])


def _labels(column: tf.SparseTensor, head: HeadOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """A context column of at most one value a sequence -> (label [B], weight [B]), 0 if missing.

    A class that the head does not know is as good as missing here: the trainer has refused it of
    its own data, and what a later run evaluates an old model on may hold more classes.
    """
    there = column.indices[:, :1]
    rows = column.dense_shape[:1]
    if head.type == "regression":
        values = tf.cast(column.values, tf.float32)
        usable = tf.math.is_finite(values)
    else:
        text = column.values
        text = text if text.dtype == tf.string else tf.strings.as_string(text)
        matches = tf.equal(text[:, tf.newaxis], tf.constant(head.classes))
        values = tf.argmax(tf.cast(matches, tf.int32), axis=1, output_type=tf.int64)
        usable = tf.reduce_any(matches, axis=1)
    label = tf.scatter_nd(there, masking.select(usable, values), rows)
    return label, tf.scatter_nd(there, tf.cast(usable, tf.float32), rows)


def _positive(length: tf.Tensor, name: str) -> tf.Operation:
    return tf.debugging.assert_positive(length, f"{name}: expected at least 1 for each sequence")


def _same_batch(values: tf.Tensor, length: tf.Tensor, name: str) -> tf.Operation:
    return tf.debugging.assert_equal(
        tf.shape(length)[0], tf.shape(values)[0], f"{name}: expected one for each of B sequences"
    )
