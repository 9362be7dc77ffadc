"""The LSTM of `keras.layers.LSTM`, on a CPU at several times its speed; weights and results alike.

Of the gates' inputs z[t] = x[t] K + h[t-1] R + b, of each step:

    i, f, o = sigmoid(z_i, z_f, z_o)      c[t] = f c[t-1] + i g
    g       = tanh(z_c)                   h[t] = o tanh(c[t])

and backwards, given dh[t] from the outputs and from z[t+1], and dc[t] from c[t+1]:

    dc[t] += dh[t] o (1 - tanh(c[t])^2)   dz_i = dc[t] g i (1 - i)     dz_c = dc[t] i (1 - g^2)
    dc[t-1] = dc[t] f                     dz_f = dc[t] c[t-1] f (1 - f)
    dh[t-1] = dz[t] R'                    dz_o = dh[t] tanh(c[t]) o (1 - o)

    dR = sum h[t-1]' dz[t]     dK = sum x[t]' dz[t]     db = sum dz[t]

What depends on no earlier step stands outside the loops, as one product of all steps: x K + b
before the first, dR, dK and db after the second. An input that is the same at every step, which a
decoder's code is, is projected once a sequence, both ways. The gates are kept, so that nothing is
computed twice. What is left in the loops is two products a step, h R and dz R', and their gates.

No step is masked: padding stands on the right and h is causal; where no later step of a sequence
counts, dh and dc are exactly 0, and so is all that comes of them.

LSTM: Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000.
One product for all steps: Appleyard, Kocisky and Blunsom 2016, "Optimizing Performance of Recurrent
Neural Networks on GPUs", sections 3.2 and 3.3. docs/performance.md has what each was worth.
"""

from collections.abc import Callable

import keras
import tensorflow as tf


def serves(layer: keras.layers.Layer) -> bool:
    """Whether `run` does a layer's work itself: a plain LSTM in float32, and no GPU to run it.

    There Keras's own path is cuDNN's. A layer that must not take that one (`use_cudnn=False`) is
    one for an exported graph, which has to be fast where no GPU is.
    """
    return (
        type(layer) is keras.layers.LSTM
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.use_bias
        and layer.return_sequences
        and not (layer.return_state or layer.stateful or layer.go_backwards or layer.unroll)
        and not (layer.dropout or layer.recurrent_dropout)
        and layer.compute_dtype == "float32"
        and not (layer.use_cudnn and tf.config.list_logical_devices("GPU"))
    )


def run(
    layer: keras.layers.Layer,
    sequences: tf.Tensor,
    *,
    constant: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    training: bool = False,
) -> tf.Tensor:
    """A recurrent layer's outputs at every step: `layer([constant at each step, sequences])`.

    Args:
      layer: that returns sequences; one that is not served here (`serves`) runs as Keras runs it.
      sequences: [B, T, F], finite in the padding; F may be 0 beside a constant.
      constant: [B, E], the same at every step; it is read by the first E rows of the kernel.
      mask: bool [B, T]; with one, Keras runs the layer.
      training: keeps the gates for the gradient, which can also be had without.

    Returns:
      [B, T, H].
    """
    if mask is not None or not serves(layer):
        if constant is not None:
            repeated = tf.repeat(constant[:, tf.newaxis], tf.shape(sequences)[1], axis=1)
            sequences = tf.concat([tf.cast(repeated, sequences.dtype), sequences], axis=2)
        return layer(sequences, mask=mask, training=training)
    weights = [layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias]
    kernel, recurrent, bias = (_reordered(tf.convert_to_tensor(weight)) for weight in weights)
    always, split = bias, 0
    if constant is not None:
        split = constant.shape[1]
        always += tf.matmul(constant, kernel[:split])
    by_time = tf.transpose(sequences, [1, 0, 2])
    steps, rows = tf.unstack(tf.shape(by_time)[:2])
    if features := kernel.shape[0] - split:
        flat = tf.reshape(by_time, [-1, features])
        projected = tf.reshape(tf.matmul(flat, kernel[split:]), [steps, rows, kernel.shape[1]])
        inputs = projected + always
    else:
        # One row that every step reads: [1, B, 4H].
        inputs = always[tf.newaxis]
    recurrence = _differentiable if training else _forward_outputs
    outputs = recurrence(inputs, recurrent, steps)
    outputs.set_shape([sequences.shape[1], sequences.shape[0], layer.units])
    return tf.transpose(outputs, [1, 0, 2])


def _reordered(weight: tf.Tensor) -> tf.Tensor:
    """Keras's gates i f c o as i c f o, the order of LSTMBlockCellGrad."""
    input_gate, forget_gate, candidate, output_gate = tf.split(weight, 4, axis=-1)
    return tf.concat([input_gate, candidate, forget_gate, output_gate], axis=-1)


def _differentiable(inputs: tf.Tensor, recurrent: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """The outputs [T, B, H], with the gradient of this module instead of TensorFlow's.

    Args:
      inputs: x K + b, [T, B, 4H], or [1, B, 4H] if it is the same at every step.
      recurrent: R, [H, 4H].
      steps: T.
    """

    @tf.custom_gradient
    def outputs_of(inputs: tf.Tensor, recurrent: tf.Tensor):
        outputs, kept = _forward(inputs, recurrent, steps, keep=True)

        def gradient(slope: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            gates = _backward(slope, recurrent, kept, steps)
            width, units = recurrent.shape[1], recurrent.shape[0]
            before = tf.reshape(outputs[:-1], [-1, units])
            of_recurrent = tf.matmul(before, tf.reshape(gates[1:], [-1, width]), transpose_a=True)
            if inputs.shape[0] == 1:
                gates = tf.reduce_sum(gates, axis=0, keepdims=True)
            return gates, of_recurrent

        return outputs, gradient

    return outputs_of(inputs, recurrent)


def _forward_outputs(inputs: tf.Tensor, recurrent: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    return _forward(inputs, recurrent, steps, keep=False)[0]


def _forward(
    inputs: tf.Tensor, recurrent: tf.Tensor, steps: tf.Tensor, *, keep: bool
) -> tuple[tf.Tensor, tf.TensorArray | None]:
    """The outputs [T, B, H], and what `_backward` reads of each step, [T, B, 8H]."""
    units = recurrent.shape[0]
    # To read an array is one operation, to slice a tensor is four.
    by_step = None if inputs.shape[0] == 1 else _array(steps, 4 * units).unstack(inputs)

    def step(t: tf.Tensor, output: tf.Tensor, cell: tf.Tensor, *arrays: tf.TensorArray):
        summed = tf.matmul(output, recurrent) + (by_step.read(t) if by_step else inputs[0])
        gates = tf.sigmoid(summed)
        input_gate, _, forget_gate, output_gate = tf.split(gates, 4, axis=1)
        candidate = tf.tanh(summed[:, units : 2 * units])
        before, cell = cell, forget_gate * cell + input_gate * candidate
        squashed = tf.tanh(cell)
        output = output_gate * squashed
        found = [output, tf.concat([gates, candidate, before, cell, squashed], axis=1)]
        written = [array.write(t, one) for array, one in zip(arrays, found, strict=False)]
        return t + 1, output, cell, *written

    zero = tf.zeros([tf.shape(inputs)[1], units])
    arrays = [_array(steps, width * units) for width in ((1, 8) if keep else (1,))]
    _, _, _, *arrays = _while(lambda t: t < steps, step, (0, zero, zero, *arrays), units)
    return arrays[0].stack(), arrays[1] if keep else None


def _backward(
    slope: tf.Tensor, recurrent: tf.Tensor, kept: tf.TensorArray, steps: tf.Tensor
) -> tf.Tensor:
    """The gradient with respect to z, [T, B, 4H], from that of the outputs, [T, B, H].

    LSTMBlockCellGrad is the gates of the equations above in one kernel, a third of the time of
    TensorFlow's ops for them. Of its arguments that have to do with inputs, weights and peepholes
    it reads the shapes alone.
    """
    units, width = recurrent.shape
    # Once, and not at each step: a product with a transpose in it takes twice the time.
    transposed = tf.transpose(recurrent)
    slopes = _array(steps, units).unstack(slope)

    def step(t: tf.Tensor, output: tf.Tensor, cell: tf.Tensor, found: tf.TensorArray):
        input_gate, _, forget_gate, output_gate, candidate, before, after, squashed = tf.split(
            kept.read(t), 8, axis=1
        )
        peephole = tf.zeros([units])
        cell, of_gates, *_ = tf.raw_ops.LSTMBlockCellGrad(
            x=before,
            cs_prev=before,
            h_prev=before,
            w=tf.zeros([2 * units, width]),
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=tf.zeros([width]),
            i=input_gate,
            cs=after,
            f=forget_gate,
            o=output_gate,
            ci=candidate,
            co=squashed,
            cs_grad=cell,
            h_grad=output + slopes.read(t),
            use_peephole=False,
        )
        return t - 1, tf.matmul(of_gates, transposed), cell, found.write(t, of_gates)

    zero = tf.zeros([tf.shape(slope)[1], units])
    start = (steps - 1, zero, zero, _array(steps, width))
    *_, found = _while(lambda t: t >= 0, step, start, units)
    return found.stack()


def _array(steps: tf.Tensor, width: int) -> tf.TensorArray:
    return tf.TensorArray(
        tf.float32, size=steps, element_shape=[None, width], clear_after_read=False
    )


def _while(
    holds: Callable[[tf.Tensor], tf.Tensor],
    step: Callable[..., tuple],
    start: tuple,
    units: int,
) -> tuple:
    """A loop over steps: (t, output [B, H], cell [B, H], arrays)."""
    state = tf.TensorShape([None, units])
    arrays = [tf.TensorShape(None)] * (len(start) - 3)
    return tf.while_loop(
        lambda t, *_: holds(t),
        step,
        start,
        shape_invariants=(tf.TensorShape([]), state, state, *arrays),
        parallel_iterations=1,
    )
