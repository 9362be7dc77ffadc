"""Define the options of the gate: the table `[drift]`."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftOptions:
    """Holds the `[drift]` table: how far the newest span may be from the others of its run.

    Each bound holds for every feature and for the lengths; a run beyond one ends with exit code 3.

    Attributes:
      max_shift: largest shift of the mean, in standard deviations of the others: at 1, every other
        value of a normal distribution lies outside of where two thirds of them lay.
      max_spread: largest change of the standard deviation, as a factor, either way.
      max_missing: largest change of the share of missing values, as a difference.
    """

    max_shift: float = 1.0
    max_spread: float = 3.0
    max_missing: float = 0.2

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected a number above {bound:g}, received {value}"
            for name, value, bound in (
                ("max_shift", self.max_shift, 0.0),
                ("max_spread", self.max_spread, 1.0),
                ("max_missing", self.max_missing, 0.0),
            )
            if not value > bound
        ]
        if mistakes:
            raise ValueError("\n".join(mistakes))
