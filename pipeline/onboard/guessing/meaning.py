"""State what columns mean, as far as it has been guessed."""

from dataclasses import dataclass, field
from typing import Any

from ragline.components.contract import kinds
from ragline.components.contract.errors import UsageError
from ragline.components.contract.feature_transforms import Transform
from ragline.components.ingest.steps.times import Unit


class GuessError(UsageError):
    """Says what cannot be guessed, and must be stated by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """States a column of one value a sequence; `classes`, where they are few."""

    name: str
    kind: kinds.Kind
    classes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Guess:
    """States what the columns mean.

    Attributes:
      sequences: the number of sequences that were looked at.
      seen: the share of the data that was looked at, as a part of a sentence.
      complete: whether that is all of it.
      group_by: columns that name a row's sequence.
      order_by: the column of the time.
      time_unit: the unit of times that are numbers.
      resample: about the seconds between steps, where their times are irregular.
      entity: the column of the entity.
      features: name -> whether a value may be missing.
      transforms: name -> transform, of the features that are to have one.
      categories: name -> the kind of its words.
      context: one value a sequence.
      label: the column of `context` that a head would learn; None takes the first that it can.
      options: further keys of `[input]`.
      steps: the keys of `[input.steps]`.
      why: a sentence a decision.
      unused: column -> why it is not taken.
    """

    sequences: int = 0
    seen: str = "in every row"
    complete: bool = True
    group_by: tuple[str, ...] = ()
    order_by: str | None = None
    time_unit: Unit = "s"
    resample: float | None = None
    entity: str | None = None
    features: dict[str, bool] = field(default_factory=dict)
    transforms: dict[str, Transform] = field(default_factory=dict)
    categories: dict[str, kinds.TokenKind] = field(default_factory=dict)
    context: list[Context] = field(default_factory=list)
    label: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, Any] = field(default_factory=dict)
    why: list[str] = field(default_factory=list)
    unused: dict[str, str] = field(default_factory=dict)

    def leave_out(self, name: str, why: str) -> None:
        """Say that a column is not taken."""
        self.unused[name] = why
        placed = tuple(f"{kind} {name!r}: " for kind in ("feature", "category", "context"))
        self.why = [sentence for sentence in self.why if not sentence.startswith(placed)]
