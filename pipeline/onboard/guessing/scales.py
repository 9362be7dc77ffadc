"""Tell whether a few values of a column are so large that a model would learn little else.

Pure. A squared error counts a value by its square: of a column in which 1% of the values are
giants, it may be theirs alone. Of normal noise the farthest 1% carry 8% of the squares about the
mean, of exponential waits 20%.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract import feature_transforms
from ragline.components.contract.feature_transforms import SIGNED_LOG
from ragline.pipeline.onboard.guessing.cells import Column
from ragline.pipeline.onboard.guessing.meaning import Guess

# Half of a feature's error would be that of 1% of its values.
MOST_CARRIED = 0.5
FARTHEST_SHARE = 0.01
_FEWEST = 1000  # Values, so that 1% of them are ten.


def choose(guess: Guess, columns: Mapping[str, Column]) -> None:
    """Choose the transform of each feature among columns."""
    for name in guess.features:
        column = columns.get(name)
        if column is None or not column.is_number:
            continue
        values = np.asarray(pc.fill_null(column.cells.cast(pa.float64(), safe=False), np.nan))
        if is_for_signed_log(values):
            guess.transforms[name] = SIGNED_LOG
            guess.why.append(
                f"feature {name!r}: transform {SIGNED_LOG!r}, since 1% of its values carry "
                f"{carried_by_farthest(values):.0%} of the squares about its mean {guess.seen}, "
                "and nearly all that a model would learn of it"
            )


def carried_by_farthest(values: np.ndarray) -> float:
    """Return the share of the squares about the mean that the farthest 1% of values carry.

    Args:
      values: float64 [N], NaN where missing.
    """
    observed = values[np.isfinite(values)]
    squares = np.square(observed - observed.mean()) if observed.size else observed
    number = int(np.ceil(FARTHEST_SHARE * squares.size))
    total = squares.sum()
    return float(np.partition(squares, -number)[-number:].sum() / total) if total > 0 else 0.0


def is_for_signed_log(values: np.ndarray) -> bool:
    """Return whether giants carry most of a column, and would not if it was transformed.

    Args:
      values: float64 [N], NaN where missing.
    """
    if np.count_nonzero(np.isfinite(values)) < _FEWEST:
        return False
    if carried_by_farthest(values) <= MOST_CARRIED:
        return False
    made = feature_transforms.apply(SIGNED_LOG, values)
    return carried_by_farthest(made) <= MOST_CARRIED / 2
