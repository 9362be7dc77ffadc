"""Say how much of earlier runs is kept: the `[keep]` table of a configuration."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class KeepOptions:
    """Holds the `[keep]` table: how much of earlier runs a run, or `ragline clean`, keeps.

    Attributes:
      artifacts: number of newest runs that keep all their artifacts, and with them the cache; the
        runs that made what is served keep them, too. 31 are a month of nights.
      reports: number of newest runs that keep `report.html` and `reconstruction_samples.json`, from
        which `ragline report` writes it anew; all runs keep `summary.json` and `config.toml`.
      logs: number of newest runs that keep `log.txt`.
      quarantine: number of newest runs that keep their rejected records; `summary.json` has the
        beginning of the first three of each reason, of all runs.
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
