"""Build of ONNX nodes what an encoder has recorded; see serving/portable.py."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from ragline.components.export.nodes import Nodes
from ragline.components.serving import portable
from ragline.components.serving.portable import Operation

Weights = Mapping[str, np.ndarray]


def add_to(
    nodes: Nodes, operations: Iterable[Operation], weights: Weights, known: Mapping[str, str]
) -> str:
    """Add the operations.

    Args:
      nodes: the nodes that they are added to.
      operations: what was recorded, at least one.
      weights: name -> the weights that they read.
      known: the names of the tensors that are at hand.

    Returns:
      The name of the last one's output.
    """
    names, last = {"": "", **known}, ""

    def read(value: Any) -> Any:
        if isinstance(value, str):
            return names[value]
        return weights[value["weights"]] if "weights" in value else portable.array_of(value)

    for each in operations:
        inputs = [read(value) for value in each["inputs"]]
        attributes = each.get("attributes", {})
        if "cells" in each:
            made = _recurrent(nodes, each, inputs, weights)
        else:
            made = nodes.call(each["op"], *inputs, outputs=len(each["outputs"]), **attributes)
        made = [made] if isinstance(made, str) else made
        names |= dict(zip(each["outputs"], made, strict=True))
        last = made[0]
    return last


def _recurrent(
    nodes: Nodes, operation: Operation, inputs: Sequence[str], weights: Weights
) -> list[str]:
    """Add one layer: its states [T, B, units * directions], and the last [B, units * directions].

    ONNX's backward direction begins at each sequence's last valid step, so its last state is that
    of the first step.
    """
    states, lengths = inputs
    order = operation["gates"]
    cells = [_stacked([weights[name] for name in cell], order) for cell in operation["cells"]]
    stacked = [np.stack(arrays) for arrays in zip(*cells, strict=True)]
    states, last, *_ = nodes.call(
        operation["op"],
        states,
        *stacked,
        lengths,
        outputs=2,
        direction="bidirectional" if len(cells) > 1 else "forward",
        **operation["attributes"],
    )
    width = operation["attributes"]["hidden_size"] * len(cells)
    # [T, directions, B, units] and [directions, B, units]; 0 keeps an axis as it is.
    states = nodes.call("Transpose", states, perm=[0, 2, 1, 3])
    states = nodes.call("Reshape", states, np.array([0, 0, width], np.int64))
    last = nodes.call("Transpose", last, perm=[1, 0, 2])
    return [states, nodes.call("Reshape", last, np.array([0, width], np.int64))]


def _stacked(cell: Sequence[np.ndarray], order: Sequence[int]) -> list[np.ndarray]:
    """Return W [gates * units, inputs], R [gates * units, units] and B [2 * gates * units].

    Args:
      cell: float32 kernel [inputs, gates * units], recurrent kernel [units, gates * units] and bias
        [gates * units], as Keras keeps them; or a bias [2, gates * units], whose second row is
        added to the state's product before the reset gate (Keras's `reset_after`).
      order: places in Keras's order of ONNX's gates.
    """

    def gates(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[place] for place in order], axis=-1)

    kernel, recurrent, bias = cell
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return [gates(kernel).T, gates(recurrent).T, gates(both).reshape(-1)]
