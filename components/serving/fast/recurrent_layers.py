"""Find the recurrent layers in what an encoder has recorded; see serving/portable.py."""

from dataclasses import dataclass

import numpy as np

from ragline.components.serving.fast.network import Network

# What stands around the layers of an encoder that is nothing but layers.
_BEFORE, _AFTER = ["Transpose", "Pad", "Pad"], ["Shape", "Slice", "Identity"]
_OPERATIONS = ("LSTM", "GRU")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Holds one recurrent layer in one direction, as Keras keeps it.

    Attributes:
      kernel: float32 [inputs, gates * units]; the gates are i, f, c, o of an LSTM, z, r, h of a
        GRU.
      recurrent: float32 [units, gates * units].
      bias: float32 [gates * units] of an LSTM; [2, gates * units] of a GRU, whose second row is
        added to the state's product before the reset gate (Keras's `reset_after`).
    """

    kernel: np.ndarray
    recurrent: np.ndarray
    bias: np.ndarray

    @property
    def units(self) -> int:
        """Return the size of the state."""
        return len(self.recurrent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Holds one recurrent layer, in one direction or two.

    Attributes:
      operation: the operation of ONNX.
      forward: the cell that reads from the first step on.
      backward: the cell that reads from the last valid step back; None if there is none.
    """

    operation: str
    forward: Cell
    backward: Cell | None


def layers_of(network: Network) -> tuple[Layer, ...]:
    """Return the layers of an encoder whose result is the last valid states of the last one.

    Raises:
      ValueError: it is another encoder.
    """
    recurrent = [each for each in network.operations if "cells" in each]
    names = [each["op"] for each in recurrent]
    if not {*names} <= {*_OPERATIONS} or [each["op"] for each in network.operations] != [
        *_BEFORE,
        *names,
        *_AFTER,
    ]:
        raise ValueError("its encoder is not made of recurrent layers alone")
    layers = []
    for each in recurrent:
        cells = [Cell(**_arrays(network, cell)) for cell in each["cells"]]
        backward = cells[1] if len(cells) > 1 else None
        layers.append(Layer(operation=each["op"], forward=cells[0], backward=backward))
    return tuple(layers)


def _arrays(network: Network, names: list[str]) -> dict[str, np.ndarray]:
    arrays = (network.weights[name] for name in names)
    return dict(zip(("kernel", "recurrent", "bias"), arrays, strict=True))
