"""Record what an encoder computes as operations of ONNX, for runtimes other than TensorFlow.

The trainer records it once, among the facts of the model (components/serving/facts.py), so that a
model can be written as ONNX where the package of its encoder is not installed. An operation is

    {"op": "MatMul", "inputs": ["steps", {"weights": "encoder_0/kernel"}], "outputs": ["0"]}

with `attributes`, where it has some; a constant is `{"dtype": ..., "shape": ..., "values": ...}`.
The last operation's output is the result, and these are at hand:

    steps    float32 [B, T, I]  values and embedded categories; 0 in the padding
    lengths  int32 [B]
    mask     bool [B, T, 1]     True where the step is valid

A recurrent layer is one operation of ONNX, whose weights are stacked, and whose gates stand in
another order than Keras's: `cells` names the kernel, recurrent kernel and bias of each direction,
and `gates` the places in Keras's order.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

STEPS, LENGTHS, MASK = "steps", "lengths", "mask"
_FLOAT, _INT64 = 1, 7  # ONNX's numbers of the types.
_ZERO = np.float32(0.0)

Operation = dict[str, Any]


class Recorder:
    """Records operations in order.

    Attributes:
      operations: what was recorded.
    """

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def call(self, op: str, *inputs: Any, outputs: int = 1, **attributes: Any) -> Any:
        """Record an operation.

        Args:
          op: the operation of ONNX, of opset 17.
          *inputs: names of tensors, weights, or arrays; "" for an input that is left out.
          outputs: the number of outputs.
          **attributes: the attributes: numbers, texts, or lists of them.

        Returns:
          The name of its output; a list of names if it has several.
        """
        return self._add(
            {"op": op, "inputs": [_encoded(each) for each in inputs]}, outputs, attributes
        )

    def weights(self, variable: Any) -> dict[str, str]:
        """Return a weight of a layer, such as `dense.kernel`, as an input of an operation."""
        return {"weights": variable.path}

    def dense(self, layer: Any, inputs: str) -> Any:
        """Record a `keras.layers.Dense` without its activation."""
        product = self.call("MatMul", inputs, self.weights(layer.kernel))
        return self.call("Add", product, self.weights(layer.bias)) if layer.use_bias else product

    def mean_of_valid(self, states: str) -> str:
        """Record the mean over the valid steps of states [B, T, H], [B, H]."""
        one = np.array([1], np.int64)
        total = self.call("ReduceSum", self.call("Where", MASK, states, _ZERO), one, keepdims=0)
        length = self.call("Unsqueeze", self.call("Cast", LENGTHS, to=_FLOAT), one)
        return str(self.call("Div", total, length))

    def at_last_step(self, states: str) -> str:
        """Record the states [B, T, H] at each sequence's last valid step, [B, H]."""
        one = np.array([1], np.int64)
        number = self.call("Squeeze", self.call("Shape", states, start=1, end=2))
        places = self.call("Range", np.int64(1), self.call("Add", number, one[0]), one[0])
        length = self.call("Unsqueeze", self.call("Cast", LENGTHS, to=_INT64), one)
        is_last = self.call("Unsqueeze", self.call("Equal", places, length), one + 1)
        kept = self.call("Where", is_last, states, _ZERO)
        return str(self.call("ReduceSum", kept, one, keepdims=0))

    def recurrent(
        self,
        op: str,
        steps: str,
        lengths: str,
        *,
        cells: Sequence[Any],
        gates: Sequence[int],
        units: int,
        options: Mapping[str, int],
    ) -> Any:
        """Record one recurrent layer.

        Args:
          op: `LSTM` or another recurrent operation.
          steps: [T, B, I].
          lengths: int32 [B].
          cells: Keras's cell that reads forwards and, of a layer with two, the one backwards.
          gates: places in Keras's order of ONNX's gates.
          units: H.
          options: attributes of the operation.

        Returns:
          The names of the states, [T, B, directions H], and of the last ones, [B, directions H].
        """
        names = ("kernel", "recurrent_kernel", "bias")
        operation = {
            "op": op,
            "inputs": [steps, lengths],
            "cells": [[getattr(cell, name).path for name in names] for cell in cells],
            "gates": list(gates),
        }
        return self._add(operation, 2, {"hidden_size": units, **options})

    def _add(self, operation: Operation, outputs: int, attributes: dict[str, Any]) -> Any:
        number = len(self.operations)
        names = [f"{number}_{place}" for place in range(outputs)]
        if attributes:
            operation["attributes"] = attributes
        self.operations.append(operation | {"outputs": names})
        return names[0] if outputs == 1 else names


def array_of(constant: Operation) -> np.ndarray:
    """Return a recorded constant."""
    return np.array(constant["values"], constant["dtype"]).reshape(constant["shape"])


def _encoded(value: Any) -> Any:
    if isinstance(value, str | dict):
        return value
    array = np.asarray(value)
    values = array.ravel().tolist()
    return {"dtype": array.dtype.name, "shape": list(array.shape), "values": values}
