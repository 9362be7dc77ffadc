"""Read NumPy archives, in one of three forms; `padded` has the third.

Flat: the steps of all sequences one after another, and how many each one has.

    np.savez(path, values=[sum T, F], length=[N], sequence_id=[N], label=[N], ...)

`values` has the schema's features in order. Each may have an array [sum T] under its own name
instead; `values` is then of the others, or is not there. A column of `values` may also be named by
its place, `feature_0` the first, as `ragline init` does; others are then not read. Categories and
the time are arrays [sum T] too. `length` may be called `lengths` or `row_lengths`. Ids and context
are arrays [N] and may be absent; NaN and "" are absent context. An id may also be [sum T], the same
at each step of a sequence. A sequence of negative length is rejected; of lengths that do not add
up, none can be trusted.

One array a sequence: [T, F], or [T] of a single feature. Its name is its id, save for the names
`arr_0`, `arr_1` and so on, which numpy.savez gives to arrays that have none.

Arrays are read from the archive a range at a time, and their stated sizes are compared with the
bytes that are there before anything is allocated. An array of objects is pickled, and unpickling
runs whatever code the file holds: it is refused.
"""

import dataclasses
import re
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ragline.components.contract import kinds
from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing import padded, table
from ragline.components.ingest.formats.parsing.arrays import (
    INTEGERS,
    NAMES,
    NUMBERS,
    TIMES,
    WORDS,
    Array,
    ArrayReader,
    Kinds,
    arrow,
    opened,
    read_arrays,
)
from ragline.components.ingest.formats.parsing.columnar import STEPS, Flat, features_of, part
from ragline.components.ingest.formats.parsing.padded import VALUES
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Part, Piece, runs
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings

LENGTHS = (LENGTH, "lengths", "row_lengths")
_UNNAMED = re.compile(r"arr_[0-9]+")
_BLOCK = 1 << 20
_RECORDS = 1 << 13


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """Describes the flat form of an archive.

    Attributes:
      read: the meaning of the arrays.
      lengths: [N].
      matrix: [sum T, F], or None where each feature has an array.
      of_matrix: column -> its place in the matrix.
      steps: column -> [sum T].
      records: column -> [N].
      repeated: column of ids -> [sum T], the same at each step of a sequence.
    """

    read: Layout
    lengths: Array
    matrix: Array | None
    of_matrix: Mapping[str, int]
    steps: Mapping[str, Array]
    records: Mapping[str, Array]
    repeated: Mapping[str, Array]

    @property
    def total(self) -> int:
        """Return steps of all sequences, as the arrays have them."""
        return (self.matrix or next(iter(self.steps.values()))).shape[0]


class Npz(Format):
    """Reads NumPy archives."""

    uses = (Use("NumPy archives: `.npz`", "a length, or an array"),)
    suffixes = (".npz",)

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether a file begins as a zip archive does."""
        return beginnings.starts(beginning, b"PK\x03\x04")

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read the arrays of archives: those of one form only.

        Raises:
          BadDataError: as `pieces`; `bad_dim`, arrays that are no sequences, or of several widths.
        """
        from ragline.components.ingest.samples import npz as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Make one piece of the flat and padded forms, and ranges of arrays of the other.

        Raises:
          BadDataError: `unreadable`, a broken archive; `zip_bomb`; `pickled`; `missing_column`;
            and in the flat form `type`, `bad_dim` and `length_mismatch`.
        """
        with opened(file.path) as archive:
            arrays = read_arrays(archive, file.path)
            size = sum(array.member.compress_size for array in arrays)
            whole = Piece(file=file, start=0, stop=None, first=1, size=size)
            if _padded(arrays, columns, options, file.path):
                return [whole]
            if form := _form(arrays, columns, options, file.path):
                _check_lengths(archive, form, file.path)
                return [whole]
        features_of(columns, options, file.path)
        starts, waiting = [0], 0
        for place, array in enumerate(arrays):
            if waiting >= piece_bytes:
                starts, waiting = [*starts, place], 0
            waiting += array.member.compress_size
        return [
            Piece(file=file, start=start, stop=stop, first=start + 1, size=size // len(starts))
            for start, stop in zip(starts, [*starts[1:], len(arrays)], strict=True)
        ]

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the sequences of a piece.

        Raises:
          BadDataError: as `pieces`; a wrong checksum is found when the array has been read.
        """
        path = piece.file.path
        with opened(path) as archive:
            arrays = read_arrays(archive, path)
            if of_padded := _padded(arrays, columns, options, path):
                yield from padded.read(archive, of_padded, options.padding_value, path)
            elif form := _form(arrays, columns, options, path):
                yield from _read_flat(archive, form, path)
            else:
                chosen = enumerate(arrays[piece.start : piece.stop], start=piece.first)
                yield from _read_each(
                    archive, chosen, table.layout(columns.names, columns, options, path), path
                )


def _of_context(kind: str) -> Kinds:
    return kinds.pick(kind, text=WORDS, integer=INTEGERS, number=NUMBERS)


def _padded(
    arrays: Iterable[Array], columns: Columns, options: InputOptions, path: str
) -> padded.Padded | None:
    named = {array.name: array for array in arrays}
    stated = next((name for name in LENGTHS if name in named), None)
    kinds = dict.fromkeys((options.id or SEQUENCE_ID, options.entity or ENTITY_ID), NAMES)
    kinds |= {name: _of_context(kind) for name, kind in columns.context.items()}
    return padded.of(named, stated, kinds, columns, options, path)


def _form(
    arrays: Iterable[Array], columns: Columns, options: InputOptions, path: str
) -> _Form | None:
    """Return the flat form, checked as far as headers tell; None if the archive is of the other."""
    named = {array.name: array for array in arrays}
    stated = [name for name in LENGTHS if name in named]
    if len(stated) > 1:
        raise BadDataError(
            "length_mismatch", f"{path}: expected one array of lengths, received {stated}"
        )
    by_feature = named.keys() >= set(columns.names)
    if not stated and (by_feature or VALUES in named):
        raise BadDataError(
            "missing_column",
            f"{path}: expected an array {LENGTH!r} that says how many steps each sequence has, "
            f"received {', '.join(map(repr, list(named)[:20]))}",
        )
    if not stated:
        return None
    is_matrix = VALUES in named and not by_feature
    places = _places(named[VALUES], named, columns, options, path) if is_matrix else {}
    read = table.layout({*named, *places}, columns, options, path)

    def take(name: str, kinds: Kinds, dims: int = 1) -> Array:
        array = named[name]
        if not array.is_of(kinds):
            raise BadDataError(
                "type", f"{path}: array {name!r}: expected {kinds[1]}, received {array}"
            )
        if len(array.shape) != dims:
            raise BadDataError(
                "bad_dim", f"{path}: array {name!r}: expected {dims} dimensions, received {array}"
            )
        return array

    of_steps = dict.fromkeys(read.features, NUMBERS)
    for category in columns.categories:
        of_steps[category.name] = category.pick(words=NAMES, ids=INTEGERS)
    if read.time:
        of_steps[read.time] = TIMES
    of_records = {name: NAMES for name in (read.sequence, read.entity) if name}
    of_records |= {name: _of_context(columns.context[name]) for name in read.context}
    lengths = take(stated[0], INTEGERS)
    # An id has a value a sequence, or, as a table has it, a value a step.
    number = lengths.shape[0]
    repeated = [n for n in (read.sequence, read.entity) if n and named[n].shape[0] != number]
    form = _Form(
        read=read,
        lengths=lengths,
        matrix=take(VALUES, NUMBERS, dims=2) if is_matrix else None,
        of_matrix=places,
        steps={name: take(name, kinds) for name, kinds in of_steps.items() if name not in places},
        records={n: take(n, kinds) for n, kinds in of_records.items() if n not in repeated},
        repeated={name: take(name, NAMES) for name in repeated},
    )
    of_a_step = {**form.steps, **form.repeated}
    for expected, group in ((form.total, of_a_step), (number, form.records)):
        for array in group.values():
            if array.shape[0] != expected:
                either = f"{number} or {expected}" if array.name in repeated else expected
                raise BadDataError(
                    "length_mismatch",
                    f"{path}: array {array.name!r}: expected {either} values, received {array}",
                )
    return form


def _places(
    matrix: Array, named: Collection[str], columns: Columns, options: InputOptions, path: str
) -> dict[str, int]:
    """Return column -> its place in the matrix, of those that have no array of their own."""
    width = matrix.shape[1] if len(matrix.shape) == 2 else 0
    by_place = {f"feature_{place}": place for place in range(width)}
    without = [name for name in table.wanted(columns, options) if name not in named]
    if without and all(name in by_place for name in without):
        return {name: by_place[name] for name in without}
    features = [name for name in table.wanted(columns, options) if name in columns.names]
    of_matrix = features if width == len(features) else [f for f in features if f not in named]
    if width and width != len(of_matrix):
        others = " without an array of their own" if len(of_matrix) < len(features) else ""
        raise BadDataError(
            "bad_dim",
            f"{path}: array {VALUES!r}: expected [sum T, {len(of_matrix)}], as the schema "
            f"has features{others}, received {matrix}",
        )
    return {name: place for place, name in enumerate(of_matrix)}


def _check_lengths(archive: zipfile.ZipFile, form: _Form, path: str) -> None:
    """Compare the sum of the lengths with the steps that there are."""
    rows, count, total = ArrayReader(archive, form.lengths, path), form.lengths.shape[0], 0
    for start in range(0, count, _BLOCK):
        # Capped, for a sum must not wrap round.
        block = np.clip(rows.take(min(_BLOCK, count - start)), 0, form.total + 1)
        total += sum(block.tolist())
    rows.finish()
    if total != form.total:
        raise BadDataError(
            "length_mismatch",
            f"{path}: array {form.lengths.name!r}: expected lengths whose sum is the "
            f"{form.total} steps that there are, received {total}",
        )


def _read_flat(archive: zipfile.ZipFile, form: _Form, path: str) -> Iterator[Part]:
    lengths = ArrayReader(archive, form.lengths, path)
    records = {name: ArrayReader(archive, array, path) for name, array in form.records.items()}
    steps = {name: ArrayReader(archive, array, path) for name, array in form.steps.items()}
    repeated = {name: ArrayReader(archive, array, path) for name, array in form.repeated.items()}
    matrix = ArrayReader(archive, form.matrix, path) if form.matrix else None
    for first in range(0, form.lengths.shape[0], _RECORDS):
        size = min(_RECORDS, form.lengths.shape[0] - first)
        stated = lengths.take(size)
        block = {name: rows.take(size) for name, rows in records.items()}
        # After `_check_lengths`, none is too large for an int64.
        length = np.where(stated < 0, 0, stated).astype(np.int64)
        for start, stop in runs(length, STEPS):
            total = int(length[start:stop].sum())
            cells = {name: arrow(rows.take(total)) for name, rows in steps.items()}
            if matrix:
                values = matrix.take(total)
                cells |= {name: arrow(values[:, i]) for name, i in form.of_matrix.items()}
            rejects = {
                place: RejectedRecord(
                    "length_mismatch",
                    f"{form.lengths.name}: expected at least 0, received {stated[start + place]}",
                )
                for place in np.flatnonzero(stated[start:stop] < 0).tolist()
            }
            ids = {}
            for name, rows in repeated.items():
                ids[name], changes = first_of_each(rows.take(total), length[start:stop])
                for place in np.flatnonzero(changes).tolist():
                    what = f"{name}: expected the same at every step of a sequence"
                    rejects.setdefault(place, RejectedRecord("type", what))
            yield part(
                Flat(
                    number=np.arange(first + start + 1, first + stop + 1),
                    length=length[start:stop],
                    steps=cells,
                    records={
                        **{
                            name: arrow(column[start:stop], absent=name in form.read.context)
                            for name, column in block.items()
                        },
                        **{name: arrow(column) for name, column in ids.items()},
                    },
                ),
                form.read,
                rejects,
            )
    every = (lengths, *records.values(), *steps.values(), *repeated.values())
    for rows in (*every, *([matrix] if matrix else [])):
        rows.finish()


def first_of_each(values: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first value of each sequence, and whether one of its others differs.

    Args:
      values: [sum T].
      length: int64 [N]; of a sequence without steps, the value is of no meaning.
    """
    if not len(values):
        return np.zeros(len(length), values.dtype), np.zeros(len(length), bool)
    starts = np.minimum(np.cumsum(length) - length, len(values) - 1)
    differs = values != np.repeat(values[starts], length)
    group = np.repeat(np.arange(len(length)), length)
    return values[starts], np.bincount(group[differs], minlength=len(length)) > 0


def _read_each(
    archive: zipfile.ZipFile, arrays: Iterable[tuple[int, Array]], read: Layout, path: str
) -> Iterator[Part]:
    features = len(read.features)
    sequences: list[tuple[int, str | None, np.ndarray]] = []
    rejects: dict[int, RejectedRecord] = {}

    def gathered() -> Part:
        stacked = np.concatenate([values for _, _, values in sequences])
        names = [name for _, name, _ in sequences]
        flat = Flat(
            number=np.array([number for number, _, _ in sequences], np.int64),
            length=np.array([len(values) for _, _, values in sequences], np.int64),
            steps={name: arrow(stacked[:, i]) for i, name in enumerate(read.features)},
            records={SEQUENCE_ID: pa.array(names, pa.string())},
        )
        return part(flat, dataclasses.replace(read, sequence=SEQUENCE_ID), rejects)

    waiting = 0
    for number, array in arrays:
        values = np.zeros((0, features))
        if reject := _fault_of(array, features):
            rejects[len(sequences)] = reject
        else:
            rows = ArrayReader(archive, array, path)
            values = rows.take(array.shape[0]).astype(np.float64).reshape(-1, features)
            rows.finish()
        sequences.append((number, None if _UNNAMED.fullmatch(array.name) else array.name, values))
        waiting += len(values) + 1
        if waiting >= STEPS:
            yield gathered()
            sequences, rejects, waiting = [], {}, 0
    if sequences:
        yield gathered()


def _fault_of(array: Array, features: int) -> RejectedRecord | None:
    """Return why an array is no sequence."""
    if not array.is_of(NUMBERS):
        return RejectedRecord("type", f"expected {NUMBERS[1]}, received {array}")
    if array.shape[1:] != (features,) and not (features == 1 and len(array.shape) == 1):
        return RejectedRecord("bad_dim", f"expected [T, {features}], received {array}")
    return None
