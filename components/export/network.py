"""What an encoder computes, as plain arrays: the same for every runtime that it is written for.

z     = (value - mean) / scale in float64, at most FARTHEST from 0, then float32; 0 where the value
        is not finite, where the feature never varied, and in the padding
x     = z and, of each category, the row of its table; zeros where the word is missing
h     = the recurrent layers' last valid states, forwards, and backwards if there are such
code  = h @ kernel + bias, and of a linear path: grid(z) @ kernel + bias
"""

from collections.abc import Sequence as Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ragline.components.contract.columns import Category

# As in train/export/export_model.py: float32 ends at 3.4e38; sums of such values would be infinite.
FARTHEST = 1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """An affine map.

    Attributes:
      kernel: float32 [inputs, outputs].
      bias: float32 [outputs].
    """

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One recurrent layer in one direction, as Keras keeps it.

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
        """The size of the state."""
        return len(self.recurrent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One recurrent layer.

    Attributes:
      forward: its cell.
      backward: that which reads from the last valid step on; None if none does.
    """

    forward: Cell
    backward: Cell | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """One category.

    Attributes:
      category: whose; a model's input bears its `key`.
      words: of the vocabulary, in the order of their codes; any other word has the code after them.
      table: float32 [words + 1, size].
    """

    category: Category
    words: tuple[str, ...]
    table: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """The linear path.

    Attributes:
      steps: K, of the grid that a sequence is resampled to.
      fills: whether what is missing is interpolated before, as it is where a feature can be.
      to_code: of the K * F numbers.
    """

    steps: int
    fills: bool
    to_code: Dense


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An encoder.

    Attributes:
      features: names of the F features, in order; empty if the model does not state them.
      mean: float64 [F].
      scale: float64 [F].
      varies: bool [F]; False for a feature that is always 0 once standardised.
      embeddings: of the categories, in the order in which they follow the features.
      cell: of the recurrent layers.
      layers: the recurrent layers.
      code: of the last layer's last states, forwards and then backwards.
      linear: None if the model has no linear path.
    """

    features: Collection[str]
    mean: np.ndarray
    scale: np.ndarray
    varies: np.ndarray
    embeddings: tuple[Embedding, ...]
    cell: Literal["lstm", "gru"]
    layers: tuple[Layer, ...]
    code: Dense
    linear: Linear | None
