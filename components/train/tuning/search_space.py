"""What a search tries, and what it is scored by: pure functions, without TensorFlow.

The choice of options is scored by a part of the training split that no trial trains on. Whole
entities are held out, as they are for the eval split: another window of the same record would tell
a trial what it is to be scored by.
"""

import hashlib
import math
from collections.abc import Sequence as Collection

import numpy as np

from ragline.components.contract.errors import BadDataError
from ragline.components.train.options import TrainOptions

# The step size is drawn log-uniformly from between these, the others from these and what stands in
# the configuration. E, the size of the code, is no matter of search: more numbers always hold more.
LEARNING_RATE = (3e-4, 1e-2)
CHOICES: dict[str, tuple[int | float, ...]] = {
    "units": (32, 64, 128),
    "layers": (1, 2),
    "dropout": (0.0, 0.1, 0.2),
}
# Errors are told apart by so many digits. Others differ by rounding: where no training improves on
# the linear path that it starts from, say, and no setting is better than the configured one.
_DIGITS = 4


def choices(options: TrainOptions) -> dict[str, list[int | float]]:
    """Option -> what may be drawn, in order; the configured value is among it."""
    return {name: sorted({*values, getattr(options, name)}) for name, values in CHOICES.items()}


def rounded(error: float) -> float | None:
    """An error, to the digits by which two are told apart; None if it is not finite."""
    return float(f"{error:.{_DIGITS}g}") if math.isfinite(error) else None


def held_out(entities: Collection[bytes], share: float) -> np.ndarray:
    """Which of N sequences are held out, bool [N]: all those of some entities, and of no others.

    The entities are ranked by a hash, and the first of them taken; it is another hash than the one
    that the eval split is drawn by (`ingest.splits`), which of these has let but some through.

    Args:
      entities: what each sequence belongs to.
      share: of the entities, above 0 and below 1; at least one is held out, and one is not.

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
    number = min(max(round(share * len(ranked)), 1), len(ranked) - 1)
    chosen = set(ranked[:number])
    return np.array([entity in chosen for entity in entities])
