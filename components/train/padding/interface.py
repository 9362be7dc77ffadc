"""Define what a padding strategy decides: its batches, its model, its loss, and what it refuses.

TensorFlow is imported only by `build` and `for_loss`: `ragline plan` and the configuration do not
need it.
"""

import abc
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from ragline.components.train.data.batching import BatchPlan

if TYPE_CHECKING:
    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.model.architecture import MaskedAutoencoder
    from ragline.components.train.options import TrainOptions


class PaddingStrategy(abc.ABC):
    """Decides how padding is kept out of the loss; the defaults are those of most strategies.

    Attributes:
      name: the name in the registry, which `train.padding` takes.
      how: the strategy in a cell of the table of docs/padding.md.
      symbol: the names in the code that do it, for the same table.
      mask: what the encoder takes for padding: steps after the `length`, or steps whose `values`
        are all 0; a model of the latter cannot be exported to other runtimes.
    """

    how: ClassVar[str]
    symbol: ClassVar[str]
    mask: ClassVar[Literal["length", "values"]] = "length"

    def __init__(self, name: str) -> None:
        """Set the name by which `train.padding` chooses it."""
        self.name = name

    @abc.abstractmethod
    def plan(self, lengths: np.ndarray, sequences: int, features: int) -> BatchPlan:
        """Plan the batches of training.

        Args:
          lengths: int64 [N], of the training split.
          sequences: `train.batch_size`.
          features: F.
        """

    def fixed_steps(self, lengths: np.ndarray) -> int | None:
        """Return the number of steps that every batch is padded to; None for its own longest."""
        return None

    def mistakes(self, options: "TrainOptions") -> list[str]:
        """Return a sentence on each option that the strategy does not go with."""
        return []

    def mistakes_of_categories(self, categories: Collection[str]) -> list[str]:
        """Return the sentence that the strategy does not go with these categories, or nothing."""
        return []

    def build(self, *, steps: int, **arguments: Any) -> "MaskedAutoencoder":
        """Build the model.

        Args:
          steps: the number of steps of the longest sequence.
          **arguments: those of `MaskedAutoencoder`.
        """
        from ragline.components.train.model.architecture import MaskedAutoencoder

        return MaskedAutoencoder(**arguments)

    def for_loss(self, batch: "SequenceBatch") -> "SequenceBatch":
        """Return a batch as the training loss takes it: targets as its values, and their weights.

        Args:
          batch: a batch of the input pipeline, which the model reads.
        """
        return batch
