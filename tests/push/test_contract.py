"""The contract finds each fault on its own, in encoders of a few lines of NumPy."""

import numpy as np
import pytest

from ragline.components.contract.columns import Category
from ragline.components.push.contract import padding_contract, probes
from ragline.components.push.contract.sequences import Probe

F, E = 3, 2
WEIGHTS = np.random.default_rng(0).normal(size=(F, E))
SEQUENCES = [
    Probe(values=np.random.default_rng(length).normal(size=(length, F)).astype(np.float32))
    for length in (1, 4, 6, 11)
]


def _one(sequence: np.ndarray) -> np.ndarray:
    """A sound encoder of one sequence [T, F]: an order-dependent summary of its valid steps."""
    ages = 1.0 + np.arange(len(sequence))[:, np.newaxis]
    return np.sin((sequence / ages).sum(axis=0) @ WEIGHTS + len(sequence)).astype(np.float32)


def _rows(sequences) -> np.ndarray:
    return np.stack([_one(s) for s in sequences]) if sequences else np.zeros((0, E), np.float32)


def _decode(examples) -> list[np.ndarray]:
    return [probe.values for probe in probes.decode(examples, ["a", "b", "c"])]


def _encode_examples(sequences) -> np.ndarray:
    return probes.encode(sequences, ["a", "b", "c"])


def _valid(values, length) -> list[np.ndarray]:
    return [row[:t] for row, t in zip(values, length, strict=True)]


def _signatures(encode=None, flat=None, serving=None, error=None, evaluate=None):
    """A sound encoder's signatures, one of them replaced."""

    def sound(values, length):
        return {"embedding": _rows(_valid(values, length))}

    encode = encode or sound

    def score(values, length):
        rows = encode(values, length)
        return {**rows, "reconstruction_error": (error or np.ones)(len(length))}

    def encode_flat(values, row_lengths):
        parts = np.split(values, np.cumsum(row_lengths)[:-1]) if len(row_lengths) else []
        return {"embedding": _rows(parts)}

    def serving_default(examples):
        return {"embedding": _rows(_decode(examples))}

    def sums(examples):
        squares = [float(np.square(s, dtype=np.float64).sum()) for s in _decode(examples)]
        return {"squares": np.array(squares, np.float64)}

    return {
        "encode": encode,
        "score": score,
        "encode_flat": flat or encode_flat,
        "serving_default": serving or serving_default,
        "evaluate": evaluate or sums,
    }


def _clauses(signatures) -> set[str]:
    violations = padding_contract.violations(signatures, SEQUENCES, _encode_examples)
    return {violation.clause for violation in violations}


def test_a_sound_encoder_violates_nothing():
    assert padding_contract.violations(_signatures(), SEQUENCES, _encode_examples) == []


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
    rows = _valid(values, length)
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
    assert clauses == {"finite", "content", "extra", "alone"}


def test_signatures_that_disagree_are_found():
    def other(values, row_lengths):
        return {"embedding": _signatures()["encode_flat"](values, row_lengths)["embedding"] + 1e-5}

    def wrong(examples):
        return {"embedding": _rows(_decode(examples))[::-1]}

    assert _clauses(_signatures(flat=other)) == {"signature"}
    assert _clauses(_signatures(serving=wrong)) == {"signature", "alone"}


def test_what_score_returns_as_the_embedding_is_compared_too():
    def score(values, length):
        return {"embedding": _rows(_valid(values, length)) + 1e-5}

    assert _clauses({**_signatures(), "score": score}) == {"signature"}


def test_an_empty_batch_must_give_an_empty_answer():
    def never_empty(values, row_lengths):
        rows = _signatures()["encode_flat"](values, row_lengths)["embedding"]
        return {"embedding": rows if len(rows) else np.zeros((1, E), np.float32)}

    assert _clauses(_signatures(flat=never_empty)) == {"empty"}


def test_a_violation_names_its_figure():
    [violation, *_] = padding_contract.violations(
        _signatures(encode=_divides_by_all_steps), SEQUENCES, _encode_examples
    )
    assert str(violation).startswith("extra: encode.embedding, 57 more padded steps: 0.")
    assert str(violation).endswith("expected a difference <= 1e-06")


# What `encode` alone must keep, and what comes with other signatures.


def _encode_only(encode) -> list[padding_contract.Violation]:
    return padding_contract.violations({"encode": encode}, SEQUENCES)


def test_an_encoder_needs_no_signature_but_encode():
    encode = _signatures()["encode"]
    assert _encode_only(encode) == []
    assert padding_contract.applicable({"encode": encode}, SEQUENCES) == {
        clause: ["encode"]
        for clause in ("finite", "content", "extra", "alone", "zero_step", "empty")
    }


def test_each_signature_that_is_there_is_held_to_what_it_can_keep():
    every = ["encode", "score", "encode_flat", "serving_default", "evaluate"]
    assert padding_contract.applicable(_signatures(), SEQUENCES, _encode_examples) == {
        "finite": every,
        "content": ["encode", "score"],
        "extra": ["encode", "score"],
        "alone": every,
        "zero_step": ["encode"],
        "signature": ["score", "encode_flat", "serving_default"],
        "empty": every,
    }


def test_without_examples_the_signatures_that_read_them_are_left_out():
    def fails(examples):
        raise padding_contract.UnansweredError("no examples here")

    signatures = _signatures(serving=fails, evaluate=fails)
    assert padding_contract.violations(signatures, SEQUENCES) == []
    assert _clauses(signatures) == {"finite", "alone", "signature", "empty"}


@pytest.mark.parametrize(
    ("evaluate", "clause"),
    [
        (lambda examples: {"sums": np.full(len(examples), np.inf)}, "finite"),
        (lambda examples: {"sums": np.full(len(examples), 1.0 / max(len(examples), 1))}, "alone"),
        (lambda examples: {"sums": np.ones(max(len(examples), 1))}, "empty"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fault_of_evaluate_is_found(evaluate, clause):
    assert clause in _clauses(_signatures(evaluate=evaluate))


def test_a_signature_that_does_not_answer_is_a_violation_of_its_own():
    def refuses(values, length):
        if not np.isfinite(values).all():
            raise padding_contract.UnansweredError("InvalidArgumentError: not finite")
        return _signatures()["encode"](values, length)

    [violation] = _encode_only(refuses)
    assert str(violation) == (
        "content: encode: nan, expected an answer, received InvalidArgumentError: not finite"
    )


def test_an_answer_of_another_shape_is_no_answer_of_the_same():
    def a_row_too_many(values, row_lengths):
        rows = _signatures()["encode_flat"](values, row_lengths)["embedding"]
        return {"embedding": np.concatenate([rows, rows[:1]])}

    assert _clauses(_signatures(flat=a_row_too_many)) == {"alone", "signature"}


# The steps that count.


def _running(values, length, standardise=lambda row: row, mask=lambda row: slice(None), decay=0.5):
    """A recurrent encoder, sound but for its mask: each state is tanh(decay * last + step)."""
    rows = []
    for row in map(standardise, _valid(values, length)):
        state = np.zeros(E)
        for step in row[mask(row)]:
            state = np.tanh(decay * state + step @ WEIGHTS + 0.1)
        rows.append(state)
    return {"embedding": np.array(rows, np.float32).reshape(-1, E)}


def _standardise(row):
    """With a mean of 2 and 0.1; what is missing is 0 after it, as Transform has it."""
    return np.where(np.isnan(row), 0.0, (row - np.array([2.0, 0.1, -1.0])) / 3.0)


def _not_zero(row):
    return (row != 0).any(axis=1)


def _up_to_the_last_that_is_not_zero(row):
    return slice(np.flatnonzero(_not_zero(row)).max(initial=-1) + 1)


def _clauses_of_running(**parts) -> tuple[set[str], bool]:
    """The clauses that are violated, and whether missing_step was checked."""

    def encode(values, length):
        return _running(values, length, **parts)

    checked = padding_contract.applicable({"encode": encode}, SEQUENCES)
    return {violation.clause for violation in _encode_only(encode)}, "missing_step" in checked


def test_an_encoder_to_which_nan_is_not_missing_is_not_asked_about_missing_steps():
    assert _clauses_of_running() == (set(), False)

    def refuses(row):
        if np.isnan(row).any():
            raise padding_contract.UnansweredError("NaN")
        return row

    assert _clauses_of_running(standardise=refuses) == (set(), False)


def test_an_encoder_that_takes_nan_for_missing_counts_missing_steps():
    assert _clauses_of_running(standardise=_standardise) == (set(), True)


@pytest.mark.parametrize("mask", [_not_zero, _up_to_the_last_that_is_not_zero])
def test_a_mask_inferred_from_values_is_found(mask):
    """Behind standardisation a step of zeros is none to the mask; one with nothing observed is."""
    assert _clauses_of_running(mask=mask) == ({"zero_step"}, False)
    assert _clauses_of_running(mask=mask, standardise=_standardise) == ({"missing_step"}, True)


def test_a_dropped_step_is_found_though_rounding_differs():
    """In another batch, or at another T, the same sum may be rounded in another way."""

    def encode(values, length):
        rounded = _running(values, length, mask=_not_zero)["embedding"]
        return {"embedding": rounded + np.float32(1e-8) * length[:, np.newaxis]}

    assert [violation.clause for violation in _encode_only(encode)] == ["zero_step"]


def test_a_recurrent_encoder_may_forget():
    """In float32, a step in the middle of the longest sequence then changes nothing."""
    assert _clauses_of_running(decay=1e-4) == (set(), False)


def test_numbers_beyond_1_are_compared_with_the_digits_that_float32_has():
    def large(values, length, error):
        rows = _signatures()["encode"](values, length)["embedding"] * 1e4
        return {"embedding": rows + np.float32(error * len(rows))}

    assert _encode_only(lambda **inputs: large(**inputs, error=1e-4)) == []
    [violation] = _encode_only(lambda **inputs: large(**inputs, error=1e-1))
    assert violation.clause == "alone"


# Categories.

CATEGORIES = [Category(name="concept:name", kind="bytes"), Category(name="code", kind="int")]
CODES = {b"a": 0, b"b": 1, b"c": 2, b"": -1}
WORDED = [
    Probe(
        values=sequence.values,
        words={
            "concept_name": np.array([b"a", b"b", b"", b"a"] * 3, object)[: len(sequence)],
            "code": np.arange(len(sequence)) % 3,
        },
    )
    for sequence in SEQUENCES
]


def _reads_words(values, length, keep=None, padding=False, **words):
    """Sound, but for the steps that it does not keep, and for what it may read of the padding."""
    texts, codes = words["concept_name"], words["code"]
    rows = []
    for row, steps in enumerate(length):
        shown = slice(None) if padding else slice(steps)
        code = np.array([CODES.get(word, 3) for word in texts[row, shown]])
        inputs = np.stack([code, np.sin(codes[row, shown]), 0.0 * code], axis=1)
        inputs[:steps] += values[row, :steps]
        rows.append(_one(inputs[keep(code)] if keep else inputs))
    return {"embedding": np.array(rows, np.float32).reshape(-1, E)}


def _violations_of_words(**faults) -> list[padding_contract.Violation]:
    def encode(**inputs):
        return _reads_words(**inputs, **faults)

    return padding_contract.violations({"encode": encode}, WORDED)


def test_an_encoder_that_reads_words_is_held_to_the_same_rules():
    assert _violations_of_words() == []
    checked = padding_contract.applicable({"encode": _reads_words}, WORDED)
    assert set(checked) == {"finite", "content", "extra", "alone", "zero_step", "word", "empty"}


def test_a_code_of_0_that_is_taken_for_padding_is_found():
    """Of the words tried, the one that has it is named."""
    violations = _violations_of_words(keep=lambda codes: codes != 0)
    [violation] = [each for each in violations if each.clause == "word"]
    assert violation.signature == "encode.embedding, one more step of concept_name b'a'"
    assert violation.figure == 0.0


def test_words_read_from_the_padding_are_found():
    violations = _violations_of_words(padding=True)
    assert {violation.clause for violation in violations} == {"content", "extra", "alone"}
    told = "encode.embedding, padding of 1e+30, concept_name b'a', code 0"
    assert (violations[0].clause, violations[0].signature) == ("content", told)


def test_probes_with_words_survive_the_way_through_examples_and_files(tmp_path):
    names = ["a", "b", "c"]
    decoded = probes.decode(probes.encode(WORDED, names, CATEGORIES), names, CATEGORIES)
    probes.save(tmp_path / "probes.npz", WORDED, names, CATEGORIES)
    loaded, *told = probes.load(tmp_path / "probes.npz")
    assert told == [names, CATEGORIES]
    for again in (decoded, loaded):
        for one, other in zip(WORDED, again, strict=True):
            np.testing.assert_array_equal(other.values, one.values)
            for key, words in one.words.items():
                assert other.words[key].tolist() == words.tolist()
                assert other.words[key].dtype == words.dtype


def test_words_are_drawn_from_what_is_known():
    activity, code = CATEGORIES
    assert probes.words_to_draw(activity, [b"x", b"y"]).tolist() == [b"x", b"y", b""]
    assert probes.words_to_draw(code, [b"-7", b"0"]).tolist() == [-7, 0]
    drawn = {one.key: probes.words_to_draw(one, []) for one in CATEGORIES}
    made = probes.make([0.0], [1.0], drawn)
    for key, known in drawn.items():
        words = np.concatenate([probe.words[key] for probe in made])
        assert set(words.tolist()) == set(known.tolist())


@pytest.mark.parametrize("lengths", [[5], [5, 5, 5], [1, 1], list(range(1, 60))])
def test_probes_always_give_a_batch_with_padding(lengths):
    chosen = probes.choose([Probe(values=np.ones((length, F), np.float32)) for length in lengths])
    lengths_of_probes = [len(sequence) for sequence in chosen]
    assert 2 <= len(lengths_of_probes) <= 16
    assert min(lengths_of_probes) < max(lengths_of_probes)
    assert {min(lengths), max(lengths)} <= set(lengths_of_probes)


def test_probes_survive_the_way_through_examples():
    for sequence, decoded in zip(SEQUENCES, _decode(_encode_examples(SEQUENCES)), strict=True):
        np.testing.assert_array_equal(decoded, sequence.values)


def test_made_probes_are_as_wide_as_the_facts_say():
    statistics = [50.0, 7.0, None], [4.0, 0.0, 0.0]
    made = probes.make(*statistics)
    assert [len(sequence) for sequence in made] == [1, 2, 3, 5, 8, 13, 21, 34, 55, 89]
    rows = np.concatenate([probe.values for probe in made])
    assert rows.dtype == np.float32
    assert rows[:, 0].mean() == pytest.approx(50.0, abs=1.0)
    assert rows[:, 0].std() == pytest.approx(4.0, rel=0.2)
    assert (rows[:, 1] == 7.0).all()
    assert np.isnan(rows[:, 2]).all()
    for one, other in zip(made, probes.make(*statistics), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
