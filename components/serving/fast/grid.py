"""Resample sequences to the grid of the linear path, in NumPy.

The formulas are those of components/train/model/grid_resample.py. Sequences lie one after another,
float32 [sum T, F].
"""

import numpy as np


def resample(values: np.ndarray, first: np.ndarray, length: np.ndarray, steps: int) -> np.ndarray:
    """Resample some of the sequences to the grid.

    Args:
      values: float32 [sum T, F], all sequences.
      first: int64 [B], where each of B sequences begins.
      length: int64 [B].
      steps: K, at least 2.

    Returns:
      float32 [B, K, F].
    """
    last = length[:, np.newaxis] - 1
    before, way = np.divmod(np.arange(steps) * last, steps - 1)
    first = first[:, np.newaxis]
    low, high = values[first + before], values[first + np.minimum(before + 1, last)]
    of_low, of_high = (
        (part / (steps - 1)).astype(np.float32)[..., np.newaxis] for part in (steps - 1 - way, way)
    )
    grid: np.ndarray = of_low * low + of_high * high
    return grid


def fill(values: np.ndarray, observed: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Fill missing values of flat sequences on the line between observed ones, by feature.

    Args:
      values: float32 [sum T, F]; 0 where nothing was observed.
      observed: bool [sum T, F].
      length: int64 [N].

    Returns:
      float32 [sum T, F]; before the first observed value of a sequence stands that value, after the
      last one the last; a feature that was never observed is 0.
    """
    filled = values.copy()
    stop = np.cumsum(length)
    for feature in np.flatnonzero(~observed.all(axis=0)):
        column, there = values[:, feature], np.flatnonzero(observed[:, feature])
        missing = np.flatnonzero(~observed[:, feature])
        sequence = np.searchsorted(stop, missing, side="right")
        nth = np.searchsorted(there, missing)
        around = np.concatenate([[-1], there, [len(values)]])
        before, after = around[nth], around[nth + 1]
        has_before = before >= (stop - length)[sequence]
        has_after = after < stop[sequence]
        before, after = np.where(has_before, before, after), np.where(has_after, after, before)
        seen = has_before | has_after
        before, after = np.where(seen, before, missing), np.where(seen, after, missing)
        way = (missing - before).astype(np.float32)
        share = way / np.maximum(after - before, 1).astype(np.float32)
        low = column[before]
        filled[missing, feature] = low + (column[after] - low) * share
    return filled
