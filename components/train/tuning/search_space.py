"""Define which options a search tries, and which sequences score them, without TensorFlow.

Options are scored by a part of the training split that no trial trains on. Whole entities are held
out, as they are for the eval split: another window of the same record would leak into the score.
"""

import hashlib
import math
from collections.abc import Sequence as Collection

import numpy as np

from ragline.components.contract.errors import BadDataError
from ragline.components.train.options import TrainOptions

# The step size is drawn log-uniformly from this interval, the others from these values and the
# configured one. The embedding size is not searched: a larger one always has a lower error.
LEARNING_RATE = (3e-4, 1e-2)
CHOICES: dict[str, tuple[int | float, ...]] = {
    "units": (32, 64, 128),
    "layers": (1, 2),
    "dropout": (0.0, 0.1, 0.2),
}
# Errors are compared to so many digits. The others differ by rounding alone, for instance where no
# training improves on the linear path that it starts from.
_DIGITS = 4


def choices(options: TrainOptions) -> dict[str, list[int | float]]:
    """Return option -> values to draw from, in order; the configured value is among them."""
    return {name: sorted({*values, getattr(options, name)}) for name, values in CHOICES.items()}


def rounded(error: float) -> float | None:
    """Round an error to the digits by which two are compared; None if it is not finite."""
    return float(f"{error:.{_DIGITS}g}") if math.isfinite(error) else None


def held_out(entities: Collection[bytes], share: float) -> np.ndarray:
    """Choose which of N sequences are held out, bool [N]: all sequences of some entities.

    The entities are ranked by a hash, and the first are taken. It is not the hash that draws the
    eval split (`ingest.records.splits`): the training split has only some values of that one.

    Args:
      entities: entity of each sequence.
      share: share of the entities to hold out, above 0 and below 1; at least one is held out, and
        one is not.

    Raises:
      BadDataError: there are fewer than two entities.
    """
    ranked = sorted(set(entities), key=lambda entity: hashlib.sha256(entity).digest())
    if len(ranked) < 2:
        raise BadDataError(
            "too_few_to_tune",
            "tune.trials: expected at least 2 entities in the training split, one of them to be "
            f"held out, received {len(ranked)}",
        )
    held_out_count = min(max(round(share * len(ranked)), 1), len(ranked) - 1)
    held_out_entities = set(ranked[:held_out_count])
    return np.array([entity in held_out_entities for entity in entities])
