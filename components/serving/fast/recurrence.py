"""Build the recurrent layers of a Network in OpenVINO: rows of a padded batch in, states out.

    rows    float32 [B, T, I]
    length  int64 [B]                of an encoder that also reads backwards
    states  float32 [B, 1, T, units] of the last layer; those of its backward layer follow

A layer reads the padding, too, and nothing of it reaches a valid step: it is causal, and the states
at length - 1 are those of the sequence alone. With lengths that are no constant, OpenVINO runs an
LSTM as a loop of small operations, at a fraction of the speed. A backward layer reads each sequence
reversed within its own length, so that its last state, too, stands at length - 1.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino
from openvino import opset13 as ops

from ragline.components.contract.columns import LENGTH
from ragline.components.serving.fast.network import Network
from ragline.components.serving.fast.recurrent_layers import Cell, Layer, layers_of

# Its table of types is made at the first call. Two threads that make it at a time wait for each
# other for ever, one of them with Python's lock: the whole process stops (OpenVINO 2026.4).
openvino.Type.f32.to_dtype()

# OpenVINO's order of gates, as places in Keras's: f, i, c, o of i, f, c, o; z, r, h is the same.
_GATES = {"LSTM": (1, 0, 2, 3), "GRU": (0, 1, 2)}


def compiled(network: Network, threads: int, *, bfloat16: bool) -> Any:
    """Compile the layers for so many requests at a time, each on a thread of its own.

    OpenVINO's own choice is bfloat16 where the processor has it, which costs three digits.

    Args:
      network: the encoder.
      threads: the number of requests.
      bfloat16: whether products are of bfloat16, and not of float32.

    Raises:
      ValueError: the encoder is not made of recurrent layers alone.
      RuntimeError: the processor has no bfloat16.
    """
    options = {
        "INFERENCE_PRECISION_HINT": "bf16" if bfloat16 else "f32",
        "NUM_STREAMS": threads,
        "INFERENCE_NUM_THREADS": threads,
        # Other processes compute on the same cores.
        "ENABLE_CPU_PINNING": False,
    }
    return _core().compile_model(_build(layers_of(network)), "CPU", options)


@functools.cache
def _core() -> openvino.Core:
    """Return OpenVINO's core, which is kept until the process ends.

    It gives the thread that first compiles a stack for signal handlers, and frees that stack with
    itself, from whatever thread. Python's handlers run on it: the next Ctrl-C would crash.
    """
    return openvino.Core()


def _build(layers: Sequence[Layer]) -> openvino.Model:
    inputs = len(layers[0].forward.kernel)
    rows = ops.parameter([-1, -1, inputs], np.float32, name="rows")
    length = ops.parameter([-1], np.int64, name=LENGTH)
    states, outputs = rows, []
    for layer in layers:
        outputs = [_layer(layer.operation, layer.forward, states)]
        if layer.backward is None:
            states = _flat(outputs[0])
            continue
        reversed_rows = ops.reverse_sequence(states, length, 0, 1)
        outputs.append(_layer(layer.operation, layer.backward, reversed_rows))
        backward = ops.reverse_sequence(_flat(outputs[1]), length, 0, 1)
        states = ops.concat([_flat(outputs[0]), backward], 2)
    parameters = [rows, length] if len(outputs) == 2 else [rows]
    return openvino.Model(outputs, parameters, "recurrence")


def _flat(states: Any) -> Any:
    """Drop the axis of the directions: [B, 1, T, units] -> [B, T, units]."""
    return ops.squeeze(states, np.array([1], np.int64))


def _layer(operation: str, cell: Cell, rows: Any) -> Any:
    """Return the states of one layer in one direction, [B, 1, T, units]."""
    shape = ops.shape_of(rows)
    batch, steps = (ops.gather(shape, np.array([i], np.int64), np.int64(0)) for i in (0, 1))
    start = ops.broadcast(
        np.float32(0.0), ops.concat([batch, np.array([1, cell.units], np.int64)], 0)
    )
    every_step = ops.broadcast(steps, batch)
    weights = [array[np.newaxis] for array in _weights(operation, cell)]
    if operation == "LSTM":
        node = ops.lstm_sequence(rows, start, start, every_step, *weights, cell.units, "forward")
    else:
        node = ops.gru_sequence(
            rows, start, every_step, *weights, cell.units, "forward", linear_before_reset=True
        )
    return node.output(0)


def _weights(operation: str, cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W [gates * units, inputs], R [gates * units, units] and B."""
    kernel, recurrent, bias = (
        np.concatenate(
            [np.split(array, len(_GATES[operation]), axis=-1)[g] for g in _GATES[operation]], -1
        )
        for array in (cell.kernel, cell.recurrent, cell.bias)
    )
    if bias.ndim == 2:  # The candidate's two biases of a GRU stay apart.
        both, candidate = bias.sum(axis=0), 2 * cell.units
        bias = np.concatenate([both[:candidate], bias[0, candidate:], bias[1, candidate:]])
    return kernel.T, recurrent.T, bias
