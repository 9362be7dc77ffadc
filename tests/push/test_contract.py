"""The contract finds each fault on its own, in encoders of a few lines of NumPy."""

import numpy as np
import pytest

from components.push import contract, probes

F, E = 3, 2
WEIGHTS = np.random.default_rng(0).normal(size=(F, E))
SEQUENCES = [
    np.random.default_rng(length).normal(size=(length, F)).astype(np.float32)
    for length in (1, 4, 6, 11)
]


def _one(sequence: np.ndarray) -> np.ndarray:
    """A sound encoder of one sequence [T, F]: an order-dependent summary of its valid steps."""
    ages = 1.0 + np.arange(len(sequence))[:, np.newaxis]
    return np.sin((sequence / ages).sum(axis=0) @ WEIGHTS + len(sequence)).astype(np.float32)


def _rows(sequences) -> np.ndarray:
    return np.stack([_one(s) for s in sequences]) if sequences else np.zeros((0, E), np.float32)


def _decode(examples) -> list[np.ndarray]:
    return probes.decode(examples, ["a", "b", "c"])


def _encode_examples(sequences) -> np.ndarray:
    return probes.encode(sequences, ["a", "b", "c"])


def _signatures(encode=None, flat=None, serving=None, error=None):
    """A sound encoder's signatures, one of them replaced."""

    def sound(values, length):
        rows = _rows([row[:t] for row, t in zip(values, length, strict=True)])
        return {"embedding": rows}

    encode = encode or sound

    def score(values, length):
        rows = encode(values, length)
        return {**rows, "reconstruction_error": (error or np.ones)(len(length))}

    def encode_flat(values, row_lengths):
        parts = np.split(values, np.cumsum(row_lengths)[:-1]) if len(row_lengths) else []
        return {"embedding": _rows(parts)}

    def serving_default(examples):
        return {"embedding": _rows(_decode(examples))}

    return {
        "encode": encode,
        "score": score,
        "encode_flat": flat or encode_flat,
        "serving_default": serving or serving_default,
    }


def _clauses(signatures) -> set[str]:
    found = contract.violations(signatures, SEQUENCES, _encode_examples)
    return {violation.clause for violation in found}


def test_a_sound_encoder_violates_nothing():
    assert contract.violations(_signatures(), SEQUENCES, _encode_examples) == []


def _reads_padding(values, length):
    return {"embedding": np.tanh(values.sum(axis=1) @ WEIGHTS).astype(np.float32)}


def _multiplies_by_the_mask(values, length):
    mask = np.arange(values.shape[1]) < length[:, np.newaxis]
    return _reads_padding(values * mask[..., np.newaxis], length)


def _divides_by_all_steps(values, length):
    mask = np.arange(values.shape[1]) < length[:, np.newaxis]
    kept = np.where(mask[..., np.newaxis], values, 0.0)
    return {"embedding": (kept.mean(axis=1) @ WEIGHTS).astype(np.float32)}


def _compares_with_the_batch(values, length):
    rows = _signatures()["encode"](values, length)["embedding"]
    return {"embedding": rows - rows.mean(axis=0)}


def _takes_zero_steps_for_padding(values, length):
    rows = [row[:t] for row, t in zip(values, length, strict=True)]
    return {"embedding": _rows([row[(row != 0).any(axis=1)] for row in rows])}


def _is_not_finite_for_long_sequences(values, length):
    rows = _signatures()["encode"](values, length)["embedding"]
    return {"embedding": np.where(length[:, np.newaxis] > 10, np.nan, rows)}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("encode", "clause"),
    [
        (_reads_padding, "content"),
        (_multiplies_by_the_mask, "content"),
        (_divides_by_all_steps, "extra"),
        (_divides_by_all_steps, "alone"),
        (_compares_with_the_batch, "alone"),
        (_takes_zero_steps_for_padding, "zero_step"),
        (_is_not_finite_for_long_sequences, "finite"),
    ],
)
def test_a_fault_is_found_by_its_clause(encode, clause):
    assert clause in _clauses(_signatures(encode=encode))


def test_score_is_held_to_the_same_padding_rules():
    clauses = _clauses(_signatures(error=lambda n: np.full(n, np.nan)))
    assert clauses == {"finite", "content", "extra"}


def test_signatures_that_disagree_are_found():
    def other(values, row_lengths):
        return {"embedding": _signatures()["encode_flat"](values, row_lengths)["embedding"] + 1e-5}

    def wrong(examples):
        return {"embedding": _rows(_decode(examples))[::-1]}

    assert _clauses(_signatures(flat=other)) == {"signature"}
    assert _clauses(_signatures(serving=wrong)) == {"signature"}


def test_an_empty_batch_must_give_an_empty_answer():
    def never_empty(values, row_lengths):
        rows = _signatures()["encode_flat"](values, row_lengths)["embedding"]
        return {"embedding": rows if len(rows) else np.zeros((1, E), np.float32)}

    assert _clauses(_signatures(flat=never_empty)) == {"empty"}


def test_a_violation_names_its_figure():
    [violation, *_] = contract.violations(
        _signatures(encode=_divides_by_all_steps), SEQUENCES, _encode_examples
    )
    assert str(violation).startswith("extra: encode.embedding, 57 more padded steps: 0.")
    assert str(violation).endswith("expected a difference <= 1e-06")


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [1, 1], list(range(1, 60))])
def test_probes_always_give_a_batch_with_padding(lengths):
    chosen = probes.choose([np.ones((length, F), np.float32) for length in lengths])
    found = [len(sequence) for sequence in chosen]
    assert 2 <= len(found) <= 16
    assert min(found) < max(found)
    assert {min(lengths), max(lengths)} <= set(found)


def test_probes_survive_the_way_through_examples():
    for sequence, decoded in zip(SEQUENCES, _decode(_encode_examples(SEQUENCES)), strict=True):
        np.testing.assert_array_equal(decoded, sequence)
