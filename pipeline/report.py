"""summary.json -> report.html: one page that needs no network and runs no script.

`render` is pure. The page shows the summary's numbers as they are; all that is computed here is how
they are written and where they stand in a chart. Charts are geometry only, in SVG user units (CSS
pixels at natural size, y grows downwards); every text goes through the template, which escapes it.
What is missing or not finite (null in the summary) is shown as a dash and not drawn.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import jinja2

from components.evaluate.formulas import MASKED_MSE, NORMALISED_MSE
from components.evaluate.rules import NEWEST, PCA, UNTRAINED
from components.sequence import LENGTH_BUCKET
from components.signatures import BASELINES, MODEL, TRAINING_MEAN
from pipeline import comparison

DASH = "—"
_HEADLINES = {
    "not_blessed": "Not blessed: nothing pushed",
    "bad_data": "Stopped: bad data",
    "failed": "Failed",
}
_WRITTEN = {PCA: "PCA", NEWEST: "Newest blessed"}
_NOTHING: Mapping[str, float | None] = {"value": None}
_DIGITS = 4
_MILLISECONDS = 3
_TICKS = 5

# A chart is at most this wide, so that its 12-pixel text is still readable scaled down to a phone.
_WIDTH = 420
_ROW = 26
_NAMES, _LENGTHS = 108, 88
_BAR_VALUES = 56
_CURVES_HEIGHT = 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 14, 24, 24
_MOST_DOTS = 30


def render(summary: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
      summary: what summary.json holds; what a stopped run did not reach is None.
    """
    tables = by_column(summary["metrics"], summary["baselines"])
    slices = tables.pop(LENGTH_BUCKET, {})
    return _ENVIRONMENT.get_template("report.html.j2").render(
        summary=summary,
        headline=headline(summary),
        baselines=BASELINES,
        bars=bars(summary["baselines"]),
        buckets=slices,
        columns=tables,
        normalised=NORMALISED_MSE,
        embedding=described(summary["embedding"]),
        intervals=intervals(slices),
        curves=curves(summary["train"]),
        comparison=summary["comparison"] and comparison.cells(summary["comparison"]),
    )


def headline(summary: Mapping[str, Any]) -> str:
    """The verdict in a few words."""
    if summary["status"] == "done" and summary["pushed"]:
        return f"Pushed as version {summary['pushed']['version']}"
    return _HEADLINES.get(summary["status"], words(summary["status"]))


# How values are written.


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a value to write or to draw."""
    return value is not None and math.isfinite(value)


def present(value: Any) -> Any:
    """What no filter has written: a dash for None and for what is not finite."""
    missing = value is None or (isinstance(value, float) and not math.isfinite(value))
    return DASH if missing else value


def number(value: float | None, most_decimals: int = 8) -> str:
    """4 significant digits, thousands separated: 0.7865, 39,550, 1.234e-12."""
    if not is_number(value):
        return DASH
    # Of the rounded number, because 9.99996 has one digit more once it is rounded.
    exponent = int(f"{value:.{_DIGITS - 1}e}".partition("e")[2])
    if value and not -5 <= exponent <= 11:
        return f"{value:.{_DIGITS - 1}e}"
    decimals = _DIGITS - 1 - exponent if value else 0
    return f"{round(value, decimals):,.{min(max(decimals, 0), most_decimals)}f}"


def interval(metric: Mapping[str, float | None]) -> str:
    """A metric's lower and upper bound."""
    bounds = metric["lower"], metric["upper"]
    return " to ".join(map(number, bounds)) if any(map(is_number, bounds)) else DASH


def count(value: float | None) -> str:
    """A whole number in full, thousands separated; sums arrive as floats."""
    return f"{value:,.0f}" if is_number(value) else DASH


def percent(share: float | None) -> str:
    """A share of 1 as a percentage."""
    return f"{number(100 * share)} %" if is_number(share) else DASH


def seconds(value: float | None) -> str:
    """Seconds, to the millisecond that ML Metadata measures."""
    return number(value, most_decimals=_MILLISECONDS)


def words(name: str) -> str:
    """A key as a person reads it: `training_mean` -> Training mean."""
    return _WRITTEN.get(name, name.replace("_", " ").capitalize())


def by_column(
    metrics: Mapping[str, Any] | None, baselines: Mapping[str, Any] | None
) -> dict[str, dict[str, Any]]:
    """Column -> value, such as `8-15` steps -> the slice's metrics; last `All`, the whole split.

    Each slice also has `baselines`, baseline -> its masked MSE there.
    """
    found: dict[str, dict[str, Any]] = {}
    if not metrics or not baselines:
        return found

    def row(name: str) -> dict[str, Any]:
        beside = {
            baseline: baselines[baseline]["slices"].get(name, {}).get(MASKED_MSE, _NOTHING)["value"]
            for baseline in BASELINES
        }
        return {**metrics[name], "baselines": beside}

    for name in metrics:
        column, equals, value = name.partition("=")
        if equals:
            found.setdefault(column, {})[value] = row(name)
    return {column: rows | {"All": row("overall")} for column, rows in found.items()}


def described(embedding: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """What is known of the embedding, if it was looked at: not if it is not finite.

    The model's and the untrained one's also have `least` and `most`, of the variances.
    """
    if not embedding or not embedding["finite"]:
        return None
    found = dict(embedding)
    for name in (MODEL, UNTRAINED):
        variances = [value for value in embedding[name]["variance"] if is_number(value)]
        bounds = {"least": min(variances, default=None), "most": max(variances, default=None)}
        found[name] = {**embedding[name], **bounds}
    return found


# Where values stand in a chart.


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A linear map of [low, high] to [start, end] in user units; None stays None."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float | None) -> float | None:
        """The place of a value, to a tenth of a pixel."""
        if not is_number(value):
            return None
        # A single value, such as that of a lone epoch, stands in the middle.
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return round(self.start + share * (self.end - self.start), 1)


def nice_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that covers `span` in at most `most` steps."""
    power = 10.0 ** math.floor(math.log10(span / most))
    steps = (factor * power for factor in (1, 2, 5, 10))
    return next(step for step in steps if step * most >= span * (1 - 1e-9))


def ticks(values: Iterable[float], most: int = _TICKS) -> list[float]:
    """Round numbers, evenly spaced, that enclose the values."""
    values = list(values)
    low, high = min(values), max(values)
    step = nice_step((high - low) or abs(high) or 1.0, most)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [step * i for i in range(first, max(last, first + 1) + 1)]


def _axis(values: Sequence[float], scale: Callable[[float], Any]) -> list[tuple[Any, str]]:
    """(position, label) of each tick."""
    return [(scale(value), f"{value:.10g}") for value in values]


def bars(table: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Bars of the eval masked MSE, the model's and each baseline's.

    Args:
      table: predictor -> split -> metric -> value, as in the summary.
    """
    # Not the newest blessed model's: its standardised units are others.
    found = {
        name: row["eval"]["masked_mse"] for name, row in (table or {}).items() if name != NEWEST
    }
    if not any(is_number(value) for value in found.values()):
        return None
    high = max(value for value in found.values() if is_number(value))
    length = Scale(low=0, high=high or 1, start=0, end=_WIDTH - _NAMES - _BAR_VALUES)
    rows = [
        {
            "name": name,
            "value": value,
            "y": i * _ROW,
            "length": length(value),
            "model": name == MODEL,
        }
        for i, (name, value) in enumerate(found.items())
    ]
    return {"width": _WIDTH, "height": len(rows) * _ROW, "x": _NAMES, "row": _ROW, "rows": rows}


def intervals(slices: Mapping[str, Any]) -> dict[str, Any] | None:
    """The masked MSE of each slice with its 95% interval, beside the training mean's."""
    drawn = [
        {key: found[MASKED_MSE][key] for key in ("value", "lower", "upper")}
        | {"baseline": found["baselines"][TRAINING_MEAN]}
        for found in slices.values()
    ]
    values = [value for row in drawn for value in row.values() if is_number(value)]
    if not values:
        return None
    marks = ticks([0, *values])
    x = Scale(low=marks[0], high=marks[-1], start=_LENGTHS, end=_WIDTH - _RIGHT)
    positions = [
        {"name": name, "y": (i + 0.5) * _ROW} | {key: x(value) for key, value in row.items()}
        for i, (name, row) in enumerate(zip(slices, drawn, strict=True))
    ]
    bottom = len(positions) * _ROW
    return {
        "width": _WIDTH,
        "height": bottom + _BOTTOM,
        "bottom": bottom,
        "ticks": _axis(marks, x),
        "rows": positions,
    }


def curves(train: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Training loss and eval masked MSE by epoch, with the best epoch's place."""
    history = train["history"] if train else []
    kinds = ("loss", "masked_mse")
    values = [epoch[kind] for epoch in history for kind in kinds if is_number(epoch[kind])]
    if not train or not values:
        return None
    bottom, right = _CURVES_HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    marks = ticks(values)
    first, last = history[0]["epoch"], history[-1]["epoch"]
    x = Scale(low=first, high=last, start=_LEFT, end=right)
    y = Scale(low=marks[0], high=marks[-1], start=bottom, end=_TOP)
    step = math.ceil(nice_step(max(last, 1), 10))
    best = x(train["best_epoch"])
    return {
        "width": _WIDTH,
        "height": _CURVES_HEIGHT,
        "left": _LEFT,
        "right": right,
        "top": _TOP,
        "bottom": bottom,
        "x_ticks": _axis(range(step, last + 1, step), x),
        "y_ticks": _axis(marks, y),
        "lines": {kind: _line(history, kind, x, y) for kind in kinds},
        "best": {"x": best, "y": y(train["masked_mse"]), "anchor": _anchor(best)},
    }


def _anchor(x: float | None) -> str:
    """The side of a label that stands at x, so that it is not clipped at the chart's edge."""
    return ("start", "middle", "end")[int(3 * (x or 0) / (_WIDTH + 1))]


def _line(history: Iterable[Mapping[str, Any]], kind: str, x: Scale, y: Scale) -> dict[str, Any]:
    """The pieces of a line, cut where a value is missing, and the points that get a dot."""
    pieces: list[list[dict[str, Any]]] = [[]]
    for epoch in history:
        if is_number(epoch[kind]):
            at = {"x": x(epoch["epoch"]), "y": y(epoch[kind])}
            pieces[-1].append({"epoch": epoch["epoch"], "value": epoch[kind], **at})
        elif pieces[-1]:
            pieces.append([])
    pieces = [piece for piece in pieces if piece]
    # Many dots would merge into a thick line; a point between two gaps shows by its dot alone.
    few = sum(map(len, pieces)) <= _MOST_DOTS
    return {
        "pieces": pieces,
        "dots": [point for piece in pieces for point in piece if few or len(piece) == 1],
    }


_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.PackageLoader("pipeline", ""),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    finalize=present,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
_ENVIRONMENT.filters.update(
    number=number, interval=interval, count=count, percent=percent, seconds=seconds, words=words
)
