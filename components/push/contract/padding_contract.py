"""Check the padding contract of an encoder: return every violation, with its figure.

    finite        every output is finite
    content       what stands in padding (0, 1e30, NaN, Inf; a word known or unknown, any integer)
                  changes no output: difference exactly 0
    extra         more padding changes no output
    alone         a sequence alone and in a batch gets the same output
    zero_step     a valid step that is 0 throughout counts: without it, the embedding is another one
    missing_step  so does a valid step in which nothing was observed, where NaN means missing
    word          and one of any word, of an encoder that has categories
    signature     every signature gives the same embedding
    empty         an empty batch gives an empty answer

The same is a difference <= 1e-6; of a sequence's numbers beyond 1, <= 1e-6 of the largest, since
float32 holds seven digits. A step counts if one more of it, in the middle and at the end, makes a
larger difference to some sequence; not to each, since a recurrent encoder may forget. It is added
where there is no padding, so that a fault in the padding is not taken for one in the step.

`zero_step` is about raw values. `missing_step` is about what a model sees behind standardisation:
what is missing is exactly 0 there, and a mask inferred from values (Keras's `Masking(0.0)`) takes
such a step for padding. A step of the features' means will not do in its place: rounded to float32,
they have z-scores that are not exactly 0. An encoder whose embedding is not finite after such a
step, or that refuses it, does not take NaN for missing; the clause does not apply to it.

`word` is about codes. A step whose word has the code 0 is padding to a mask inferred from codes
(Keras's `Embedding(mask_zero=True)`). Which word that is, is not known here; of the most frequent
it is likely. In the added steps of the other clauses, words are those of the step beside.

It needs NumPy, and functions that answer like the signatures of an exported encoder; it knows no
other part of ragline. Only `encode` must be there.
"""

import collections
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ragline.components.contract.signatures import (
    EMBEDDING,
    ENCODE,
    ENCODE_FLAT,
    EVALUATE,
    EXAMPLES,
    SCORE,
    SERVING_DEFAULT,
)
from ragline.components.push.contract.sequences import (
    ZEROS,
    Content,
    Probe,
    Word,
    concatenate,
    pad,
    with_step,
)

TOLERANCE = 1e-6
# None is a word that the encoder is given elsewhere, too.
PADDINGS = (
    Content(number=1e30, text=None, integer=None),
    Content(number=-1e30, text=b"no such word", integer=-1),
    Content(number=float("nan"), text=b"\xff", integer=2**63 - 1),
    Content(number=float("inf"), text=b"0", integer=-(2**63)),
    Content(number=float("-inf")),
)
_EXTRA_STEPS = 57
_WORDS_TRIED = 4  # Of each category.
SAME = f"a difference <= {TOLERANCE}"

Outputs = Mapping[str, np.ndarray]
Signature = Callable[..., Outputs]
EncodeExamples = Callable[[Sequence[Probe]], np.ndarray]


class UnansweredError(Exception):
    """Says why a signature cannot answer; a clause that meets this error does not hold."""


class Violation(NamedTuple):
    """Describes a clause that does not hold.

    Attributes:
      clause: the name of the clause in this module's contract.
      signature: the signature, or another part of the model.
      figure: the figure that was measured.
      expected: the figure or answer that was expected.
    """

    clause: str
    signature: str
    figure: float
    expected: str

    def __str__(self) -> str:
        return f"{self.clause}: {self.signature}: {self.figure:.3g}, expected {self.expected}"


def violations(
    signatures: Mapping[str, Signature],
    sequences: Sequence[Probe],
    encode_examples: EncodeExamples | None = None,
) -> list[Violation]:
    """Check every clause on every signature that it is about.

    Args:
      signatures: name -> function of keyword arrays, as the encoder's signatures are; `encode`, and
        whichever of `score`, `encode_flat`, `serving_default` and `evaluate` there are.
      sequences: like those that the model is for; at least two, of different lengths.
      encode_examples: sequences -> serialised tf.Examples; without it, `serving_default` and
        `evaluate` are left out.

    Returns:
      The violations; none if the contract holds.
    """
    encoder = ProbedEncoder(signatures, sequences, encode_examples)
    broken: list[Violation] = []
    for clause, names in applicable(signatures, sequences, encode_examples).items():
        check, _ = _CLAUSES[clause]
        for name in names:
            try:
                broken.extend(check(encoder, name))
            except UnansweredError as error:
                broken.append(Violation(clause, name, float("nan"), f"an answer, received {error}"))
    return broken


def applicable(
    signatures: Mapping[str, Signature],
    sequences: Sequence[Probe],
    encode_examples: EncodeExamples | None = None,
) -> dict[str, list[str]]:
    """Return the clauses that `violations` checks, each with its signatures."""
    encoder = ProbedEncoder(signatures, sequences, encode_examples)
    clauses = {clause: encoder.those_of(names) for clause, (_, names) in _CLAUSES.items()}
    if not _takes_nan_for_missing(encoder):
        del clauses["missing_step"]
    if not sequences[0].words:
        del clauses["word"]
    return {clause: names for clause, names in clauses.items() if names}


class ProbedEncoder(NamedTuple):
    """Holds signatures, and the sequences that they are called on; see `violations`."""

    signatures: Mapping[str, Signature]
    sequences: Sequence[Probe]
    encode_examples: EncodeExamples | None

    def those_of(self, names: Collection[str]) -> list[str]:
        """Return the names of those signatures that exist and can be called."""
        return [
            name
            for name in names
            if name in self.signatures and (self.encode_examples or name not in _OF_EXAMPLES)
        ]

    def answer(
        self,
        name: str,
        sequences: Sequence[Probe] | None = None,
        *,
        content: Content = ZEROS,
        extra: int = 0,
    ) -> Outputs:
        """Return the outputs of a signature for sequences, by default all, in the form it takes."""
        if sequences is None:
            sequences = self.sequences
        if name in _OF_EXAMPLES and self.encode_examples:
            return self.signatures[name](**{EXAMPLES: self.encode_examples(sequences)})
        if name == ENCODE_FLAT:
            return self.signatures[name](**concatenate(sequences, self.sequences[0]))
        inputs = pad(sequences, self.sequences[0], content=content, extra=extra)
        return self.signatures[name](**inputs)

    def one_by_one(self, name: str, sequences: Sequence[Probe]) -> Outputs:
        """Return the outputs for sequences in batches of their own, where there is no padding."""
        answers = [self.answer(name, [sequence]) for sequence in sequences]
        return {key: np.concatenate([each[key] for each in answers]) for key in answers[0]}


def _finite(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    for output, values in encoder.answer(name).items():
        figure = float(np.mean(np.isfinite(values)))
        if figure != 1.0:
            yield Violation("finite", f"{name}.{output}", figure, "a finite share of exactly 1")


def _content(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    zeros = encoder.answer(name, extra=1)
    for content in PADDINGS:
        filled = encoder.answer(name, content=content, extra=1)
        words = content.words(encoder.sequences[0])
        filling = ", ".join([str(content.number), *(f"{key} {words[key]!r}" for key in words)])
        for output, figure in _differences(zeros, filled):
            if figure != 0.0:  # A NaN is not 0 either.
                where = f"{name}.{output}, padding of {filling}"
                yield Violation("content", where, figure, "a difference of exactly 0")


def _extra(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    more = encoder.answer(name, extra=_EXTRA_STEPS)
    for output, figure in _differences(encoder.answer(name), more):
        if not figure <= TOLERANCE:
            where = f"{name}.{output}, {_EXTRA_STEPS} more padded steps"
            yield Violation("extra", where, figure, SAME)


def _alone(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    alone = encoder.one_by_one(name, encoder.sequences)
    for output, figure in _differences(encoder.answer(name), alone):
        if not figure <= TOLERANCE:
            where = f"{name}.{output}, a batch of 1 and of {len(encoder.sequences)}"
            yield Violation("alone", where, figure, SAME)


def _zero_step(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    where = f"{name}.{EMBEDDING}, one more step of zeros"
    yield from _counts(encoder, 0.0, {}, "zero_step", where)


def _missing_step(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    where = f"{name}.{EMBEDDING}, one more step with nothing observed"
    texts = [key for key, words in encoder.sequences[0].words.items() if words.dtype == object]
    yield from _counts(encoder, float("nan"), dict.fromkeys(texts, b""), "missing_step", where)


def _word(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    for key in encoder.sequences[0].words:
        seen = collections.Counter(
            word
            for sequence in encoder.sequences
            for word in sequence.words[key].tolist()
            if word != b""
        )
        for word, _ in seen.most_common(_WORDS_TRIED):
            where = f"{name}.{EMBEDDING}, one more step of {key} {word!r}"
            yield from _counts(encoder, None, {key: word}, "word", where)


def _counts(
    encoder: ProbedEncoder, number: float | None, words: Mapping[str, Word], clause: str, where: str
) -> Iterator[Violation]:
    without = encoder.one_by_one(ENCODE, encoder.sequences)[EMBEDDING]
    added = _with_step(encoder, number, words)
    figure = float(np.min([difference(without, each) for each in added]))
    if not figure > TOLERANCE:
        yield Violation(clause, where, figure, f"a difference above {TOLERANCE}")


def _with_step(
    encoder: ProbedEncoder, number: float | None, words: Mapping[str, Word]
) -> list[np.ndarray]:
    """Return the embeddings with one more step in the middle, and at the end, of each sequence."""
    sequences = encoder.sequences
    middle = [with_step(sequence, len(sequence) // 2, number, words) for sequence in sequences]
    end = [with_step(sequence, len(sequence), number, words) for sequence in sequences]
    return [encoder.one_by_one(ENCODE, added)[EMBEDDING] for added in (middle, end)]


def _takes_nan_for_missing(encoder: ProbedEncoder) -> bool:
    try:
        return bool(np.isfinite(_with_step(encoder, float("nan"), {})).all())
    except UnansweredError:
        return False


def _signature(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    figure = difference(encoder.answer(ENCODE)[EMBEDDING], encoder.answer(name)[EMBEDDING])
    if not figure <= TOLERANCE:
        yield Violation("signature", f"{name}.{EMBEDDING}, against {ENCODE}", figure, SAME)


def _empty(encoder: ProbedEncoder, name: str) -> Iterator[Violation]:
    for output, values in encoder.answer(name, [], extra=2).items():
        if len(values):
            yield Violation("empty", f"{name}.{output}", float(len(values)), "0 rows")


_OF_EXAMPLES = (SERVING_DEFAULT, EVALUATE)
_PADDED = (ENCODE, SCORE)
_OTHERS = (SCORE, ENCODE_FLAT, SERVING_DEFAULT)
_ALL = (ENCODE, SCORE, ENCODE_FLAT, SERVING_DEFAULT, EVALUATE)

# Each clause, and the signatures that it is about.
_CLAUSES: Mapping[
    str, tuple[Callable[[ProbedEncoder, str], Iterator[Violation]], tuple[str, ...]]
] = {
    "finite": (_finite, _ALL),
    "content": (_content, _PADDED),
    "extra": (_extra, _PADDED),
    "alone": (_alone, _ALL),
    "zero_step": (_zero_step, (ENCODE,)),
    "missing_step": (_missing_step, (ENCODE,)),
    "word": (_word, (ENCODE,)),
    "signature": (_signature, _OTHERS),
    "empty": (_empty, _ALL),
}  # fmt: skip


def _differences(expected: Outputs, received: Outputs) -> Iterator[tuple[str, float]]:
    for output in expected:
        yield output, difference(expected[output], received[output])


def difference(expected: np.ndarray, received: np.ndarray) -> float:
    """Return the largest |expected - received| / max(1, |expected|) of two arrays [B, ...].

    |expected| is the largest of a whole row. NaN, which no comparison lets pass, if an array is not
    finite or the shapes differ.
    """
    if expected.shape != received.shape:
        return float("nan")
    rows, others = (
        array.astype(np.float64).reshape(len(array), -1) for array in (expected, received)
    )
    size = np.abs(rows).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):  # Inf - Inf.
        return float(np.max(np.abs(rows - others) / np.maximum(1.0, size)))
