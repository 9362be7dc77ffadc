"""State the kinds of recurrent layers, without TensorFlow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """States one kind of recurrent layer.

    Attributes:
      layer: its class in `keras.layers`, and its operation in ONNX but for upper case.
      gates: the places in Keras's order of ONNX's gates.
      onnx: attributes of ONNX's operation.
    """

    layer: str
    gates: tuple[int, ...]
    onnx: Mapping[str, int] = field(default_factory=dict)

    def parameters(self, sizes: Sequence[int], units: int) -> int:
        """Return about how many weights layers of these inputs have: biases count once."""
        return sum(len(self.gates) * units * (size + units + 1) for size in sizes)


# Keras has the gates i, f, c, o, and ONNX i, o, f, c.
LSTM = Cell(layer="LSTM", gates=(0, 3, 1, 2))
# Both have z, r, h; the reset gate comes after the recurrent product.
GRU = Cell(layer="GRU", gates=(0, 1, 2), onnx={"linear_before_reset": 1})
