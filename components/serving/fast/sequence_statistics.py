"""Describe sequences by statistics, in NumPy.

The formulas are those of components/train/model/sequence_statistics.py. Sequences lie one after
another, float32 [sum T, F]; sums are of float64.
"""

from collections.abc import Sequence

import numpy as np

from ragline.components.serving.batches import Sequences, batches
from ragline.components.serving.facts import StatisticsFacts
from ragline.components.serving.fast.network import (
    FARTHEST_STATISTIC,
    LEAST_DEVIATION,
    Statistics,
)

# Padded numbers of a batch, whose arithmetic stays in a core's own memory, and sequences.
_NUMBERS, _SEQUENCES = 1 << 16, 1 << 9


def standardised(
    values: np.ndarray,
    observed: np.ndarray | None,
    length: np.ndarray,
    token_ids: Sequence[np.ndarray],
    statistics: Statistics,
) -> np.ndarray:
    """Return the standardised statistics, float32 [N, P].

    Args:
      values: float32 [sum T, F], with missing values filled in.
      observed: bool [sum T, F], whether a value is not missing; None if none can be.
      length: int64 [N].
      token_ids: of each category, int64 [sum T]; what has no statistics is V or more.
      statistics: what they are, their mean and scale.
    """
    first = np.cumsum(length) - length
    parts = [_of_values(values, length, statistics.stated)]
    if observed is None:
        parts.append(np.ones((len(length), values.shape[1])))
    else:
        parts.append(np.add.reduceat(observed, first, axis=0, dtype=np.float64) / length[:, None])
    parts.append(np.log(length)[:, np.newaxis])
    for ids, number in zip(token_ids, statistics.stated.tokens, strict=True):
        parts += _of_tokens(ids, length, number)
    scale = np.where(statistics.scale > 0.0, statistics.scale, np.float32(np.inf))
    z: np.ndarray = (np.concatenate(parts, axis=1).astype(np.float32) - statistics.mean) / scale
    return z.clip(-FARTHEST_STATISTIC, FARTHEST_STATISTIC, out=z)


def _of_values(values: np.ndarray, length: np.ndarray, stated: StatisticsFacts) -> np.ndarray:
    """Return the statistics of the values, and of how they move, float64 [N, ...]."""
    kinds = 4 + len(stated.correlation_lags) + len(stated.bend_lags)
    described = np.empty((len(length), kinds * values.shape[1]))
    sequences = Sequences(values=values, length=length, tokens={})
    for batch in batches(sequences, _NUMBERS // values.shape[1], _SEQUENCES):
        part = _describe(batch.values, batch.length[:, np.newaxis], stated)
        described[batch.places] = part
    return described


def _describe(values: np.ndarray, length: np.ndarray, stated: StatisticsFacts) -> np.ndarray:
    """Return the statistics of values [B, T, F], 0 in the padding, of lengths [B, 1]."""
    # By feature: sums are over steps that lie side by side.
    x = np.ascontiguousarray(values.transpose(0, 2, 1))  # [B, F, T]
    valid = (np.arange(x.shape[2]) < length)[:, np.newaxis]  # [B, 1, T]
    counted = valid.astype(np.float32)
    within = np.where(valid, x, x[..., :1])
    ends = [within.min(axis=2), within.max(axis=2)]
    unit = x.astype(np.float64)
    mean = unit.sum(axis=2) / length
    unit -= mean[..., np.newaxis]
    unit *= counted
    deviation = np.sqrt(np.vecdot(unit, unit) / length)
    unit /= (deviation + LEAST_DEVIATION)[..., np.newaxis]
    correlations = [
        # Of the padding, a factor is 0.
        np.vecdot(unit[..., lag:], unit[..., :-lag]) / np.maximum(length - lag, 1)
        for lag in stated.correlation_lags
    ]
    bends = []
    for lag in stated.bend_lags:
        # In float32, which takes half the time: all terms are above 0, so that the sum is exact to
        # a rounding or two.
        moved = x[..., lag:] - x[..., :-lag]
        bend = moved[..., lag:] - moved[..., :-lag]
        total = np.vecdot(np.abs(bend, out=bend), counted[..., 2 * lag :])
        bends.append(total / np.maximum(length - 2 * lag, 1))
    return np.concatenate([mean, deviation, *ends, *correlations, *bends], axis=1)


def _of_tokens(token_ids: np.ndarray, length: np.ndarray, number: int) -> list[np.ndarray]:
    """Return the shares [N, V] and the pairs [N, V V] of the first tokens of a category."""
    rows = np.repeat(np.arange(len(length)), length)
    is_frequent = token_ids < number

    def counts(there: np.ndarray, rows: np.ndarray, kinds: np.ndarray, size: int) -> np.ndarray:
        places = rows[there] * size + kinds[there]
        return np.bincount(places, minlength=len(length) * size).reshape(-1, size)

    shares = counts(is_frequent, rows, token_ids, number) / length[:, np.newaxis]
    follows = is_frequent[:-1] & is_frequent[1:] & (rows[:-1] == rows[1:])
    pairs = counts(follows, rows[:-1], token_ids[:-1] * number + token_ids[1:], number**2)
    return [shares, pairs / np.maximum(length - 1, 1)[:, np.newaxis]]
