"""Count, mean and spread of each feature and of the lengths, span by span: what drift is read off.

Moments are merged by the formulas of Chan, Golub and LeVeque (1979), which do not cancel where a
mean is large beside its spread, as sums of squares do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import LENGTH, Columns
from ragline.components.ingest.records.chunk import Chunk

# {count, missing, mean, m2}; m2 is the sum of squared distances from the mean.
Moment = Mapping[str, Any]
# `features` {name: Moment over steps}, and `length`, a Moment over sequences.
Moments = Mapping[str, Any]


def of_chunk(chunk: Chunk, columns: Columns) -> Moments:
    """Of the sequences of a Chunk, as float32, which is what is written."""
    return {
        "features": {
            name: _moment(chunk.values[name].astype(np.float32)) for name in columns.names
        },
        LENGTH: _moment(chunk.length),
    }


def merged(every: Iterable[Moments]) -> Moments:
    """Of several, at least one, together."""
    first, *rest = every
    return {
        "features": {
            name: _merged([moment, *(one["features"][name] for one in rest)])
            for name, moment in first["features"].items()
        },
        LENGTH: _merged([first[LENGTH], *(one[LENGTH] for one in rest)]),
    }


def by_span(reports: Iterable[Mapping[str, Moments]], spans: Iterable[str]) -> dict[str, Moments]:
    """Span -> its moments, of all units together; a span without a sequence is left out."""
    reports = list(reports)
    parts = {span: [one[span] for one in reports if span in one] for span in spans}
    return {span: merged(part) for span, part in parts.items() if part}


def _moment(values: np.ndarray) -> Moment:
    observed = values[~np.isnan(values)].astype(np.float64)
    mean = float(observed.mean()) if observed.size else 0.0
    return {
        "count": int(observed.size),
        "missing": int(values.size - observed.size),
        "mean": mean,
        "m2": float(np.square(observed - mean).sum()),
    }


def _merged(moments: Iterable[Moment]) -> Moment:
    count, missing, mean, m2 = 0, 0, 0.0, 0.0
    for one in moments:
        missing += one["missing"]
        if one["count"]:
            distance, total = one["mean"] - mean, count + one["count"]
            mean += distance * one["count"] / total
            m2 += one["m2"] + distance**2 * count * one["count"] / total
            count = total
    return {"count": count, "missing": missing, "mean": mean, "m2": m2}
