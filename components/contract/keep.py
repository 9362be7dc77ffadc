"""What of earlier runs is kept: the `[keep]` table of a configuration."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOptions:
    """The `[keep]` table: how much of earlier runs stays when a run, or `ragline clean`, cleans up.

    Attributes:
      artifacts: of so many of the newest runs, and of those that made what is served, all artifacts
        stay, and so does what is cached; 31 are a month of nights.
      reports: of so many of the newest runs stay `report.html` and `reconstruction_samples.json`,
        from which `ragline report` writes it anew; `summary.json` and `config.toml` of all.
      logs: of so many of the newest runs stays `log.txt`.
      quarantine: of so many of the newest runs stay the rejected records.
    """

    artifacts: int = 31
    reports: int = 31
    logs: int = 31
    quarantine: int = 31

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        least = {"artifacts": 1, "reports": 0, "logs": 0, "quarantine": 0}
        mistakes = [
            f"{name}: expected at least {number}, received {getattr(self, name)}"
            for name, number in least.items()
            if getattr(self, name) < number
        ]
        if mistakes:
            raise ValueError("\n".join(mistakes))
