"""The table of `ragline compare`: which strategy lets padding into the loss, and by how much."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

# Heading, and how a row fills it.
COLUMNS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "padding": lambda row: row["padding"],
    "reported training loss": lambda row: f"{row['reported_loss']:.4f}",
    "true masked MSE, train": lambda row: f"{row['train_mse']:.4f}",
    "true masked MSE, eval": lambda row: f"{row['eval_mse']:.4f}",
    "padding's share of the loss": lambda row: f"{row['loss_share']:.1%}",
    "padding's share of the gradient": lambda row: f"{row['gradient_share']:.1%}",
    "bias without sample_weight": lambda row: f"{row['bias']:+.4f}",
    "padding waste": lambda row: f"{row['padding_waste']:.1%}",
    "seconds an epoch": lambda row: f"{row['seconds']:.2f}",
}


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """A Markdown table, aligned so that it also reads well in a terminal."""
    table = [list(COLUMNS), *([cell(row) for cell in COLUMNS.values()] for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(COLUMNS))]
    lines = [_line(line, widths) for line in table]
    rule = [width * "-" for width in widths]
    # Numbers to the right, the name to the left.
    rule[1:] = [f"{dashes[:-1]}:" for dashes in rule[1:]]
    return "\n".join([lines[0], _line(rule, widths), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.ljust(width) if not index else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "| " + " | ".join([first, *others]) + " |"
