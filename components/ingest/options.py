"""What may be configured of ingest: the `[input]` table of a configuration."""

from dataclasses import dataclass
from typing import ClassVar, Literal

FormatName = Literal["auto", "jsonl", "ts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """The `[input]` table.

    Attributes:
      train: path or pattern of the raw files; with `eval` unset, both splits come from them.
      eval: path or pattern of the evaluation files, where the split is given (an official split);
        unset, `train` is split by a hash of the entity.
      format: how the files are read; `auto` goes by the file's name.
      eval_share: share of the entities that go to eval when `eval` is unset; 0.2 is the usual
        hold-out.
      max_quarantine_share: share of the records read that may be rejected before the run stops with
        exit code 3; 1% passes a stray record and stops a broken delivery.
    """

    train: str
    eval: str | None = None
    format: FormatName = "auto"
    eval_share: float = 0.2
    max_quarantine_share: float = 0.01

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = [
            f"{name}: expected a path or a pattern, received an empty string"
            for name in ("train", "eval")
            if getattr(self, name) == ""
        ]
        if not 0.0 < self.eval_share < 1.0:
            mistakes.append(
                f"eval_share: expected a share between 0 and 1, received {self.eval_share}"
            )
        if not 0.0 <= self.max_quarantine_share <= 1.0:
            mistakes.append(
                "max_quarantine_share: expected a share from 0 to 1, "
                f"received {self.max_quarantine_share}"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))
