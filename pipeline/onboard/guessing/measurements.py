"""Recognise tables in which a row is one measurement, and take their columns apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.pipeline.onboard.guessing import cells, groups, names
from ragline.pipeline.onboard.guessing.cells import Column

_MOST_VARIABLES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Holds what was measured of one variable.

    Attributes:
      column: its K values.
      group: int64 [K], the sequence of each.
    """

    column: Column
    group: np.ndarray


def columns_of(
    columns: Mapping[str, Column], group: np.ndarray, order: np.ndarray
) -> tuple[str, str] | None:
    """Return the column of variables and that of values; None if there are none.

    A column of variables changes within sequences, as a label of them does not; and where its name
    could be of something else, several of its words stand at one time.

    Args:
      columns: name -> its N cells.
      group: int64 [N], the sequence of each.
      order: [N], its time.
    """
    at_one_time = groups.equal_times(order, group) > 0.1 * len(group)
    variables = [
        name
        for name, column in columns.items()
        if column.is_name
        and not column.cells.null_count
        and 1 < len(column.words) <= _MOST_VARIABLES
        and not groups.is_constant_within(column, group)
        and (
            names.words(name) & names.VARIABLE
            or (at_one_time and names.words(name) & names.PERHAPS_VARIABLE)
        )
        and (column.kind == "text" or not names.words(name) & {"label", "name"})
    ]
    # Of a code and its words, the words.
    variables = [name for name in variables if columns[name].kind == "text"] or variables
    values = [
        name
        for name, column in columns.items()
        if (column.is_number or column.kind == "text")
        and names.words(name) & names.VALUE
        and name not in variables
    ]
    return (variables[0], values[0]) if len(variables) == 1 and len(values) == 1 else None


def apart(variable: Column, value: Column, group: np.ndarray) -> dict[str, Part]:
    """Return variable -> what was measured of it, in the order in which they first stand there."""
    pair = {}
    words = variable.cells.cast(pa.string())
    for name in pc.unique(words).to_pylist():
        chosen = pc.equal(words, name)
        array = value.cells.filter(chosen)
        is_text = pa.types.is_string(array.type)
        column = cells.of(array, is_text=is_text)
        if not is_text:  # They were read as text once, of which this is what they spell.
            column = cells.Column(
                kind=column.kind if column.kind == "empty" else value.kind,
                cells=column.cells if column.kind == "empty" else array,
                missing_text=value.missing_text,
                decimal=value.decimal,
            )
        pair[str(name)] = Part(column=column, group=group[np.asarray(chosen)])
    return pair
