"""Build ONNX nodes, by one call each: `nodes.call("Add", a, b)` appends an Add, returns its output.

Constants are float32 unless they are arrays of another type; equal constants are written once.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ragline.components.serving.fast.network import Dense


class Nodes:
    """Holds the nodes and constants of a graph, in order."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[tuple[Any, ...], onnx.TensorProto] = {}

    def call(
        self, op: str, *inputs: Any, outputs: int = 1, domain: str = "", **attributes: Any
    ) -> Any:
        """Append a node.

        Args:
          op: the operation of ONNX.
          *inputs: names of tensors, or arrays and numbers; "" for an input that is left out.
          outputs: the number of outputs.
          domain: the domain of the operation.
          **attributes: the attributes of the node.

        Returns:
          The name of its output; a list of names if it has several.
        """
        number = len(self.nodes)
        tensors = [name if isinstance(name, str) else self.constant(name) for name in inputs]
        names = [f"{op}_{number}" + (f"_{place}" if place else "") for place in range(outputs)]
        self.nodes.append(
            helper.make_node(op, tensors, names, name=f"{op}_{number}", domain=domain, **attributes)
        )
        return names[0] if outputs == 1 else names

    def constant(self, value: Any) -> str:
        """Return the name of a constant; a Python int becomes int64, a float float32."""
        array = np.asarray(value)
        if not isinstance(value, np.ndarray | np.generic) and array.dtype == np.float64:
            array = array.astype(np.float32)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self.constants:
            name = f"constant_{len(self.constants)}"
            self.constants[key] = numpy_helper.from_array(array, name)
        return self.constants[key].name

    def affine(self, tensor: str, dense: Dense) -> Any:
        """Append a dense map, float32 [B, outputs], summed in float64: see train/model/dense.py."""
        rows, kernel = self.cast(tensor, "DOUBLE"), dense.kernel.astype(np.float64)
        product = self.call("MatMul", rows, kernel)
        return self.cast(self.call("Add", product, dense.bias.astype(np.float64)), "FLOAT")

    def cast(self, tensor: str, kind: str) -> Any:
        """Cast a tensor to `FLOAT`, `DOUBLE`, `INT32` or `INT64`."""
        return self.call("Cast", tensor, to=getattr(TensorProto, kind))

    def shape(self, tensor: str, axis: int) -> Any:
        """Return the size of one axis, int64 scalar."""
        return self.call("Gather", self.call("Shape", tensor), np.int64(axis), axis=0)

    def range(self, stop: str) -> Any:
        """Return 0 to stop, exclusive, int64 [stop]."""
        return self.call("Range", np.int64(0), stop, np.int64(1))

    def unsqueeze(self, tensor: Any, *axes: int) -> Any:
        """Insert axes of size 1."""
        return self.call("Unsqueeze", tensor, np.array(axes, np.int64))
