"""Count each feature's values, and keep their range, of the sequences that are written."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import Columns
from ragline.components.ingest.records.chunk import Chunk

Ranges = dict[str, dict[str, Any]]


def empty(columns: Columns) -> Ranges:
    """Return feature -> {min, max, missing, values} of no value; `min` and `max` are None."""
    return {name: {"min": None, "max": None, "missing": 0, "values": 0} for name in columns.names}


def of_chunk(chunk: Chunk, columns: Columns) -> Ranges:
    """Return the ranges of a Chunk, in float32, as its values are written."""
    ranges = empty(columns)
    for name, total in ranges.items():
        column = chunk.values[name].astype(np.float32)
        missing = int(np.isnan(column).sum())
        total["missing"], total["values"] = missing, len(column) - missing
        if total["values"]:
            total["min"] = float(np.fmin.reduce(column))
            total["max"] = float(np.fmax.reduce(column))
    return ranges


def merged(parts: Iterable[Mapping[str, Mapping[str, Any]]], columns: Columns) -> Ranges:
    """Merge ranges."""
    ranges = empty(columns)
    for part in parts:
        for name, total in ranges.items():
            more = part[name]
            total["missing"] += more["missing"]
            total["values"] += more["values"]
            for key, pick in (("min", min), ("max", max)):
                known = [limit for limit in (total[key], more[key]) if limit is not None]
                total[key] = pick(known) if known else None
    return ranges


def constant(ranges: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the features whose values are all the same, or that have none: they teach nothing."""
    return [name for name, total in ranges.items() if total["min"] == total["max"]]
