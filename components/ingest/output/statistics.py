"""Range and number of each feature's values, as far as they are written."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import Columns
from ragline.components.ingest.records.chunk import Chunk

Ranges = dict[str, dict[str, Any]]


def ranges(columns: Columns) -> Ranges:
    """Of no value: feature -> {min, max, missing, values}; `min` and `max` are None."""
    return {name: {"min": None, "max": None, "missing": 0, "values": 0} for name in columns.names}


def of_chunk(chunk: Chunk, columns: Columns) -> Ranges:
    """Of the sequences of a Chunk, as float32, which is what is written."""
    found = ranges(columns)
    for name, of in found.items():
        column = chunk.values[name].astype(np.float32)
        missing = int(np.isnan(column).sum())
        of["missing"], of["values"] = missing, len(column) - missing
        if of["values"]:
            of["min"], of["max"] = float(np.fmin.reduce(column)), float(np.fmax.reduce(column))
    return found


def merged(every: Iterable[Mapping[str, Mapping[str, Any]]], columns: Columns) -> Ranges:
    """Of several, together."""
    total = ranges(columns)
    for one in every:
        for name, of in total.items():
            more = one[name]
            of["missing"] += more["missing"]
            of["values"] += more["values"]
            for key, pick in (("min", min), ("max", max)):
                known = [x for x in (of[key], more[key]) if x is not None]
                of[key] = pick(known) if known else None
    return total


def constant(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The features whose values are all the same, or that have none: they teach nothing."""
    return [name for name, of in found.items() if of["min"] == of["max"]]
