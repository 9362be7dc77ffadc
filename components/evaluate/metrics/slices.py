"""Define slices: the whole eval split, and the sequences that share a value of a column.

A slice is written `overall`, or `column=value`, such as `length_bucket=8-15`. Columns are those
that the schema declares with few values: the length bucket, the missing bucket, and every context
column of text or integers. TFMA makes a slice of each value; of a column with more than 20 values,
the 20 with the most sequences are kept, and a sentence says that there were more.
"""

import re
from collections.abc import Mapping
from typing import Any

from ragline.components.contract.columns import LENGTH_BUCKET, MISSING_BUCKET, Columns

OVERALL = "overall"
_PARTS = re.compile(r"((?:\\.|[^=\\])*\\?)(?:=(.*))?", re.DOTALL)
MOST = 20  # Slices of a column; a person hardly reads more.


def columns_of(columns: Columns) -> tuple[str, ...]:
    """Return the columns that metrics are sliced by."""
    return (
        LENGTH_BUCKET,
        *([MISSING_BUCKET] if columns.has_missing_bucket else []),
        *columns.labels,
    )


def name_of(column: str, value: Any) -> str:
    """Name the slice of a value, which is bytes or an integer in a record."""
    written = column.replace("\\", "\\\\").replace("=", "\\=")
    return f"{written}={text_of(value)}"


def text_of(value: Any) -> str:
    """Return a value as text."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def column_of(name: str) -> str:
    """Return the column of a slice; `overall` for the whole split."""
    return parts_of(name)[0]


def parts_of(name: str) -> tuple[str, str]:
    r"""Return column and value of a slice; `overall` and "" of the whole split.

    A column's own `=` is written `\=`, and its `\` twice.
    """
    column, value = _PARTS.fullmatch(name).groups()  # type: ignore[union-attr]  # Any text fits.
    return re.sub(r"\\(.)", r"\1", column, flags=re.DOTALL), value or ""


def most_common(sequences: Mapping[str, float]) -> tuple[list[str], list[str]]:
    """Return the slices to keep, in order, and a sentence on each column that had too many.

    The whole split is first, then column by column; ranges of numbers by their lower bound.

    Args:
      sequences: slice -> number of its sequences.
    """
    kept, sentences = [OVERALL], []
    by_column: dict[str, list[str]] = {}
    for name in sequences:
        if name != OVERALL:
            by_column.setdefault(column_of(name), []).append(name)
    for column, names in sorted(by_column.items()):
        names.sort(key=lambda name: (-sequences[name], name))
        if left_out := names[MOST:]:
            sentences.append(
                f"{column} has {len(names)} values: the {MOST} with the most sequences have "
                f"metrics of their own, {len(left_out)} with at most "
                f"{sequences[left_out[0]]:.0f} sequences each have none"
            )
        kept += sorted(names[:MOST], key=_order)
    return kept, sentences


def _order(name: str) -> tuple[float, str]:
    """Return the sort key of a slice: the number that its value begins with, then its text."""
    value = parts_of(name)[1]
    digits = value[: next((i for i, c in enumerate(value) if not c.isdigit()), len(value))]
    return (float(digits) if digits else float("inf"), value)
