"""Define the encoder `tcn`: dilated causal convolutions, and the state at the last valid step.

    h[t] = x[t] W + b
    h[t] = (h[t] + relu(concat(h[t - 2 d], h[t - d], h[t]) W + b)) / sqrt(2)    d = 1, 2, 4, 8, 16

The root keeps the size of the states from one to the next. Before the first step stands 0. A layer
is five such convolutions, which see 63 steps; each further layer sees 62 more. Padding stands on
the right and a convolution is causal, so no mask is needed.

Bai, Kolter and Koltun 2018, "An Empirical Evaluation of Generic Convolutional and Recurrent
Networks for Sequence Modeling", with one convolution a residual block and no normalisation. A
convolution is one product of a step and the two before that it sees, so that its rows can be summed
exactly (`Dense`).
"""

import math
from typing import TYPE_CHECKING

import numpy as np

from ragline.components.serving.portable import STEPS, Recorder
from ragline.components.train.encoders.interface import Drop, Encoder, Layers

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import TrainOptions

_WIDTH = 3
_DILATIONS = (1, 2, 4, 8, 16)
_KEPT = math.sqrt(0.5)


class Tcn(Encoder):
    """Reads steps by convolutions over ever longer distances."""

    how = "dilated causal convolutions, and the state at the last valid step"

    def layers(self, inputs: int, options: "TrainOptions", portable: bool) -> Layers:
        """Return the layer that reads the steps, then that of each convolution."""
        from ragline.components.train.model.dense import Dense

        sizes = [inputs] + [_WIDTH * options.units] * (len(_DILATIONS) * options.layers)
        return [
            Dense(
                size,
                options.units,
                exact=portable,
                name=f"encoder_{place}",
                dtype=options.policy,
            )
            for place, size in enumerate(sizes)
        ]

    def read(
        self, layers: Layers, steps: "tf.Tensor", batch: "SequenceBatch", drop: Drop
    ) -> "tf.Tensor":
        """Return the state at the last valid step."""
        import tensorflow as tf

        first, *convolutions = layers
        states = first(steps)
        for place, convolution in enumerate(convolutions):
            dilation = _DILATIONS[place % len(_DILATIONS)]
            seen = tf.pad(states, [[0, 0], [(_WIDTH - 1) * dilation, 0], [0, 0]])
            ends = (batch.steps + back * dilation for back in range(_WIDTH))
            seen = tf.concat([seen[:, end - batch.steps : end] for end in ends], axis=2)
            added = drop(tf.nn.relu(convolution(seen)))
            states = (states + tf.cast(added, states.dtype)) * _KEPT
        return tf.gather(states, batch.length - 1, batch_dims=1)

    def numbers_a_step(self, inputs: int, options: "TrainOptions") -> int:
        """Return those of a convolution: its inputs in float64, and three states."""
        return inputs + (2 * _WIDTH + 6) * options.units

    def record(self, recorder: Recorder, layers: Layers, options: "TrainOptions") -> str:
        """Record each convolution as a product of shifted states."""
        first, *convolutions = layers
        number = recorder.call("Shape", STEPS, start=1, end=2)
        states = recorder.dense(first, STEPS)
        for place, convolution in enumerate(convolutions):
            dilation = _DILATIONS[place % len(_DILATIONS)]
            before = np.array([0, (_WIDTH - 1) * dilation, 0, 0, 0, 0], np.int64)
            seen = recorder.call("Pad", states, before)
            shifted = []
            for back in range(_WIDTH):
                begin = np.array([back * dilation], np.int64)
                end = recorder.call("Add", number, begin)
                shifted.append(recorder.call("Slice", seen, begin, end, np.array([1], np.int64)))
            seen = recorder.call("Concat", *shifted, axis=2)
            added = recorder.call("Relu", recorder.dense(convolution, seen))
            states = recorder.call("Mul", recorder.call("Add", states, added), np.float32(_KEPT))
        return recorder.at_last_step(states)
