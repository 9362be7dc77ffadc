"""Hold what a person says of columns, in place of a guess: the options of `ragline init`."""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from ragline.components.contract.suggestions import did_you_mean
from ragline.components.ingest.options import FILE
from ragline.pipeline.onboard.guessing.meaning import GuessError

_MOST_LISTED = 20
_ONE = ("order_by", "entity", "label")
# Pairs of options that may name the same column.
_TOGETHER = {("group_by", "entity"), ("group_by", "label"), ("entity", "label")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """Holds what a person says of columns; each attribute is names of columns.

    Attributes:
      group_by: they name a row's sequence.
      order_by: it is the time; at most one.
      entity: it is the entity; at most one.
      label: it is a label, one value a sequence; at most one.
      drop: they are not used.
      category: they are words or ids, one a step.
      numeric: they are numbers, one a step.
    """

    group_by: tuple[str, ...] = ()
    order_by: tuple[str, ...] = ()
    entity: tuple[str, ...] = ()
    label: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    category: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()

    @classmethod
    def of(cls, **options: Collection[str]) -> Self:
        """Take the texts of options, each a name or several separated by commas."""
        return cls(**{name: tuple(texts) for name, texts in options.items()})

    def resolved(self, columns: Collection[str]) -> Self:
        """Return the wishes with the names of columns alone.

        Raises:
          GuessError: there is no such column, or several options name it.
        """
        known = [*columns, FILE]
        names = {
            field.name: tuple(
                name for text in getattr(self, field.name) for name in _apart(text, known)
            )
            for field in dataclasses.fields(self)
        }
        for option, of_option in names.items():
            for name in of_option:
                if name not in columns and not (name == FILE and option == "group_by"):
                    raise GuessError(
                        f"{flag(option)}: expected a column, received {name!r}"
                        f"{did_you_mean(name, columns) or _listed(columns)}"
                    )
            if option in _ONE and len(of_option) > 1:
                raise GuessError(
                    f"{flag(option)}: expected one column, received {', '.join(of_option)}"
                )
        for one, other, name in _shared(names):
            raise GuessError(f"{flag(one)}, {flag(other)}: expected one of them to name {name!r}")
        return dataclasses.replace(self, **names)


def flag(option: str) -> str:
    """Return an option as it is written: `--group-by`."""
    return f"--{option.replace('_', '-')}"


def _apart(text: str, known: Collection[str]) -> list[str]:
    if text in known:
        return [text]
    return [name.strip() for name in text.split(",") if name.strip()]


def _listed(columns: Collection[str]) -> str:
    more = ", ..." if len(columns) > _MOST_LISTED else ""
    return f"; there are {', '.join(map(repr, list(columns)[:_MOST_LISTED]))}{more}"


def _shared(names: dict[str, tuple[str, ...]]) -> Iterator[tuple[str, str, str]]:
    options = list(names)
    for place, one in enumerate(options):
        for other in options[place + 1 :]:
            for name in set(names[one]) & set(names[other]):
                if (one, other) not in _TOGETHER:
                    yield one, other, name
