"""Turn raw values and words into what the recurrent layers read at each step.

A step's row is its F standardised values, then the embedded token of each category; what is missing
is exactly 0 (`network.py` has the formulas).
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract.feature_transforms import apply_by_feature
from ragline.components.serving.fast.network import FARTHEST, CategoryTable, Network

# Steps whose float64 arithmetic stays in a core's own memory.
_BLOCK = 2_048


def standardise(network: Network, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Transform and standardise raw values, in float64.

    Args:
      network: the encoder.
      values: float32 [N, F]; what is not finite once transformed is missing.

    Returns:
      float32 [N, F], 0 where missing or of a feature that never varied; and bool [N, F], whether a
      value was observed.
    """
    observed = np.empty(values.shape, bool)
    z = np.empty(values.shape, np.float32)
    with np.errstate(invalid="ignore", over="ignore"):  # What is missing, and what is far.
        for start in range(0, len(values), _BLOCK):
            part = slice(start, start + _BLOCK)
            block = apply_by_feature(network.transforms, values[part])
            observed[part] = np.isfinite(block)
            z[part] = (block - network.mean) / network.scale
        np.clip(z, -FARTHEST, FARTHEST, out=z)
    np.copyto(z, 0.0, where=~(observed & network.varies))
    return z, observed


class TokenTable:
    """Looks up the tokens of a category, in Arrow."""

    def __init__(self, table: CategoryTable) -> None:
        """Take the table; a row of zeros, for missing tokens, is put behind it."""
        is_text = table.category.is_text
        self._type = pa.string() if is_text else pa.int64()
        tokens = table.tokens if is_text else [int(token) for token in table.tokens]
        self._tokens = pa.array(tokens, self._type)
        self._missing = pa.array([""], self._type) if is_text else None
        self._rows = np.concatenate([table.table, np.zeros_like(table.table[:1])])

    def ids(self, tokens: np.ndarray) -> np.ndarray:
        """Return the id of each token, int64 [N], of object [N] of str, or int64 [N].

        Tokens that are not in the vocabulary have the id after the last, missing ones the next.
        """
        column = pa.array(tokens, self._type)
        ids: np.ndarray = pc.index_in(column, self._tokens).fill_null(len(self._tokens)).to_numpy()
        if self._missing is not None:
            missing = pc.is_in(column, self._missing).to_numpy(zero_copy_only=False)
            ids = np.where(missing, len(self._tokens) + 1, ids)
        return ids

    def embed(self, ids: np.ndarray) -> np.ndarray:
        """Return the row of each id, float32 [N, size]."""
        rows: np.ndarray = self._rows[ids]
        return rows
