"""The model of the strategy `remask`."""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.model.architecture import Codes, MaskedAutoencoder, Reconstruction


class RemaskedAutoencoder(MaskedAutoencoder):
    """Masks the repeated embedding again, so that the decoder stops where the data does.

    After the last valid step Keras repeats the decoder's last output, which the loss must not
    count.
    """

    def decode(
        self,
        code: tf.Tensor,
        values: tf.Tensor,
        length: tf.Tensor,
        training: bool = False,
        codes: Codes | None = None,
    ) -> Reconstruction:
        """The reconstruction; in the padding, the last valid step's."""
        mask = masking.mask_of(length, tf.shape(values)[1])
        linear = self._linear(code, length, tf.shape(values)[1])
        states = self._decoder_states(code, linear, values, length, training, codes, mask)
        return self._outputs(states, linear)
