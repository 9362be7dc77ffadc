"""The masked LSTM autoencoder: encoder -> code -> decoder -> Dense, cropped.

Around the recurrence goes a linear path, which adds to the code and to the reconstruction: see
`linear_path.py`.

A step's inputs are its F values and, of each category, the embedding of its code; what is missing
is exactly 0 in both. A step's outputs are F values and, of each category, the logits of its codes.

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
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.contract.signatures import legal
from ragline.components.train import padding
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import fused_lstm
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.linear_path import LinearPath, grid_steps
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TrainOptions

_CELLS = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}


class Reconstruction(NamedTuple):
    """What the decoder puts out.

    Attributes:
      values: float32 [B, T, F].
      logits: category -> float32 [B, T, size of its vocabulary].
    """

    values: tf.Tensor
    logits: dict[str, tf.Tensor]


class MaskedAutoencoder(keras.Model):
    """Sequences -> embedding and outputs; padding has no part in either.

    A padding strategy that needs another model derives it from this one: see `padding/`.
    """

    def __init__(
        self,
        *,
        features: int,
        options: TrainOptions,
        heads: Collection[HeadOptions] = (),
        vocabularies: Collection[Vocabulary] = (),
        use_cudnn: bool | str = "auto",
    ) -> None:
        """Build the layers.

        Args:
          features: F.
          options: shape and precision.
          heads: supervised outputs on the code.
          vocabularies: of the categories.
          use_cudnn: False for a graph that must run where no GPU is: the choice is made when a
            function is traced, so a model exported on a GPU machine would hold CudnnRNN for ever.
            Its dense layers are exact (`dense.py`), so that a row does not depend on its company.
        """
        super().__init__()
        self._teacher = options.decoder == "teacher"
        self._names = [vocabulary.name for vocabulary in vocabularies]
        inputs = features + sum(vocabulary.embedding_size for vocabulary in vocabularies)
        read = options.units * (2 if options.bidirectional else 1)
        exact = use_cudnn is False
        self.linear = _linear(features, options, exact)
        written = options.embedding_size + (features if self.linear else 0)
        written += inputs if self._teacher else 0
        sizes = [inputs] + [read] * (options.layers - 1)
        self.encoder = _stack("encoder", options, sizes, use_cudnn)
        self.backward = (
            _stack("backward", options, sizes, use_cudnn) if options.bidirectional else []
        )
        self.code = Dense(read, options.embedding_size, exact=exact, name="code")
        sizes = [written] + [options.units] * (options.layers - 1)
        self.decoder = _stack("decoder", options, sizes, use_cudnn)
        self.reconstruction = Dense(options.units, features, exact=exact, name="reconstruction")
        self.tables = [_table(index, one) for index, one in enumerate(vocabularies)]
        self.words = [
            Dense(options.units, vocabulary.size, exact=False, name=f"words_{index}")
            for index, vocabulary in enumerate(vocabularies)
        ]
        size = options.embedding_size
        self.heads = [
            Dense(size, head.outputs, exact=exact, name=f"head_{legal(head.name)}")
            for head in heads
        ]
        # Of a whole sequence, not of a step: its draw has no T in its shape, which padding would
        # change.
        self.dropout = keras.layers.Dropout(
            options.dropout, noise_shape=(None, 1, None), seed=options.seed
        )
        self.built = True

    def start(self, batches: tf.data.Dataset, seed: int) -> None:
        """Set what training starts at: the linear path alone, at the data's principal components.

        Without a linear path nothing is changed: the weights are as they were drawn.

        Args:
          batches: of the training split; see `LinearPath.start_at`.
          seed: of the code's rotation.
        """
        if self.linear is None:
            return
        self.linear.start_at(batches, seed)
        for layer in (self.code, self.reconstruction):
            layer.set_weights([np.zeros(weight.shape) for weight in layer.get_weights()])

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
        states, length = self.to_read(batch), batch.length
        for index, layer in enumerate(self.encoder):
            forward = fused_lstm.run(layer, states, training=training)
            forward = self.dropout(forward, training=training)
            last = tf.gather(forward, length - 1, batch_dims=1)
            if not self.backward:
                states = forward
                continue
            backward = tf.reverse_sequence(states, length, seq_axis=1)
            backward = fused_lstm.run(self.backward[index], backward, training=training)
            backward = tf.reverse_sequence(
                self.dropout(backward, training=training), length, seq_axis=1
            )
            states = tf.concat([forward, backward], axis=2)
            last = tf.concat([last, backward[:, 0]], axis=1)
        code = self.code(last)
        return code if self.linear is None else code + self.linear.encode(batch)

    def decode(
        self,
        code: tf.Tensor,
        batch: SequenceBatch,
        training: bool = False,
    ) -> Reconstruction:
        """Return the reconstruction, cropped to the valid steps: 0 in the padding.

        Args:
          code: float32 [B, E].
          batch: the sequences; `decoder = "teacher"` alone reads more than length and T.
          training: whether to drop out.
        """
        mask = batch.valid
        linear = self._linear(code, batch)
        states = self._decoder_states(code, linear, batch, training)
        outputs = self._outputs(states, linear)
        return tf.nest.map_structure(lambda output: masking.select(mask, output), outputs)

    def call(self, batch: SequenceBatch, training: bool = False) -> tf.Tensor:
        """Return the reconstruction of each sequence's values, float32 [B, T, F]."""
        return self.decode(self.encode(batch, training), batch, training).values

    def to_read(self, batch: SequenceBatch) -> tf.Tensor:
        """Return what is read of each step: its values and embedded codes; 0 in the padding."""
        mask, values, codes = batch.valid, batch.valid_values, batch.token_ids
        if not self._names:
            return values
        embedded = []
        for name, table in zip(self._names, self.tables, strict=True):
            there = tf.logical_and(mask, codes[name] >= 0)
            embedded.append(masking.select(there, table(masking.select(there, codes[name]))))
        return tf.concat([values, *embedded], axis=2)

    def _outputs(self, states: tf.Tensor, linear: list[tf.Tensor]) -> Reconstruction:
        """Return what is put out at each step, from the decoder's states [B, T, units]."""
        logits = {name: layer(states) for name, layer in zip(self._names, self.words, strict=True)}
        return Reconstruction(tf.add_n([self.reconstruction(states), *linear]), logits)

    def _linear(self, code: tf.Tensor, batch: SequenceBatch) -> list[tf.Tensor]:
        """Return the linear part of the reconstruction, [B, T, F], if the model has one."""
        if self.linear is None:
            return []
        return [self.linear.decode(code, batch.length, batch.steps)]

    def _decoder_states(
        self,
        code: tf.Tensor,
        linear: list[tf.Tensor],
        batch: SequenceBatch,
        training: bool,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the last decoder layer's states, [B, T, units].

        At each step the first layer reads the code, and the linear part, which it mends.
        """
        changing = list(linear)
        if self._teacher:
            # The step before: 0 before the first.
            inputs = self.to_read(batch)
            changing.append(tf.pad(inputs[:, :-1], [[0, 0], [1, 0], [0, 0]]))
        states = tf.concat([batch.values[..., :0], *changing], axis=2)
        constant = code
        for layer in self.decoder:
            states = fused_lstm.run(layer, states, constant=constant, mask=mask, training=training)
            states, constant = self.dropout(states, training=training), None
        return states


def build(
    *,
    features: int,
    options: TrainOptions,
    heads: Collection[HeadOptions] = (),
    vocabularies: Collection[Vocabulary] = (),
    steps: int = 1,
    use_cudnn: bool | str = "auto",
) -> MaskedAutoencoder:
    """Build the model of `options.padding`.

    Args:
      features: F.
      options: shape, precision and padding strategy.
      heads: supervised outputs on the code.
      vocabularies: of the categories.
      steps: number of steps of the longest sequence.
      use_cudnn: see `MaskedAutoencoder`.

    Raises:
      ValueError: the padding strategy does not go with these categories.
    """
    return padding.of(options.padding).build(
        steps=steps,
        features=features,
        options=options,
        heads=heads,
        vocabularies=vocabularies,
        use_cudnn=use_cudnn,
    )


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


def _linear(features: int, options: TrainOptions, exact: bool) -> LinearPath | None:
    """Return the linear path, if there is one."""
    steps = grid_steps(options.linear_steps, features)
    if not steps:
        return None
    return LinearPath(features=features, steps=steps, size=options.embedding_size, exact=exact)


def _table(index: int, vocabulary: Vocabulary) -> keras.layers.Embedding:
    sizes = vocabulary.size, vocabulary.embedding_size
    layer = keras.layers.Embedding(*sizes, dtype="float32", name=f"table_{index}")
    layer.build()
    return layer
