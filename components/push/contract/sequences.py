"""Pad raw sequences with any content, add steps to them, or join them.

It needs NumPy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.contract.signatures import ROW_LENGTHS

Word = bytes | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Holds one raw sequence.

    Attributes:
      values: float32 [T, F], NaN where missing.
      words: the words of each category, by its input's name: object [T] of bytes, or int64 [T].
    """

    values: np.ndarray
    words: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Holds the content of a step that is no data.

    Attributes:
      number: the number that all its values are.
      text: the word of each category of texts; None is the first word of the data.
      integer: the word of each category of integers, likewise.
    """

    number: float = 0.0
    text: bytes | None = b""
    integer: int | None = 0

    def words(self, like: Probe) -> dict[str, Word]:
        """Return its word of each category of a sequence."""
        chosen = {}
        for key, words in like.words.items():
            word = self.text if words.dtype == object else self.integer
            chosen[key] = words.tolist()[0] if word is None else word
        return chosen


ZEROS = Content()


def pad(
    sequences: Sequence[Probe], like: Probe, *, content: Content = ZEROS, extra: int = 0
) -> dict[str, np.ndarray]:
    """Pad sequences as inputs of `encode`: `values` [B, T, F], words [B, T], `length` [B].

    Args:
      sequences: any number of sequences.
      like: a sequence of the same features and categories.
      content: the content of the padding.
      extra: padded steps beyond those of the longest sequence.
    """
    length = np.array([len(sequence) for sequence in sequences], np.int64)
    shape = (len(length), length.max(initial=1) + extra)
    inputs = {VALUES: np.full((*shape, like.values.shape[1]), content.number, np.float32)}
    for key, word in content.words(like).items():
        inputs[key] = np.full(shape, word, like.words[key].dtype)
    for row, sequence in enumerate(sequences):
        for key, steps in {VALUES: sequence.values, **sequence.words}.items():
            inputs[key][row, : len(sequence)] = steps
    return inputs | {LENGTH: length}


def concatenate(sequences: Sequence[Probe], like: Probe) -> dict[str, np.ndarray]:
    """Join sequences as inputs of `encode_flat`: `values` [sum T, F], words [sum T], lengths [B].

    Nothing is padded on the way: 500 sequences, one of 5,000 steps, would take gigabytes.

    Args:
      sequences: any number of sequences.
      like: a sequence of the same features and categories.
    """
    values = np.concatenate([like.values[:0], *(each.values for each in sequences)])
    words = {
        key: np.concatenate([of_one[:0], *(each.words[key] for each in sequences)])
        for key, of_one in like.words.items()
    }
    lengths = np.array([len(each) for each in sequences], np.int64)
    return {VALUES: values.astype(np.float32), **words, ROW_LENGTHS: lengths}


def with_step(
    sequence: Probe, place: int, number: float | None, words: Mapping[str, Word]
) -> Probe:
    """Add a step to a sequence.

    Args:
      sequence: a sequence of T steps.
      place: the number of steps before the new one, 0 to T.
      number: the number that all its values are; None copies those of the step beside it.
      words: the words of some categories; those of the others are copied likewise.
    """
    beside = min(place, len(sequence) - 1)
    row = sequence.values[beside] if number is None else number
    return Probe(
        values=np.insert(sequence.values, place, row, axis=0),
        words={
            key: np.insert(column, place, words.get(key, column[beside]))
            for key, column in sequence.words.items()
        },
    )
