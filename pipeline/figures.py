"""The report's plots, as Plotly figures: plain data, `{"data": [...], "layout": {...}}`.

Pure. Colours are names of the page's CSS variables (`--model`), which its script looks up, so that
a plot follows the page into the dark. Text of the data goes through `plain`: Plotly takes some tags
in text for markup. What is missing or not finite is None, which is not drawn.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeGuard

from components.evaluate.formulas import MASKED_MSE
from components.evaluate.rules import NEWEST
from components.signatures import MODEL, TRAINING_MEAN

Figure = dict[str, Any]

CURVES = {
    "masked_mse": ("eval, after the epoch", "--model", "solid"),
    "loss": ("training loss, during it", "--other", "dash"),
}
_PALETTE = tuple(f"--c{place}" for place in range(10))
_MOST_CLASSES = len(_PALETTE)
_ROW = 26
_BAND = 92


def is_number(value: float | None) -> TypeGuard[float]:
    """Whether there is a value to write or to draw."""
    return isinstance(value, int | float) and math.isfinite(value)


def plain(text: object) -> str:
    """Text that Plotly shows as it is: it would take `<b>` or `<a href>` for markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def bars(table: Mapping[str, Any] | None, names: Mapping[str, str]) -> Figure | None:
    """The eval masked MSE of the model and of each baseline.

    Args:
      table: predictor -> split -> metric -> value, as in the summary.
      names: predictor -> how it is called.
    """
    # Not the newest blessed model's: its standardised units are others.
    found = {
        name: row["eval"][MASKED_MSE]
        for name, row in (table or {}).items()
        if name != NEWEST and is_number(row["eval"][MASKED_MSE])
    }
    if not found:
        return None
    colours = ["--model" if name == MODEL else "--other" for name in found]
    return _horizontal([names[name] for name in found], [*found.values()], colours, ".4g")


def seconds(stages: Mapping[str, Any] | None) -> Figure | None:
    """How long each stage took."""
    found = {name: stage["seconds"] for name, stage in (stages or {}).items()}
    found = {name: value for name, value in found.items() if is_number(value)}
    if not found:
        return None
    return _horizontal([*found], [*found.values()], ["--model"] * len(found), ".1f")


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
    """An axis of names, the first on top; a name such as `1-2` is no date."""
    return {
        "type": "category",
        "autorange": "reversed",
        "automargin": True,
        "showgrid": False,
        "categoryarray": list(rows),
        "ticksuffix": " ",
    }


def intervals(slices: Mapping[str, Any]) -> Figure | None:
    """The masked MSE of each slice with its 95% interval, beside the training mean's.

    Args:
      slices: slice -> metrics, with `baselines`.
    """
    rows = [plain(name) for name in slices]
    values = [found[MASKED_MSE]["value"] for found in slices.values()]
    if not any(map(is_number, values)):
        return None

    def reach(bound: str, sign: int) -> list[float]:
        pairs = (
            (found[MASKED_MSE][bound], found[MASKED_MSE]["value"]) for found in slices.values()
        )
        return [
            max(0.0, sign * (at - value)) if is_number(at) and is_number(value) else 0.0
            for at, value in pairs
        ]

    model = {
        "type": "scatter",
        "mode": "markers",
        "name": "model, 95% interval",
        "x": [value if is_number(value) else None for value in values],
        "y": rows,
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
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    mean = {
        "type": "scatter",
        "mode": "markers",
        "name": "training mean",
        "x": [found["baselines"][TRAINING_MEAN] for found in slices.values()],
        "y": rows,
        "marker": {"color": "--other", "symbol": "line-ns-open", "size": 12, "line": {"width": 2}},
        "hovertemplate": "%{y}, training mean: %{x:.4g}<extra></extra>",
    }
    layout = {
        "height": len(rows) * _ROW + 76,
        "margin": {"b": 28},
        "xaxis": {"rangemode": "tozero"},
        "yaxis": _categories(rows),
        **_legend(),
    }
    return {"data": [model, mean], "layout": layout}


def curves(train: Mapping[str, Any] | None) -> Figure | None:
    """Training loss and eval masked MSE by epoch, with the best epoch's place."""
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
            "hovertemplate": "epoch %{x}: %{y:.4g}<extra></extra>",
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
        **_legend(),
    }
    return {"data": data, "layout": layout}


def reconstruction(shown: Mapping[str, Any]) -> Figure:
    """One sequence over time, a band a feature: what was measured, and the reconstruction.

    There is nothing beyond the sequence's length to draw: padding is in no exhibit.

    Args:
      shown: one of the exhibit's `reconstructions`.
    """
    features = shown["features"]
    number = max(1, len(features))
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": number * _BAND + 96,
        "margin": {"l": 64},
        "xaxis": {"title": {"text": "step"}, "anchor": f"y{number}", "showgrid": False},
        **_legend(),
    }
    for place, (name, columns) in enumerate(features.items()):
        axis = "" if place == 0 else str(place + 1)
        top = 1 - place / number
        layout[f"yaxis{axis}"] = {
            "domain": [top - 0.82 / number, top],
            "title": {"text": plain(name), "font": {"size": 12}},
            "nticks": 4,
        }
        for key, label, colour, dash in (
            ("values", "measured", "--text", "solid"),
            ("outputs", "reconstructed", "--model", "dot"),
        ):
            data.append(
                {
                    "type": "scatter",
                    # A single step, or one between two that are missing, has no line.
                    "mode": "lines+markers" if len(columns[key]) <= 60 else "lines",
                    "name": label,
                    "legendgroup": label,
                    "showlegend": place == 0,
                    "y": columns[key],
                    "yaxis": f"y{axis}",
                    "connectgaps": False,
                    "line": {"color": colour, "dash": dash, "width": 1.5},
                    "marker": {"color": colour, "size": 3},
                    "hovertemplate": f"step %{{x}}, {label}: %{{y:.4g}}<extra></extra>",
                }
            )
    return {"data": data, "layout": layout}


def error_by_length(sequences: Mapping[str, Any], ids: Collection[Any]) -> Figure | None:
    """Each sequence of the exhibit by its length and its masked MSE, both logarithmic."""
    points = [
        (length, mse, plain(name))
        for length, mse, name in zip(sequences["length"], sequences["mse"], ids, strict=True)
        if is_number(mse) and mse > 0
    ]
    if not points:
        return None
    length, mse, names = zip(*points, strict=True)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": list(length),
        "y": list(mse),
        "text": list(names),
        "marker": {"color": "--model", "size": 5, "opacity": 0.55},
        "hovertemplate": "%{text}<br>%{x} steps, MSE %{y:.4g}<extra></extra>",
    }
    layout = {
        "height": 360,
        "margin": {"t": 12},
        "xaxis": {"title": {"text": "steps"}, "type": "log", **_powers(length)},
        "yaxis": {"title": {"text": "masked MSE"}, "type": "log", "dtick": 1},
    }
    return {"data": [trace], "layout": layout}


def _powers(lengths: Collection[int]) -> dict[str, Any]:
    """Ticks of lengths at powers of two, as the buckets of lengths have them."""
    powers = [1 << power for power in range(max(lengths).bit_length())]
    shown = [power for power in powers if power >= min(lengths)]
    return {"tickvals": shown, "ticktext": [f"{power:,}" for power in shown]}


def embedding(exhibit: Mapping[str, Any], ids: Collection[Any]) -> Figure | None:
    """The codes in their principal plane, coloured by a label or by the length.

    Beside `data` and `layout` there is `ways`: what is on a button -> which traces it shows.
    """
    sequences = exhibit["sequences"]
    if not sequences["length"]:
        return None
    names = [plain(name) for name in ids]
    lengths = sequences["length"]
    ways: list[tuple[str, list[dict[str, Any]]]] = []
    for column, labels in sequences["context"].items():
        classes = sorted({label for label in labels if label is not None})
        if 2 <= len(classes) <= _MOST_CLASSES:
            ways.append((column, _by_class(sequences, labels, classes, names)))
    ticks = _powers(lengths)
    by_length = {
        **_points(sequences, range(len(lengths)), names),
        "name": "length",
        "showlegend": False,
        "marker": {
            "size": 6,
            "color": [math.log2(length) for length in lengths],
            "colorscale": "Viridis",
            "colorbar": {
                "tickvals": [math.log2(power) for power in ticks["tickvals"]],
                "ticktext": ticks["ticktext"],
                "title": {"text": "steps"},
                "thickness": 12,
            },
        },
    }
    ways.append(("length", [by_length]))
    data = [
        trace | {"visible": place == 0}
        for place, (_, traces) in enumerate(ways)
        for trace in traces
    ]
    share = exhibit["explained"]
    layout: dict[str, Any] = {
        "height": 460,
        "hovermode": "closest",
        "xaxis": {"title": {"text": f"first component, {share[0]:.0%} of the variance"}},
        "yaxis": {"title": {"text": f"second, {share[1]:.0%}"}},
        **_legend(),
    }
    owners = [place for place, (_, traces) in enumerate(ways) for _ in traces]
    shown = {
        f"by {name}": [owner == place for owner in owners] for place, (name, _) in enumerate(ways)
    }
    return {"data": data, "layout": layout, "ways": shown if len(ways) > 1 else {}}


def _by_class(
    sequences: Mapping[str, Any], labels: list[str | None], classes: list[str], names: list[str]
) -> list[dict[str, Any]]:
    """A trace a class, those without a label first, so that they lie below."""
    colours = dict(zip(classes, _PALETTE, strict=False))
    traces = []
    for label in (None, *classes):
        places = [place for place, own in enumerate(labels) if own == label]
        if places:
            marker = {"size": 6, "color": "--faint" if label is None else colours[label]}
            traces.append(
                {
                    **_points(sequences, places, names),
                    "name": "none" if label is None else plain(label),
                    "marker": marker,
                }
            )
    return traces


def _points(
    sequences: Mapping[str, Any], places: Iterable[int], names: list[str]
) -> dict[str, Any]:
    places = list(places)
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [sequences["x"][place] for place in places],
        "y": [sequences["y"][place] for place in places],
        "text": [f"{names[place]}<br>{sequences['length'][place]} steps" for place in places],
        "hovertemplate": "%{text}<extra></extra>",
    }


def lengths(by_split: Mapping[str, Mapping[str, int]]) -> Figure | None:
    """How many sequences of each split have a length in each bucket."""
    found = {bucket for counted in by_split.values() for bucket in counted}
    buckets = sorted(found, key=lambda bucket: int(bucket.partition("-")[0]))
    if not buckets:
        return None
    data = [
        {
            "type": "bar",
            "name": split,
            "x": buckets,
            "y": [counted.get(bucket, 0) for bucket in buckets],
            "marker": {"color": colour},
            "hovertemplate": f"%{{x}} steps: %{{y:,}} {split}<extra></extra>",
        }
        for (split, counted), colour in zip(by_split.items(), ("--model", "--other"), strict=False)
    ]
    layout = {
        "height": 300,
        "barmode": "stack",
        "xaxis": {"type": "category", "title": {"text": "steps"}, "showgrid": False},
        "yaxis": {"title": {"text": "sequences"}},
        "bargap": 0.15,
        **_legend(),
    }
    return {"data": data, "layout": layout}


def _legend() -> dict[str, Any]:
    """Above the plot, where a narrow screen has room for it."""
    return {"legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}}
