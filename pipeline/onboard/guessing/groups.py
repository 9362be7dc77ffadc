"""Guess which columns name a row's sequence, and which one orders its rows."""

from collections.abc import Collection, Mapping

import numpy as np

from ragline.pipeline.onboard.guessing import names
from ragline.pipeline.onboard.guessing.cells import Column

# Of a column that counts the rows of each sequence, so many steps are like the others.
_ALIKE = 0.95
_PEEKED = 1000


def joint(keys: Collection[np.ndarray]) -> np.ndarray:
    """Return int64 [N]: each row's combination of values as a number."""
    first, *others = keys
    codes = first
    for other in others:
        _, codes = np.unique(codes * (int(other.max(initial=0)) + 2) + other, return_inverse=True)
        codes = codes.reshape(-1)
    return codes


def determines(codes: np.ndarray, others: np.ndarray) -> bool:
    """Return whether each value has one of the others in all its rows, and several share one."""
    return count(joint([codes, others])) == count(codes) > count(others)


def count(codes: np.ndarray) -> int:
    """Count the different values, those that are absent aside."""
    return len(np.unique(codes[codes >= 0]))


def parts(coarse: np.ndarray, fine: np.ndarray) -> bool:
    """Return whether each value of one holds whole values of the other, and some hold several."""
    return count(joint([coarse, fine])) == count(fine) > count(coarse)


def is_in_blocks(codes: np.ndarray) -> bool:
    """Return whether equal values stand together: hardly more blocks than values."""
    blocks = 1 + int((np.diff(codes) != 0).sum())
    values = count(codes)
    return values > 1 and blocks <= 1.5 * values and 2 * blocks <= len(codes)


def begin_again(
    units: np.ndarray, files: np.ndarray, order: np.ndarray | None, *, are_numbers: bool
) -> bool:
    """Return whether units of one name in several files are different sequences.

    They are if, of most of them, the times in one file and in another overlap; without a time, if
    they are numbers that stand in blocks and begin with the same one in each file.

    Args:
      units: int64 [N], of each row.
      files: int64 [N].
      order: [N] times, or None.
      are_numbers: whether units are numbered.
    """
    both = joint([units, files])
    _, first = np.unique(both, return_index=True)
    numbers = np.bincount(units[first])
    several = np.flatnonzero(numbers > 1)
    if 2 * len(several) < len(np.unique(units)):
        return False
    if order is None:
        starts = [units[np.flatnonzero(files == file)[0]] for file in np.unique(files).tolist()]
        return are_numbers and len(set(starts)) == 1 and is_in_blocks(both)
    lows = np.full(int(both.max()) + 1, np.inf)
    highs = np.full(int(both.max()) + 1, -np.inf)
    np.minimum.at(lows, both, order.astype(float))
    np.maximum.at(highs, both, order.astype(float))
    unit_of = np.zeros(len(lows), np.int64)
    unit_of[both] = units
    arranged = np.lexsort((lows, unit_of))
    again = unit_of[arranged][1:] == unit_of[arranged][:-1]
    overlap = lows[arranged][1:] <= np.maximum(highs[arranged][:-1], lows[arranged][:-1])
    return bool(again.any() and (overlap & again).sum() > 0.5 * again.sum())


def is_constant_within(column: Column, group: np.ndarray) -> bool:
    """Return whether no sequence has two different values."""
    codes, there = column.codes, column.observed
    for some in (slice(_PEEKED), slice(None)):  # Most columns change within their first rows.
        if not _is_constant(codes[some][there[some]], group[some][there[some]]):
            return False
    return True


def _is_constant(codes: np.ndarray, group: np.ndarray) -> bool:
    return count(joint([group, codes])) == count(group)


def is_partly_missing(column: Column, group: np.ndarray) -> bool:
    """Return whether a sequence has rows with a value and rows without."""
    there = column.observed
    return bool(np.isin(group[~there], group[there]).any())


def counts_rows(column: Column, group: np.ndarray) -> bool:
    """Return whether a column rises by 1 from row to row of each sequence, most from 0 or 1."""
    if not column.is_integer or column.cells.null_count:
        return False
    order = np.argsort(group, kind="stable")
    values, inside = np.asarray(column.cells)[order], np.diff(group[order]) == 0
    steps, firsts = np.diff(values)[inside], values[np.append(True, ~inside)]
    return bool(
        len(steps)
        and (steps == 1).mean() >= _ALIKE
        and max((firsts == 0).mean(), (firsts == 1).mean()) >= 0.5
    )


def longest(group: np.ndarray) -> int:
    """Return the number of rows of the longest sequence."""
    return int(np.unique(group, return_counts=True)[1].max(initial=0))


def equal_times(order: np.ndarray, group: np.ndarray) -> int:
    """Count the rows that have the time of another row of their sequence."""
    arranged = np.lexsort((order, group))
    same = (np.diff(group[arranged]) == 0) & (np.diff(order[arranged]) == 0)
    return int(same.sum())


def keys_of(columns: Mapping[str, Column]) -> dict[str, np.ndarray]:
    """Return the columns that could name something, with each row's value as a number."""
    keys = {}
    for name, column in columns.items():
        named = names.is_sequence_id(name) or bool(
            names.words(name) & (names.SEQUENCE | names.ENTITY | names.ID)
        )
        may_name = column.is_name or (named and (column.is_number or column.kind == "time"))
        is_integer = is_whole(column)
        # A cell in ten may lack its id: a run rejects that row.
        missing = column.cells.null_count <= (0.1 * len(column) if named else 0)
        is_day = column.is_day
        if (may_name or is_day) and is_integer and missing:
            keys[name] = column.codes
    return keys


def is_whole(column: Column) -> bool:
    """Return whether a column could be ids: no number has a fraction."""
    if not column.is_fraction:
        return True
    values = np.asarray(column.cells.drop_null())
    return bool((values == np.floor(values)).all())


def rises(order: np.ndarray, group: np.ndarray) -> bool:
    """Return whether no sequence's rows go back in time."""
    arranged = np.argsort(group, kind="stable")
    falls = (np.diff(group[arranged]) == 0) & (np.diff(order[arranged].astype(float)) < 0)
    return not falls.any()
