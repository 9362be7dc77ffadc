"""The masked LSTM autoencoder: encoder LSTM -> code -> decoder LSTM -> Dense, cropped.

No layer here gets a mask, because none needs one. Padding stands on the right, and an LSTM is causal:
the state after the last valid step does not know what follows. The encoder runs over the batch as it
is, and the last valid state is gathered at length - 1; the decoder's outputs after it are cropped to
0. That is equal to masking every step, spares the per-step selects, and is what cuDNN's LSTM can do.
Padded inputs are set to 0 first, so that no content of theirs reaches an arithmetic operation.

LSTM: Hochreiter and Schmidhuber 1997; as autoencoder: Srivastava, Mansimov, Salakhutdinov 2015,
"Unsupervised Learning of Video Representations using LSTMs", whose unconditioned decoder this is.
"""

import keras
import tensorflow as tf

from components import masking
from components.train.options import TrainOptions


class MaskedAutoencoder(keras.Model):
    """values [B, T, F], length [B] -> reconstruction [B, T, F], 0 in the padding."""

    def __init__(
        self, *, features: int, options: TrainOptions, use_cudnn: bool | str = "auto"
    ) -> None:
        """Builds the layers.

        Args:
          features: F.
          options: sizes and precision.
          use_cudnn: False for a graph that must run where no GPU is: the choice is made when a
            function is traced, so a model exported on a GPU machine would hold CudnnRNN for ever.
        """
        super().__init__()
        policy = "mixed_bfloat16" if options.precision == "bfloat16" else "float32"
        self.encoder = keras.layers.LSTM(
            options.units, return_sequences=True, use_cudnn=use_cudnn, dtype=policy, name="encoder"
        )
        self.code = keras.layers.Dense(options.embedding_size, dtype="float32", name="code")
        self.decoder = keras.layers.LSTM(
            options.units, return_sequences=True, use_cudnn=use_cudnn, dtype=policy, name="decoder"
        )
        self.reconstruction = keras.layers.Dense(features, dtype="float32", name="reconstruction")
        self.encoder.build((None, None, features))
        self.code.build((None, options.units))
        self.decoder.build((None, None, options.embedding_size))
        self.reconstruction.build((None, None, options.units))
        self.built = True

    def encode(self, values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """The code of each sequence.

        Args:
          values: float32 [B, T, F]; anything may stand where t >= length.
          length: int [B], 1 <= length <= T.

        Returns:
          float32 [B, E].
        """
        mask = masking.mask_of(length, tf.shape(values)[1])
        states = self.encoder(masking.select(mask, values))
        return self.code(tf.gather(states, length - 1, batch_dims=1))

    def decode(self, code: tf.Tensor, length: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        """The reconstruction from a code alone, cropped to the valid steps.

        Args:
          code: float32 [B, E].
          length: int [B].
          steps: T, to which the output is padded with 0.

        Returns:
          float32 [B, T, F].
        """
        repeated = tf.repeat(code[:, tf.newaxis, :], steps, axis=1)
        outputs = self.reconstruction(self.decoder(repeated))
        return masking.select(masking.mask_of(length, steps), outputs)

    def call(self, values: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        """The reconstruction of each sequence, float32 [B, T, F]."""
        return self.decode(self.encode(values, length), length, tf.shape(values)[1])
