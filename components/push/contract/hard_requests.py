"""Send hard requests to an encoder before it is pushed, and check its answers.

    memory         500 sequences, of which one has 5,000 steps, in one request of `encode_flat`: at
                   most a gigabyte, where padding all to the longest takes several
    unobserved     a sequence in which nothing was observed has a finite embedding, and an error of
                   NaN, never a number: 0 would be the best there is
    extreme        infinite values, and values near float32's end, have finite embeddings
    stated_length  a tf.Example whose `length` is not that of its columns has no answer

An encoder may refuse the requests of `unobserved` and `extreme`. padding_contract.py sends an empty
batch.
"""

import pathlib
import resource
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import LENGTH
from ragline.components.contract.signatures import (
    EMBEDDING,
    ENCODE,
    ENCODE_FLAT,
    EVALUATE,
    EXAMPLES,
    RECONSTRUCTION_ERROR,
    SCORE,
    SERVING_DEFAULT,
)
from ragline.components.push.contract.padding_contract import (
    EncodeExamples,
    ProbedEncoder,
    Signature,
    UnansweredError,
    Violation,
)
from ragline.components.push.contract.sequences import Probe

SEQUENCES, SHORT, LONGEST = 500, 12, 5_000
MOST_BYTES = 1_000_000_000
_STEPS = 7
_NEAR_THE_END = 3e38  # Of float32, which ends at 3.4e38.
_EXTREMES = (np.inf, -np.inf, _NEAR_THE_END, -_NEAR_THE_END)


def violations(
    signatures: Mapping[str, Signature],
    sequences: Sequence[Probe],
    encode_examples: EncodeExamples | None = None,
) -> list[Violation]:
    """Send each request to its signatures; arguments as of `applicable`."""
    encoder = ProbedEncoder(signatures, sequences, encode_examples)
    return [
        violation
        for clause, names in applicable(signatures, sequences, encode_examples).items()
        for name in names
        for violation in _CLAUSES[clause][0](encoder, name)
    ]


def applicable(
    signatures: Mapping[str, Signature],
    sequences: Sequence[Probe],
    encode_examples: EncodeExamples | None = None,
) -> dict[str, list[str]]:
    """Return the clauses that `violations` checks, each with the signatures that it is checked on.

    Args:
      signatures: name -> function of keyword arrays, as `padding_contract.violations` takes them.
      sequences: like those that the model is for; at least one.
      encode_examples: sequences -> serialised tf.Examples; without it, signatures of tf.Examples
        are left out.
    """
    encoder = ProbedEncoder(signatures, sequences, encode_examples)
    clauses = {clause: encoder.those_of(names) for clause, (_, names) in _CLAUSES.items()}
    return {clause: names for clause, names in clauses.items() if names}


def _memory(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    lengths = [SHORT] * (SEQUENCES - 1) + [LONGEST]
    request = [_of_length(encoder.sequences[-1], length) for length in lengths]
    where = f"{name}, {SEQUENCES} sequences, one of {LONGEST} steps"
    before = peak_from_now()
    try:
        encoder.answer(name, request)
    except UnansweredError as error:
        yield Violation("memory", where, float("nan"), f"an answer, received {error}")
        return
    taken = peak() - before
    if taken > MOST_BYTES:
        yield Violation("memory", where, float(taken), f"at most {MOST_BYTES:,} bytes of memory")


def _of_length(probe: Probe, steps: int) -> Probe:
    """Return a sequence of so many steps, which repeats those of a probe."""
    return Probe(
        values=np.resize(probe.values, (steps, probe.values.shape[1])),
        words={key: np.resize(column, steps) for key, column in probe.words.items()},
    )


def peak_from_now() -> int:
    """Reset the peak of this process's memory, where the kernel can; return it."""
    with suppress(OSError):
        pathlib.Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    return peak()


def peak() -> int:
    """Return the peak of this process's memory, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _unobserved(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    answers = _answers_to(encoder, name, float("nan"))
    where = f"{name}.{{}}, of a sequence in which nothing was observed"
    yield from _finite("unobserved", where, answers)
    errors = answers.get(RECONSTRUCTION_ERROR, np.array([]))
    for figure in errors[:1][~np.isnan(errors[:1])]:
        expected = "NaN, or no answer"
        yield Violation("unobserved", where.format(RECONSTRUCTION_ERROR), float(figure), expected)


def _extreme(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    for number in _EXTREMES:
        where = f"{name}.{{}}, of a sequence with values of {number:g}"
        yield from _finite("extreme", where, _answers_to(encoder, name, number))


def _finite(clause: str, where: str, answers: Mapping[str, np.ndarray]) -> Iterator[Violation]:
    share = float(np.mean(np.isfinite(answers.get(EMBEDDING, np.zeros(1)))))
    if share != 1.0:
        expected = "a finite share of exactly 1, or no answer"
        yield Violation(clause, where.format(EMBEDDING), share, expected)


def _answers_to(encoder: ProbedEncoder, name: str, number: float) -> Mapping[str, np.ndarray]:
    """Return the answers to a sequence of a number and a probe beside it; empty if refused.

    NaN is all of that sequence, another number each feature once, at a step of its own.
    """
    sequence = _of_length(encoder.sequences[0], _STEPS)
    if np.isnan(number):
        sequence.values[:] = number
    else:
        features = np.arange(sequence.values.shape[1])
        sequence.values[features % _STEPS, features] = number
    try:
        return encoder.answer(name, [sequence, encoder.sequences[-1]])
    except UnansweredError:
        return {}


def _stated_length(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    if not encoder.encode_examples:
        return
    [record] = encoder.encode_examples([encoder.sequences[0]])
    example = tf.train.Example.FromString(record)
    example.features.feature[LENGTH].int64_list.value.append(len(encoder.sequences[0]) + 1)
    try:
        encoder.signatures[name](**{EXAMPLES: np.array([example.SerializeToString()], object)})
    except UnansweredError:
        return
    where = f"{name}, of a tf.Example that states another length than its columns have"
    yield Violation("stated_length", where, 1.0, "no answer")


_OF_ALL = (ENCODE, SCORE, ENCODE_FLAT, SERVING_DEFAULT)
# Each clause, and the signatures that it is about.
_CLAUSES: Mapping[
    str, tuple[Callable[[ProbedEncoder, str], Iterator[Violation]], tuple[str, ...]]
] = {
    "memory": (_memory, (ENCODE_FLAT,)),
    "unobserved": (_unobserved, _OF_ALL),
    "extreme": (_extreme, _OF_ALL),
    "stated_length": (_stated_length, (SERVING_DEFAULT, EVALUATE)),
}
