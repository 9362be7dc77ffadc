"""Define the model of the strategy `keras`."""

import dataclasses
from typing import Any

import keras
import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder, Reconstruction
from ragline.components.train.options import TrainOptions


class TextbookAutoencoder(MaskedAutoencoder):
    """Masks as the textbook does: Masking(0.0) -> LSTM -> RepeatVector -> LSTM.

    The mask is inferred from values, so a step that is 0 throughout is taken for padding; it is
    lost at RepeatVector, so the decoder and the plain loss go on through the padding. It is about
    values, and has no categories and no linear path.
    """

    def __init__(self, *, steps: int, options: TrainOptions, **arguments: Any) -> None:
        """Build the layers.

        Args:
          steps: the fixed number of steps that every sequence is padded to and reconstructed to.
          options: shape and precision.
          **arguments: of `MaskedAutoencoder`.
        """
        super().__init__(options=dataclasses.replace(options, linear_steps=0), **arguments)
        self._steps = steps
        self.masking = keras.layers.Masking(0.0)

    def encode(
        self,
        batch: SequenceBatch,
        training: bool = False,
    ) -> tf.Tensor:
        """Return the embedding, float32 [B, E], of the steps that are not 0 throughout."""
        states = batch.valid_values
        mask = self.masking.compute_mask(states)
        for layer in self.encoder:
            states = self.dropout(layer(states, mask=mask), training=training)
        return self.projection(states[:, -1])  # A masked step repeats the output before it.

    def decode(
        self,
        embedding: tf.Tensor,
        batch: SequenceBatch,
        training: bool = False,
    ) -> Reconstruction:
        """Return the reconstruction of valid steps and padding alike."""
        steps = tf.maximum(batch.steps, self._steps)
        states = tf.repeat(embedding[:, tf.newaxis, :], steps, axis=1)
        for layer in self.decoder:
            states = self.dropout(layer(states), training=training)
        return self._outputs(states[:, : batch.steps], [])
