"""What the columns of raw data probably mean: by their names, and by what stands in them.

Pure. `guess_table` is for long tables, where a row is a step and something names its sequence;
`guess_records` for the others, where a record is a sequence. Both say why, a sentence a decision,
because a guess is for a person to check.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Collection

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import BOOKKEEPING, ENTITY_ID, SEQUENCE_ID, TIME_DELTA
from ragline.components.ingest.options import FILE, SEQUENCE
from ragline.pipeline.onboard.guessing import cells, clocks, groups, measurements, names, placing
from ragline.pipeline.onboard.guessing.cells import Column
from ragline.pipeline.onboard.guessing.meaning import Context, Guess, GuessError

__all__ = ["Context", "Guess", "GuessError", "guess_records", "guess_table", "missing_texts"]


def guess_table(
    columns: Mapping[str, Column],
    files: Collection[int] = (),
    *,
    seen: str = "in every row",
    complete: bool = True,
) -> Guess:
    """Guesses at a long table.

    Args:
      columns: name -> its N cells.
      files: how many of these, in order, are of each file.
      seen: how much of the data they are.
      complete: whether that is all.

    Raises:
      GuessError: nothing names a row's sequence, or no column is a feature.
    """
    found = Guess(seen=seen, complete=complete)
    columns = _without_index(found, columns)
    keys = groups.keys_of(columns)
    if len(files) > 1:
        keys[FILE] = np.repeat(np.arange(len(files)), files)
    _guess_group(found, keys, columns)
    group = groups.joint([keys[name] for name in found.group_by])
    found.sequences = groups.count(group)
    left = {n: c for n, c in columns.items() if n not in (*found.group_by, found.entity)}
    _guess_time(found, left, group)
    taken = (found.order_by, found.options.get("date"))
    left = {name: column for name, column in left.items() if name not in taken}
    pair = None
    if found.order_by:
        pair = measurements.columns_of(left, group, columns[found.order_by].nanoseconds())
    if pair:
        placing.measurements_of(found, *pair, columns, group)
        left = {name: column for name, column in left.items() if name not in pair}
    placing.agree_on_decimal(found, left)
    for name, column in left.items():
        if not (found.options.get("variable") and not groups.is_constant_within(column, group)):
            placing.place(found, name, column, group)
        else:
            found.leave_out(name, "it is beside the measurements, and changes within a sequence")
    for name in (*found.group_by, *([found.entity] if found.entity else [])):
        if name in columns and columns[name].has_missing:
            number = columns[name].cells.null_count
            found.why.append(f"{number} rows have no {name!r}: a run rejects each of them")
    return _checked(found)


def guess_records(
    steps: Mapping[str, Column],
    records: Mapping[str, Column],
    lengths: np.ndarray,
    *,
    seen: str = "in every record",
    complete: bool = True,
) -> Guess:
    """Guesses at records that are sequences.

    Args:
      steps: column -> its cells, of the steps of all records.
      records: column -> its cells, one a record.
      lengths: int64 [N], the steps of each record.
      seen: how much of the data they are.
      complete: whether that is all.

    Raises:
      GuessError: no column is a feature.
    """
    found = Guess(seen=seen, complete=complete, why=["a record is a sequence"])
    found.sequences = len(lengths)
    group = np.repeat(np.arange(len(lengths)), np.maximum(lengths, 0))
    _guess_time(found, steps, group)
    for name, column in steps.items():
        if name != found.order_by:
            placing.place(found, name, column, group, within=True)
    entities = [
        name
        for name, column in records.items()
        if name not in BOOKKEEPING
        and names.words(name) & names.ENTITY
        and column.kind in ("text", "int")
        and len(column.words) < len(lengths)
    ]
    if entities and ENTITY_ID not in records:
        found.entity = entities[0]
        found.why.append(f"entity {found.entity!r}: its name says so")
    one_each = np.arange(len(lengths))
    for name, column in records.items():
        if name not in (*BOOKKEEPING, found.entity):
            placing.place(found, name, column, one_each, within=False)
    return _checked(found)


def _checked(found: Guess) -> Guess:
    if found.features:
        return found
    if found.categories and found.order_by:
        found.features[TIME_DELTA] = False
        found.steps["time_delta"] = True
        found.why.append(
            f"feature {TIME_DELTA!r}: the seconds since the step before, made of "
            f"{found.order_by!r}, as no column is a number that changes within a sequence"
        )
        return found
    left_out = "; ".join(sentence for sentence in found.why if "left out" in sentence)
    raise GuessError(
        "expected at least one column of numbers that change within a sequence, or one of words "
        f"and one of times; received none{f': {left_out}' if left_out else ''}"
    )


def _without_index(found: Guess, columns: Mapping[str, Column]) -> dict[str, Column]:
    for name in filter(names.is_index, columns):
        found.leave_out(name, "a column without a name, such as the index that pandas writes")
    return {name: column for name, column in columns.items() if not names.is_index(name)}


def _guess_group(
    found: Guess, keys: Mapping[str, np.ndarray], columns: Mapping[str, Column]
) -> None:
    """Which columns name a row's sequence, and which one its entity."""
    number = len(next(iter(columns.values()), ()))
    files = keys.get(FILE)

    def is_repeated(name: str) -> bool:
        """Whether so few ids have so many rows that they can be of sequences."""
        share = groups.count(keys[name]) / max(1, number)
        if name == SEQUENCE_ID:
            return True
        if names.is_sequence_id(name):
            return share < 1
        said = names.words(name)
        return share <= (0.8 if said & (names.SEQUENCE | names.ENTITY | names.ID) else 0.5)

    several = {
        name: codes
        for name, codes in keys.items()
        if (name != FILE and is_repeated(name) and not names.words(name) <= names.TIME - {"second"})
        or (name in keys and name != FILE and not names.words(name) and is_repeated(name))
    }

    def finest(of: Iterable[str]) -> str | None:
        return max(of, key=lambda name: groups.count(several[name]), default=None)

    by_name = [n for n in several if n == SEQUENCE_ID or names.words(n) & names.SEQUENCE]
    entity = ENTITY_ID if ENTITY_ID in several else None
    entity = entity or finest(name for name in several if names.words(name) & names.ENTITY)
    sequence = SEQUENCE_ID if SEQUENCE_ID in several else finest(n for n in by_name if n != entity)
    sequence = sequence or finest(n for n in several if names.words(n) & names.ID and n != entity)
    if not sequence and entity and files is not None and groups.parts(several[entity], files):
        _group_by_file(found, entity)
        return
    if sequence and entity:
        nested = groups.count(groups.joint([several[sequence], several[entity]])) == groups.count(
            several[sequence]
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
        _add_file(found, entity, keys, columns)
        return
    chosen = sequence or entity
    why = "its name says so"
    if chosen is None:
        blocks = [name for name, codes in several.items() if groups.is_in_blocks(codes)]
        if files is not None:  # What is the same all through a file says no more than the file.
            blocks += [n for n, codes in several.items() if _counts_again(codes, files, columns)]
            blocks = [n for n in blocks if groups.count(several[n]) > groups.count(files)]
        chosen = finest(blocks)
        why = "its values stand in blocks of rows"
    if chosen is None and files is not None:
        _group_by_file(found, None)
        return
    if chosen is None:
        raise GuessError(
            "expected a column that names each row's sequence, such as 'sequence_id' or "
            "'recording', or several files with a sequence each; received one file with "
            f"{', '.join(map(repr, list(columns)[:20]))}. To name one that is there, rename it so, "
            "or write input.group_by into a configuration by hand (docs/ingest.md)"
        )
    found.group_by = (chosen,)
    found.why.append(f"group_by {chosen!r}: {why}")
    _add_file(found, chosen, keys, columns)


def _counts_again(codes: np.ndarray, files: np.ndarray, columns: Mapping[str, Column]) -> bool:
    """Whether values stand in blocks in each file, and another column counts the rows of each."""
    both = groups.joint([codes, files])
    return groups.is_in_blocks(both) and any(
        groups.counts_rows(column, both) for column in columns.values()
    )


def _add_file(
    found: Guess, unit: str, keys: Mapping[str, np.ndarray], columns: Mapping[str, Column]
) -> None:
    """Groups by the file as well, where its units begin again in each one."""
    if FILE not in keys:
        return
    own = [name for name in found.group_by if name != FILE]
    others = {name: column for name, column in columns.items() if name not in own}
    time = clocks.named(others)
    order = others[time].nanoseconds() if time else None
    numbered = columns[unit].kind == "int"
    codes = groups.joint([keys[name] for name in own])
    if not groups.begin_again(codes, keys[FILE], order, are_numbers=numbered):
        return
    found.group_by = (FILE, *own)
    begins = "begins" if len(own) == 1 else "begin"
    named = ", ".join(map(repr, own))
    found.why.append(f"group_by {FILE!r} as well: {named} {begins} again in each file")
    if numbered:
        found.entity = SEQUENCE
        found.why.append(
            f"entity {SEQUENCE!r}: a number of one file is another {unit} than that of the next; "
            f"entity = {unit!r} keeps them in one split"
        )
    else:
        found.entity = unit


def _group_by_file(found: Guess, entity: str | None) -> None:
    found.group_by = (FILE,)
    found.entity = entity
    named = f" {entity!r} names more than one file, and" if entity else ""
    found.why.append(f"group_by {FILE!r}: no column names a row's sequence;{named} a file is one")
    if entity:
        found.why.append(
            f"entity {entity!r}: its name says so; all its sequences fall in one split"
        )


def _guess_time(found: Guess, columns: Mapping[str, Column], group: np.ndarray) -> None:
    clock = clocks.of(columns, group)
    if clock is None:
        found.why.append("no order_by: no column looks like a time; rows stay in their order")
        return
    found.order_by = clock.column
    found.time_unit = clock.unit
    if clock.time_format:
        found.options["time_format"] = clock.time_format
    if clock.date:
        found.options["date"] = clock.date
    found.why += clock.why


def missing_texts(found: Guess, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """What stands for a missing value in the columns of a table that were taken."""
    measured = [found.options[key] for key in ("value", "variable") if key in found.options]
    context = [each.name for each in found.context]
    named = (*found.features, *found.categories, *context, *measured)
    texts = dict.fromkeys(
        text for name in named if name in columns for text in columns[name].missing_text
    )
    if not found.complete:
        texts |= dict.fromkeys(("", "NaN", "?", "NA", "null"))
    return tuple(text for text in texts if text.strip() or not text)


def of_arrays(arrays: Mapping[str, pa.Array], *, is_text: bool) -> dict[str, Column]:
    """Cells of a sample as columns; see `cells.of`."""
    return {name: cells.of(array, is_text=is_text) for name, array in arrays.items()}
