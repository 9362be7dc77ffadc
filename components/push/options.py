"""Define the options of the push: the table `[push]` of a configuration."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class PushOptions:
    """Holds the `[push]` table.

    Attributes:
      keep: the number of versions that stay in `serving/`, the newest among them; older ones are
        removed once a newer one is visible. 5 leave four to roll back to.
    """

    keep: int = 5

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ValueError(f"keep: expected at least 1, received {self.keep}")
