"""Define what a decoder is: the Keras layers that it is made of, and how they write sequences.

A model maps what a decoder returns of each step to the reconstruction and to the logits of each
category, one dense layer each, adds the linear path, where it has one, and sets the padding to 0.
What a decoder returns of a valid step must not depend on the padding, nor on other sequences:
tests/train/test_encoders.py holds that for every decoder in the registry.
"""

import abc
from typing import TYPE_CHECKING, ClassVar

from ragline.components.train.encoders.interface import Drop, Encoder, Layers

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions


class Decoder(abc.ABC):
    """Writes sequences; only `how`, `layers` and `write` have no default.

    Attributes:
      name: the name in the registry, which `train.decoder` takes.
      how: the decoder in a cell of the table of docs/extending.md.
      reads_steps: whether it is given, beside the embedding, the true step before each.
    """

    how: ClassVar[str]
    reads_steps: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        """Set the name by which `train.decoder` chooses it."""
        self.name = name

    @abc.abstractmethod
    def layers(
        self, inputs: int, options: "TrainOptions", portable: bool, encoder: Encoder
    ) -> Layers:
        """Return the layers, built, in the order of their weights.

        Args:
          inputs: the numbers of a step: E, and C of what `write` is given of each step.
          options: shape and precision.
          portable: whether they are for an exported graph, which runs where no GPU is.
          encoder: the encoder, whose `cell` recurrent layers are of.
        """

    @abc.abstractmethod
    def write(
        self,
        layers: Layers,
        embedding: "tf.Tensor",
        changing: "tf.Tensor",
        batch: "SequenceBatch",
        drop: Drop,
        mask: "tf.Tensor | None" = None,
    ) -> "tf.Tensor":
        """Return what the outputs of each step are made of, [B, T, H].

        Args:
          layers: those of `layers`.
          embedding: float32 [B, E].
          changing: float32 [B, T, C], what else is given of each step: the linear path's part, and
            the step before, if it `reads_steps`.
          batch: the sequences, of which it takes the lengths.
          drop: drops a share of [B, T, H] in training; returns its argument otherwise.
          mask: bool [B, T], the steps to write, if it must stop after them.
        """

    def outputs(self, options: "TrainOptions") -> int:
        """Return H, the numbers that `write` returns of a step."""
        return options.units

    def parameters(self, inputs: int, options: "TrainOptions", encoder: Encoder) -> int:
        """Return the number of its weights, for `ragline plan`; it builds the layers."""
        layers = self.layers(inputs, options, portable=False, encoder=encoder)
        return sum(layer.count_params() for layer in layers)
