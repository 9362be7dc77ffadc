"""Raw sequences as the contract handles them: padded with any content, or with one more step.

It needs NumPy alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ragline.components.contract.columns import LENGTH, VALUES

Word = bytes | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One raw sequence.

    Attributes:
      values: float32 [T, F], NaN where missing.
      words: of each category, under the name of its input: object [T] of bytes, or int64 [T].
    """

    values: np.ndarray
    words: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What stands in a step that is no data.

    Attributes:
      number: each of its values.
      text: its word of each category of texts; None is the first word of the data.
      integer: likewise of each category of integers.
    """

    number: float = 0.0
    text: bytes | None = b""
    integer: int | None = 0

    def words(self, like: Probe) -> dict[str, Word]:
        """Its word of each category of a sequence."""
        found = {}
        for key, words in like.words.items():
            word = self.text if words.dtype == object else self.integer
            found[key] = words.tolist()[0] if word is None else word
        return found


ZEROS = Content()


def pad(
    sequences: Sequence[Probe], like: Probe, *, content: Content = ZEROS, extra: int = 0
) -> dict[str, np.ndarray]:
    """The inputs of `encode`: `values` [B, T, F], words [B, T] each, and `length` [B].

    Args:
      sequences: any number of them.
      like: a sequence of the same features and categories.
      content: of the padding.
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


def with_step(
    sequence: Probe, place: int, number: float | None, words: Mapping[str, Word]
) -> Probe:
    """A sequence with one more step.

    Args:
      sequence: of T steps.
      place: 0 to T, how many steps come before.
      number: each of its values; None copies those of the step beside it.
      words: its word of some categories; those of the others are copied likewise.
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
