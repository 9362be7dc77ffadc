"""Measure the bigram of a category: each token from the one before it, by counts of training.

    p(b | a) = (count(a, b) + p(b)) / (count(a) + 1)
    p(b)     = (count(b) + 1) / (all counts + number of tokens)

The frequencies p(b) weigh as much as one more pair, so that a pair that training never saw has a
finite cross-entropy (MacKay and Peto 1995, "A hierarchical Dirichlet language model"). Counted are
valid steps whose token is not missing. Before the first step of a sequence stands a token of its
own, and so it does for a missing token.

A bigram reads the true token of the step before, which no embedding holds: like the last value of
the numbers it is shown beside the model, and is no rival.
"""

from typing import NamedTuple

import numpy as np

_FIRST, _MISSING, _TOKENS = 0, 1, 2  # What stands before a step; then the token ids, each plus 2.
_BITS = 32
# Steps that are sorted at once, so that many batches cost as much as one.
_MOST_WAITING = 1 << 18


class Pairs(NamedTuple):
    """Holds how often each token follows another.

    Attributes:
      key: int64 [N], sorted and distinct: what stands before, times 2^32, plus the token id.
      number: int64 [N], above 0.
    """

    key: np.ndarray
    number: np.ndarray

    @property
    def before(self) -> np.ndarray:
        """Return what stands before, int64 [N]."""
        return self.key >> _BITS

    @property
    def token(self) -> np.ndarray:
        """Return the token ids, int64 [N]."""
        return self.key & ((1 << _BITS) - 1)


class Bigram(NamedTuple):
    """Holds what the bigrams of training reach on the eval split.

    Attributes:
      cross_entropy: mean over the tokens of -log p(b | a), in nats.
      accuracy: share of the tokens that most often follow the one before; where training never saw
        that one, the most frequent token of all counts.
    """

    cross_entropy: float
    accuracy: float


class PairCounter:
    """Counts the pairs of batches."""

    def __init__(self) -> None:
        """Start at no pairs."""
        self._pairs = Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
        self._waiting: list[np.ndarray] = []
        self._number = 0

    def add(self, token_ids: np.ndarray, counted: np.ndarray) -> None:
        """Add the pairs of a batch.

        Args:
          token_ids: int64 [B, T]; negative where the token is missing, anything in the padding.
          counted: bool [B, T], valid steps whose token is not missing.
        """
        before = np.full(token_ids.shape, _FIRST, np.int64)
        # A step that counts is valid, and so is the one before it.
        before[:, 1:] = np.where(token_ids[:, :-1] < 0, _MISSING, token_ids[:, :-1] + _TOKENS)
        self._waiting.append((before[counted] << _BITS) + token_ids[counted])
        self._number += len(self._waiting[-1])
        if self._number > max(_MOST_WAITING, len(self._pairs.key)):
            self.pairs()

    def pairs(self) -> Pairs:
        """Return the pairs of all batches."""
        keys = np.concatenate([self._pairs.key, *self._waiting])
        counts = np.concatenate([self._pairs.number, np.ones(self._number, np.int64)])
        key, places = np.unique(keys, return_inverse=True)
        count = np.zeros(len(key), np.int64)
        np.add.at(count, places, counts)
        self._pairs, self._waiting, self._number = Pairs(key, count), [], 0
        return self._pairs


def score(train: Pairs, evaluation: Pairs) -> Bigram:
    """Score the pairs of eval by those of training; both hold at least one."""
    size = int(max(train.token.max(), evaluation.token.max())) + 1
    counts = np.bincount(train.token, train.number, size)
    frequency = (counts + 1.0) / (counts.sum() + size)
    states = int(max(train.before.max(), evaluation.before.max())) + 1
    of_before = np.bincount(train.before, train.number, states)
    of_pair = _counts(train, evaluation.key)
    token, before = evaluation.token, evaluation.before
    probability = (of_pair + frequency[token]) / (of_before[before] + 1.0)

    answer = np.full(states, counts.argmax(), np.int64)
    # Of equally frequent tokens the lowest id, which is written last.
    order = np.lexsort([-train.token, train.number])
    answer[train.before[order]] = train.token[order]
    total = evaluation.number.sum()
    return Bigram(
        cross_entropy=float(-np.sum(evaluation.number * np.log(probability)) / total),
        accuracy=float(np.sum(evaluation.number[answer[before] == token]) / total),
    )


def _counts(pairs: Pairs, key: np.ndarray) -> np.ndarray:
    """Return how often each key occurs in pairs, 0 where it does not."""
    places = np.minimum(np.searchsorted(pairs.key, key), len(pairs.key) - 1)
    return np.where(pairs.key[places] == key, pairs.number[places], 0)
