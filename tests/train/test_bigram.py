"""The bigrams of a category, beside a plain loop over the sequences without their padding."""

import collections
import math

import numpy as np
import pytest

from ragline.components.train.objective import bigram


def _sequences(seed: int, number: int, size: int) -> list[list[int]]:
    """Each token depends on the one before; -1 is missing."""
    random = np.random.default_rng(seed)
    follows = np.random.default_rng(7).dirichlet(np.full(size, 0.2), size)
    made = []
    for length in random.integers(1, 12, number).tolist():
        tokens = [int(random.integers(size))]
        while len(tokens) < length:
            tokens.append(int(random.choice(size, p=follows[tokens[-1]])))
        made.append([-1 if random.random() < 0.1 else token for token in tokens])
    return made


def _counted(sequences: list[list[int]], batch_size: int, padding: int) -> bigram.Pairs:
    counter = bigram.PairCounter()
    for start in range(0, len(sequences), batch_size):
        batch = sequences[start : start + batch_size]
        longest = max(map(len, batch)) + 2
        ids = np.array([[*tokens, *[padding] * (longest - len(tokens))] for tokens in batch])
        valid = np.arange(longest) < np.array([[len(tokens)] for tokens in batch])
        counter.add(ids, valid & (ids >= 0))
    return counter.pairs()


def oracle(train: list[list[int]], evaluation: list[list[int]]) -> tuple[float, float]:
    def pairs(sequences):
        for tokens in sequences:
            for before, token in zip(["first", *tokens], tokens, strict=False):
                if token >= 0:
                    yield before, token

    known, there = [*pairs(train)], [*pairs(evaluation)]
    size = max(token for _, token in known + there) + 1
    tokens = collections.Counter(token for _, token in known)
    befores = collections.Counter(before for before, _ in known)
    both = collections.Counter(known)

    def share(token):
        return (tokens[token] + 1) / (len(known) + size)

    def answer(before):
        counts = [both[before, token] for token in range(size)]
        if not any(counts):
            counts = [tokens[token] for token in range(size)]
        return counts.index(max(counts))

    entropy = [-math.log((both[b, t] + share(t)) / (befores[b] + 1)) for b, t in there]
    return float(np.mean(entropy)), float(np.mean([answer(b) == t for b, t in there]))


@pytest.mark.parametrize("most_waiting", [1, 1 << 18])
@pytest.mark.parametrize("size", [2, 5, 40])
def test_it_is_the_oracles_whatever_the_batches_and_the_padding(
    monkeypatch: pytest.MonkeyPatch, size: int, most_waiting: int
) -> None:
    monkeypatch.setattr(bigram, "_MOST_WAITING", most_waiting)
    train, evaluation = _sequences(1, 60, size), _sequences(2, 40, size)
    expected = oracle(train, evaluation)
    for batch_size, padding in ((1, 0), (7, 10**6), (100, -1)):
        pairs = [_counted(split, batch_size, padding) for split in (train, evaluation)]
        assert bigram.score(*pairs) == pytest.approx(expected, rel=1e-12)


def test_what_training_never_saw_has_the_frequencies() -> None:
    """A context of eval alone, a token of eval alone; of two equally frequent, the lower id."""
    train = _counted([[1, 0], [0, 1]], 2, 0)
    entropy, accuracy = bigram.score(train, _counted([[3, 1]], 1, 0))
    # After the first: (0 + 1/8) / (2 + 1); after 3, which training never saw: 3/8.
    assert entropy == pytest.approx(-(math.log(1 / 24) + math.log(3 / 8)) / 2, rel=1e-12)
    assert accuracy == 0.0
    assert bigram.score(train, _counted([[3, 0]], 1, 0)).accuracy == 0.5
    assert bigram.score(train, _counted([[0]], 1, 0)).accuracy == 1.0


def test_it_finds_what_follows() -> None:
    """Where the next token is certain, the frequencies know nothing and the bigram knows all."""
    sequences = [[0, 1, 2, 3] * 50] * 10
    entropy, accuracy = bigram.score(_counted(sequences, 3, 0), _counted(sequences, 4, 0))
    assert accuracy == 1.0
    assert entropy < 0.003 < math.log(4)
