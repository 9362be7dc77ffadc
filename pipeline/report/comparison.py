"""Write the table of `ragline compare`: how much padding each strategy lets into the loss."""

import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ragline.components.files import state
from ragline.components.files.state import StateError

FILE, _KIND = "comparison.json", "comparison"
_log = logging.getLogger("ragline.comparison")


Row = dict[str, str | float | None]  # One strategy; see `summary.comparison_row`.

# Heading -> its cell in a row.
COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "padding": lambda row: row["padding"],
    "reported training loss": lambda row: _number(row["reported_loss"], ".4f"),
    "true masked MSE, train": lambda row: _number(row["train_mse"], ".4f"),
    "true masked MSE, eval": lambda row: _number(row["eval_mse"], ".4f"),
    "padding's share of the loss": lambda row: _number(row["loss_share"], ".1%"),
    "padding's share of the gradient": lambda row: _number(row["gradient_share"], ".1%"),
    "bias of a loss over all steps": lambda row: _number(row["bias"], "+.4f"),
    "padding waste": lambda row: _number(row["padding_waste"], ".1%"),
    "seconds an epoch": lambda row: _number(row["seconds"], ".2f"),
}


def _number(value: float | None, form: str) -> str:
    """Return a number as text; a dash for one that is not finite (the training diverged)."""
    return "—" if value is None else format(value, form)


def write(workdir: pathlib.Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the rows of a comparison, for the reports of later runs."""
    state.write(workdir / FILE, _KIND, list(rows))


def read(workdir: pathlib.Path) -> list[Row] | None:
    """Return the rows of the last comparison; None if there is none, or its file is damaged."""
    try:
        rows: list[Row] = state.read(workdir / FILE, _KIND, list[Row])
    except FileNotFoundError:
        return None
    except (OSError, StateError) as error:
        _log.warning("%s; the report leaves it out", error)
        return None
    return rows


def cells(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return the table as text: its headings, then a line for each strategy."""
    return [list(COLUMNS), *([cell(row) for cell in COLUMNS.values()] for row in rows)]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a Markdown table, aligned so that it also reads well in a terminal."""
    table = cells(rows)
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    # Numbers to the right, the name to the left.
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    headings, *lines = table
    return "\n".join(_line(line, widths) for line in (headings, rule, *lines))


def _line(line: Sequence[str], widths: Sequence[int]) -> str:
    name, *numbers = line
    aligned = (cell.rjust(width) for cell, width in zip(numbers, widths[1:], strict=True))
    return f"| {name.ljust(widths[0])} | {' | '.join(aligned)} |"
