"""The masked LSTM autoencoder: encoder -> code -> decoder -> Dense, cropped.

No layer of `MaskedAutoencoder` gets a mask, because none needs one. Padding stands on the right,
and a recurrent layer is causal: the state after the last valid step does not know what follows. The
encoder runs over the batch as it is, and the last valid state is gathered at length - 1; the
decoder's outputs after it are cropped to 0. That is equal to masking every step, spares the selects
at each, and is what cuDNN can do. Padded inputs are set to 0 first, so that no content of theirs
reaches an arithmetic operation. A layer that reads backwards is given each sequence reversed within
its own length, so that it, too, starts at the last valid step.

LSTM: Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014; as autoencoder: Srivastava, Mansimov
and Salakhutdinov 2015, "Unsupervised Learning of Video Representations using LSTMs", whose
unconditioned decoder `decoder = "repeat"` is.
"""

from collections.abc import Sequence as Collection

import keras
import tensorflow as tf

from components import masking
from components.train.options import HeadOptions, TrainOptions

_CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


class MaskedAutoencoder(keras.Model):
    """Strategies `crop` and `equal_length`: values [B, T, F], length [B] -> code and outputs."""

    def __init__(
        self,
        *,
        features: int,
        options: TrainOptions,
        heads: Collection[HeadOptions] = (),
        use_cudnn: bool | str = "auto",
    ) -> None:
        """Builds the layers.

        Args:
          features: F.
          options: shape and precision.
          heads: supervised outputs on the code.
          use_cudnn: False for a graph that must run where no GPU is: the choice is made when a
            function is traced, so a model exported on a GPU machine would hold CudnnRNN for ever.
        """
        super().__init__()
        self._teacher = options.decoder == "teacher"
        read = options.units * (2 if options.bidirectional else 1)
        written = options.embedding_size + (features if self._teacher else 0)
        sizes = [features] + [read] * (options.layers - 1)
        self.encoder = _stack("encoder", options, sizes, use_cudnn)
        self.backward = (
            _stack("backward", options, sizes, use_cudnn) if options.bidirectional else []
        )
        self.code = _dense("code", read, options.embedding_size)
        sizes = [written] + [options.units] * (options.layers - 1)
        self.decoder = _stack("decoder", options, sizes, use_cudnn)
        self.reconstruction = _dense("reconstruction", options.units, features)
        self.heads = [_dense(head.name, options.embedding_size, head.outputs) for head in heads]
        # Of a whole sequence, not of a step: its draw has no T in its shape, which padding would
        # change.
        self.dropout = keras.layers.Dropout(
            options.dropout, noise_shape=(None, 1, None), seed=options.seed
        )
        self.built = True

    def encode(self, values: tf.Tensor, length: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The code of each sequence.

        Args:
          values: float32 [B, T, F]; anything may stand where t >= length.
          length: int [B], 1 <= length <= T.
          training: whether to drop out.

        Returns:
          float32 [B, E].
        """
        states = masking.select(masking.mask_of(length, tf.shape(values)[1]), values)
        for index, layer in enumerate(self.encoder):
            forward = self.dropout(layer(states), training=training)
            last = tf.gather(forward, length - 1, batch_dims=1)
            if not self.backward:
                states = forward
                continue
            reversed_ = self.backward[index](tf.reverse_sequence(states, length, seq_axis=1))
            backward = tf.reverse_sequence(
                self.dropout(reversed_, training=training), length, seq_axis=1
            )
            states = tf.concat([forward, backward], axis=2)
            last = tf.concat([last, backward[:, 0]], axis=1)
        return self.code(last)

    def decode(
        self, code: tf.Tensor, values: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The reconstruction, cropped to the valid steps.

        Args:
          code: float32 [B, E].
          values: float32 [B, T, F]; read by `decoder = "teacher"` alone, otherwise only T counts.
          length: int [B].
          training: whether to drop out.

        Returns:
          float32 [B, T, F], 0 in the padding.
        """
        mask = masking.mask_of(length, tf.shape(values)[1])
        states = self._decoder_inputs(code, values, mask)
        for layer in self.decoder:
            states = self.dropout(layer(states), training=training)
        return masking.select(mask, self.reconstruction(states))

    def call(self, values: tf.Tensor, length: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The reconstruction of each sequence, float32 [B, T, F]."""
        return self.decode(self.encode(values, length, training), values, length, training)

    def _decoder_inputs(self, code: tf.Tensor, values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        repeated = tf.repeat(code[:, tf.newaxis, :], tf.shape(values)[1], axis=1)
        if not self._teacher:
            return repeated
        # The step before: 0 before the first.
        before = tf.pad(masking.select(mask, values)[:, :-1], [[0, 0], [1, 0], [0, 0]])
        return tf.concat([repeated, before], axis=2)


class RemaskedAutoencoder(MaskedAutoencoder):
    """Strategy `remask`: the repeated code is masked again; the decoder stops where the data does.

    After the last valid step Keras repeats the decoder's last output, which the loss must not
    count.
    """

    def decode(
        self, code: tf.Tensor, values: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The reconstruction, float32 [B, T, F]; in the padding, the last valid step's."""
        mask = masking.mask_of(length, tf.shape(values)[1])
        states = self._decoder_inputs(code, values, mask)
        for layer in self.decoder:
            states = self.dropout(layer(states, mask=mask), training=training)
        return self.reconstruction(states)


class TextbookAutoencoder(MaskedAutoencoder):
    """Strategy `keras`, kept to show what goes wrong: Masking(0.0) -> LSTM -> RepeatVector -> LSTM.

    The mask is inferred from values, so a step that is 0 throughout is taken for padding; it is
    lost at RepeatVector, so the decoder and the plain loss go on through the padding.
    """

    def __init__(self, *, steps: int, **arguments: object) -> None:
        """Builds the layers.

        Args:
          steps: the fixed number of steps that every sequence is padded to and reconstructed to.
          **arguments: of `MaskedAutoencoder`.
        """
        super().__init__(**arguments)
        self._steps = steps
        self.masking = keras.layers.Masking(0.0)

    def encode(self, values: tf.Tensor, length: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The code, float32 [B, E], of the steps that are not 0 throughout."""
        states = masking.select(masking.mask_of(length, tf.shape(values)[1]), values)
        mask = self.masking.compute_mask(states)
        for layer in self.encoder:
            states = self.dropout(layer(states, mask=mask), training=training)
        return self.code(states[:, -1])  # A masked step repeats the output before it.

    def decode(
        self, code: tf.Tensor, values: tf.Tensor, length: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        """The reconstruction, float32 [B, T, F], of valid steps and padding alike."""
        steps = tf.maximum(tf.shape(values)[1], self._steps)
        states = tf.repeat(code[:, tf.newaxis, :], steps, axis=1)
        for layer in self.decoder:
            states = self.dropout(layer(states), training=training)
        return self.reconstruction(states)[:, : tf.shape(values)[1]]


def build(
    *,
    features: int,
    options: TrainOptions,
    heads: Collection[HeadOptions] = (),
    steps: int = 1,
    use_cudnn: bool | str = "auto",
) -> MaskedAutoencoder:
    """The model of `options.padding`.

    Args:
      features: F.
      options: shape, precision and strategy.
      heads: supervised outputs on the code.
      steps: of the longest sequence; what the strategy `keras` pads to.
      use_cudnn: see `MaskedAutoencoder`.
    """
    arguments = {
        "features": features,
        "options": options,
        "heads": heads,
        "use_cudnn": use_cudnn,
    }
    if options.padding == "keras":
        return TextbookAutoencoder(steps=steps, **arguments)
    if options.padding == "remask":
        return RemaskedAutoencoder(**arguments)
    return MaskedAutoencoder(**arguments)


def _stack(
    name: str, options: TrainOptions, sizes: Collection[int], use_cudnn: bool | str
) -> list[keras.Layer]:
    """Recurrent layers on inputs of the given sizes."""
    policy = "mixed_bfloat16" if options.precision == "bfloat16" else "float32"
    layers = []
    for index, size in enumerate(sizes):
        layer = _CELLS[options.cell](
            options.units,
            return_sequences=True,
            use_cudnn=use_cudnn,
            dtype=policy,
            name=f"{name}_{index}",
        )
        layer.build((None, None, size))
        layers.append(layer)
    return layers


def _dense(name: str, inputs: int, outputs: int) -> keras.layers.Dense:
    layer = keras.layers.Dense(outputs, dtype="float32", name=name)
    layer.build((None, inputs))
    return layer
