"""The padding contract of an encoder, as one function that returns every violation with its figure.

    content    what stands in padding (0, 1e30, NaN, Inf) changes no output: difference exactly 0
    extra      more padding changes no output
    alone      a sequence alone and in a batch gets the same output: difference <= 1e-6
    zero_step  a true all-zero step counts: without it, the embedding is another one
    signature  every signature gives the same embedding
    finite     every output is finite
    empty      an empty batch gives an empty answer

It needs NumPy, and functions that answer like the signatures of an exported encoder; it knows no
other part of ragline.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from components.sequence import LENGTH, VALUES
from components.signatures import (
    EMBEDDING,
    ENCODE,
    ENCODE_FLAT,
    EXAMPLES,
    ROW_LENGTHS,
    SCORE,
    SERVING_DEFAULT,
)

TOLERANCE = 1e-6
FILLS = (1e30, -1e30, float("nan"), float("inf"), float("-inf"))
_EXTRA_STEPS = 57

Outputs = Mapping[str, np.ndarray]
Signature = Callable[..., Outputs]


class Violation(NamedTuple):
    """A clause that does not hold.

    Attributes:
      clause: its name in this module's contract.
      signature: which signature.
      figure: what was measured.
      expected: what was expected of it.
    """

    clause: str
    signature: str
    figure: float
    expected: str

    def __str__(self) -> str:
        return f"{self.clause}: {self.signature}: {self.figure:.3g}, expected {self.expected}"


def violations(
    signatures: Mapping[str, Signature],
    sequences: Sequence[np.ndarray],
    encode_examples: Callable[[Sequence[np.ndarray]], np.ndarray],
) -> list[Violation]:
    """Checks every clause on every signature.

    Args:
      signatures: name -> function of keyword arrays, as the encoder's signatures are.
      sequences: float32 [T, F] each, raw values like those that the model is for; at least two, of
        different lengths, one with at least two steps.
      encode_examples: sequences -> serialised tf.Examples, for `serving_default`.

    Returns:
      The violations; none if the contract holds.
    """
    found: list[Violation] = []
    for name in (ENCODE, SCORE):
        found += _padded(name, signatures[name], sequences)
    found += _alone(signatures[ENCODE], sequences)
    found += _zero_step(signatures[ENCODE], sequences)
    found += _agreement(signatures, sequences, encode_examples)
    found += _empty(signatures, sequences[0].shape[1])
    return found


def pad(
    sequences: Sequence[np.ndarray], *, fill: float = 0.0, extra: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences [T, F] -> values float32 [B, max T + extra, F] and length int64 [B]."""
    length = np.array([len(sequence) for sequence in sequences], np.int64)
    shape = (len(sequences), length.max() + extra, sequences[0].shape[1])
    values = np.full(shape, fill, np.float32)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return values, length


def _call(
    signature: Signature, sequences: Sequence[np.ndarray], *, fill: float = 0.0, extra: int = 0
) -> Outputs:
    values, length = pad(sequences, fill=fill, extra=extra)
    return signature(**{VALUES: values, LENGTH: length})


def _padded(
    name: str, signature: Signature, sequences: Sequence[np.ndarray]
) -> Iterator[Violation]:
    plain = _call(signature, sequences)
    for output, values in plain.items():
        if not np.isfinite(values).all():
            figure = float(np.mean(np.isfinite(values)))
            yield Violation("finite", f"{name}.{output}", figure, "a finite share of exactly 1")
    zeros = _call(signature, sequences, extra=1)
    for fill in FILLS:
        filled = _call(signature, sequences, fill=fill, extra=1)
        for output, figure in _differences(zeros, filled):
            if figure != 0.0:  # A NaN is not 0 either.
                where = f"{name}.{output}, padding of {fill}"
                yield Violation("content", where, figure, "a difference of exactly 0")
    for output, figure in _differences(plain, _call(signature, sequences, extra=_EXTRA_STEPS)):
        if not figure <= TOLERANCE:
            where = f"{name}.{output}, {_EXTRA_STEPS} more padded steps"
            yield Violation("extra", where, figure, f"a difference <= {TOLERANCE}")


def _alone(encode: Signature, sequences: Sequence[np.ndarray]) -> Iterator[Violation]:
    together = _call(encode, sequences)[EMBEDDING]
    alone = np.concatenate([_call(encode, [sequence])[EMBEDDING] for sequence in sequences])
    figure = _difference(together, alone)
    if not figure <= TOLERANCE:
        where = f"{ENCODE}.{EMBEDDING}, a batch of 1 and of {len(sequences)}"
        yield Violation("alone", where, figure, f"a difference <= {TOLERANCE}")


def _zero_step(encode: Signature, sequences: Sequence[np.ndarray]) -> Iterator[Violation]:
    longest = max(sequences, key=len)
    with_zeros = np.insert(longest, len(longest) // 2, 0.0, axis=0)
    embeddings = _call(encode, [longest, with_zeros])[EMBEDDING]
    figure = _difference(embeddings[0], embeddings[1])
    if not figure > 0.0:
        yield Violation("zero_step", f"{ENCODE}.{EMBEDDING}", figure, "a difference above 0")


def _agreement(
    signatures: Mapping[str, Signature],
    sequences: Sequence[np.ndarray],
    encode_examples: Callable[[Sequence[np.ndarray]], np.ndarray],
) -> Iterator[Violation]:
    expected = _call(signatures[ENCODE], sequences)[EMBEDDING]
    row_lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    others = {
        ENCODE_FLAT: {VALUES: np.concatenate(sequences), ROW_LENGTHS: row_lengths},
        SERVING_DEFAULT: {EXAMPLES: encode_examples(sequences)},
    }
    for name, inputs in others.items():
        figure = _difference(expected, signatures[name](**inputs)[EMBEDDING])
        if not figure <= TOLERANCE:
            where = f"{name}.{EMBEDDING}, against {ENCODE}"
            yield Violation("signature", where, figure, f"a difference <= {TOLERANCE}")


def _empty(signatures: Mapping[str, Signature], features: int) -> Iterator[Violation]:
    nothing = np.zeros(0, np.int64)
    inputs = {
        ENCODE: {VALUES: np.zeros((0, 3, features), np.float32), LENGTH: nothing},
        ENCODE_FLAT: {VALUES: np.zeros((0, features), np.float32), ROW_LENGTHS: nothing},
        SERVING_DEFAULT: {EXAMPLES: np.zeros(0, object)},
    }
    for name, arguments in inputs.items():
        rows = len(signatures[name](**arguments)[EMBEDDING])
        if rows:
            yield Violation("empty", f"{name}.{EMBEDDING}", float(rows), "0 rows")


def _differences(one: Outputs, other: Outputs) -> Iterator[tuple[str, float]]:
    for output in one:
        yield output, _difference(one[output], other[output])


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """max |one - other|; NaN, which no comparison lets pass, if either is not finite."""
    return float(np.max(np.abs(one.astype(np.float64) - other.astype(np.float64))))
