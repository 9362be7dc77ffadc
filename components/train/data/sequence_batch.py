"""Hold padded sequences: what the input pipeline yields, and what every consumer takes.

    values         1.2 0.3 | 0.7 0.1 | 0.0 0.0        length 2, T = 3, F = 2
    sample_weight    1   1 |   1   0 |   0   0        the last value of step 1 is missing

A step is valid where t < length, and a value is observed where its weight is above 0. What stands
in the padding of a batch of the input pipeline is 0; a model takes any content of it.
"""

from collections.abc import Mapping
from typing import NamedTuple

import tensorflow as tf

from ragline.components.contract import masking


class SequenceBatch(NamedTuple):
    """Holds B sequences, padded to T steps of F features; an element of a `tf.data.Dataset`.

    Attributes:
      values: float32 [B, T, F], standardised, 0 where missing; the targets of the reconstruction,
        too.
      length: int64 [B].
      sample_weight: float32 [B, T], or [B, T, F] where values can be missing; above 0 where it
        counts.
      labels: head -> int64 [B], the class, or float32 [B]; 0 where the label is missing.
      label_weight: head -> float32 [B]; 1 where the label is there, 0 where it is missing.
      token_ids: category -> int64 [B, T]; negative where the token is missing.
      token_weight: category -> float32 [B, T]; above 0 where it counts.
    """

    values: tf.Tensor
    length: tf.Tensor
    sample_weight: tf.Tensor
    labels: Mapping[str, tf.Tensor] = {}
    label_weight: Mapping[str, tf.Tensor] = {}
    token_ids: Mapping[str, tf.Tensor] = {}
    token_weight: Mapping[str, tf.Tensor] = {}

    @classmethod
    def complete(cls, values: tf.Tensor, length: tf.Tensor) -> "SequenceBatch":
        """Return a batch of numbers alone, in which no value of a valid step is missing."""
        return cls(values, length, tf.sequence_mask(length, tf.shape(values)[1], tf.float32))

    @property
    def steps(self) -> tf.Tensor:
        """Return T."""
        return tf.shape(self.values)[1]

    @property
    def valid(self) -> tf.Tensor:
        """Return which steps are valid, bool [B, T]."""
        return masking.mask_of(self.length, self.steps)

    @property
    def valid_values(self) -> tf.Tensor:
        """Return the values with 0 in the padding, whatever stands there: float32 [B, T, F]."""
        return masking.select(self.valid, self.values)

    def part(self, begin: tf.Tensor, end: tf.Tensor) -> "SequenceBatch":
        """Return the steps from `begin` up to `end`; a length is negative where all came before."""
        return self._replace(
            values=self.values[:, begin:end],
            length=self.length - tf.cast(begin, self.length.dtype),
            sample_weight=self.sample_weight[:, begin:end],
            token_ids={name: ids[:, begin:end] for name, ids in self.token_ids.items()},
            token_weight={name: w[:, begin:end] for name, w in self.token_weight.items()},
        )
