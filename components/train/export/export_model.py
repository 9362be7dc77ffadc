"""Write the SavedModel: raw values in, Transform's graph inside, TensorFlow alone to load it.

All signatures take one path: raw ragged columns -> Transform -> pad -> model. They therefore agree
to the last bit, and what a caller's padding holds is gone before the first arithmetic operation.

A category is an input of its own, beside the values: its tokens, as text or as integers.
"""

import pathlib
from collections.abc import Mapping
from collections.abc import Sequence as Collection
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from ragline.components.contract import masking
from ragline.components.contract.columns import LENGTH, MISSING_TOKEN_ID, OBSERVED, VALUES, Columns
from ragline.components.contract.feature_transforms import LEAST
from ragline.components.contract.signatures import (
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
from ragline.components.serving.fast import weights as weights_file
from ragline.components.train import terms
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.export import length_groups, long_sequences
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.objective import categories, loss
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TermOptions
from ragline.components.train.terms.interface import Outputs

# Standardised values end there: float32 ends at 3.4e38, and sums of them would be infinite.
FARTHEST = 1e30


def export(
    model: MaskedAutoencoder,
    *,
    transform_output: tft.TFTransformOutput,
    schema: schema_pb2.Schema,
    columns: Columns,
    heads: Collection[HeadOptions],
    vocabularies: Collection[Vocabulary],
    weights: Mapping[pathlib.Path, Collection[np.ndarray]],
    further: Collection[TermOptions] = (),
) -> None:
    """Write the model with its five signatures, once with each weights; the last are left.

    Keras's ExportArchive, not tf.saved_model.save: what the latter writes of a Keras 3 model cannot
    be loaded by a session, which is how TF Serving loads (keras#19274).

    Args:
      model: for any device (`portable=True`).
      transform_output: Transform's graph.
      schema: of the raw records.
      columns: the schema's features and categories.
      heads: of the model, in its order.
      vocabularies: of the categories, in their order.
      weights: where a SavedModel goes -> its weights; all are traced once, which takes as long as
        to write one.
      further: terms of the objective beside the values, categories and heads.
    """
    encoder = _Encoder(model, transform_output.transform_features_layer(), columns, vocabularies)
    archive = keras.export.ExportArchive()
    archive.track(model)
    raw_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    feature_spec = {name: raw_spec[name] for name in encoder.names}
    feature_spec[LENGTH] = tf.io.RaggedFeature(tf.int64)  # It may be left out.
    label_spec = {head.column: raw_spec[head.column] for head in heads}

    def parse(examples: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        parsed = tf.io.parse_example(examples, feature_spec)
        return _of_stated_length(parsed, parsed.pop(LENGTH))

    def serve(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.embed_groups(parse(examples))

    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.io.parse_example(examples, label_spec) if heads else {}
        return encoder.sums(parse(examples), heads, labels, further)

    def encode(values: tf.Tensor, length: tf.Tensor, *words: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.embed(encoder.from_padded(values, length, words))

    def encode_flat(
        values: tf.Tensor, row_lengths: tf.Tensor, *words: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        return encoder.embed_groups(encoder.from_flat(values, row_lengths, words))

    def score(values: tf.Tensor, length: tf.Tensor, *words: tf.Tensor) -> dict[str, tf.Tensor]:
        return encoder.score(encoder.from_padded(values, length, words))

    features = len(columns.features)
    examples_spec = tf.TensorSpec([None], tf.string, EXAMPLES)

    def spec_of(steps: list[None], length: str) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([*steps, features], tf.float32, VALUES),
            tf.TensorSpec([None], tf.int64, length),
            *(
                tf.TensorSpec(steps, one.pick(words=tf.string, ids=tf.int64), one.key)
                for one in columns.categories
            ),
        ]

    for name, function, spec in (
        (SERVING_DEFAULT, serve, [examples_spec]),
        (ENCODE, encode, spec_of([None, None], LENGTH)),
        (ENCODE_FLAT, encode_flat, spec_of([None], ROW_LENGTHS)),
        (SCORE, score, spec_of([None, None], LENGTH)),
        (EVALUATE, evaluate, [examples_spec]),
    ):
        # As in the trainer: nothing of it is Python's control flow over tensors. The trace stands
        # in the function's place, which tf.saved_model.save would trace once more.
        plain = tf.autograph.experimental.do_not_convert(function)
        trace = archive.add_endpoint(name, plain, spec).get_concrete_function()
        setattr(archive._tf_trackable, name, trace)
    # The tables of Transform's graph alone; its layer would be traced once more to be tracked.
    for trackable in tf.train.TrackableView(encoder.transform).descendants():
        if isinstance(trackable, tf.saved_model.experimental.TrackableResource):
            archive.track(trackable)
    for directory, values in weights.items():
        model.set_weights(values)
        archive.write_out(str(directory), verbose=False)
        arrays = {variable.path: np.asarray(variable.value) for variable in model.variables}
        weights_file.write(directory, arrays)


class _Flat(NamedTuple):
    """Holds sequences one after another, standardised.

    Attributes:
      columns: values, float32 [sum T + 1, F]; observed, int64 likewise, where values can be
        missing; each category's token ids, int64 [sum T + 1, 1]. The last row is the padding's.
      first: int64 [B], where each begins.
      length: int64 [B].
    """

    columns: dict[str, tf.Tensor]
    first: tf.Tensor
    length: tf.Tensor


class _Encoder:
    """Computes what each signature returns, by one path from raw ragged columns [B, None]."""

    def __init__(
        self,
        model: MaskedAutoencoder,
        transform: tf.Module,
        columns: Columns,
        vocabularies: Collection[Vocabulary],
    ) -> None:
        self.transform = transform
        self._model = model
        self._features = columns.names
        self._least = [LEAST[transform] for transform in columns.transforms]
        self._categories = tuple(category.name for category in columns.categories)
        self._vocabularies = vocabularies
        self.names = (*self._features, *self._categories)
        # What signatures share is traced once, which halves the file and the time to load it, too.
        parts = (self._standardise, self._embed, self._embed_groups, self._evaluate)
        self._standardised, self._embedded, self._embedded_groups, self._evaluated = (
            tf.function(part, autograph=False) for part in parts
        )

    def from_padded(
        self, values: tf.Tensor, length: tf.Tensor, words: Collection[tf.Tensor]
    ) -> dict[str, tf.RaggedTensor]:
        """Make ragged columns of padded ones: [B, T, F], [B] and [B, T] each.

        A length outside 1..T is an error, not a clip.
        """
        rows, steps = tf.unstack(tf.shape(values, tf.int64)[:2])
        each = f"{LENGTH}: expected one for each of B sequences"
        checks = [
            _positive(length, LENGTH),
            tf.debugging.assert_less_equal(length, steps, f"{LENGTH}: expected at most T"),
            tf.debugging.assert_equal(tf.size(length, tf.int64), rows, each),
            *self._same_steps(words, tf.shape(values)[:2]),
        ]
        with tf.control_dependencies(checks):
            mask = masking.mask_of(length, steps)
            flat = [tf.boolean_mask(padded, mask) for padded in (values, *words)]
        return self._columns_of(flat, length)

    def from_flat(
        self, values: tf.Tensor, row_lengths: tf.Tensor, words: Collection[tf.Tensor]
    ) -> dict[str, tf.RaggedTensor]:
        """Make ragged columns of flat ones: [sum T, F], [B] and [sum T] each."""
        total = tf.reduce_sum(row_lengths)
        checks = [
            _positive(row_lengths, ROW_LENGTHS),
            tf.debugging.assert_equal(
                total, tf.shape(values, tf.int64)[0], f"{ROW_LENGTHS}: expected to sum to sum T"
            ),
            *self._same_steps(words, tf.shape(values)[:1]),
        ]
        with tf.control_dependencies(checks):
            row_lengths = tf.identity(row_lengths)
        return self._columns_of([values, *words], row_lengths)

    def embed(self, raw: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """Return `embedding` [B, E], of sequences that the caller has padded to each other."""
        return {EMBEDDING: self._embedded(self._standardised(raw))}

    def _embed(self, flat: _Flat) -> tf.Tensor:
        return self._model.encode(self._padded(flat))

    def embed_groups(self, raw: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """Return `embedding` [B, E], of sequences of any lengths: see `length_groups.py`."""
        return {EMBEDDING: self._embedded_groups(self._standardised(raw))}

    def _embed_groups(self, flat: _Flat) -> tf.Tensor:
        model = self._model
        numbers = model.reader.numbers_a_step(model.inputs_of_step, model.options)
        return length_groups.by_length(
            flat.length,
            length_groups.most_steps(numbers),
            model.projection.units,
            lambda rows: long_sequences.encode(model, self._padded(flat, rows)),
        )

    def score(self, raw: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
        """Return `embedding` [B, E] and the masked MSE of each sequence's values [B].

        It is NaN of a sequence in which nothing was observed: 0 would be the best there is. Where
        no value can be missing, each counts for the metrics, whatever it is.
        """
        _, outputs, sums = self._evaluated(self._standardised(raw))
        squared = tf.reduce_sum(sums[error_sum(MODEL, SQUARED)], axis=1)
        number = sums[N_VALUES]
        unknown = tf.constant(float("nan"), tf.float64)
        has_error = (number > 0) & (self._observed(raw) > 0)
        error = tf.where(has_error, masking.masked_mean(squared, number), unknown)
        return {EMBEDDING: outputs.embedding, RECONSTRUCTION_ERROR: tf.cast(error, tf.float32)}

    def _observed(self, raw: dict[str, tf.RaggedTensor]) -> tf.Tensor:
        """Return how many values of each sequence are finite, and have transforms, int64 [B]."""
        values = tf.stack([raw[name].flat_values for name in self._features], axis=1)
        observed = tf.math.is_finite(values) & (values >= self._least)
        by_step = tf.reduce_sum(tf.cast(observed, tf.int64), axis=1)
        up_to = tf.concat([[0], tf.cumsum(by_step)], axis=0)
        ends = raw[self.names[0]].row_splits
        return tf.gather(up_to, ends[1:]) - tf.gather(up_to, ends[:-1])

    def sums(
        self,
        raw: dict[str, tf.RaggedTensor],
        heads: Collection[HeadOptions],
        labels: dict[str, tf.SparseTensor],
        further: Collection[TermOptions],
    ) -> dict[str, tf.Tensor]:
        """Return what each sequence adds to every metric, float64 [B] or [B, F]."""
        batch, outputs, sums = self._evaluated(self._standardised(raw))
        for head, layer in zip(heads, self._model.heads, strict=True):
            label, weight = _labels(labels[head.column], head)
            answer = outputs.heads[head.name] = layer(outputs.embedding)
            sums |= terms.of(head).sums_by_sequence(label, answer, weight)
            batch = batch._replace(
                labels={**batch.labels, head.name: label},
                label_weight={**batch.label_weight, head.name: weight},
            )
        for term in further:
            sums |= terms.of_sequences(term).sums_by_sequence(batch, outputs)
        return sums

    def _evaluate(self, flat: _Flat) -> tuple[SequenceBatch, Outputs, dict[str, tf.Tensor]]:
        batch, embedding = self._padded(flat), self._embedded(flat)
        values, logits = self._model.decode(embedding, batch)
        sums = loss.sums_by_sequence(batch, values, embedding)
        sums = categories.with_categories(sums, self._vocabularies, batch, logits)
        return batch, Outputs(values, logits, {}, embedding), sums

    def _same_steps(self, words: Collection[tf.Tensor], shape: tf.Tensor) -> list[tf.Operation]:
        return [
            tf.debugging.assert_equal(
                tf.shape(column), shape, f"{name}: expected a word for each step of {VALUES}"
            )
            for name, column in zip(self._categories, words, strict=True)
        ]

    def _columns_of(
        self, flat: Collection[tf.Tensor], length: tf.Tensor
    ) -> dict[str, tf.RaggedTensor]:
        """Make ragged columns of values [sum T, F] and, of each category, words [sum T]."""
        values, *words = flat
        columns = (*tf.unstack(values, len(self._features), axis=1), *words)
        return {
            name: tf.RaggedTensor.from_row_lengths(column, length, validate=False)
            for name, column in zip(self.names, columns, strict=True)
        }

    def _standardise(self, raw: dict[str, tf.RaggedTensor]) -> _Flat:
        length = raw[self.names[0]].row_lengths()
        checks = [_positive(length, LENGTH)] + [
            tf.debugging.assert_equal(
                raw[name].row_lengths(), length, f"{name}: expected as many steps as the others"
            )
            for name in self.names[1:]
        ]
        with tf.control_dependencies(checks):
            length = tf.identity(length)
        transformed = self.transform(raw)
        columns = {
            name: self._filled(transformed[name], len(self._features))
            for name in (VALUES, OBSERVED)
            if name in transformed
        }
        columns[VALUES] = tf.clip_by_value(columns[VALUES], -FARTHEST, FARTHEST)
        columns |= {
            name: self._filled(transformed[name], 1, MISSING_TOKEN_ID) for name in self._categories
        }
        return _Flat(columns, tf.cumsum(length, exclusive=True), length)

    def _filled(self, rows: tf.RaggedTensor, width: int, fill: int = 0) -> tf.Tensor:
        """Flatten ragged [B, T * width] to [sum T + 1, width]; the last row is the padding's."""
        padding = tf.fill([1, width], tf.cast(fill, rows.dtype))
        return tf.concat([tf.reshape(rows.flat_values, [-1, width]), padding], axis=0)

    def _padded(self, flat: _Flat, rows: tf.Tensor | None = None) -> SequenceBatch:
        """Return all sequences, or those at `rows`, padded to the longest; T >= 1 even of none.

        By a gather, which every runtime knows; OpenVINO has no RaggedTensorToTensor.
        """
        first, length = flat.first, flat.length
        if rows is not None:
            first, length = tf.gather(first, rows), tf.gather(length, rows)
        most = tf.reduce_max(tf.concat([length, [1]], axis=0))
        padding = tf.shape(flat.columns[VALUES], tf.int64)[0] - 1
        places = tf.where(
            masking.mask_of(length, most), first[:, tf.newaxis] + tf.range(most), padding
        )
        padded = {name: tf.gather(column, places) for name, column in flat.columns.items()}
        if OBSERVED in padded:
            weight = tf.cast(padded[OBSERVED], tf.float32)
        else:
            weight = tf.sequence_mask(length, most, tf.float32)
        token_ids = {name: padded[name][..., 0] for name in self._categories}
        return SequenceBatch(
            values=padded[VALUES],
            length=length,
            sample_weight=weight,
            token_ids=token_ids,
            token_weight={
                name: categories.weight_of(ids, length) for name, ids in token_ids.items()
            },
        )


def _of_stated_length(
    columns: dict[str, tf.RaggedTensor], stated: tf.RaggedTensor
) -> dict[str, tf.RaggedTensor]:
    """Return the columns of tf.Examples, whose `length`, where it is given, must be theirs."""
    name, first = next(iter(columns.items()))
    check = tf.debugging.assert_equal(
        stated.flat_values,
        tf.gather(tf.cast(first.row_lengths(), tf.int64), stated.value_rowids()),
        f"{LENGTH}: expected the number of steps that {name} has, or none",
    )
    with tf.control_dependencies([check]):
        return {**columns, name: first.with_flat_values(tf.identity(first.flat_values))}


def _labels(column: tf.SparseTensor, head: HeadOptions) -> tuple[tf.Tensor, tf.Tensor]:
    """Return label [B] and weight [B] of a context column, 0 without a value; a sequence has one.

    A class that the head does not know is as good as missing here: the trainer has refused it of
    its own data, and what a later run evaluates an old model on may hold more classes.
    """
    there = column.indices[:, :1]
    rows = column.dense_shape[:1]
    values, usable = terms.of(head).label(column.values)
    label = tf.scatter_nd(there, masking.select(usable, values), rows)
    return label, tf.scatter_nd(there, tf.cast(usable, tf.float32), rows)


def _positive(length: tf.Tensor, name: str) -> tf.Operation:
    return tf.debugging.assert_positive(length, f"{name}: expected at least 1 for each sequence")
