"""Decoded JSON objects: what is nested in them, by its path."""

from collections.abc import Iterator, Mapping
from typing import Any


def flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of all that is no object: `bp.sys` of `{"bp": {"sys": 120}}`."""
    for key, value in record.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def at(record: Mapping[str, Any], path: str) -> Any:
    """What stands at a path, of a key that may have points itself; None if nothing does."""
    if path in record:
        return record[path]
    key, point, rest = path.partition(".")
    while point:
        inner = record.get(key)
        if isinstance(inner, dict) and (value := at(inner, rest)) is not None:
            return value
        further, point, rest = rest.partition(".")
        key = f"{key}.{further}"
    return None


def list_of_steps(value: Any) -> bool:
    """Whether a value is a list of objects, each a step."""
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
