"""Run an LSTM on a CPU at several times the speed of Keras's, with the same results.

Of the gates' inputs z[t] = x[t] K + h[t-1] R + b, of each step:

    i, f, o = sigmoid(z_i, z_f, z_o)      c[t] = f c[t-1] + i g
    g       = tanh(z_c)                   h[t] = o tanh(c[t])

and backwards, given dh[t] from the outputs and from z[t+1], and dc[t] from c[t+1]:

    dc[t] += dh[t] o (1 - tanh(c[t])^2)   dz_i = dc[t] g i (1 - i)     dz_c = dc[t] i (1 - g^2)
    dc[t-1] = dc[t] f                     dz_f = dc[t] c[t-1] f (1 - f)
    dh[t-1] = dz[t] R'                    dz_o = dh[t] tanh(c[t]) o (1 - o)

    dR = sum h[t-1]' dz[t]     dK = sum x[t]' dz[t]     db = sum dz[t]

What depends on no earlier step stands outside the loops, as one product of all steps: x K + b
before the first, dR, dK and db after the second. An input that is the same at every step, such as a
decoder's embedding, is projected once a sequence, both ways. The gates are kept, so that nothing is
computed twice. What is left in the loops is two products a step, h R and dz R', and their gates:
`recurrence` has them as machine code. An exported graph can hold TensorFlow's own operations
alone; there it is BlockLSTM, one operation for the whole forward recurrence.

No step is masked: padding stands on the right and h is causal; where no later step of a sequence
counts, dh and dc are exactly 0, and so is all that comes of them.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000.
One product for all steps: Appleyard, Kocisky and Blunsom 2016, "Optimizing Performance of Recurrent
Neural Networks on GPUs", sections 3.2 and 3.3. docs/performance.md has what each was worth.
"""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from ragline.components.runtime import cores
from ragline.components.train.model.lstm import recurrence
from ragline.components.train.model.sequence_layers import SequenceLayer, State


class LSTM(SequenceLayer, keras.layers.LSTM):
    """Chooses who runs it: this module, Keras, or cuDNN by way of Keras."""

    @property
    def is_fused(self) -> bool:
        """Return whether this module runs it: a plain layer in float32, weights held by a CPU.

        On a GPU, Keras runs cuDNN. Where the weights are decides, as a strategy or `tf.device` has
        placed them, not what else the machine has. Of an exported graph, whose machine is not
        known, BlockLSTM runs it; any other layer runs as machine code, see `recurrence`.
        """
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
            and self.use_bias
            and self.return_sequences
            and not (self.return_state or self.stateful or self.go_backwards or self.unroll)
            and not (self.dropout or self.recurrent_dropout)
            and self.compute_dtype == "float32"
            and (not self.use_cudnn or cores.device_of(self.cell.kernel.value) == "CPU")
        )

    @property
    def can_resume(self) -> bool:
        """Return whether `resume` runs it: where BlockLSTM does."""
        return super().can_resume and self.is_fused

    def start(self, rows: tf.Tensor) -> State:
        """Return h and c before the first step."""
        return super().start(rows) * 2

    def _run(
        self, sequences: tf.Tensor, constant: tf.Tensor | None, mask: tf.Tensor | None
    ) -> tf.Tensor:
        if mask is not None or not self.is_fused:
            return super()._run(sequences, constant, mask)
        outputs_of = _native_outputs if self.use_cudnn else _portable_outputs
        by_time = tf.transpose(sequences, [1, 0, 2])
        outputs = outputs_of(by_time, constant, *self._weights())
        outputs.set_shape([sequences.shape[1], sequences.shape[0], self.units])
        return tf.transpose(outputs, [1, 0, 2])

    def _resume(self, sequences: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        by_time = tf.transpose(sequences, [1, 0, 2])
        shards = _shards(by_time, state, *self._weights())
        outputs = tf.transpose(tf.concat([shard.h for shard in shards], axis=1), [1, 0, 2])
        cells = tf.concat([shard.cs[-1] for shard in shards], axis=0)
        return outputs, (outputs[:, -1], cells)

    def _weights(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        cell = self.cell
        kernel, recurrent, bias = map(
            tf.convert_to_tensor, (cell.kernel, cell.recurrent_kernel, cell.bias)
        )
        return kernel, recurrent, bias


def _portable_outputs(
    sequences: tf.Tensor,
    constant: tf.Tensor | None,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """Return the outputs [T, B, H] of inputs [T, B, F], in two shards, by TensorFlow alone.

    BlockLSTM is the whole recurrence in one operation: one product of (x[t], h[t-1]) a step,
    where a loop of operations would do with that of h[t-1], but pays 1 to 2 us for each of some 30.
    """
    steps = tf.shape(sequences)[0]
    if constant is not None:
        repeated = tf.tile(constant[tf.newaxis], [steps, 1, 1])
        sequences = tf.concat([repeated, sequences], axis=2)
    zeros = tf.zeros([tf.shape(sequences)[1], recurrent.shape[0]])
    shards = _shards(sequences, (zeros, zeros), kernel, recurrent, bias)
    return tf.concat([shard.h for shard in shards], axis=1)


def _shards(
    sequences: tf.Tensor,
    state: State,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
) -> list[Any]:
    """Return what BlockLSTM puts out, `h` and `cs` [T, B / 2, H] among it, for each half of B."""
    weights, biases = map(_reordered, (tf.concat([kernel, recurrent], axis=0), bias))
    peephole = tf.zeros([recurrent.shape[0]])
    # BlockLSTM warns, at each call, of an odd number of rows.
    halves = [tf.split(sequences, 2, axis=1), *(tf.split(part, 2, axis=0) for part in state)]
    return [
        tf.raw_ops.BlockLSTM(
            seq_len_max=tf.shape(sequences, tf.int64)[0],
            x=half,
            cs_prev=cells,
            h_prev=outputs,
            w=weights,
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=biases,
            forget_bias=0.0,
            cell_clip=-1.0,
            use_peephole=False,
        )
        for half, outputs, cells in zip(*halves, strict=True)
    ]


def _reordered(weights: tf.Tensor) -> tf.Tensor:
    """Reorder Keras's gates i f c o to BlockLSTM's i c f o; OpenVINO has no BlockLSTMV2."""
    i, f, c, o = tf.split(weights, 4, axis=-1)
    return tf.concat([i, c, f, o], axis=-1)


def _native_outputs(
    sequences: tf.Tensor,
    constant: tf.Tensor | None,
    kernel: tf.Tensor,
    recurrent: tf.Tensor,
    bias: tf.Tensor,
) -> tf.Tensor:
    """Return the outputs [T, B, H] of inputs [T, B, F], by the loops of `recurrence`."""
    recurrence.prepare()
    always, split = bias, 0
    if constant is not None:
        split = constant.shape[1]
        always += tf.matmul(constant, kernel[:split])
    steps, rows = tf.unstack(tf.shape(sequences)[:2])
    if features := kernel.shape[0] - split:
        flat = tf.reshape(sequences, [-1, features])
        projected = tf.reshape(tf.matmul(flat, kernel[split:]), [steps, rows, kernel.shape[1]])
        return _differentiable(projected + always, recurrent, steps)
    # One row that every step reads: [1, B, 4H].
    return _differentiable(always[tf.newaxis], recurrent, steps)


def _differentiable(inputs: tf.Tensor, recurrent: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Return the outputs [T, B, H], with the gradient of this module instead of TensorFlow's.

    Args:
      inputs: x K + b, [T, B, 4H], or [1, B, 4H] if it is the same at every step.
      recurrent: R, [H, 4H].
      steps: T.
    """
    units, width = recurrent.shape

    @tf.custom_gradient
    def outputs_of(inputs: tf.Tensor, recurrent: tf.Tensor):
        outputs, gates, cells = _native(
            recurrence.forward, [inputs, recurrent, steps], (units, width, units)
        )

        def gradient(slope: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            [slopes] = _native(recurrence.backward, [slope, recurrent, gates, cells], (width,))
            before = tf.reshape(outputs[:-1], [-1, units])
            recurrent_slope = tf.matmul(
                before, tf.reshape(slopes[1:], [-1, width]), transpose_a=True
            )
            if inputs.shape[0] == 1:
                slopes = tf.reduce_sum(slopes, axis=0, keepdims=True)
            return slopes, recurrent_slope

        return outputs, gradient

    return outputs_of(inputs, recurrent)


def _native(
    function: Callable[..., Any], arguments: list[tf.Tensor], widths: tuple[int, ...]
) -> list[tf.Tensor]:
    """Call a function of `recurrence`; return its results, [T, B, width] each.

    Not stateful: otherwise TensorFlow would let one shard of a batch wait for the other.
    """
    types = [tf.float32] * len(widths)
    results = tf.nest.flatten(tf.numpy_function(function, arguments, types, stateful=False))
    for result, width in zip(results, widths, strict=True):
        result.set_shape([None, None, width])
    return results
