"""Define the masked autoencoder: encoder -> embedding -> decoder -> Dense, cropped.

The encoder and the decoder are those of `train.encoder` and `train.decoder` (`encoders/`,
`decoders/`). Around both goes a linear path, which adds to the embedding and to the reconstruction:
see `linear_path.py`.

A step's inputs are its F values and, of each category, the embedding of its token; what is missing
is exactly 0 in both. A step's outputs are F values and, of each category, the logits of its tokens.

Padding stands on the right. What stands in it is set to 0 before the encoder reads it, so that no
content of it reaches an arithmetic operation, and the decoder's outputs in it are cropped to 0.
"""

import functools
from collections.abc import Sequence as Collection
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.contract.signatures import legal
from ragline.components.train import decoders, encoders, padding
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.encoders.interface import Drop
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.linear_path import LinearPath, grid_steps
from ragline.components.train.model.sequence_statistics import frequent_tokens
from ragline.components.train.model.shrinkage_pca import CovarianceStats
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TrainOptions


class Reconstruction(NamedTuple):
    """Holds what the decoder puts out.

    Attributes:
      values: float32 [B, T, F].
      logits: category -> float32 [B, T, size of its vocabulary].
    """

    values: tf.Tensor
    logits: dict[str, tf.Tensor]


class MaskedAutoencoder(keras.Model):
    """Makes an embedding and outputs of each sequence; padding has no part in either.

    A padding strategy that needs another model derives it from this one: see `padding/`.
    """

    def __init__(
        self,
        *,
        features: int,
        options: TrainOptions,
        heads: Collection[HeadOptions] = (),
        vocabularies: Collection[Vocabulary] = (),
        portable: bool = False,
    ) -> None:
        """Build the layers.

        Args:
          features: F.
          options: encoder, decoder, shape and precision.
          heads: supervised outputs on the embedding.
          vocabularies: of the categories.
          portable: whether it is for an exported graph, which runs where no GPU is. Its dense
            layers are exact (`dense.py`), so that a row does not depend on its company.
        """
        super().__init__()
        self.reader, self.writer = encoders.of(options.encoder), decoders.of(options.decoder)
        self.inputs_of_step = features + sum(each.embedding_size for each in vocabularies)
        self.options = options
        self._names = [vocabulary.name for vocabulary in vocabularies]
        self.linear = _linear(features, options, vocabularies, exact=portable)
        self.encoder = self.reader.built(self.inputs_of_step, options, portable)
        read = self.reader.outputs(options)
        # "code" is its name in every encoder that was pushed.
        self.projection = Dense(read, options.embedding_size, exact=portable, name="code")
        written = options.embedding_size + (features if self.linear else 0)
        written += self.inputs_of_step if self.writer.reads_steps else 0
        self.decoder = self.writer.layers(written, options, portable, self.reader)
        states = self.writer.outputs(options)
        self.reconstruction = Dense(states, features, exact=portable, name="reconstruction")
        self.tables = [_table(index, one) for index, one in enumerate(vocabularies)]
        self.words = [
            Dense(states, vocabulary.size, exact=False, name=f"words_{index}")
            for index, vocabulary in enumerate(vocabularies)
        ]
        size = options.embedding_size
        self.heads = [
            Dense(size, head.outputs, exact=portable, name=f"head_{legal(head.name)}")
            for head in heads
        ]
        # Of a whole sequence, not of a step: its draw has no T in its shape, which padding would
        # change.
        self.dropout = keras.layers.Dropout(
            options.dropout, noise_shape=(None, 1, None), seed=options.seed
        )
        self.built = True

    def start(self, batches: tf.data.Dataset, seed: int) -> CovarianceStats | None:
        """Set what training starts at: the linear path alone, at the data's principal components.

        Without a linear path nothing is changed: the weights are as they were drawn.

        Args:
          batches: of the training split; see `LinearPath.start_at`.
          seed: of the embedding's rotation.

        Returns:
          The statistics of the linear path's inputs; None without one.
        """
        if self.linear is None:
            return None
        inputs = self.linear.start_at(batches, seed)
        for layer in (self.projection, self.reconstruction):
            layer.set_weights([np.zeros(weight.shape) for weight in layer.get_weights()])
        return inputs

    def encode(
        self,
        batch: SequenceBatch,
        training: bool = False,
    ) -> tf.Tensor:
        """Return the embedding of each sequence.

        Args:
          batch: the sequences, 1 <= length <= T; anything may stand where t >= length.
          training: whether to drop out.

        Returns:
          float32 [B, E].
        """
        read = self.reader.read(self.encoder, self.to_read(batch), batch, self._drop(training))
        return self.to_embedding(read, batch)

    def to_embedding(self, read: tf.Tensor, batch: SequenceBatch) -> tf.Tensor:
        """Return the embedding, float32 [B, E], of what the encoder has read, [B, R]."""
        embedding = self.projection(read)
        return embedding if self.linear is None else embedding + self.linear.encode(batch)

    def decode(
        self,
        embedding: tf.Tensor,
        batch: SequenceBatch,
        training: bool = False,
    ) -> Reconstruction:
        """Return the reconstruction, cropped to the valid steps: 0 in the padding.

        Args:
          embedding: float32 [B, E].
          batch: the sequences; only a decoder that `reads_steps` reads more than length and T.
          training: whether to drop out.
        """
        mask = batch.valid
        linear = self._linear(embedding, batch)
        states = self._decoder_states(embedding, linear, batch, training)
        outputs = self._outputs(states, linear)
        return tf.nest.map_structure(lambda output: masking.select(mask, output), outputs)

    def call(self, batch: SequenceBatch, training: bool = False) -> tf.Tensor:
        """Return the reconstruction of each sequence's values, float32 [B, T, F]."""
        return self.decode(self.encode(batch, training), batch, training).values

    def to_read(self, batch: SequenceBatch) -> tf.Tensor:
        """Return what is read of each step: its values and embedded tokens; 0 in the padding."""
        mask, values, token_ids = batch.valid, batch.valid_values, batch.token_ids
        if not self._names:
            return values
        embedded = []
        for name, table in zip(self._names, self.tables, strict=True):
            there = tf.logical_and(mask, token_ids[name] >= 0)
            embedded.append(masking.select(there, table(masking.select(there, token_ids[name]))))
        return tf.concat([values, *embedded], axis=2)

    def _outputs(self, states: tf.Tensor, linear: list[tf.Tensor]) -> Reconstruction:
        """Return what is put out at each step, from the decoder's states [B, T, units]."""
        logits = {name: layer(states) for name, layer in zip(self._names, self.words, strict=True)}
        return Reconstruction(tf.add_n([self.reconstruction(states), *linear]), logits)

    def _linear(self, embedding: tf.Tensor, batch: SequenceBatch) -> list[tf.Tensor]:
        """Return the linear part of the reconstruction, [B, T, F], if the model has one."""
        if self.linear is None:
            return []
        return [self.linear.decode(embedding, batch.length, batch.steps)]

    def _decoder_states(
        self,
        embedding: tf.Tensor,
        linear: list[tf.Tensor],
        batch: SequenceBatch,
        training: bool,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return what the decoder writes, [B, T, H].

        At each step it reads the embedding, and the linear part, which it mends.
        """
        changing = [batch.values[..., :0], *linear]
        if self.writer.reads_steps:
            # The step before: 0 before the first.
            inputs = self.to_read(batch)
            changing.append(tf.pad(inputs[:, :-1], [[0, 0], [1, 0], [0, 0]]))
        given = tf.concat(changing, axis=2)
        return self.writer.write(self.decoder, embedding, given, batch, self._drop(training), mask)

    def _drop(self, training: bool) -> Drop:
        return functools.partial(self.dropout, training=training)


def build(
    *,
    features: int,
    options: TrainOptions,
    heads: Collection[HeadOptions] = (),
    vocabularies: Collection[Vocabulary] = (),
    steps: int = 1,
    portable: bool = False,
) -> MaskedAutoencoder:
    """Build the model of `options.padding`.

    Args:
      features: F.
      options: shape, precision and padding strategy.
      heads: supervised outputs on the embedding.
      vocabularies: of the categories.
      steps: number of steps of the longest sequence.
      portable: see `MaskedAutoencoder`.

    Raises:
      ValueError: the padding strategy does not go with these categories.
    """
    return padding.of(options.padding).build(
        steps=steps,
        features=features,
        options=options,
        heads=heads,
        vocabularies=vocabularies,
        portable=portable,
    )


def _linear(
    features: int, options: TrainOptions, vocabularies: Collection[Vocabulary], exact: bool
) -> LinearPath | None:
    """Return the linear path, if there is one."""
    steps = grid_steps(options.linear_steps, features)
    if not steps:
        return None
    return LinearPath(
        features=features,
        steps=steps,
        size=options.embedding_size,
        tokens=frequent_tokens(vocabularies),
        exact=exact,
    )


def _table(index: int, vocabulary: Vocabulary) -> keras.layers.Embedding:
    sizes = vocabulary.size, vocabulary.embedding_size
    layer = keras.layers.Embedding(*sizes, dtype="float32", name=f"table_{index}")
    layer.build()
    return layer
