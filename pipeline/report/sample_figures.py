"""Make the report's plots of single sequences, as Plotly figures of the training's samples.

Pure, as `figures.py` is: colours are CSS variables, text of the data goes through `plain`.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ragline.pipeline.report.figures import Figure, is_number, legend, plain

_PALETTE = tuple(f"--c{place}" for place in range(10))
_MOST_CLASSES = len(_PALETTE)
_BAND = 92


def reconstruction(sample: Mapping[str, Any]) -> Figure:
    """Plot one sequence over time, a band a feature: measured values, and the reconstruction.

    There is nothing beyond the sequence's length to draw: samples hold no padding.

    Args:
      sample: an item of the samples' `reconstructions`.
    """
    features = sample["features"]
    number = max(1, len(features))
    data: list[dict[str, Any]] = []
    layout: dict[str, Any] = {
        "height": number * _BAND + 96,
        "margin": {"l": 64},
        "xaxis": {"title": {"text": "step"}, "anchor": f"y{number}", "showgrid": False},
        **legend(),
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
                    # A single step, or one between two missing ones, has no line.
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
    """Plot each sequence of the samples by length and masked MSE, both logarithmic."""
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
    """Return ticks of lengths at powers of two, as the length buckets have them."""
    powers = [1 << power for power in range(max(lengths).bit_length())]
    shown = [power for power in powers if power >= min(lengths)]
    return {"tickvals": shown, "ticktext": [f"{power:,}" for power in shown]}


def embedding(samples: Mapping[str, Any], ids: Collection[Any]) -> Figure | None:
    """Plot the embeddings in their principal plane, coloured by a label or by the length.

    Beside `data` and `layout` there is `ways`: text of a button -> the traces that it shows.
    """
    sequences = samples["sequences"]
    if not sequences["length"]:
        return None
    names = [plain(name) for name in ids]
    lengths = sequences["length"]
    colourings: list[tuple[str, list[dict[str, Any]]]] = []
    for column, labels in sequences["context"].items():
        classes = sorted({label for label in labels if label is not None})
        if 2 <= len(classes) <= _MOST_CLASSES:
            colourings.append((column, _by_class(sequences, labels, classes, names)))
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
    colourings.append(("length", [by_length]))
    data = [
        trace | {"visible": place == 0}
        for place, (_, traces) in enumerate(colourings)
        for trace in traces
    ]
    share = samples["explained"]
    layout: dict[str, Any] = {
        "height": 460,
        "hovermode": "closest",
        "xaxis": {"title": {"text": f"first component, {share[0]:.0%} of the variance"}},
        "yaxis": {"title": {"text": f"second, {share[1]:.0%}"}},
        **legend(),
    }
    owners = [place for place, (_, traces) in enumerate(colourings) for _ in traces]
    visible_traces = {
        f"by {name}": [owner == place for owner in owners]
        for place, (name, _) in enumerate(colourings)
    }
    return {"data": data, "layout": layout, "ways": visible_traces if len(colourings) > 1 else {}}


def _by_class(
    sequences: Mapping[str, Any], labels: list[str | None], classes: list[str], names: list[str]
) -> list[dict[str, Any]]:
    """Make a trace for each class, those without a label first, so that they lie below."""
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
