"""Read the names of columns: the words that they are made of."""

import re
from collections.abc import Iterable

from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.ingest.steps.times import Unit

SEQUENCE = {
    "seq", "sequence", "series", "session", "recording", "record", "run", "trip", "trial", "case",
    "episode", "track", "trajectory", "sample", "walk", "flight", "visit", "stay", "segment",
}  # fmt: skip
ENTITY = {
    "entity", "subject", "patient", "user", "person", "wearer", "device", "machine", "engine",
    "unit", "driver", "vehicle", "customer", "account", "player", "animal", "speaker", "asset",
}  # fmt: skip
ID = {"id", "uid", "uuid", "key"}
TIME = {
    "t", "time", "timestamp", "ts", "datetime", "date", "when", "step", "tick", "frame", "cycle",
    "index", "idx", "seconds", "second", "sec", "secs", "ms", "millis", "us", "ns", "clock",
    "minute", "minutes", "min", "mins", "hour", "hours", "hrs", "day", "days", "zeit", "datum",
}  # fmt: skip
# Words that are other things as often: they are times only where nothing else stands in the name.
_WEAK_TIME = {"min", "index", "second", "day", "us"}
VARIABLE = {
    "parameter", "variable", "item", "itemid", "measurement", "metric", "attribute", "param", "var",
    "quantity", "vital",
}  # fmt: skip
PERHAPS_VARIABLE = {
    "signal", "channel", "sensor", "test", "observation", "label", "name", "tag", "type", "code",
}  # fmt: skip
VALUE = {"value", "val", "valuenum", "reading", "result", "values", "wert"}
_UNITS: dict[str, Unit] = {
    "ms": "ms", "millis": "ms", "us": "us", "ns": "ns", "minute": "min", "minutes": "min",
    "min": "min", "mins": "min", "hour": "h", "hours": "h", "hrs": "h", "day": "d", "days": "d",
}  # fmt: skip
_INDEX = re.compile(r"|Unnamed: \d+|__index_level_\d+__")


# So many columns of one name and numbers in a row are the steps of a sequence, and not features.
_FEWEST_STEPS = 5


def words(name: str) -> set[str]:
    """Return the words of a name: `engine_id`, `engineId` and `Engine-ID` have the same."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return {word.lower() for word in re.split(r"[^A-Za-z]+", apart) if word}


def is_index(name: str) -> bool:
    """Return whether a name is one that pandas gives to the index of a table."""
    return _INDEX.fullmatch(name) is not None


def is_sequence_id(name: str) -> bool:
    """Return whether a name must be of a sequence's id: `case_id`, `sequence_id`."""
    return name == SEQUENCE_ID or bool(words(name) & SEQUENCE and words(name) & ID)


def is_time(name: str) -> bool:
    """Return whether a name is of a time."""
    words_of = words(name)
    return bool(words_of & (TIME - _WEAK_TIME)) or (bool(words_of) and words_of <= TIME)


def unit(name: str) -> Unit | None:
    """Return the unit that the name of a time states."""
    return next((unit for word, unit in _UNITS.items() if word in words(name)), None)


def remedy_of_steps_in_columns(names: Iterable[str]) -> str:
    """Return a sentence on columns such as t0, t1, ... t39; nothing where there are none."""
    longest: list[str] = []
    run: list[str] = []
    for name in names:
        before = run[-1] if run else ""
        is_next = _parted(name) == (_parted(before)[0], _parted(before)[1] + 1)
        run = [*run, name] if is_next and before else [name]
        longest = max(longest, run, key=len)
    if len(longest) < _FEWEST_STEPS:
        return ""
    return (
        f". If a row is a sequence whose steps are the columns {longest[0]!r} to {longest[-1]!r}, "
        "write a row a step: pandas.DataFrame.melt"
    )


def _parted(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or -2)
