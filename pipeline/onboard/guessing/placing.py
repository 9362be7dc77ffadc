"""Decide what a column is that names nothing: a feature, a category, context, or nothing."""

from collections.abc import Mapping

import numpy as np
import pyarrow.compute as pc

from ragline.components.contract import kinds
from ragline.components.contract.columns import (
    BOOKKEEPING,
    ENTITY_ID,
    LENGTH,
    OBSERVED,
    SEQUENCE_ID,
    VALUES,
)
from ragline.components.contract.signatures import ROW_LENGTHS, collisions
from ragline.pipeline.onboard.guessing import groups, measurements, scales
from ragline.pipeline.onboard.guessing.cells import Column
from ragline.pipeline.onboard.guessing.meaning import Context, Guess, GuessError
from ragline.pipeline.onboard.guessing.wishes import Wishes

_MOST_CLASSES = 50
_MOST_WORDS = 1000
# A column of words of which so many are different is text rather than words.
_MOST_DIFFERENT = 0.5
_FEW_WORDS = 20


def measurements_of(
    guess: Guess,
    variable: str,
    value: str,
    columns: Mapping[str, Column],
    group: np.ndarray,
) -> None:
    """Take the variables of a table in which a row is one measurement for its columns."""
    guess.options |= {"variable": variable, "value": value}
    guess.steps["duplicate_time"] = "merge"
    guess.why.append(f"variable {variable!r}, value {value!r}: a row is one measurement")
    every = measurements.apart(columns[variable], columns[value], group)
    agree_on_decimal(guess, {name: part.column for name, part in every.items()})
    sequences = groups.count(group)
    for name, part in every.items():
        once = len(part.group) == groups.count(part.group)
        if part.column.kind == "empty":
            guess.leave_out(name, "it has no value")
        elif once and len(part.column.words) == sequences > 2 and groups.is_whole(part.column):
            guess.leave_out(name, "it names each sequence rather than its kind")
        elif once:
            _place_constant(guess, name, part.column, sequences)
        elif part.column.is_number:
            guess.features[name] = True
        elif part.column.kind == "text" and len(part.column.words) <= _MOST_WORDS:
            guess.categories[name] = kinds.TEXT
        else:
            guess.leave_out(name, "its values are neither numbers nor words")
    scales.choose(guess, {name: part.column for name, part in every.items()})
    order = columns[guess.order_by].nanoseconds() if guess.order_by else None
    again = 0
    if order is not None:
        again = groups.equal_times(order, groups.joint([group, columns[variable].codes]))
    guess.why.append(
        "duplicate_time 'merge': measurements of one time are one step; of several of one variable "
        f"at one time the last one counts, which leaves out {again:,} {guess.seen}"
    )


def agree_on_decimal(guess: Guess, columns: Mapping[str, Column]) -> None:
    """Choose one decimal mark for the whole file, and name the columns that have another."""
    marks = {name: c.decimal for name, c in columns.items() if c.is_number}
    stated = [mark for mark in marks.values() if mark]
    if not stated:
        return
    points = [n for n, c in columns.items() if c.is_fraction and not c.decimal]
    commas = [name for name, mark in marks.items() if mark == ","]
    decimal = "," if len(commas) > len(points) else "."
    guess.options["decimal"] = decimal
    example = "1.234,5 is read as 1234.5" if decimal == "," else "1,234 is read as 1234"
    guess.why.append(f"decimal {decimal!r}: numbers are written so; {example}, and 5% as 5")
    for name in commas if decimal == "." else points:
        guess.why.append(
            f"{name!r} has another decimal mark than {decimal!r}, which input.decimal says of all: "
            "a run rejects its sequences; write its numbers alike"
        )


def place(
    guess: Guess, name: str, column: Column, group: np.ndarray, *, within: bool | None = None
) -> None:
    """Decide what a column is.

    Args:
      guess: the guess, which is added to.
      name: of the column.
      column: N cells.
      group: int64 [N], the sequence of each.
      within: whether it changes within sequences; None to see it in the cells.
    """
    is_number = column.is_number
    if name in (SEQUENCE_ID, ENTITY_ID, LENGTH, *BOOKKEEPING):
        guess.leave_out(name, "ragline writes a column of that name")
        return
    if column.kind == "empty":
        guess.leave_out(name, f"it has no value {guess.seen}")
        return
    if column.kind == "time":
        guess.leave_out(name, "dates that are not the order of steps")
        return
    if within is None:
        short = groups.longest(group[column.observed]) < 2
        # What is measured at some steps alone is no property of the sequence.
        within = not groups.is_constant_within(column, group) or (
            (is_number or not short) and groups.is_partly_missing(column, group)
        )
        within |= short and is_number and len(column.words) > 1
    if is_number and not guess.complete and len(column.words) == 1:
        # What was not looked at may be other: the run says so if it is not.
        guess.features[name] = True
        guess.why.append(f"feature {name!r}: it is {column.words[0]!r} {guess.seen}, not in all")
    elif not within:
        _place_constant(guess, name, column, groups.count(group))
    elif column.kind == "flag":
        guess.leave_out(name, "true and false at each step are neither numbers nor words here")
    elif is_number and pc.min_max(column.cells)["min"] == pc.min_max(column.cells)["max"]:
        if column.has_missing:
            guess.features[name] = True
        else:
            guess.leave_out(name, f"it is {column.cells.drop_null()[0].as_py()!r} {guess.seen}")
    elif is_number:
        guess.features[name] = column.has_missing or not guess.complete
        if column.strange:
            guess.why.append(
                f"feature {name!r}: {column.strange_cells:,} of {len(column):,} cells are no "
                f"numbers, such as {column.strange[0][:40]!r}: a run rejects their sequences, or "
                "takes them for missing values if input.missing_text lists them"
            )
    else:
        _place_words(guess, name, column)


def place_stated(
    guess: Guess, name: str, column: Column, group: np.ndarray, wishes: Wishes
) -> bool:
    """Take a column for what a person says that it is; return whether one did.

    Raises:
      GuessError: its cells are nothing of that kind.
    """
    if name in wishes.label:
        if not groups.is_constant_within(column, group):
            raise GuessError(
                f"--label: expected one value a sequence, received {name!r} with several in one; "
                "--category takes it as a word a step"
            )
        _take_context(guess, name, column)
        guess.label = name
    elif name in wishes.category:
        is_id = column.is_typed and column.is_integer and not column.has_missing
        guess.categories[name] = kinds.INTEGER if is_id else kinds.TEXT
        guess.why.append(f"category {name!r}: --category says so, {len(column.words)} words")
    elif name in wishes.numeric:
        if not column.is_number:
            example = f", such as {str(column.words[0])[:40]!r}" if column.words else ""
            raise GuessError(
                f"--numeric: expected numbers, received {name!r} of {_KINDS[column.kind]}{example};"
                " input.missing_text, input.decimal in a configuration say how numbers are written"
            )
        guess.features[name] = column.has_missing or not guess.complete
        guess.why.append(f"feature {name!r}: --numeric says so")
    else:
        return False
    return True


_KINDS = {"text": "words", "time": "times", "flag": "true and false", "empty": "no values"}


def _place_words(guess: Guess, name: str, column: Column) -> None:
    words = len(column.words)
    rows = len(column) - column.cells.null_count
    if words > _MOST_WORDS:
        guess.leave_out(name, f"text of more than {_MOST_WORDS} different words")
    elif words > _FEW_WORDS and words > _MOST_DIFFERENT * rows:
        guess.leave_out(
            name,
            f"{words} different words in {rows} rows, such as {str(column.words[0])[:40]!r}: text, "
            "or numbers or times of a spelling that is not known (input.decimal, "
            "input.time_format, input.missing_text)",
        )
    else:
        guess.categories[name] = kinds.TEXT
        guess.why.append(f"category {name!r}: {words} words that change within a sequence")


def _place_constant(guess: Guess, name: str, column: Column, sequences: int) -> None:
    words = column.words
    if len(words) < 2:
        guess.leave_out(name, f"it is {words[0]!r} {guess.seen}")
    elif column.kind == "text" and (len(words) > _MOST_CLASSES or len(words) == sequences > 2):
        guess.leave_out(name, "it names each sequence rather than its kind")
    else:
        _take_context(guess, name, column)


def _take_context(guess: Guess, name: str, column: Column) -> None:
    words = column.words
    few = not column.is_fraction and len(words) <= _MOST_CLASSES
    classes = tuple(map(str, words)) if few else ()
    guess.context.append(Context(name=name, kind=column.record_kind, classes=classes))
    guess.why.append(
        f"context {name!r}: one value a sequence {guess.seen}, {len(words)} different ones"
    )


def leave_out_names(guess: Guess) -> None:
    """Leave out columns whose names a run would refuse: ragline's own, and two that are alike."""
    own = (VALUES, OBSERVED)
    for name in [*guess.categories, *(context.name for context in guess.context)]:
        if name.partition("$")[0] in own:
            guess.leave_out(name, "ragline's own records have a column of that name; rename it")
    reserved = (*own, LENGTH, ROW_LENGTHS)
    for name, other in collisions([*reserved, *guess.categories]):
        if name in guess.categories and name not in guess.unused:
            guess.leave_out(name, f"the encoder's input for it would be called like {other!r}'s")
    guess.categories = {n: k for n, k in guess.categories.items() if n not in guess.unused}
    guess.context = [each for each in guess.context if each.name not in guess.unused]
