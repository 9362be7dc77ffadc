"""Define the strategy `equal_length`."""

import numpy as np

from ragline.components.train.data import batching
from ragline.components.train.data.batching import BatchPlan
from ragline.components.train.padding.interface import PaddingStrategy


class EqualLength(PaddingStrategy):
    """Puts sequences of one length into a batch, so that there is no padding."""

    how = (
        "every batch holds sequences of one length, so there is no padding; the embedding is "
        "repeated to the batch's own length; small left-over batches are kept"
    )
    symbol = "batching.plan_equal_length"

    def plan(self, lengths: np.ndarray, sequences: int, features: int) -> BatchPlan:
        """Plan batches of so many sequences of equal length."""
        return batching.plan_equal_length(lengths, sequences, features)
