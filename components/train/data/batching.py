"""Plan which sequences share a batch: pure functions of their lengths, without TensorFlow.

A batch is padded to its longest sequence, so sequences of nearly the same length belong together.
They are sorted by length and cut where a batch is full: no more padded steps than a budget, so that
a batch of short sequences holds many, of long ones few, and each takes about the same time and
memory. Against buckets, whose every last batch is left over, it leaves one small batch in all, and
needs no bounds. In training the lengths are sorted as if each were up to SPREAD longer than it is,
by chance, so that others share a batch in each epoch, and the batches are shuffled.

The plan is made of a pool of sequences at a time, as many as memory allows; small data is one pool.
Which sequences share a batch has no part in the numbers (the loss is a ratio of sums), only in the
time they take.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ragline.components.train import padding
from ragline.components.train.options import TrainOptions

# Costs a batch up to so much padding, and lets neighbours change places.
SPREAD = 0.03
# The values of a pool, some 32 MiB of records.
_POOL_VALUES = 2**23
# However long they are: fewer batches of a pool would be of more different lengths.
_POOL_BATCHES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """Holds how sequences are put into batches.

    Attributes:
      sequences: most sequences of a batch; None for as many as the steps allow.
      steps: most steps of a batch, padding included (the token budget); a longer sequence is a
        batch alone. None for no limit.
      sort: whether sequences are sorted by length; otherwise their order stays.
      equal: whether all sequences of a batch must have the same length.
      pool: the number of sequences that are planned at once.
    """

    sequences: int | None = None
    steps: int | None = None
    sort: bool = True
    equal: bool = False
    pool: int = 2**14


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSize:
    """Counts the batches and steps of one pass over a split.

    Attributes:
      batches: the number of batches; of training, the number of updates.
      steps: the number of valid steps.
      padded_steps: the number of steps, padding included.
    """

    batches: int
    steps: int
    padded_steps: int

    @property
    def waste(self) -> float:
        """Return the share of padding."""
        return 1.0 - self.steps / self.padded_steps if self.padded_steps else 0.0


def plan_training(options: TrainOptions, lengths: np.ndarray, features: int) -> BatchPlan:
    """Plan the batches of training.

    Args:
      options: padding strategy and batch size.
      lengths: int64 [N], of the training split.
      features: F.
    """
    strategy = padding.of(options.padding)
    return strategy.plan(lengths, options.batch_size, features)


def fixed_steps(options: TrainOptions, lengths: np.ndarray) -> int | None:
    """Return the number of steps that every batch is padded to; None for its own longest."""
    return padding.of(options.padding).fixed_steps(lengths)


def plan_unsorted(sequences: int) -> BatchPlan:
    """Plan batches of so many sequences, in the order in which they are read."""
    return BatchPlan(sequences=sequences, sort=False)


def plan_equal_length(lengths: np.ndarray, sequences: int, features: int) -> BatchPlan:
    """Plan batches of so many sequences of equal length; fewer where no more have it."""
    return BatchPlan(sequences=sequences, equal=True, pool=_pool(lengths, sequences, features))


def plan_similar_length(
    lengths: np.ndarray, sequences: int, features: int, least_steps: int = 0
) -> BatchPlan:
    """Plan batches of as many padded steps as so many sequences of mean length have.

    An epoch then has about as many updates as if each batch held just so many sequences.

    Args:
      lengths: int64 [N], of the whole split.
      sequences: the number of sequences in a batch, if all had the mean length.
      features: F.
      least_steps: the least budget of steps.
    """
    steps = max(math.ceil(_mean(lengths) * sequences), least_steps)
    return BatchPlan(steps=steps, pool=_pool(lengths, sequences, features))


def is_one_pool(lengths: np.ndarray, features: int) -> bool:
    """Tell whether a split's records are few enough to be held in memory, and planned, at once."""
    return int(lengths.sum()) * features <= _POOL_VALUES


def cut_batches(
    plan: BatchPlan, lengths: np.ndarray, generator: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Put each sequence of a pool into exactly one batch.

    Args:
      plan: what a batch may hold.
      lengths: int64 [N], each at least 1.
      generator: source of the random order; None for batches sorted by length.

    Returns:
      (order, bounds): int64 [N], all of 0 to N - 1, and int64 [batches + 1], from 0 to N: batch i
      holds the sequences order[bounds[i]:bounds[i + 1]].
    """
    number = len(lengths)
    order = np.arange(number)
    if plan.sort:
        apparent = lengths.astype(np.float64)
        if generator is not None and not plan.equal:
            apparent *= 1.0 + SPREAD * generator.random(number)
        order = np.argsort(apparent, kind="stable")
    bounds = _bounds(plan, lengths[order].tolist())
    if generator is None or not plan.sort:
        return order, np.array(bounds)
    batches = [order[start:stop] for start, stop in itertools.pairwise(bounds)]
    shuffled = [batches[place] for place in generator.permutation(len(batches))]
    return np.concatenate([order[:0], *shuffled]), np.cumsum([0, *map(len, shuffled)])


def epoch_size(plan: BatchPlan, lengths: np.ndarray, fixed: int | None = None) -> EpochSize:
    """Count the batches and steps of one epoch over sequences in this order, not shuffled.

    Args:
      plan: the plan of the batches.
      lengths: int64 [N], in the order in which they are read.
      fixed: the number of steps that every batch is padded to; None for its own longest.
    """
    batches = padded = 0
    for start in range(0, len(lengths), plan.pool):
        pool = lengths[start : start + plan.pool]
        order, bounds = cut_batches(plan, pool)
        longest = np.maximum.reduceat(pool[order], bounds[:-1])
        batches += len(longest)
        padded += int((np.diff(bounds) * (longest if fixed is None else fixed)).sum())
    return EpochSize(batches=batches, steps=int(lengths.sum()), padded_steps=padded)


def _bounds(plan: BatchPlan, lengths: list[int]) -> list[int]:
    """Return where to cut sequences of these lengths, in this order."""
    bounds, shortest, longest = [0], 0, 0
    for place, length in enumerate(lengths):
        held = place - bounds[-1]
        longest = max(longest, length) if held else length
        shortest = min(shortest, length) if held else length
        full = (
            (plan.sequences is not None and held >= plan.sequences)
            or (plan.steps is not None and (held + 1) * longest > plan.steps)
            or (plan.equal and shortest != longest)
        )
        if held and full:
            bounds.append(place)
            shortest = longest = length
    return [*bounds, len(lengths)] if lengths else bounds


def _pool(lengths: np.ndarray, sequences: int, features: int) -> int:
    return max(int(_POOL_VALUES / (_mean(lengths) * features)), _POOL_BATCHES * sequences)


def _mean(lengths: np.ndarray) -> float:
    return float(lengths.mean()) if len(lengths) else 1.0
