"""Define the strategy `keras`, which is kept to show what goes wrong."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np

from ragline.components.train.data import batching
from ragline.components.train.data.batching import BatchPlan
from ragline.components.train.padding.interface import PaddingStrategy

if TYPE_CHECKING:
    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.model.architecture import MaskedAutoencoder
    from ragline.components.train.options import TrainOptions


class Textbook(PaddingStrategy):
    """Pads every batch to one fixed number of steps, and weights every step alike."""

    how = (
        "the textbook model: `Masking(0.0)`, `RepeatVector` to a fixed length, a plain loss over "
        "all steps; kept to show what goes wrong"
    )
    symbol = "TextbookAutoencoder"
    mask = "values"

    def plan(self, lengths: np.ndarray, sequences: int, features: int) -> BatchPlan:
        """Plan batches of so many sequences, in the order in which they are read."""
        return batching.plan_unsorted(sequences)

    def fixed_steps(self, lengths: np.ndarray) -> int:
        """Return the length of the longest sequence."""
        return int(lengths.max())

    def mistakes(self, options: "TrainOptions") -> list[str]:
        """Return the sentence that the textbook model reads forwards, and repeats; or nothing."""
        from ragline.components.train import decoders, encoders

        is_plain = encoders.of(options.encoder).takes_masks and not options.bidirectional
        if is_plain and not decoders.of(options.decoder).reads_steps:
            return []
        return [
            f"padding: {self.name!r} is the textbook model; expected a recurrent encoder, "
            "bidirectional = false and decoder = 'repeat' with it"
        ]

    def mistakes_of_categories(self, categories: Collection[str]) -> list[str]:
        """Return the sentence that the textbook model has no categories, or nothing."""
        if not categories:
            return []
        return [
            f"padding: {self.name!r} is the textbook model of numbers; expected a schema without "
            f"categories, received {', '.join(categories)}"
        ]

    def build(self, *, steps: int, **arguments: Any) -> "MaskedAutoencoder":
        """Build the textbook model.

        Raises:
          ValueError: there are categories.
        """
        from ragline.components.train.padding.textbook_model import TextbookAutoencoder

        categories = [vocabulary.name for vocabulary in arguments.get("vocabularies", ())]
        if mistakes := self.mistakes_of_categories(categories):
            raise ValueError("\n".join(mistakes))
        return TextbookAutoencoder(steps=steps, **arguments)

    def for_loss(self, batch: "SequenceBatch") -> "SequenceBatch":
        """Return a batch of which every step weighs 1, padding included."""
        import tensorflow as tf

        return batch._replace(sample_weight=tf.ones(tf.shape(batch.values)[:2]))
