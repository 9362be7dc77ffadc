"""Set the size of a batch and the length of a training from the number of training sequences.

What a training needs is updates, not passes: a pass over 100 sequences in batches of 32 is four of
them. So the budget is `train.updates`, N: as many passes as make N updates, at least N / 50, and no
more than make 20 N updates. With the default of 1,000 these are 20 passes of large data and more of
small, but never more than 200: each also costs an evaluation and a checkpoint.
"""

import dataclasses
import math

from ragline.components.train.options import TrainOptions

# docs/quality.md has the measurements behind these.
_UPDATES_A_PASS = 50
_MOST_TIMES = 20
_MOST_PASSES = 200
_BATCH_SIZES = {300: 8, 1000: 16}
_LARGEST_BATCH = 32
# Share of the passes without a better objective after which a training stops.
_PATIENCE = 0.2


def resolve(options: TrainOptions, sequences: int) -> TrainOptions:
    """Return the options with a batch size, epochs and patience; those that are set stay.

    Args:
      options: options of the training, where 0 leaves a choice to the data.
      sequences: number of sequences in the training split.
    """
    batch_size = options.batch_size or batch_size_of(sequences)
    epochs = options.epochs or epochs_of(options.updates, math.ceil(sequences / batch_size))
    patience = options.patience or max(4, math.ceil(_PATIENCE * epochs))
    return dataclasses.replace(options, batch_size=batch_size, epochs=epochs, patience=patience)


def batch_size_of(sequences: int) -> int:
    """Return the number of sequences of mean length in a batch: fewer where there is less data."""
    sizes = [size for below, size in _BATCH_SIZES.items() if sequences < below]
    return min([*sizes, _LARGEST_BATCH])


def epochs_of(updates: int, updates_a_pass: int) -> int:
    """Return the number of passes that a budget of updates pays for."""
    a_pass = max(1, updates_a_pass)
    least = math.ceil(max(updates / a_pass, updates / _UPDATES_A_PASS))
    return min(least, _MOST_PASSES, max(1, _MOST_TIMES * updates // a_pass))
