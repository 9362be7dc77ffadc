"""Define the encoders `lstm` and `gru`: recurrent layers, and the state at the last valid step.

No layer gets a mask, because none needs one. Padding stands on the right, and a recurrent layer is
causal: the state after the last valid step does not know what follows. The layers run over the
batch as it is, and the last valid state is gathered at length - 1. That is equal to masking every
step, spares the selects at each, and is what cuDNN can do. A layer that reads backwards is given
each sequence reversed within its own length, so that it, too, starts at the last valid step.

LSTM: Hochreiter and Schmidhuber 1997; GRU: Cho et al. 2014; as autoencoder: Srivastava, Mansimov
and Salakhutdinov 2015, "Unsupervised Learning of Video Representations using LSTMs".
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from ragline.components.serving.portable import LENGTHS, STEPS, Recorder
from ragline.components.train.encoders.interface import Drop, Encoder, Layers
from ragline.components.train.model import cells

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions


class Recurrent(Encoder):
    """Reads steps one after another."""

    takes_masks = True

    def layers(self, inputs: int, options: "TrainOptions", portable: bool) -> Layers:
        """Return the layers that read forwards, then those that read backwards."""
        from ragline.components.train.model import recurrent_layers

        directions = ("encoder", "backward") if options.bidirectional else ("encoder",)
        return [
            layer
            for name in directions
            for layer in recurrent_layers.stack(
                name, self.cell, self._sizes(inputs, options), options, portable
            )
        ]

    def read(
        self, layers: Layers, steps: "tf.Tensor", batch: "SequenceBatch", drop: Drop
    ) -> "tf.Tensor":
        """Return the states at the last valid step, forwards, then backwards."""
        import tensorflow as tf

        states, length = steps, batch.length
        forwards, backwards = _directions(layers)
        for index, layer in enumerate(forwards):
            forward = drop(layer.run(states))
            if not backwards:
                states = forward
                continue
            backward = tf.reverse_sequence(states, length, seq_axis=1)
            backward = drop(backwards[index].run(backward))
            backward = tf.reverse_sequence(backward, length, seq_axis=1)
            states = tf.concat([forward, backward], axis=2)
        last = tf.gather(forward, length - 1, batch_dims=1)
        return tf.concat([last, backward[:, 0]], axis=1) if backwards else last

    def outputs(self, options: "TrainOptions") -> int:
        """Return the size of the last states, of one direction or two."""
        return options.units * (2 if options.bidirectional else 1)

    def mistakes(self, options: "TrainOptions") -> list[str]:
        """Return no sentence: each option goes with recurrent layers."""
        return []

    def parameters(self, inputs: int, options: "TrainOptions") -> int:
        """Return about how many weights it has: biases count once."""
        one = self.cell.parameters(self._sizes(inputs, options), options.units)
        return one * (2 if options.bidirectional else 1)

    def numbers_a_step(self, inputs: int, options: "TrainOptions") -> int:
        """Return those of gates, states and their copies in both shards, and of the inputs."""
        one = sum(10 * options.units + 4 * size for size in self._sizes(inputs, options))
        return one * (2 if options.bidirectional else 1)

    def record(self, recorder: Recorder, layers: Layers, options: "TrainOptions") -> str:
        """Record a layer as one operation, which stops each sequence at its own length.

        Its padded states are 0, so stacked layers and a backward direction need no mask. It gets
        one row and step more: onnxruntime's LSTM dies of a batch without any, and takes the process
        with it. That also makes a batch of one compute as others do.
        """
        steps = recorder.call("Transpose", STEPS, perm=[1, 0, 2])  # [T, B, ...]
        steps = recorder.call("Pad", steps, np.array([0, 0, 0, 1, 1, 0], np.int64))
        lengths = recorder.call("Pad", LENGTHS, np.array([0, 1], np.int64), np.int32(1))
        forwards, backwards = _directions(layers)
        last = ""
        for index, forward in enumerate(forwards):
            steps, last = recorder.recurrent(
                self.cell.layer.upper(),
                steps,
                lengths,
                cells=[layer.cell for layer in (forward, *backwards[index : index + 1])],
                gates=self.cell.gates,
                units=options.units,
                options=self.cell.onnx,
            )
        rows = recorder.call("Shape", LENGTHS)
        return str(recorder.call("Slice", last, np.array([0], np.int64), rows))

    def start(self, layers: Layers, rows: "tf.Tensor") -> Any:
        """Return the states of all layers, which are 0; None if a layer reads backwards."""
        forwards, backwards = _directions(layers)
        if backwards or not all(layer.can_resume for layer in forwards):
            return None
        return [layer.start(rows) for layer in forwards]

    def resume(self, layers: Layers, steps: "tf.Tensor", state: Any) -> tuple["tf.Tensor", Any]:
        """Return the last layer's states, and the states of all layers after the last step."""
        after = []
        for layer, before in zip(layers, state, strict=True):
            steps, state_after = layer.resume(steps, before)
            after.append(state_after)
        return steps, after

    def _sizes(self, inputs: int, options: "TrainOptions") -> list[int]:
        """Return the numbers of a step that each layer reads."""
        return [inputs] + [self.outputs(options)] * (options.layers - 1)


class Lstm(Recurrent):
    """Reads by LSTM layers."""

    how = "the last valid states of LSTM layers, forwards or both ways"


class Gru(Recurrent):
    """Reads by GRU layers."""

    how = "the last valid states of GRU layers, forwards or both ways"
    cell = cells.GRU


def _directions(layers: Layers) -> tuple[Layers, Layers]:
    """Return the layers that read forwards, and those that read backwards."""
    backwards = [layer for layer in layers if layer.name.startswith("backward")]
    return layers[: len(layers) - len(backwards)], backwards
