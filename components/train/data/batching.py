"""Which sequences share a batch: pure functions of their lengths, without TensorFlow.

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

from ragline.components.train.options import TrainOptions

# Costs a batch up to so much padding, and lets neighbours change places.
SPREAD = 0.03
# The values of a pool, some 32 MiB of records.
_POOL_VALUES = 2**23
# However long they are: fewer batches of a pool would be of more different lengths.
_POOL_BATCHES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How sequences are put into batches.

    Attributes:
      sequences: of a batch, at most; None for as many as the steps allow.
      steps: of a batch, padding included, at most, but that any sequence may be a batch alone; None
        for no limit.
      sort: by length; otherwise the order stays.
      equal: whether all sequences of a batch must be of one length.
      pool: how many sequences are planned together.
    """

    sequences: int | None = None
    steps: int | None = None
    sort: bool = True
    equal: bool = False
    pool: int = 2**14


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over a split is.

    Attributes:
      batches: how many there are; of training, the number of updates.
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


def of_training(options: TrainOptions, lengths: np.ndarray, features: int) -> Plan:
    """Which sequences share a batch in training.

    Args:
      options: strategy and batch size.
      lengths: int64 [N], of the training split.
      features: F.
    """
    if options.padding == "keras":
        return as_they_come(options.batch_size)
    if options.padding == "equal_length":
        return of_equal_length(lengths, options.batch_size, features)
    return of_similar_length(lengths, options.batch_size, features)


def fixed_steps(options: TrainOptions, lengths: np.ndarray) -> int | None:
    """The number of steps that every training batch is padded to; None for its own longest."""
    return int(lengths.max()) if options.padding == "keras" else None


def as_they_come(sequences: int) -> Plan:
    """Batches of so many sequences, in the order in which they are read."""
    return Plan(sequences=sequences, sort=False)


def of_equal_length(lengths: np.ndarray, sequences: int, features: int) -> Plan:
    """Batches of so many sequences of one length; fewer where no more are of it."""
    return Plan(sequences=sequences, equal=True, pool=_pool(lengths, sequences, features))


def of_similar_length(lengths: np.ndarray, sequences: int, features: int) -> Plan:
    """Batches of as many padded steps as so many sequences of mean length have.

    An epoch then has about as many updates as if each batch held just so many sequences.

    Args:
      lengths: int64 [N], of the whole split.
      sequences: of mean length, in a batch.
      features: F.
    """
    steps = math.ceil(_mean(lengths) * sequences)
    return Plan(steps=steps, pool=_pool(lengths, sequences, features))


def is_one_pool(lengths: np.ndarray, features: int) -> bool:
    """Whether the records of a split are few enough to be held in memory, and planned, at once."""
    return int(lengths.sum()) * features <= _POOL_VALUES


def cut(
    plan: Plan, lengths: np.ndarray, generator: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Puts a pool of sequences into batches; each sequence into exactly one.

    Args:
      plan: what a batch may hold.
      lengths: int64 [N], each at least 1.
      generator: of chance; without it, the batches come sorted, and the same every time.

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


def epoch_of(plan: Plan, lengths: np.ndarray, fixed: int | None = None) -> Epoch:
    """One epoch over sequences in the order given, without chance.

    Args:
      plan: of the batches.
      lengths: int64 [N], in the order in which they are read.
      fixed: the number of steps that every batch is padded to; None for its own longest.
    """
    batches = padded = 0
    for start in range(0, len(lengths), plan.pool):
        pool = lengths[start : start + plan.pool]
        order, bounds = cut(plan, pool)
        longest = np.maximum.reduceat(pool[order], bounds[:-1])
        batches += len(longest)
        padded += int((np.diff(bounds) * (longest if fixed is None else fixed)).sum())
    return Epoch(batches=batches, steps=int(lengths.sum()), padded_steps=padded)


def _bounds(plan: Plan, lengths: list[int]) -> list[int]:
    """Where to cut sequences of these lengths, in this order."""
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
