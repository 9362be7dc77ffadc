"""Make the report's plots of single sequences, as Plotly figures of the training's samples.

Pure, as `figures.py` is: colours are CSS variables, text of the data goes through `plain`.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ragline.components.contract import feature_transforms
from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.contract.feature_transforms import NONE, Transform
from ragline.pipeline.report.figures import Figure, legend, plain
from ragline.pipeline.report.page_formats import is_number, number

_PALETTE = tuple(f"--c{place}" for place in range(10))
_MOST_CLASSES = len(_PALETTE)
_BAND = 92


class Scale(NamedTuple):
    """States how a feature was standardised.

    Attributes:
      mean: the mean of the training split, of transformed values.
      std: the standard deviation, above 0.
      transform: the transform.
    """

    mean: float
    std: float
    transform: Transform = NONE

    def raw(self, value: float) -> float:
        """Return a standardised value in raw units."""
        return float(feature_transforms.invert(self.transform, self.mean + self.std * value))


Scales = Mapping[str, Scale]


def reconstruction(sample: Mapping[str, Any], scales: Scales) -> Figure:
    """Plot one sequence over time in raw units, a band a feature: measured, and reconstructed.

    There is nothing beyond the sequence's length to draw: samples hold no padding.

    Args:
      sample: an item of the samples' `reconstructions`, whose values are standardised.
      scales: of each feature that varies; others are not drawn, since nothing of them can be
        reconstructed better or worse.
    """
    features = {
        name: {
            key: [None if value is None else scales[name].raw(value) for value in columns[key]]
            for key in ("values", "outputs")
        }
        for name, columns in sample["features"].items()
        if name in scales
    }
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
                    "hovertemplate": f"step %{{x}}, {label}: %{{y:.3g}}<extra></extra>",
                }
            )
    return {"data": data, "layout": layout}


def reconstructions(samples: Mapping[str, Any], scales: Scales) -> Figure | None:
    """Plot the first of the drawn sequences; `choices` has each of them, under its `which`."""
    choices = {
        sample["which"]: reconstruction(sample, scales)
        for sample in samples["reconstructions"]
        if scales.keys() & sample["features"].keys()
    }
    return {**next(iter(choices.values())), "choices": choices} if choices else None


def error_by_length(sequences: Mapping[str, Any]) -> Figure | None:
    """Plot each sequence of the samples by length and masked MSE, both logarithmic."""
    points = [
        (length, mse, plain(name))
        for length, mse, name in zip(
            *(sequences[key] for key in ("length", "mse", SEQUENCE_ID)), strict=True
        )
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
        "hovertemplate": "%{text}<br>%{x} steps, MSE %{y:.3g}<extra></extra>",
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


def error_by_position(positions: Mapping[str, Any]) -> Figure | None:
    """Plot the masked MSE over the positions of the sample's sequences.

    Args:
      positions: `mse` of each bin, from the first step to the last.
    """
    errors = positions["mse"]
    if not any(map(is_number, errors)):
        return None
    trace = {
        "type": "scatter",
        "mode": "lines+markers",
        "x": _middles(len(errors)),
        "y": errors,
        "line": {"color": "--model", "width": 2},
        "marker": {"color": "--model", "size": 5},
        "connectgaps": False,
        "hovertemplate": "at %{x:.0%}: %{y:.3g}<extra></extra>",
    }
    layout = {
        "height": 260,
        "margin": {"t": 12},
        "xaxis": {"title": {"text": "share of the sequence"}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"title": {"text": "masked MSE"}, "rangemode": "tozero"},
    }
    return {"data": [trace], "layout": layout}


def missing(positions: Mapping[str, Any]) -> Figure | None:
    """Plot the share of missing values of each feature that has some, over the positions."""
    shares = {
        name: values
        for name, values in positions["missing"].items()
        if any(is_number(value) and value > 0 for value in values)
    }
    if not shares:
        return None
    trace = {
        "type": "heatmap",
        "x": _middles(len(next(iter(shares.values())))),
        "y": [plain(name) for name in shares],
        "z": [*shares.values()],
        "zmin": 0,
        "colorscale": "Viridis",
        "colorbar": {"tickformat": ".1%", "thickness": 12, "nticks": 3},
        "hovertemplate": "%{y} at %{x:.0%}: %{z:.1%} missing<extra></extra>",
    }
    layout = {
        "height": len(shares) * 26 + 90,
        "margin": {"t": 12},
        "xaxis": {"title": {"text": "share of the sequence"}, "tickformat": ".0%", "range": [0, 1]},
        "yaxis": {"type": "category", "automargin": True, "ticksuffix": " "},
    }
    return {"data": [trace], "layout": layout}


def _middles(bins: int) -> list[float]:
    return [(place + 0.5) / bins for place in range(bins)]


def embedding(samples: Mapping[str, Any]) -> Figure | None:
    """Plot the embeddings in their principal plane, coloured by a label, the length or the error.

    Beside `data` and `layout` there are `ways`: text of a button -> the traces that it shows; and
    `points`: of each sequence `id`, `about`, `x`, `y`, `index` and `distance` of its neighbours,
    which are drawn in the last trace.
    """
    sequences = samples["sequences"]
    if not sequences["length"]:
        return None
    about = [*map(plain, _about(sequences))]
    colourings: list[tuple[str, list[dict[str, Any]]]] = []
    for column, labels in sequences["context"].items():
        classes = sorted({label for label in labels if label is not None})
        if 2 <= len(classes) <= _MOST_CLASSES:
            colourings.append((column, _by_class(sequences, labels, classes, about)))
    lengths = sequences["length"]
    ticks = _powers(lengths)
    colourings.append(
        (
            "length",
            [_by_scale(sequences, about, lengths, ticks["tickvals"], ticks["ticktext"], "steps")],
        )
    )
    errors = [mse for mse in sequences["mse"] if is_number(mse) and mse > 0]
    if errors:
        powers = range(math.floor(math.log10(min(errors))), math.ceil(math.log10(max(errors))) + 1)
        values = [10.0**power for power in powers]
        texts = [f"{value:g}" for value in values]
        scale = _by_scale(sequences, about, sequences["mse"], values, texts, "MSE")
        colourings.append(("error", [scale]))
    owners = [place for place, (_, traces) in enumerate(colourings) for _ in traces]
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
    return {
        "data": [*data, _NEIGHBOURS],
        "layout": layout,
        "ways": {
            f"by {name}": [*(owner == place for owner in owners), True]
            for place, (name, _) in enumerate(colourings)
        },
        "points": {
            "id": sequences[SEQUENCE_ID],
            "about": [*_about(sequences)],
            "x": sequences["x"],
            "y": sequences["y"],
            **samples["neighbours"],
        },
    }


_NEIGHBOURS: Figure = {
    "type": "scatter",
    "mode": "lines+markers",
    "x": [],
    "y": [],
    "showlegend": False,
    "hoverinfo": "skip",
    "line": {"color": "--text", "width": 1},
    "marker": {
        "color": "rgba(0,0,0,0)",
        "size": 11,
        "line": {"color": "--text", "width": 1.5},
    },
}


def _about(sequences: Mapping[str, Any]) -> Iterator[str]:
    """Yield what stands beside each point: labels, length and error."""
    for place, length in enumerate(sequences["length"]):
        labels = (values[place] for values in sequences["context"].values())
        steps = f"{length:,} step{'' if length == 1 else 's'}"
        parts = [*(label for label in labels if label is not None), steps]
        yield ", ".join([*parts, f"MSE {number(sequences['mse'][place])}"])


def _by_scale(
    sequences: Mapping[str, Any],
    about: list[str],
    values: Collection[float | None],
    ticks: Collection[float],
    texts: Collection[str],
    title: str,
) -> dict[str, Any]:
    """Make a trace whose colours are the logarithms of numbers."""
    return {
        **_points(sequences, range(len(about)), about),
        "name": title,
        "showlegend": False,
        "marker": {
            "size": 6,
            "color": [math.log2(v) if is_number(v) and v > 0 else None for v in values],
            "colorscale": "Viridis",
            "colorbar": {
                "tickvals": [math.log2(tick) for tick in ticks],
                "ticktext": list(texts),
                "title": {"text": title},
                "thickness": 12,
            },
        },
    }


def _by_class(
    sequences: Mapping[str, Any], labels: list[str | None], classes: list[str], about: list[str]
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
                    **_points(sequences, places, about),
                    "name": "none" if label is None else plain(label),
                    "marker": marker,
                }
            )
    return traces


def _points(
    sequences: Mapping[str, Any], places: Iterable[int], about: list[str]
) -> dict[str, Any]:
    places = list(places)
    names = sequences[SEQUENCE_ID]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [sequences["x"][place] for place in places],
        "y": [sequences["y"][place] for place in places],
        "customdata": places,
        "text": [f"{plain(names[place])}<br>{about[place]}" for place in places],
        "hovertemplate": "%{text}<extra></extra>",
    }
