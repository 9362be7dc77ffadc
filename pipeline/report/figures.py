"""Make the report's plots as Plotly figures: plain data, `{"data": [...], "layout": {...}}`.

Pure. Colours are names of the page's CSS variables (`--model`), which its script looks up, so that
a plot follows the page into the dark. Text of the data goes through `plain`: Plotly takes some tags
in text for markup. A value that is missing or not finite is None, which is not drawn.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ragline.components.contract.signatures import LAST_VALUE, MODEL, TRAINING_MEAN
from ragline.components.evaluate.metrics.formulas import MASKED_MSE
from ragline.components.evaluate.verdict.rules import NEWEST, PCA
from ragline.pipeline.report.page_formats import is_number, words

Figure = dict[str, Any]

CURVES = {
    "masked_mse": ("eval, after the epoch", "--model", "solid"),
    "loss": ("training loss, during it", "--other", "dash"),
}
_ROW = 26
_MOST_FEATURES = 40


def plain(text: object) -> str:
    """Escape text for Plotly, which would take `<b>` or `<a href>` for markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def kept(rivals: Mapping[str, Any]) -> Figure | None:
    """Plot the share of variance that the model and each rival keep.

    The last value, which is no rival, is left out, and so is what keeps less than nothing by far.

    Args:
      rivals: see `page_tables.rivals`.
    """
    shares = {
        name: row["kept"]["value"]
        for name, row in rivals.items()
        if name != LAST_VALUE and is_number(row["kept"]["value"]) and row["kept"]["value"] >= -1
    }
    if not shares:
        return None
    colours = ["--model" if name == MODEL else "--other" for name in shares]
    figure = _horizontal([*map(words, shares)], [*shares.values()], colours, ".1%")
    # Room beyond the bars for what is written there, on the left as well where one is negative.
    low, high = min(0.0, *shares.values()), max(0.0, *shares.values())
    room = 0.2 * (high - low)
    span = [low - room if low < 0 else 0.0, high + room]
    figure["layout"]["xaxis"] |= {"tickformat": ".0%", "range": span}
    return figure


def features(rows: Sequence[Mapping[str, Any]]) -> Figure | None:
    """Plot the normalised MSE of each feature that varies, beside the PCA's and the served model's.

    Args:
      rows: see `page_tables.features`.
    """
    rows = [row for row in rows if is_number(row["value"])][:_MOST_FEATURES]
    if not rows:
        return None
    names = [plain(row["name"]) for row in rows]
    data = [_estimates(rows, names, "model, 95% interval", "normalised MSE")]
    for other, symbol in ((PCA, "line-ns-open"), (NEWEST, "diamond-open")):
        values = [row[other]["value"] for row in rows]
        if any(map(is_number, values)):
            data.append(_marks(words(other), values, names, symbol))
    layout = {
        "height": len(rows) * _ROW + 92,
        "xaxis": {"rangemode": "tozero", "title": {"text": "1 is the feature's own mean"}},
        "yaxis": _categories(names),
        **legend(),
    }
    return {"data": data, "layout": layout}


def seconds(stages: Mapping[str, Any] | None) -> Figure | None:
    """Plot the duration of each stage."""
    durations = {name: stage["seconds"] for name, stage in (stages or {}).items()}
    durations = {name: value for name, value in durations.items() if is_number(value)}
    if not durations:
        return None
    return _horizontal([*durations], [*durations.values()], ["--model"] * len(durations), ".1f")


def _horizontal(names: Iterable[str], values: list[float], colours: list[str], form: str) -> Figure:
    rows = [plain(name) for name in names]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": values,
        "y": rows,
        "marker": {"color": colours},
        "texttemplate": f"%{{x:{form}}}",
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": f"%{{y}}: %{{x:{form}}}<extra></extra>",
    }
    layout = {
        "height": len(rows) * _ROW + 40,
        "margin": {"t": 8, "r": 56, "b": 28},
        "xaxis": {"rangemode": "tozero"},
        "yaxis": _categories(rows),
        "bargap": 0.35,
    }
    return {"data": [trace], "layout": layout}


def _categories(rows: Iterable[str]) -> dict[str, Any]:
    """Return an axis of names, the first on top; a name such as `1-2` is not taken for a date."""
    return {
        "type": "category",
        "autorange": "reversed",
        "automargin": True,
        "showgrid": False,
        "categoryarray": list(rows),
        "ticksuffix": " ",
    }


def intervals(slices: Mapping[str, Any]) -> Figure | None:
    """Plot the masked MSE of each slice with its 95% interval, beside the training mean's.

    Args:
      slices: slice -> metrics, with `baselines`.
    """
    names = [plain(name) for name in slices]
    rows = [metrics[MASKED_MSE] for metrics in slices.values()]
    if not any(is_number(row["value"]) for row in rows):
        return None
    means = [metrics["baselines"][TRAINING_MEAN] for metrics in slices.values()]
    layout = {
        "height": len(names) * _ROW + 76,
        "margin": {"b": 28},
        "xaxis": {"rangemode": "tozero"},
        "yaxis": _categories(names),
        **legend(),
    }
    model = _estimates(rows, names, "model, 95% interval", "masked MSE")
    return {
        "data": [model, _marks("training mean", means, names, "line-ns-open")],
        "layout": layout,
    }


def _estimates(
    rows: Sequence[Mapping[str, Any]], names: list[str], label: str, metric: str
) -> dict[str, Any]:
    """Make a trace of values with their intervals."""

    def reach(bound: str, sign: int) -> list[float]:
        pairs = ((row[bound], row["value"]) for row in rows)
        return [
            max(0.0, sign * (end - value)) if is_number(end) and is_number(value) else 0.0
            for end, value in pairs
        ]

    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [row["value"] if is_number(row["value"]) else None for row in rows],
        "y": names,
        "marker": {"color": "--model", "size": 8},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": reach("upper", 1),
            "arrayminus": reach("lower", -1),
            "color": "--model",
            "thickness": 2,
            "width": 0,
        },
        "hovertemplate": f"%{{y}}, {metric}: %{{x:.3g}}<extra></extra>",
    }


def _marks(
    label: str, values: Sequence[float | None], names: list[str], symbol: str
) -> dict[str, Any]:
    """Make a trace of what the model is compared with."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "x": [value if is_number(value) else None for value in values],
        "y": names,
        "marker": {"color": "--other", "symbol": symbol, "size": 12, "line": {"width": 2}},
        "hovertemplate": f"%{{y}}, {label}: %{{x:.3g}}<extra></extra>",
    }


def curves(train: Mapping[str, Any] | None) -> Figure | None:
    """Plot training loss and eval masked MSE by epoch, and mark the best epoch."""
    history = train["history"] if train else []
    if not train or not any(is_number(e[kind]) for e in history for kind in CURVES):
        return None
    few = len(history) <= 30
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers" if few else "lines",
            "name": name,
            "x": [epoch["epoch"] for epoch in history],
            "y": [epoch[kind] if is_number(epoch[kind]) else None for epoch in history],
            "connectgaps": False,
            "line": {"color": colour, "dash": dash, "width": 2},
            "marker": {"color": colour, "size": 5},
            "hovertemplate": "epoch %{x}: %{y:.3g}<extra></extra>",
        }
        for kind, (name, colour, dash) in CURVES.items()
    ]
    if is_number(train["masked_mse"]):
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"best: epoch {train['best_epoch']}",
                "x": [train["best_epoch"]],
                "y": [train["masked_mse"]],
                "marker": {
                    "color": "--page",
                    "size": 10,
                    "line": {"color": "--model", "width": 2},
                },
                "hoverinfo": "skip",
            }
        )
    layout = {
        "height": 320,
        "xaxis": {"title": {"text": "epoch"}, "showgrid": False},
        "yaxis": {"title": {"text": "masked MSE"}},
        **legend(),
    }
    return {"data": data, "layout": layout}


def lengths(by_split: Mapping[str, Mapping[str, int]]) -> Figure | None:
    """Plot the number of sequences of each split in each length bucket."""
    bucket_names = {bucket for counts in by_split.values() for bucket in counts}
    buckets = sorted(bucket_names, key=lambda bucket: int(bucket.partition("-")[0]))
    if not buckets:
        return None
    data = [
        {
            "type": "bar",
            "name": split,
            "x": buckets,
            "y": [counts.get(bucket, 0) for bucket in buckets],
            "marker": {"color": colour},
            "hovertemplate": f"%{{x}} steps: %{{y:,}} {split}<extra></extra>",
        }
        for (split, counts), colour in zip(by_split.items(), ("--model", "--other"), strict=False)
    ]
    layout = {
        "height": 300,
        "barmode": "stack",
        "xaxis": {"type": "category", "title": {"text": "steps"}, "showgrid": False},
        "yaxis": {"title": {"text": "sequences"}},
        "bargap": 0.15,
        **legend(),
    }
    return {"data": data, "layout": layout}


def legend() -> dict[str, Any]:
    """Return a legend above the plot, where a narrow screen has room for it."""
    return {"legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}}
