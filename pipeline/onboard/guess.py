"""Guess what the columns of raw data mean, by their names and their values.

Pure. `guess_table` is for long tables, where a row is a step and a column names its sequence;
`guess_records` for records that are whole sequences. Both give a reason, one sentence a decision,
because a person is to check the guess.
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
from ragline.pipeline.onboard.guessing.wishes import Wishes

__all__ = ["Context", "Guess", "GuessError", "guess_records", "guess_table", "missing_texts"]

NO_WISHES = Wishes()


def guess_table(
    columns: Mapping[str, Column],
    files: Collection[int] = (),
    *,
    seen: str = "in every row",
    complete: bool = True,
    wishes: Wishes = NO_WISHES,
) -> Guess:
    """Guess the meaning of a long table's columns.

    Args:
      columns: column -> its N cells.
      files: number of these cells in each file, in order.
      seen: how much of the data was read, in words, as the end of a sentence.
      complete: whether all data was read.
      wishes: what a person says of columns.

    Raises:
      GuessError: nothing names a row's sequence, or no column is a feature; or a wish cannot be.
    """
    guess = Guess(seen=seen, complete=complete)
    wishes = wishes.resolved(columns)
    columns = _without_index(guess, _without_dropped(guess, columns, wishes))
    keys = groups.keys_of(columns)
    if len(files) > 1:
        keys[FILE] = np.repeat(np.arange(len(files)), files)
    if wishes.group_by:
        guess.group_by = wishes.group_by
        keys |= {name: columns[name].codes for name in guess.group_by if name in columns}
        keys.setdefault(FILE, np.zeros(sum(files), np.int64))
        guess.why.append(f"group_by {', '.join(map(repr, guess.group_by))}: --group-by says so")
    else:
        candidates = {n: c for n, c in columns.items() if n not in _placed(wishes)}
        _guess_group(guess, {n: k for n, k in keys.items() if n not in _placed(wishes)}, candidates)
    _take_entity(guess, wishes)
    group = groups.joint([keys[name] for name in guess.group_by])
    guess.sequences = groups.count(group)
    remaining = {n: c for n, c in columns.items() if n not in (*guess.group_by, guess.entity)}
    _guess_time(guess, remaining, group, wishes)
    taken = (guess.order_by, guess.options.get("date"))
    remaining = {name: column for name, column in remaining.items() if name not in taken}
    pair = None
    if guess.order_by:
        pair = measurements.columns_of(remaining, group, columns[guess.order_by].nanoseconds())
    if pair:
        placing.measurements_of(guess, *pair, columns, group)
        remaining = {name: column for name, column in remaining.items() if name not in pair}
    placing.agree_on_decimal(guess, remaining)
    for name, column in remaining.items():
        if placing.place_stated(guess, name, column, group, wishes):
            continue
        if not (guess.options.get("variable") and not groups.is_constant_within(column, group)):
            placing.place(guess, name, column, group)
        else:
            guess.leave_out(name, "it is beside the measurements, and changes within a sequence")
    for name in (*guess.group_by, *([guess.entity] if guess.entity else [])):
        if name in columns and columns[name].has_missing:
            number = columns[name].cells.null_count
            guess.why.append(f"{number} rows have no {name!r}: a run rejects each of them")
    return _checked(guess)


def guess_records(
    steps: Mapping[str, Column],
    records: Mapping[str, Column],
    lengths: np.ndarray,
    *,
    by_place: bool = False,
    seen: str = "in every record",
    complete: bool = True,
    wishes: Wishes = NO_WISHES,
) -> Guess:
    """Guess the meaning of the columns of records that are sequences.

    Args:
      steps: column -> its cells, of the steps of all records.
      records: column -> its cells, one a record.
      lengths: int64 [N], the steps of each record.
      by_place: whether the columns of the steps have no names but their order; each is a feature.
      seen: how much of the data was read, in words, as the end of a sentence.
      complete: whether all data was read.
      wishes: what a person says of columns.

    Raises:
      GuessError: no column is a feature; or a wish cannot be.
    """
    guess = Guess(seen=seen, complete=complete, why=["a record is a sequence"])
    wishes = wishes.resolved([*steps, *records])
    _take_id(guess, records, len(lengths), wishes)
    steps = _without_dropped(guess, steps, wishes)
    records = _without_dropped(guess, records, wishes)
    _take_entity(guess, wishes)
    guess.sequences = len(lengths)
    group = np.repeat(np.arange(len(lengths)), np.maximum(lengths, 0))
    if by_place:
        for name, column in steps.items():
            guess.features[name] = column.has_missing or not complete
    else:
        _guess_time(guess, steps, group, wishes)
    for name, column in steps.items():
        if name not in (guess.order_by, *guess.features) and not placing.place_stated(
            guess, name, column, group, wishes
        ):
            placing.place(guess, name, column, group, within=True)
    entities = [
        name
        for name, column in records.items()
        if name not in BOOKKEEPING
        and names.words(name) & names.ENTITY
        and column.is_name
        and len(column.words) < len(lengths)
    ]
    if entities and ENTITY_ID not in records and not guess.entity:
        guess.entity = entities[0]
        guess.why.append(f"entity {guess.entity!r}: its name says so")
    one_each = np.arange(len(lengths))
    for name, column in records.items():
        if name not in (
            *BOOKKEEPING,
            guess.entity,
            guess.options.get("id"),
        ) and not placing.place_stated(guess, name, column, one_each, wishes):
            placing.place(guess, name, column, one_each, within=False)
    return _checked(guess)


def _take_id(guess: Guess, records: Mapping[str, Column], number: int, wishes: Wishes) -> None:
    """Find the column that names each record."""
    if wishes.group_by:
        name = wishes.group_by[0]
        if len(wishes.group_by) > 1 or name not in records:
            raise GuessError(
                "--group-by: expected one column of ids, since here a record is a sequence; "
                f"received {', '.join(wishes.group_by)}"
            )
        guess.options["id"] = name
        guess.why.append(f"id {name!r}: --group-by says so")
        return
    others = {*_placed(wishes), *wishes.entity}
    unique = [
        name
        for name, column in records.items()
        if name not in others
        and column.is_name
        and not column.has_missing
        and len(column.words) == number > 1
    ]
    if SEQUENCE_ID in records:
        return
    if candidates := [name for name in unique if names.words(name) & names.ID]:
        name = max(candidates, key=names.is_sequence_id)
        why = "its name says so, and no two records have the same"
    elif len(texts := [name for name in unique if _is_code(records[name])]) == 1 and number > 2:
        [name], why = texts, "no two records have the same"
    else:
        return
    guess.options["id"] = name
    guess.why.append(f"id {name!r}: {why}")


def _is_code(column: Column) -> bool:
    """Return whether a column has text without blanks, as ids are and remarks are not."""
    return column.kind == "text" and all(len(str(word).split()) == 1 for word in column.words)


def _checked(guess: Guess) -> Guess:
    placing.leave_out_names(guess)
    if guess.features:
        return guess
    if guess.categories and guess.order_by:
        guess.features[TIME_DELTA] = False
        guess.steps["time_delta"] = True
        guess.why.append(
            f"feature {TIME_DELTA!r}: the seconds since the step before, made of "
            f"{guess.order_by!r}, as no column is a number that changes within a sequence"
        )
        return guess
    left_out = "; ".join(f"{n!r} is left out: {why}" for n, why in guess.unused.items())
    raise GuessError(
        "expected at least one column of numbers that change within a sequence, or one of words "
        f"and one of times; received none{f': {left_out}' if left_out else ''}"
    )


def _placed(wishes: Wishes) -> set[str]:
    """Return the columns that a person says are no keys."""
    return {*wishes.order_by, *wishes.label, *wishes.category, *wishes.numeric}


def _without_dropped(
    guess: Guess, columns: Mapping[str, Column], wishes: Wishes
) -> dict[str, Column]:
    for name in (name for name in columns if name in wishes.drop):
        guess.leave_out(name, "--drop says so")
    return {name: column for name, column in columns.items() if name not in wishes.drop}


def _take_entity(guess: Guess, wishes: Wishes) -> None:
    if wishes.entity:
        guess.entity = wishes.entity[0]
        guess.why = [sentence for sentence in guess.why if not sentence.startswith("entity ")]
        guess.why.append(
            f"entity {guess.entity!r}: --entity says so; all its sequences fall in one split"
        )


def _without_index(guess: Guess, columns: Mapping[str, Column]) -> dict[str, Column]:
    for name in filter(names.is_index, columns):
        guess.leave_out(name, "a column without a name, such as the index that pandas writes")
    return {name: column for name, column in columns.items() if not names.is_index(name)}


def _guess_group(
    guess: Guess, keys: Mapping[str, np.ndarray], columns: Mapping[str, Column]
) -> None:
    """Guess which columns name a row's sequence, and which column its entity."""
    number = len(next(iter(columns.values()), ()))
    files = keys.get(FILE)

    def is_repeated(name: str) -> bool:
        """Return whether ids have enough rows each to be ids of sequences."""
        share = groups.count(keys[name]) / max(1, number)
        if name == SEQUENCE_ID:
            return True
        if names.is_sequence_id(name):
            return share < 1
        words = names.words(name)
        return share <= (0.8 if words & (names.SEQUENCE | names.ENTITY | names.ID) else 0.5)

    several = {
        name: codes
        for name, codes in keys.items()
        if (name != FILE and is_repeated(name) and not names.words(name) <= names.TIME - {"second"})
        or (name in keys and name != FILE and not names.words(name) and is_repeated(name))
    }

    def finest(candidates: Iterable[str]) -> str | None:
        return max(candidates, key=lambda name: groups.count(several[name]), default=None)

    by_name = [n for n in several if n == SEQUENCE_ID or names.words(n) & names.SEQUENCE]
    entity = ENTITY_ID if ENTITY_ID in several else None
    entity = entity or finest(name for name in several if names.words(name) & names.ENTITY)
    sequence = SEQUENCE_ID if SEQUENCE_ID in several else finest(n for n in by_name if n != entity)
    sequence = sequence or finest(n for n in several if names.words(n) & names.ID and n != entity)
    if not sequence and entity and files is not None and groups.parts(several[entity], files):
        _group_by_file(guess, entity)
        return
    if sequence and entity and not names.is_sequence_id(sequence):
        # Not where entities share a value and have one each, such as a segment of customers.
        sequence = sequence if not groups.determines(several[entity], several[sequence]) else None
    if sequence and entity:
        nested = groups.count(groups.joint([several[sequence], several[entity]])) == groups.count(
            several[sequence]
        )
        guess.group_by = (sequence,) if nested else (entity, sequence)
        guess.entity = entity
        guess.why.append(
            f"group_by {', '.join(map(repr, guess.group_by))}: "
            + ("its name says so" if nested else f"{sequence!r} starts again in each {entity!r}")
        )
        guess.why.append(
            f"entity {entity!r}: its name says so; all its sequences fall in one split"
        )
        _add_file(guess, entity, keys, columns)
        return
    chosen = sequence or entity
    why = "its name says so"
    if chosen is None:
        blocks = [name for name, codes in several.items() if groups.is_in_blocks(codes)]
        if files is not None:  # A column that is constant in each file tells no more than the file.
            blocks += [n for n, codes in several.items() if _counts_again(codes, files, columns)]
            blocks = [n for n in blocks if groups.count(several[n]) > groups.count(files)]
        chosen = finest(blocks)
        why = "its values stand in blocks of rows"
    if chosen is None and files is not None:
        _group_by_file(guess, None)
        return
    if chosen is None:
        raise GuessError(
            "expected a column that names each row's sequence, such as 'sequence_id' or "
            "'recording', or several files with a sequence each; received one file with "
            f"{', '.join(map(repr, list(columns)[:20]))}. --group-by COLUMN names one that is there"
            + names.remedy_of_steps_in_columns(columns)
        )
    guess.group_by = (chosen,)
    guess.why.append(f"group_by {chosen!r}: {why}")
    _add_file(guess, chosen, keys, columns)


def _counts_again(codes: np.ndarray, files: np.ndarray, columns: Mapping[str, Column]) -> bool:
    """Return whether values stand in blocks in each file, and a column counts the rows of each."""
    both = groups.joint([codes, files])
    return groups.is_in_blocks(both) and any(
        groups.counts_rows(column, both) for column in columns.values()
    )


def _add_file(
    guess: Guess, unit: str, keys: Mapping[str, np.ndarray], columns: Mapping[str, Column]
) -> None:
    """Group by the file as well, where the ids begin again in each file."""
    if FILE not in keys:
        return
    own = [name for name in guess.group_by if name != FILE]
    others = {name: column for name, column in columns.items() if name not in own}
    time = clocks.named(others)
    order = others[time].nanoseconds() if time else None
    numbered = columns[unit].is_integer
    codes = groups.joint([keys[name] for name in own])
    if not groups.begin_again(codes, keys[FILE], order, are_numbers=numbered):
        return
    guess.group_by = (FILE, *own)
    begins = "begins" if len(own) == 1 else "begin"
    names_of_own = ", ".join(map(repr, own))
    guess.why.append(f"group_by {FILE!r} as well: {names_of_own} {begins} again in each file")
    if numbered:
        guess.entity = SEQUENCE
        guess.why.append(
            f"entity {SEQUENCE!r}: a number of one file is another {unit} than that of the next; "
            f"entity = {unit!r} keeps them in one split"
        )
    else:
        guess.entity = unit


def _group_by_file(guess: Guess, entity: str | None) -> None:
    guess.group_by = (FILE,)
    guess.entity = entity
    named = f" {entity!r} names more than one file, and" if entity else ""
    guess.why.append(f"group_by {FILE!r}: no column names a row's sequence;{named} a file is one")
    if entity:
        guess.why.append(
            f"entity {entity!r}: its name says so; all its sequences fall in one split"
        )


def _guess_time(
    guess: Guess, columns: Mapping[str, Column], group: np.ndarray, wishes: Wishes
) -> None:
    if wishes.order_by:
        clock: clocks.Clock | None = clocks.stated(wishes.order_by[0], columns, group)
    else:
        others = _placed(wishes)
        clock = clocks.of({n: c for n, c in columns.items() if n not in others}, group)
    if clock is None:
        guess.why.append("no order_by: no column looks like a time; rows stay in their order")
        return
    guess.order_by = clock.column
    guess.time_unit = clock.unit
    if clock.time_format:
        guess.options["time_format"] = clock.time_format
    if clock.date:
        guess.options["date"] = clock.date
    guess.resample, irregular = clocks.regular_distance(clock, columns[clock.column], group)
    guess.why += [*clock.why, *irregular]


def missing_texts(guess: Guess, columns: Mapping[str, Column]) -> tuple[str, ...]:
    """Return the texts that stand for a missing value in the columns that the guess takes."""
    measured = [guess.options[key] for key in ("value", "variable") if key in guess.options]
    context = [each.name for each in guess.context]
    columns_taken = (*guess.features, *guess.categories, *context, *measured)
    texts = dict.fromkeys(
        text for name in columns_taken if name in columns for text in columns[name].missing_text
    )
    if not guess.complete:
        texts |= dict.fromkeys(("", "NaN", "?", "NA", "null"))
    return tuple(text for text in texts if text.strip() or not text)


def columns_of(arrays: Mapping[str, pa.Array], *, is_text: bool) -> dict[str, Column]:
    """Return the cells of a sample as columns; see `cells.of`."""
    return {name: cells.of(array, is_text=is_text) for name, array in arrays.items()}
