"""Read padded arrays of a NumPy archive: `values` [N, T, F], and the steps of each sequence.

    np.savez(path, values=[N, T, F], length=[N], sequence_id=[N], label=[N], ...)

Without `length`, the steps at a sequence's end in which every feature is `input.padding_value` are
padding; a sequence of nothing else has no step, and is rejected. There is no place for categories
and times.
"""

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.parsing import table
from ragline.components.ingest.formats.parsing.arrays import (
    INTEGERS,
    NUMBERS,
    Array,
    ArrayReader,
    Kinds,
    arrow,
)
from ragline.components.ingest.formats.parsing.columnar import STEPS, Flat, part
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Part

VALUES = "values"


@dataclass(frozen=True, slots=True, kw_only=True)
class Padded:
    """Describes a padded archive, checked as far as headers tell.

    Attributes:
      read: the meaning of the arrays.
      values: [N, T, F].
      lengths: [N], or None where padding is told by its value.
      records: column -> [N].
    """

    read: Layout
    values: Array
    lengths: Array | None
    records: Mapping[str, Array]


def of(
    named: Mapping[str, Array],
    stated: str | None,
    kinds: Mapping[str, Kinds],
    columns: Columns,
    options: InputOptions,
    path: str,
) -> Padded | None:
    """Return the padded form of an archive; None if it is of another.

    Args:
      named: its arrays.
      stated: the name of the one that holds lengths, if there is one.
      kinds: column of the records -> what its array must hold.
      columns: what the schema says.
      options: of the input.
      path: for the error.

    Raises:
      BadDataError: `missing_column`, nothing says what is padding; `type`, `bad_dim`,
        `length_mismatch`.
    """
    values = named.get(VALUES)
    if values is None or len(values.shape) != 3:
        return None
    if stated is None and options.padding_value is None:
        raise BadDataError(
            "missing_column",
            f"{path}: array {VALUES!r} is padded, {values}: expected an array 'length' that says "
            "how many steps each sequence has, or input.padding_value, received neither",
        )
    read = table.layout({*named, *columns.names}, columns, options, path)
    if values.shape[2] != len(read.features) or not values.is_of(NUMBERS):
        raise BadDataError(
            "bad_dim",
            f"{path}: array {VALUES!r}: expected numbers [N, T, {len(read.features)}], as the "
            f"schema has features, received {values}",
        )
    if read.time or read.categories:
        raise BadDataError(
            "missing_column",
            f"{path}: array {VALUES!r} is padded: expected neither times nor categories, received "
            f"{', '.join(filter(None, (read.time, *read.categories)))}",
        )
    names = [name for name in (read.sequence, read.entity, *read.context) if name]
    every = [*([named[stated]] if stated else []), *(named[name] for name in names)]
    for array in every:
        wanted = INTEGERS if array.name == stated else kinds[array.name]
        if array.shape != values.shape[:1] or not array.is_of(wanted):
            raise BadDataError(
                "length_mismatch",
                f"{path}: array {array.name!r}: expected {wanted[1]} [{values.shape[0]}], received "
                f"{array}",
            )
    return Padded(
        read=read,
        values=values,
        lengths=named[stated] if stated else None,
        records={name: named[name] for name in names},
    )


def read(
    archive: zipfile.ZipFile, form: Padded, padding: float | None, path: str
) -> Iterator[Part]:
    """Yield the sequences of a padded archive."""
    values = ArrayReader(archive, form.values, path)
    lengths = ArrayReader(archive, form.lengths, path) if form.lengths else None
    records = {name: ArrayReader(archive, array, path) for name, array in form.records.items()}
    number, steps, _ = form.values.shape
    each = max(1, STEPS // max(1, steps))
    for first in range(0, number, each):
        size = min(each, number - first)
        block = values.take(size).astype(np.float64)
        stated = lengths.take(size).astype(np.int64) if lengths else lengths_of(block, padding)
        bad = (stated < 0) | (stated > steps)
        length = np.where(bad, 0, stated)
        kept = np.arange(steps) < length[:, None]
        yield part(
            Flat(
                number=np.arange(first + 1, first + size + 1),
                length=length,
                steps={
                    name: arrow(np.ascontiguousarray(block[..., place][kept]))
                    for place, name in enumerate(form.read.features)
                },
                records={
                    name: arrow(rows.take(size), absent=name in form.read.context)
                    for name, rows in records.items()
                },
            ),
            form.read,
            {
                place: RejectedRecord(
                    "length_mismatch", f"expected 0 to {steps} steps, received {stated[place]}"
                )
                for place in np.flatnonzero(bad).tolist()
            },
        )
    finished: Iterable[ArrayReader] = (values, *([lengths] if lengths else []), *records.values())
    for rows in finished:
        rows.finish()


def lengths_of(block: np.ndarray, padding: float | None) -> np.ndarray:
    """Return int64 [N], the steps of each of [N, T, F] before the padding at its end."""
    is_padding = np.isnan(block) if padding is None or np.isnan(padding) else block == padding
    is_step = ~is_padding.all(axis=2)
    last = block.shape[1] - np.argmax(is_step[:, ::-1], axis=1)
    return np.where(is_step.any(axis=1), last, 0).astype(np.int64)
