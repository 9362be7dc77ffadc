"""Compute count, mean and spread of each feature and of the lengths by span, to measure drift.

Values are those that the model is given: transformed, where a feature has a transform.

They are merged by the formulas of Chan, Golub and LeVeque (1979), which do not cancel where a
mean is large beside its spread, as sums of squares do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ragline.components.contract import feature_transforms
from ragline.components.contract.columns import LENGTH, Columns, Feature
from ragline.components.contract.feature_transforms import NONE
from ragline.components.ingest.records.chunk import Chunk

# {count, missing, mean, m2}; m2 is the sum of squared distances from the mean.
ColumnStats = Mapping[str, Any]
# `features` {name: ColumnStats over steps}, and `length`, ColumnStats over sequences.
SpanStats = Mapping[str, Any]


def of_chunk(chunk: Chunk, columns: Columns) -> SpanStats:
    """Return the statistics of a Chunk, of its values in float32, as they are written."""
    return {
        "features": {
            feature.name: _column_stats(_values(feature, chunk)) for feature in columns.features
        },
        LENGTH: _column_stats(chunk.length),
    }


def _values(feature: Feature, chunk: Chunk) -> np.ndarray:
    values = chunk.values[feature.name].astype(np.float32)
    if feature.transform == NONE:
        return values
    transformed: np.ndarray = feature_transforms.apply(feature.transform, values.astype(np.float64))
    return transformed


def merged(parts: Iterable[SpanStats]) -> SpanStats:
    """Merge the statistics of at least one part of a span."""
    first, *rest = parts
    return {
        "features": {
            name: _merged([stats, *(part["features"][name] for part in rest)])
            for name, stats in first["features"].items()
        },
        LENGTH: _merged([first[LENGTH], *(part[LENGTH] for part in rest)]),
    }


def by_span(units: Iterable[Mapping[str, SpanStats]], spans: Iterable[str]) -> dict[str, SpanStats]:
    """Merge the statistics of all units, by span; a span without a sequence is left out."""
    units = list(units)
    parts = {span: [unit[span] for unit in units if span in unit] for span in spans}
    return {span: merged(part) for span, part in parts.items() if part}


def _column_stats(values: np.ndarray) -> ColumnStats:
    missing = np.isnan(values)
    number = int(np.count_nonzero(missing))
    observed = (values[~missing] if number else values).astype(np.float64)
    mean = float(observed.mean()) if observed.size else 0.0
    # In place: of a column that a core's memory holds, new arrays are half of the time.
    observed -= mean
    return {
        "count": int(observed.size),
        "missing": number,
        "mean": mean,
        "m2": float(np.square(observed, out=observed).sum()),
    }


def _merged(parts: Iterable[ColumnStats]) -> ColumnStats:
    count, missing, mean, m2 = 0, 0, 0.0, 0.0
    for part in parts:
        missing += part["missing"]
        if part["count"]:
            distance, total = part["mean"] - mean, count + part["count"]
            mean += distance * part["count"] / total
            m2 += part["m2"] + distance**2 * count * part["count"] / total
            count = total
    return {"count": count, "missing": missing, "mean": mean, "m2": m2}
