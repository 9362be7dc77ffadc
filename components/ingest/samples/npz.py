"""Sample NumPy archives: whole arrays, as far as a sample goes."""

import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import ENTITY_ID, SEQUENCE_ID
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.npz import LENGTHS, first_of_each
from ragline.components.ingest.formats.parsing.arrays import (
    NUMBERS,
    Array,
    ArrayReader,
    arrow,
    opened,
    read_arrays,
)
from ragline.components.ingest.formats.parsing.padded import VALUES, lengths_of
from ragline.components.ingest.samples.sample import MOST_ROWS, Sample, joined

_MOST_ARRAYS = 10_000
_IDS = (SEQUENCE_ID, ENTITY_ID)


def take(paths: Sequence[str]) -> Sample:
    """Read the arrays of archives: those of one form only.

    Raises:
      BadDataError: as the reader; `bad_dim`, arrays that are no sequences, or of several widths.
    """
    samples = [_of_file(path, MOST_ROWS // len(paths)) for path in paths]
    names = [n for n in samples[0].steps if all(n in sample.steps for sample in samples)]
    of_records = [n for n in samples[0].records if all(n in s.records for s in samples)]
    if not names:
        raise BadDataError(
            "missing_column",
            f"{paths[-1]}: expected the arrays of {paths[0]}, {', '.join(samples[0].steps)}",
        )
    return Sample(
        steps={name: joined([sample.steps[name] for sample in samples]) for name in names},
        records={name: joined([s.records[name] for s in samples]) for name in of_records},
        lengths=np.concatenate([sample.lengths for sample in samples]),
        paths=tuple(paths),
        by_place=any(sample.by_place for sample in samples),
        options=samples[0].options,
        complete=all(sample.complete for sample in samples),
        left_out={key: why for sample in samples for key, why in sample.left_out.items()},
    )


def _of_file(path: str, most: int) -> Sample:
    with opened(path) as archive:
        arrays = read_arrays(archive, path)
        if not arrays:
            raise BadDataError("no_data", f"{path}: expected at least one array, received none")
        named = {array.name: array for array in arrays}
        stated = next((named[name] for name in LENGTHS if name in named), None)
        if stated is not None:
            return _flat(archive, named, stated, path)
        if VALUES in named and len(named[VALUES].shape) == 3 and named[VALUES].is_of(NUMBERS):
            return _padded(archive, named, path)
        return _each(archive, arrays, path, most)


def _flat(archive: zipfile.ZipFile, named: Mapping[str, Array], stated: Array, path: str) -> Sample:
    lengths = _cells(archive, stated, path).astype(np.int64)
    number, total = len(lengths), int(np.maximum(lengths, 0).sum())
    matrix = named.get(VALUES)
    padded = matrix is not None and len(matrix.shape) == 3
    steps: dict[str, pa.Array] = {}
    records: dict[str, pa.Array] = {}
    left_out: dict[str, str] = {}
    for name, array in named.items():
        if array is stated:
            continue
        if array is matrix and len(array.shape) in (2, 3) and array.is_of(NUMBERS):
            values = _cells(archive, array, path)
            if padded:
                kept = np.arange(array.shape[1]) < lengths[:, None]
                values = (
                    values[kept] if array.shape[0] == number else values.reshape(-1, array.shape[2])
                )
            for place, column in enumerate(values.T):
                steps[f"feature_{place}"] = arrow(np.ascontiguousarray(column), absent=True)
        elif name in _IDS and array.shape == (total,) != (number,) and not padded:
            ids, _ = first_of_each(_cells(archive, array, path), np.maximum(lengths, 0))
            records[name] = arrow(ids, absent=True)
        elif len(array.shape) == 1 and array.shape[0] == total and not padded:
            steps[name] = arrow(_cells(archive, array, path), absent=True)
        elif len(array.shape) == 1 and array.shape[0] == number:
            records[name] = arrow(_cells(archive, array, path), absent=True)
        else:
            left_out[name] = (
                f"{array} has neither a value a step ({total}) nor a sequence ({number})"
            )
    if not steps:
        raise BadDataError(
            "bad_dim",
            f"{path}: expected an array {VALUES!r} [{total}, F], or arrays [{total}], as "
            f"{stated.name!r} adds up to {total} steps; received "
            f"{', '.join(f'{array.name} {array}' for array in named.values())}",
        )
    return Sample(
        steps=steps,
        records=records,
        by_place=padded,
        lengths=lengths,
        complete=True,
        left_out=left_out,
    )


def _padded(archive: zipfile.ZipFile, named: Mapping[str, Array], path: str) -> Sample:
    """Read padded sequences without lengths: NaN at their ends is padding, or 0 if some end so."""
    values = _cells(archive, named[VALUES], path).astype(np.float64)
    number, steps, features = values.shape
    padding = np.nan
    if not (lengths_of(values, padding) < steps).any() and (lengths_of(values, 0.0) < steps).any():
        padding = 0.0
    lengths = lengths_of(values, padding)
    kept = values[np.arange(steps) < lengths[:, None]]
    records = {
        name: arrow(_cells(archive, array, path), absent=True)
        for name, array in named.items()
        if array.shape == (number,)
    }
    return Sample(
        steps={
            f"feature_{place}": arrow(np.ascontiguousarray(kept[:, place]), absent=True)
            for place in range(features)
        },
        records=records,
        by_place=True,
        lengths=lengths,
        options={"padding_value": padding},
    )


def _each(archive: zipfile.ZipFile, arrays: Sequence[Array], path: str, most: int) -> Sample:
    """Read an array a sequence, all of one width."""
    widths = {array.shape[1] if len(array.shape) == 2 else 1 for array in arrays}
    bad = [array for array in arrays if len(array.shape) not in (1, 2) or not array.is_of(NUMBERS)]
    if bad or len(widths) > 1:
        shown = ", ".join(f"{array.name} {array}" for array in arrays[:4])
        raise BadDataError(
            "bad_dim",
            f"{path}: expected an array [T, F] a sequence, all with as many features; or the steps "
            f"of all sequences one after another, as np.savez(path, {VALUES}=..., length=...); "
            f"received {shown}. Of padded sequences [N, T, F], save {VALUES} and the true lengths "
            "[N], as length",
        )
    chosen = list(arrays[:_MOST_ARRAYS])
    blocks, rows = [], 0
    for array in chosen:
        if rows > most:
            break
        blocks.append(_cells(archive, array, path).reshape(array.shape[0], -1).astype(np.float64))
        rows += array.shape[0]
    stacked = np.concatenate(blocks)
    return Sample(
        steps={
            f"feature_{place}": arrow(np.ascontiguousarray(column), absent=True)
            for place, column in enumerate(stacked.T)
        },
        by_place=True,
        lengths=np.array([len(block) for block in blocks], np.int64),
        complete=len(blocks) == len(arrays),
    )


def _cells(archive: zipfile.ZipFile, array: Array, path: str) -> np.ndarray:
    rows = ArrayReader(archive, array, path)
    cells = rows.take(array.shape[0] if array.shape else 1)
    rows.finish()
    return cells
