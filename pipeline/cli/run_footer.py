"""Write the last lines of a run: its outcome, the reasons, the figures, and where files are."""

import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ragline.components.contract import exits
from ragline.pipeline.runs.workdir import LOG_FILE, REPORT_FILE, SUMMARY_FILE

_DASH = "-"


def to_text(summary: Mapping[str, Any], folder: pathlib.Path) -> str:
    """Return the last lines of a run, for a terminal.

    Args:
      summary: content of summary.json.
      folder: folder runs/<run id>.
    """
    headline = {
        exits.DONE: "blessed",
        exits.DEFECT: f"failed; the traceback is in {folder / LOG_FILE}",
        exits.BAD_DATA: "stopped: the data cannot be used; nothing was trained or pushed",
        exits.NOT_BLESSED: "not blessed; nothing was pushed",
    }[summary["exit_code"]]
    lines = ["", headline, *(f"  {reason}" for reason in summary["verdict"]["reasons"]), ""]
    if missing := (summary["input"] or {}).get("missing_spans"):
        lines[2:2] = [f"  the window has no data of {', '.join(missing)}"]
    if rows := list(_rows(summary)):
        lines += [*table(rows), ""]
    if summary["pushed"]:
        lines.append(f"encoder  {summary['pushed']['path']}")
    lines += [f"summary  {folder / SUMMARY_FILE}", f"report   {folder / REPORT_FILE}"]
    if summary["tensorboard"]:
        lines.append(f"curves   {summary['tensorboard']['command']}")
    return "\n".join(lines)


def _rows(summary: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the table of a run's figures, as far as it got."""
    ingested = summary["input"]
    if not ingested:
        return
    seconds = sum(stage["seconds"] for stage in summary["stages"].values())
    yield "", "sequences", "steps", "masked MSE", "normalised"
    errors = summary["baselines"] or {}
    for split, counted in ingested["by_split"].items():
        metrics = errors.get("model", {}).get(split, {})
        yield (
            split,
            f"{counted['sequences']:,}",
            f"{counted['steps']:,}",
            _number(metrics.get("masked_mse")),
            _number(metrics.get("normalised_mse")),
        )
    for name in ("training_mean", "pca"):
        if metrics := errors.get(name, {}).get("eval"):
            label = f"  {name.replace('_', ' ')}"
            numbers = (_number(metrics[key]) for key in ("masked_mse", "normalised_mse"))
            yield label, "", "", *numbers
    rejected = (
        f"{ingested['quarantined']:,} rejected" if ingested["quarantined"] else "none rejected"
    )
    yield "in all", f"{ingested['sequences']:,} read", rejected, "", f"{seconds:.0f} s"


def table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Align rows of equally many cells: the first to the left, the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        ).rstrip()
        for row in rows
    ]


def _number(value: float | None) -> str:
    return _DASH if value is None else f"{value:.4g}"
