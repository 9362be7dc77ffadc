"""Define the model of the strategy `remask`."""

import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder, Reconstruction


class RemaskedAutoencoder(MaskedAutoencoder):
    """Masks the repeated embedding again, so that the decoder stops where the data does.

    After the last valid step Keras repeats the decoder's last output, which the loss must not
    count.
    """

    def decode(
        self,
        embedding: tf.Tensor,
        batch: SequenceBatch,
        training: bool = False,
    ) -> Reconstruction:
        """Return the reconstruction; padding repeats the last valid step."""
        linear = self._linear(embedding, batch)
        states = self._decoder_states(embedding, linear, batch, training, batch.valid)
        return self._outputs(states, linear)
