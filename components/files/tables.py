"""Read tables of TOML into frozen dataclasses, and say what is wrong with them, each with its key.

Pydantic checks types, strictly (no text is taken for a number); each dataclass checks its values,
once the types of its table are right.
"""

import dataclasses
import importlib.metadata
import json
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic

from ragline.components.contract.suggestions import did_you_mean, nearest

_Table = typing.TypeVar("_Table")
_PLACE = re.compile(r"\(at line (\d+), column (\d+)\)")
_WIDE = 70


class TableError(ValueError):
    """Says what is wrong, one line a mistake."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def parse(text: str) -> dict[str, Any]:
    """Return the tables of a text.

    Raises:
      TableError: it is no TOML; the line and the place in it are shown.
    """
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # Not TOML, or TOML without an end.
        raise TableError(f"{error}{_remedy(str(error))}{_shown(text, str(error))}") from error


def _remedy(message: str) -> str:
    return "; a text stands in quotes" if message.startswith("Invalid value") else ""


def _shown(text: str, message: str) -> str:
    """Return the line that an error names, and a mark below the place."""
    place = _PLACE.search(message)
    lines = text.splitlines()
    if place is None or int(place[1]) > len(lines):
        return ""
    number, column = int(place[1]), int(place[2])
    start = max(0, column - _WIDE)
    line = lines[number - 1].expandtabs(1)[start : start + _WIDE + 10]
    margin = " " * len(str(number))
    return f"\n  {number} | {line}\n  {margin} | {' ' * (column - 1 - start)}^"


def check(
    document: Mapping[str, Any], table: type[_Table], renamed: Mapping[str, str] | None = None
) -> _Table:
    """Return tables as a dataclass.

    Args:
      document: the tables, as TOML or JSON gives them.
      table: the dataclass.
      renamed: former name of a key -> its name now.

    Raises:
      TableError: one line a mistake: key, what was expected and received.
    """
    try:
        # As JSON, because only there does pydantic's strict mode take a list for a tuple. JSON has
        # no dates, and no key takes one: a table replaces it, which no key takes either.
        text = json.dumps(document, default=lambda date: {"date": str(date)})
        return pydantic.TypeAdapter(table).validate_json(text)
    except pydantic.ValidationError as error:
        mistakes = error.errors()
        raise TableError(
            *(line for mistake in mistakes for line in _lines(mistake, table, renamed or {}))
        ) from error
    except (ValueError, RecursionError) as error:  # From json: a number or a table without an end.
        raise TableError(str(error)) from error


def _lines(mistake: Any, table: type, renamed: Mapping[str, str]) -> list[str]:
    key = ".".join(str(part) for part in mistake["loc"])
    match mistake["type"]:
        case "missing":
            return [f"{key}: expected a value, received none"]
        case "unexpected_keyword_argument" if key in renamed:
            return [f"{key}: unknown key; it is named {renamed[key]} now"]
        case "unexpected_keyword_argument":
            beside = _keys_beside(mistake["loc"], table)
            known = ", ".join(beside)
            return [f"{key}: unknown key; expected one of {known}{_meant(key, beside, table)}"]
        case "value_error":  # From a __post_init__, whose message names the keys.
            prefix = f"{key}." if key else ""
            return [f"{prefix}{line}" for line in str(mistake["ctx"]["error"]).split("\n")]
        case "json_invalid":  # Text that is not Unicode, or tables that are too deep.
            return [str(mistake["ctx"]["error"])]
    expected = mistake["msg"].removeprefix("Input should be ")
    for json_word, toml_word in (("an object", "a table"), ("a valid array", "a list")):
        expected = expected.replace(json_word, toml_word)
    meant = ""
    if mistake["type"] == "literal_error":
        meant = did_you_mean(str(mistake["input"]), re.findall("'(.*?)'", expected))
    return [f"{key}: expected {expected}, received {mistake['input']!r}{meant}"]


def _meant(key: str, beside: list[str], table: type) -> str:
    """Return which key may have been meant, or else which version knows none of the name."""
    above, dot, last = key.rpartition(".")
    everywhere: dict[str, list[str]] = {}
    for name in keys(table):
        everywhere.setdefault(name.rpartition(".")[2], []).append(name)
    if last in everywhere:
        meant = everywhere[last]
    elif alike := nearest(last, beside):
        meant = [f"{above}{dot}{alike}"]
    elif alike := nearest(last, everywhere):
        meant = everywhere[alike]
    else:
        version = importlib.metadata.version("ragline")
        return f"; this is ragline {version}, which knows no such key"
    return f"; did you mean {' or '.join(map(repr, meant))}?"


def merge(document: dict[str, Any], overriding: Mapping[str, Any]) -> None:
    """Put the keys of tables into a document, in place of those that it has."""
    for key, value in overriding.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            merge(document[key], value)
        else:
            document[key] = value


def keys(table: type, above: str = "") -> Iterator[str]:
    """Yield every key of a table and of those in it: `input.steps.max_length`."""
    for field in dataclasses.fields(table):
        inner = _tables_of(field.type)
        if inner is None:
            yield f"{above}{field.name}"
        elif inner is field.type:
            yield from keys(inner, f"{above}{field.name}.")


def _tables_of(kind: Any) -> type | None:
    """Return the dataclass of a table, or of each one in a list or a table of tables."""
    candidates = (kind, *typing.get_args(kind))
    tables = (each for each in candidates if dataclasses.is_dataclass(each))
    return typing.cast("type | None", next(tables, None))


def _keys_beside(location: tuple[str | int, ...], table: Any) -> list[str]:
    is_table = True  # And not one of names, or a list, of tables.
    for part in location[:-1]:
        if is_table:
            kind = next(field.type for field in dataclasses.fields(table) if field.name == part)
            table = _tables_of(kind)
            is_table = table is kind
        else:
            is_table = True
    return [field.name for field in dataclasses.fields(table)]
