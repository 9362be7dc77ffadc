"""Tables in which a row is one measurement: which column says of what, and their columns apart."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.pipeline.onboard.guessing import cells, names
from ragline.pipeline.onboard.guessing.cells import Column

_MOST_VARIABLES = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was measured of one variable.

    Attributes:
      column: its K values.
      group: int64 [K], the sequence of each.
    """

    column: Column
    group: np.ndarray


def columns_of(columns: Mapping[str, Column]) -> tuple[str, str] | None:
    """The names of the column of variables and of that of values; None if there are none."""
    variables = [
        name
        for name, column in columns.items()
        if column.kind == "text"
        and not column.cells.null_count
        and names.words(name) & names.VARIABLE
        and 1 < len(column.words) <= _MOST_VARIABLES
    ]
    values = [
        name
        for name, column in columns.items()
        if column.kind in ("int", "float", "text")
        and names.words(name) & names.VALUE
        and name not in variables
    ]
    return (variables[0], values[0]) if len(variables) == 1 and len(values) == 1 else None


def apart(variable: Column, value: Column, group: np.ndarray) -> dict[str, Part]:
    """Variable -> what was measured of it, in the order in which they first stand there."""
    found = {}
    for name in pc.unique(variable.cells).to_pylist():
        chosen = pc.equal(variable.cells, name)
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
            if column.kind == "float" and pc.all(pc.equal(pc.floor(array), array)).as_py():
                column = cells.Column(kind="int", cells=array.cast(pa.int64()))
        found[str(name)] = Part(column=column, group=group[np.asarray(chosen)])
    return found
