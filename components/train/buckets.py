"""Buckets of similar length: where their bounds are, and how much of the batches is padding.

Without TensorFlow, so that `ragline plan` tells in a second what training will do.
"""

from collections.abc import Sequence as Collection
from dataclasses import dataclass

import numpy as np

from components.train.options import TrainOptions

# Few enough buckets that most batches are full, enough that padding stays small.
_BATCHES_A_BUCKET = 4
_MAX_BUCKETS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training split is.

    Attributes:
      batches: how many there are, which is the number of updates.
      steps: valid steps in them.
      padded_steps: steps in them, padding included.
    """

    batches: int
    steps: int
    padded_steps: int

    @property
    def waste(self) -> float:
        """The share of padding."""
        return 1.0 - self.steps / self.padded_steps if self.padded_steps else 0.0


def bucket_boundaries(lengths: np.ndarray, batch_size: int) -> list[int]:
    """Upper bounds (exclusive) of the length buckets: quantiles of the data's own lengths.

    Args:
      lengths: int64 [N].
      batch_size: sequences in a batch.

    Returns:
      Increasing bounds; bucket i holds bounds[i - 1] <= length < bounds[i]; may be empty, which is
      one bucket for all.
    """
    buckets = int(np.clip(len(lengths) // (_BATCHES_A_BUCKET * batch_size), 1, _MAX_BUCKETS))
    shares = np.arange(1, buckets) / buckets
    return sorted({int(bound) + 1 for bound in np.quantile(lengths, shares, method="lower")})


def boundaries(options: TrainOptions, lengths: np.ndarray) -> list[int]:
    """Upper bounds (exclusive) of the length buckets to train in.

    Args:
      options: strategy and batch size.
      lengths: int64 [N], of the training split.
    """
    if options.padding == "keras":
        return []
    if options.padding == "equal_length":
        return [int(length) + 1 for length in np.unique(lengths)]
    return bucket_boundaries(lengths, options.batch_size)


def fixed_steps(options: TrainOptions, lengths: np.ndarray) -> int | None:
    """The number of steps that every training batch is padded to; None for its own longest."""
    return int(lengths.max()) if options.padding == "keras" else None


def epoch_of(
    lengths: np.ndarray, bounds: Collection[int], batch_size: int, fixed: int | None = None
) -> Epoch:
    """One epoch over sequences in the order given; a bucket's last batch may be smaller.

    Args:
      lengths: int64 [N], of the training split, in an order such as training would draw.
      bounds: of the buckets, increasing, exclusive.
      batch_size: sequences in a batch.
      fixed: the number of steps that every batch is padded to; None for its own longest.
    """
    batches = padded = 0
    bucket = np.searchsorted(np.asarray(bounds, np.int64), lengths, side="right")
    for place in np.unique(bucket).tolist():
        of_bucket = lengths[bucket == place]
        starts = np.arange(0, len(of_bucket), batch_size)
        longest = np.maximum.reduceat(of_bucket, starts)
        sizes = np.diff(np.append(starts, len(of_bucket)))
        batches += len(starts)
        padded += int((sizes * (longest if fixed is None else fixed)).sum())
    return Epoch(batches=batches, steps=int(lengths.sum()), padded_steps=padded)
