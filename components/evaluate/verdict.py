"""Metrics -> blessed or not, in sentences."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from components.evaluate.config import FINITE_SHARE, MASKED_MSE, baseline_metric
from components.signatures import N_FINITE, N_SEQUENCES, TRAINING_MEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate may be pushed.

    Attributes:
      blessed: every rule holds.
      reasons: the rules that do not hold, one sentence each; if all hold, what held.
    """

    blessed: bool
    reasons: tuple[str, ...]


def judge(overall: Mapping[str, Mapping[str, float | None]]) -> Verdict:
    """Applies the rules that are always on.

    1. Every embedding and every reconstruction is finite: a share of exactly 1. (A mean would hide
       the rest: TFMA blessed a model that answered NaN on nine examples of ten.)
    2. The masked MSE is below the one of the training mean, that is, of knowing nothing.

    Args:
      overall: metric -> {value, ...}, over the whole eval split.
    """
    values = {name: _value(metric) for name, metric in overall.items()}
    finite, sequences = values[N_FINITE], values[N_SEQUENCES]
    error, baseline = values[MASKED_MSE], values[baseline_metric(TRAINING_MEAN, MASKED_MSE)]
    rules = [
        (
            values[FINITE_SHARE] == 1.0,
            f"all {sequences:.0f} sequences have a finite embedding and reconstruction",
            f"{sequences - finite:.0f} of {sequences:.0f} sequences have an embedding or a "
            "reconstruction that is not finite",
        ),
        (
            error < baseline,
            f"masked_mse {error:.4g} is below the training mean's {baseline:.4g}",
            f"masked_mse {error:.4g} is not below the training mean's {baseline:.4g}",
        ),
    ]
    broken = tuple(sentence for holds, _, sentence in rules if not holds)
    return Verdict(
        blessed=not broken, reasons=broken or tuple(sentence for _, sentence, _ in rules)
    )


def _value(metric: Mapping[str, float | None]) -> float:
    value = metric["value"]
    return math.nan if value is None else value
