"""Define the decoders `repeat` and `teacher`: recurrent layers that read the embedding each step.

Srivastava, Mansimov and Salakhutdinov 2015, "Unsupervised Learning of Video Representations using
LSTMs"; its unconditioned decoder is `repeat`, its conditioned one `teacher`.
"""

from typing import TYPE_CHECKING

from ragline.components.train.decoders.interface import Decoder
from ragline.components.train.encoders.interface import Drop, Encoder, Layers

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions


class Repeat(Decoder):
    """Writes each step from the embedding alone."""

    how = "recurrent layers that read the embedding at each step"

    def layers(
        self, inputs: int, options: "TrainOptions", portable: bool, encoder: Encoder
    ) -> Layers:
        """Return as many recurrent layers as the encoder has layers."""
        from ragline.components.train.model import recurrent_layers

        sizes = _sizes(inputs, options)
        return recurrent_layers.stack("decoder", encoder.cell, sizes, options, portable)

    def write(
        self,
        layers: Layers,
        embedding: "tf.Tensor",
        changing: "tf.Tensor",
        batch: "SequenceBatch",
        drop: Drop,
        mask: "tf.Tensor | None" = None,
    ) -> "tf.Tensor":
        """Return the last layer's states; the first layer reads the embedding at each step."""
        states, constant = changing, embedding
        for layer in layers:
            states = drop(layer.run(states, constant=constant, mask=mask))
            constant = None
        return states

    def parameters(self, inputs: int, options: "TrainOptions", encoder: Encoder) -> int:
        """Return about how many weights it has: biases count once."""
        return encoder.cell.parameters(_sizes(inputs, options), options.units)


class Teacher(Repeat):
    """Also reads the true step before the one that it writes (teacher forcing)."""

    how = "as `repeat`, and they read the true step before the one they write"
    reads_steps = True


def _sizes(inputs: int, options: "TrainOptions") -> list[int]:
    return [inputs] + [options.units] * (options.layers - 1)
