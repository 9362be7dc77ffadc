"""What the columns of raw data probably mean: by their names, and by what stands in them.

Pure. `guess_table` is for long tables, where a row is a step and something names its sequence;
`guess_records` for the others, where a record is a sequence. Both say why, a sentence a decision,
because a guess is for a person to check.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from ragline.components.contract.columns import BOOKKEEPING, ENTITY_ID, LENGTH, SEQUENCE_ID
from ragline.components.contract.errors import UsageError
from ragline.components.ingest.options import FILE
from ragline.components.ingest.steps.times import Unit

Kind = Literal["int", "float", "time", "text", "flag", "empty"]

# Words that names of columns are made of.
_SEQUENCE = {
    "seq", "sequence", "series", "session", "recording", "record", "run", "trip", "trial", "case",
    "episode", "track", "trajectory", "sample", "walk", "flight", "visit", "stay", "segment",
}  # fmt: skip
_ENTITY = {
    "entity", "subject", "patient", "user", "person", "wearer", "device", "machine", "engine",
    "unit", "driver", "vehicle", "customer", "account", "player", "animal", "speaker", "asset",
}  # fmt: skip
_ID = {"id", "uid", "uuid", "key"}
_TIME = {
    "t", "time", "timestamp", "ts", "datetime", "date", "when", "step", "tick", "frame", "cycle",
    "index", "idx", "seconds", "sec", "secs", "ms", "millis", "us", "ns", "clock",
}  # fmt: skip
_UNITS: dict[str, Unit] = {"ms": "ms", "millis": "ms", "us": "us", "ns": "ns"}
# Above it, numbers of a time are an epoch of our days in this unit.
_EPOCHS: tuple[tuple[float, Unit], ...] = ((1e17, "ns"), (1e14, "us"), (1e11, "ms"))
_MOST_CLASSES = 50
_MOST_WORDS = 1000


class GuessError(UsageError):
    """What cannot be guessed, and must be said by a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """A column as it was read.

    Attributes:
      kind: of what stands in it; `flag` is true and false, `empty` nothing at all.
      values: a cell each, None where nothing stands, or nothing of this kind.
      strange: texts that are not of this kind, as of one cell in a thousand: a run rejects them.
    """

    kind: Kind
    values: Collection[Any]
    strange: tuple[str, ...] = ()

    @property
    def words(self) -> list[Any]:
        """The different values, sorted."""
        return sorted({value for value in self.values if value is not None}, key=str)

    @property
    def has_missing(self) -> bool:
        """Whether a cell has no value."""
        nothing = sum(1 for value in self.values if value is None or value != value)
        return nothing > len(self.strange)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A column of one value a sequence; `classes`, where they are few."""

    name: str
    kind: Literal["bytes", "int", "float"]
    classes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Guess:
    """What the columns mean.

    Attributes:
      group_by: columns that name a row's sequence.
      order_by: the column of the time.
      time_unit: of times that are numbers.
      entity: the column of the entity.
      features: name -> whether a value may be missing.
      categories: name -> `bytes` or `int`.
      context: one value a sequence.
      why: a sentence a decision.
    """

    group_by: tuple[str, ...] = ()
    order_by: str | None = None
    time_unit: Unit = "s"
    entity: str | None = None
    features: dict[str, bool] = field(default_factory=dict)
    categories: dict[str, Literal["bytes", "int"]] = field(default_factory=dict)
    context: list[Context] = field(default_factory=list)
    why: list[str] = field(default_factory=list)


def guess_table(columns: Mapping[str, Cells], files: Collection[int] = ()) -> Guess:
    """Guesses at a long table.

    Args:
      columns: name -> its N cells.
      files: how many of these, in order, are of each file.

    Raises:
      GuessError: nothing names a row's sequence, or no column is a feature.
    """
    found = Guess()
    keys = {
        name: _codes(cells)
        for name, cells in columns.items()
        if cells.kind in ("int", "text") and not cells.has_missing
    }
    if len(files) > 1:
        keys[FILE] = np.repeat(np.arange(len(files)), files)
    _guess_group(found, keys, columns)
    group = _joint([keys[name] for name in found.group_by])
    left = [name for name in columns if name not in (*found.group_by, found.entity)]
    _guess_time(found, {name: columns[name] for name in left})
    for name in left:
        if name != found.order_by:
            _place(found, name, columns[name], _is_constant_within(columns[name], group), group)
    return _checked(found)


def guess_records(steps: Mapping[str, Cells], records: Mapping[str, Cells], number: int) -> Guess:
    """Guesses at records that are sequences.

    Args:
      steps: column -> its cells, of the steps of all records.
      records: column -> its cells, one a record.
      number: of records.

    Raises:
      GuessError: no column is a feature.
    """
    found = Guess(why=["a record is a sequence"])
    _guess_time(found, steps)
    for name, cells in steps.items():
        if name != found.order_by:
            _place(found, name, cells, False, np.zeros(0, np.int64))
    entities = [
        name
        for name, cells in records.items()
        if name not in BOOKKEEPING and _words(name) & _ENTITY and len(cells.words) < number
    ]
    if entities and ENTITY_ID not in records:
        found.entity = entities[0]
        found.why.append(f"entity {found.entity!r}: its name says so")
    for name, cells in records.items():
        if name not in (*BOOKKEEPING, found.entity):
            _place(found, name, cells, True, np.arange(number))
    return _checked(found)


def _checked(found: Guess) -> Guess:
    if not found.features:
        raise GuessError(
            "expected at least one column of numbers that change within a sequence, received none"
        )
    return found


def _guess_group(
    found: Guess, keys: Mapping[str, np.ndarray], columns: Mapping[str, Cells]
) -> None:
    """Which columns name a row's sequence, and which one its entity."""
    number = len(next(iter(columns.values())).values)
    files = keys.get(FILE)
    several = {
        name: codes
        for name, codes in keys.items()
        if name != FILE and 2 * len(np.unique(codes)) <= number and not _words(name) <= _TIME
    }

    def finest(names: Iterable[str]) -> str | None:
        return max(names, key=lambda name: len(np.unique(several[name])), default=None)

    by_name = [name for name in several if name == SEQUENCE_ID or _words(name) & _SEQUENCE]
    entity = ENTITY_ID if ENTITY_ID in several else None
    entity = entity or finest(name for name in several if _words(name) & _ENTITY)
    sequence = SEQUENCE_ID if SEQUENCE_ID in several else finest(n for n in by_name if n != entity)
    sequence = sequence or finest(n for n in several if _words(n) & _ID and n != entity)
    if not sequence and entity and files is not None and _parts(several[entity], files):
        _group_by_file(found, entity)
        return
    if sequence and entity:
        nested = len(np.unique(_joint([several[sequence], several[entity]]))) == len(
            np.unique(several[sequence])
        )
        found.group_by = (sequence,) if nested else (entity, sequence)
        found.entity = entity
        found.why.append(
            f"group_by {', '.join(map(repr, found.group_by))}: "
            + ("its name says so" if nested else f"{sequence!r} starts again in each {entity!r}")
        )
        found.why.append(
            f"entity {entity!r}: its name says so; all its sequences fall in one split"
        )
        return
    chosen = sequence or entity
    why = "its name says so"
    if chosen is None:
        blocks = [name for name, codes in several.items() if _is_in_blocks(codes)]
        if files is not None:  # What is the same all through a file says no more than the file.
            blocks = [n for n in blocks if len(np.unique(several[n])) > len(np.unique(files))]
        chosen = finest(blocks)
        why = "its values stand in blocks of rows"
    if chosen is None and files is not None:
        _group_by_file(found, None)
        return
    if chosen is None:
        raise GuessError(
            "expected a column that names each row's sequence, such as 'sequence_id' or "
            f"'recording', or several files with a sequence each; received one file with "
            f"{', '.join(map(repr, list(columns)[:20]))}"
        )
    found.group_by = (chosen,)
    found.why.append(f"group_by {chosen!r}: {why}")


def _group_by_file(found: Guess, entity: str | None) -> None:
    found.group_by = (FILE,)
    found.entity = entity
    named = f" {entity!r} names more than one file, and" if entity else ""
    found.why.append(f"group_by {FILE!r}: no column names a row's sequence;{named} a file is one")
    if entity:
        found.why.append(
            f"entity {entity!r}: its name says so; all its sequences fall in one split"
        )


def _guess_time(found: Guess, columns: Mapping[str, Cells]) -> None:
    def rank(name: str) -> tuple[bool, bool]:
        return columns[name].kind != "time", name.lower() not in _TIME

    times = [
        name
        for name, cells in columns.items()
        if not cells.has_missing
        and (cells.kind == "time" or (cells.kind in ("int", "float") and _words(name) & _TIME))
    ]
    if not times:
        found.why.append("no order_by: no column looks like a time; rows stay in their order")
        return
    chosen = min(times, key=rank)
    found.order_by = chosen
    if columns[chosen].kind == "time":
        found.why.append(f"order_by {chosen!r}: dates")
        return
    most = max(abs(value) for value in columns[chosen].values if value is not None)
    named = [unit for word, unit in _UNITS.items() if word in _words(chosen)]
    named += [unit for above, unit in _EPOCHS if most > above]
    found.time_unit = named[0] if named else "s"
    found.why.append(f"order_by {chosen!r}: its name says so; taken as {found.time_unit}")


def _place(found: Guess, name: str, cells: Cells, constant: bool, group: np.ndarray) -> None:
    """Decides what a column is that names nothing: feature, category, context, or nothing."""
    words = cells.words
    if name in (SEQUENCE_ID, ENTITY_ID, LENGTH, *BOOKKEEPING):
        found.why.append(f"{name!r} is left out: ragline writes a column of that name")
    elif cells.kind == "empty":
        found.why.append(f"{name!r} is left out: it has no value")
    elif cells.kind == "time":
        found.why.append(f"{name!r} is left out: dates that are not the order of steps")
    elif cells.kind == "flag" and not constant:
        found.why.append(f"{name!r} is left out: true and false are neither numbers nor words here")
    elif constant:
        _place_constant(found, name, cells, words, len(np.unique(group)))
    elif cells.kind in ("int", "float"):
        found.features[name] = cells.has_missing
        if cells.strange:
            found.why.append(
                f"feature {name!r}: {len(cells.strange)} of {len(cells.values)} cells are no "
                f"numbers, such as {cells.strange[0][:40]!r}: a run rejects their sequences"
            )
    elif len(words) <= _MOST_WORDS:
        found.categories[name] = "bytes"
        found.why.append(f"category {name!r}: {len(words)} words that change within a sequence")
    else:
        found.why.append(f"{name!r} is left out: text of more than {_MOST_WORDS} different words")


def _place_constant(
    found: Guess, name: str, cells: Cells, words: list[Any], sequences: int
) -> None:
    if len(words) < 2:
        found.why.append(f"{name!r} is left out: it is {words[0]!r} everywhere")
    elif cells.kind == "flag":
        found.why.append(f"{name!r} is left out: true and false are neither numbers nor words here")
    elif cells.kind == "text" and (len(words) > _MOST_CLASSES or len(words) == sequences > 2):
        found.why.append(f"{name!r} is left out: it names each sequence rather than its kind")
    else:
        kind: Literal["bytes", "int", "float"] = (
            "bytes" if cells.kind == "text" else "int" if cells.kind == "int" else "float"
        )
        few = kind != "float" and len(words) <= _MOST_CLASSES
        found.context.append(
            Context(name=name, kind=kind, classes=tuple(map(str, words)) if few else ())
        )
        found.why.append(f"context {name!r}: one value a sequence, {len(words)} different ones")


def _words(name: str) -> set[str]:
    """The words of a name: `engine_id`, `engineId` and `Engine-ID` have the same."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return {word.lower() for word in re.split(r"[^A-Za-z]+", apart) if word}


def _codes(cells: Cells) -> np.ndarray:
    """int64 [N]: each row's value as a number."""
    _, codes = np.unique(
        np.array([str(value) for value in cells.values], object), return_inverse=True
    )
    return codes.reshape(-1)


def _joint(keys: Collection[np.ndarray]) -> np.ndarray:
    """int64 [N]: each row's combination of values as a number."""
    _, codes = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
    return codes.reshape(-1)


def _parts(coarse: np.ndarray, fine: np.ndarray) -> bool:
    """Whether each value of the one holds whole values of the other, and some hold several."""
    together = len(np.unique(_joint([coarse, fine])))
    return together == len(np.unique(fine)) > len(np.unique(coarse))


def _is_in_blocks(codes: np.ndarray) -> bool:
    """Whether equal values stand together: hardly more blocks than values."""
    blocks = 1 + int((np.diff(codes) != 0).sum())
    values = len(np.unique(codes))
    return values > 1 and blocks <= 1.5 * values and 2 * blocks <= len(codes)


def _is_constant_within(cells: Cells, group: np.ndarray) -> bool:
    """Whether no sequence has two different values; of sequences that have two steps."""
    seen: dict[int, Any] = {}
    for place, value in zip(group.tolist(), cells.values, strict=True):
        if value is not None and seen.setdefault(place, value) != value:
            return False
    return any(len(list(rows)) > 1 for _, rows in itertools.groupby(sorted(group.tolist())))
