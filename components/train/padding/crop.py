"""Define the strategy `crop`, the default."""

import numpy as np

from ragline.components.train.data import batching
from ragline.components.train.data.batching import BatchPlan
from ragline.components.train.padding.interface import PaddingStrategy


class Crop(PaddingStrategy):
    """Crops the decoder's output by the mask; padding weighs 0."""

    how = (
        "masks from lengths; the state at the last valid step is gathered; the decoder's output is "
        "cropped by the mask"
    )
    symbol = "MaskedAutoencoder"

    def plan(self, lengths: np.ndarray, sequences: int, features: int) -> BatchPlan:
        """Plan batches of similar length, of as many steps as so many sequences have."""
        return batching.plan_similar_length(lengths, sequences, features)
