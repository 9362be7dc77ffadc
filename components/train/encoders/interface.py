"""Define what an encoder is: the Keras layers that it is made of, and how they read sequences.

    class Average(Encoder):
        how = "the mean over the valid steps of one dense layer"

        def layers(self, inputs, options, portable):
            return [keras.layers.Dense(options.units)]

        def read(self, layers, steps, batch, drop):
            [dense] = layers
            return masked mean of dense(steps)

A model sets what stands in the padding to 0 before an encoder reads it, maps what an encoder
returns to the embedding by one dense layer, and adds the linear path, where it has one. What an
encoder returns of a sequence must not depend on its padding, nor on the sequences beside it: it
reads `batch.length` or `batch.valid`, and selects by `masking.select` where steps meet each other.
tests/train/test_encoders.py holds that for every encoder in the registry.

TensorFlow and Keras are imported by the methods that use them: `ragline plan` and the configuration
do not need them.
"""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from ragline.components.serving.portable import Recorder
from ragline.components.train.model import cells
from ragline.components.train.model.cells import Cell

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions

Layers = list["keras.layers.Layer"]
# Drops a share of [B, T, H] in training, the same numbers at all steps of a sequence.
Drop = Callable[["tf.Tensor"], "tf.Tensor"]


class Encoder(abc.ABC):
    """Reads sequences; only `how`, `layers` and `read` have no default.

    Attributes:
      name: the name in the registry, which `train.encoder` takes.
      how: the encoder in a cell of the table of docs/extending.md.
      cell: the kind of the recurrent layers that a decoder beside it is made of.
      takes_masks: whether its layers are Keras's recurrent ones, in order, so that a model may hand
        them a mask of its own.
    """

    how: ClassVar[str]
    cell: ClassVar[Cell] = cells.LSTM
    takes_masks: ClassVar[bool] = False

    def __init__(self, name: str) -> None:
        """Set the name by which `train.encoder` chooses it."""
        self.name = name

    @abc.abstractmethod
    def layers(self, inputs: int, options: "TrainOptions", portable: bool) -> Layers:
        """Return the layers, in the order of their weights; those that are not built are built.

        Args:
          inputs: numbers of a step, I: F values and, of each category, an embedding.
          options: shape and precision.
          portable: whether they are for an exported graph, which runs where no GPU is.
        """

    @abc.abstractmethod
    def read(
        self, layers: Layers, steps: "tf.Tensor", batch: "SequenceBatch", drop: Drop
    ) -> "tf.Tensor":
        """Return what the embedding is made of, [B, R].

        Args:
          layers: those of `layers`.
          steps: float32 [B, T, I], 0 in the padding.
          batch: the sequences, of which it takes the lengths.
          drop: drops a share of [B, T, H] in training; returns its argument otherwise.
        """

    def outputs(self, options: "TrainOptions") -> int:
        """Return R, the numbers that `read` returns of a sequence."""
        return options.units

    def mistakes(self, options: "TrainOptions") -> list[str]:
        """Return a sentence on each option that does not go with the encoder.

        Only recurrent layers can start at the last step.
        """
        if not options.bidirectional:
            return []
        return [f"bidirectional: expected false with encoder = {self.name!r}, received true"]

    def parameters(self, inputs: int, options: "TrainOptions") -> int:
        """Return the number of its weights, for `ragline plan`; it builds the layers."""
        return sum(layer.count_params() for layer in self.built(inputs, options, portable=False))

    def numbers_a_step(self, inputs: int, options: "TrainOptions") -> int:
        """Return how many numbers of a step an exported encoder holds at once, about."""
        return options.layers * (10 * options.units + 4 * max(inputs, options.units))

    def record(self, recorder: Recorder, layers: Layers, options: "TrainOptions") -> str | None:
        """Record `read` in operations of ONNX; None if it cannot be exported to other runtimes.

        Args:
          recorder: takes the operations, and names what they read (serving/portable.py).
          layers: those of `layers`, with their weights.
          options: shape and precision.

        Returns:
          The name of what `read` returns.
        """
        return None

    def start(self, layers: Layers, rows: "tf.Tensor") -> Any:
        """Return the state before the first step, tensors [B, ...] in any structure.

        None if steps cannot be read a part at a time; otherwise the encoder has `resume`.
        """
        return None

    def resume(self, layers: Layers, steps: "tf.Tensor", state: Any) -> tuple["tf.Tensor", Any]:
        """Return what `read` would say after each step [B, T, R], and the state after the last.

        Args:
          layers: those of `layers`, portable.
          steps: [B, T, I], T >= 1, which follow others.
          state: of `start`, or of the steps before.
        """
        raise NotImplementedError

    def built(self, inputs: int, options: "TrainOptions", portable: bool) -> Layers:
        """Return the layers, each built; the first reads [B, T, I], and so do all not built yet."""
        layers = self.layers(inputs, options, portable)
        for layer in layers:
            if not layer.built:
                layer.build((None, None, inputs))
        return layers
