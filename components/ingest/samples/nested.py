"""Convert decoded records to columns: lists of values or objects, `features`, nested objects.

A name of what is nested is its path: `bp.sys` of `{"bp": {"sys": 120}}`.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ragline.components.ingest.formats.parsing.objects import flat, list_of_steps
from ragline.components.ingest.samples.sample import Sample

_FEATURES = "features"


def sample_of(
    records: Sequence[Mapping[str, Any]],
    paths: Sequence[str],
    counts: Sequence[int] = (),
    *,
    complete: bool,
) -> Sample:
    """Return the sample of records of files.

    Args:
      records: decoded objects, at least one.
      paths: the paths of the files.
      counts: the number of records of each file.
      complete: whether they are all that there are.
    """
    sample = of_records(records, complete=complete)
    is_table = sample.lengths is None
    return dataclasses.replace(sample, files=tuple(counts) if is_table else (), paths=tuple(paths))


def of_records(records: Sequence[Mapping[str, Any]], *, complete: bool) -> Sample:
    """Return records whose steps are lists, or a list of objects; or events, which have no list.

    Args:
      records: decoded objects, at least one.
      complete: whether they are all that there are.
    """
    steps: dict[str, list[Any]] = {}
    scalars: dict[str, list[Any]] = {}
    lengths: list[int] = []
    done = 0
    for place, record in enumerate(records):
        columns = [*_columns(record)]
        lists = {key: value for key, value in columns if isinstance(value, list)}
        length = max(map(len, lists.values()), default=0)
        lengths.append(length)
        for key, value in lists.items():
            column = steps.setdefault(key, [])
            column.extend([None] * (done - len(column)))
            column.extend(value)
        for column in steps.values():
            column.extend([None] * (done + length - len(column)))
        done += length
        for key, value in columns:
            if not isinstance(value, list):
                column = scalars.setdefault(key, [])
                column.extend([None] * (place - len(column)))
                column.append(value)
    for column in scalars.values():
        column.extend([None] * (len(records) - len(column)))
    is_table = not steps
    if is_table:
        steps, scalars = scalars, {}
    left_out: dict[str, str] = {}
    if both := [key for key in scalars if key in steps]:
        left_out = dict.fromkeys(both, "the steps have a column of that name, which is taken")
        scalars = {key: column for key, column in scalars.items() if key not in steps}
    of_steps = _arrays(steps, left_out)
    of_records = _arrays(scalars, left_out)
    return Sample(
        steps=of_steps,
        records=of_records,
        lengths=None if is_table else np.array(lengths, np.int64),
        complete=complete,
        left_out=left_out,
    )


def _columns(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield (column, its list or value) of a record, wherever the record keeps it."""
    features = record.get(_FEATURES)
    for key, value in flat(record):
        if isinstance(features, dict) and key.startswith(f"{_FEATURES}."):
            yield key.removeprefix(f"{_FEATURES}."), value
        elif list_of_steps(value):
            paths = [dict(flat(step or {})) for step in value]
            names = dict.fromkeys(name for step in paths for name in step)
            yield from ((name, [step.get(name) for step in paths]) for name in names)
        else:
            yield key, value


def _arrays(columns: Mapping[str, list[Any]], left_out: dict[str, str]) -> dict[str, pa.Array]:
    arrays = {}
    for name, cells in columns.items():
        kinds = {type(cell) for cell in cells if cell is not None}
        if kinds & {list, dict}:
            left_out[name] = "lists or objects in its lists are neither numbers nor words"
        elif kinds <= {int, float}:
            arrays[name] = _numbers(cells)
        elif len(kinds) > 1:
            words = ", ".join(sorted(kind.__name__ for kind in kinds))
            left_out[name] = f"values of several types, {words}"
        else:
            arrays[name] = pa.array([_encodable(cell) for cell in cells])
    return arrays


def _numbers(cells: list[Any]) -> pa.Array:
    if any(isinstance(cell, float) for cell in cells):
        return pa.array([None if c is None else float(c) for c in cells], pa.float64())
    try:
        return pa.array(cells, pa.int64() if any(c is not None for c in cells) else pa.null())
    except (OverflowError, pa.ArrowInvalid):
        return pa.array([None if c is None else json.dumps(c) for c in cells], pa.string())


def _encodable(cell: Any) -> Any:
    """Replace lone surrogates, which JSON can spell, and no text has."""
    return cell.encode("utf-8", "replace").decode() if isinstance(cell, str) else cell
