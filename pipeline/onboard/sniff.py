"""The beginnings of raw files as columns of cells, whatever the format, for `guess.py`.

No more of a file is read than a guess needs. What stands in it is not checked: ingest does that.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import defusedxml.ElementTree
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats as readers
from ragline.components.ingest.source import raw_files
from ragline.components.ingest.steps import times
from ragline.pipeline.onboard.guess import Cells, GuessError, Kind

MOST_FILES = 16
MOST_BYTES = 1 << 20
MOST_RECORDS = 500
MOST_ROWS = 20_000
# What stands for a missing value in other people's tables.
MISSING = ("", "NaN", "nan", "NA", "N/A", "null", "NULL", "None", "?", "-")
# A column in which so few cells are no numbers is one of numbers, with mistakes in it.
_STRANGE = 0.02
_DELIMITERS = ",;\t|"
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_INTEGER = re.compile(r"[+-]?\d{1,18}")
_FLAGS = {"true", "false"}
_ITEM = re.compile(r"@(\w+)\s*(.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    """The beginnings of files.

    Attributes:
      format: of all of them.
      steps: column -> its cells, one a step.
      records: column -> its cells, one a record; empty for long tables.
      number: of records; 0 for long tables, whose sequences are yet to be found.
      files: of long tables, how many of the steps, in order, are of each file.
      missing_text: of a CSV file, what stands there for a missing value.
      complete: whether nothing was left unread.
    """

    format: str
    steps: Mapping[str, Cells]
    records: Mapping[str, Cells]
    number: int
    files: tuple[int, ...] = ()
    missing_text: tuple[str, ...] = ()
    complete: bool = True


def sniff(paths: Iterable[str]) -> Sniffed:
    """Reads the beginnings of files.

    Raises:
      BadDataError: a file that cannot be read, or whose format is not known.
      GuessError: files of several formats, or of one that says nothing of its columns.
    """
    every = list(paths)
    formats = {readers.guess(path): path for path in every}
    if len(formats) > 1:
        listed = ", ".join(f"{path} as {name}" for name, path in formats.items())
        raise GuessError(f"expected files of one format, received {listed}")
    [name] = formats
    if name not in _READERS:
        raise GuessError(
            f"{every[0]}: {name} is in ragline's own contract; expected a schema for it, see "
            "docs/ingest.md"
        )
    chosen = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, MOST_FILES).astype(int))]
    found: Sniffed = _READERS[name](chosen)
    return found if len(chosen) == len(every) else replace(found, complete=False)


def cells_of(texts: Iterable[str], missing: Iterable[str] = MISSING) -> Cells:
    """Texts of a table as what they spell."""
    absent = {*missing}
    values = [None if text in absent else text for text in texts]
    there = [value for value in values if value is not None]
    kind: Kind = "text"
    strange = [value for value in there if not _NUMBER.fullmatch(value)]
    if not there:
        kind = "empty"
    elif 0 < len(strange) <= _STRANGE * len(there):
        kind = "float"
        values = [None if v is None or not _NUMBER.fullmatch(v) else v for v in values]
    elif all(_INTEGER.fullmatch(value) for value in there):
        kind = "int"
    elif not strange:
        kind = "float"
    elif all(value.lower() in _FLAGS for value in there):
        kind = "flag"
    elif _are_times(there):
        kind = "time"
    convert = {"int": int, "float": float}.get(kind, str)
    return Cells(
        kind=kind,
        values=[None if value is None else convert(value) for value in values],
        strange=tuple(strange) if kind == "float" else (),
    )


def cells_of_values(values: Iterable[Any]) -> Cells:
    """Values of Python's types as one column."""
    column = [None if value != value else value for value in values]
    kinds = {type(value) for value in column if value is not None}
    if kinds <= {str}:
        there = [value for value in column if value]
        if _are_times(there):
            return Cells(kind="time", values=column)
        return Cells(kind="text" if there else "empty", values=[value or None for value in column])
    if kinds == {bool}:
        return Cells(kind="flag", values=column)
    if kinds <= {int}:
        return Cells(kind="int", values=column)
    if kinds <= {int, float}:
        return Cells(kind="float", values=column)
    if all(hasattr(value, "isoformat") for value in column if value is not None):
        return Cells(kind="time", values=[v and v.isoformat() for v in column])
    return Cells(kind="text", values=[None if value is None else str(value) for value in column])


def _are_times(texts: list[str]) -> bool:
    return bool(texts) and not times.from_text(texts)[1].any()


def _head(path: str) -> tuple[str, bool]:
    """The whole lines that a file begins with, and whether they are all of it."""
    with raw_files.open(path) as stream:
        block = stream.read(MOST_BYTES)
        rest = stream.read(1)
    if rest and b"\n" in block:
        block = block[: block.rfind(b"\n") + 1]
    return block.decode("utf-8-sig", "replace"), not rest


def _csv(paths: list[str]) -> Sniffed:
    columns: dict[str, list[str]] = {}
    complete, rows_of = True, []
    for path in paths:
        text, whole = _head(path)
        complete &= whole
        lines = [line for line in text.splitlines() if line]
        if not lines:
            raise BadDataError("no_data", f"{path}: expected a header, the file has no line")
        delimiter = max(_DELIMITERS, key=lines[0].count)
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        header = next(row for row in rows if row)
        if columns and set(header) != set(columns):
            raise GuessError(
                f"{path}: expected the columns of {paths[0]}, {', '.join(columns)}; received "
                f"{', '.join(header)}"
            )
        if len(set(header)) < len(header):
            raise GuessError(f"{path}: a column stands twice in the header: {', '.join(header)}")
        columns = columns or {name: [] for name in header}
        whole_rows = [row for row in rows if len(row) == len(header)]
        taken = whole_rows[: MOST_ROWS // len(paths)]
        complete &= len(taken) == len(whole_rows)
        rows_of.append(len(taken))
        for name, cells in zip(header, zip(*taken, strict=True), strict=bool(taken)):
            columns[name].extend(cells)
    steps = {name: cells_of(column) for name, column in columns.items()}
    absent = [
        text
        for text in MISSING
        if any(
            text in column and steps[name].kind not in ("text", "empty")
            for name, column in columns.items()
        )
    ]
    return Sniffed(
        format="csv",
        steps=steps,
        records={},
        number=0,
        files=tuple(rows_of),
        missing_text=tuple(absent),
        complete=complete,
    )


def _jsonl(paths: list[str]) -> Sniffed:
    complete = True
    records: list[dict[str, Any]] = []
    for path in paths:
        text, whole = _head(path)
        complete &= whole
        for line in text.splitlines():
            if len(records) >= MOST_RECORDS:
                complete = False
                break
            try:
                record = json.loads(line) if line.strip() else None
            except ValueError:  # Ingest says what is wrong with it.
                continue
            if isinstance(record, dict):
                records.append(record)
    return _of_records("jsonl", records, complete=complete)


def _parquet(paths: list[str]) -> Sniffed:
    tables: list[pa.Table] = []
    complete = True
    for path in paths:
        with raw_files.open(path) as stream:
            file = pq.ParquetFile(stream)
            batch = next(file.iter_batches(MOST_ROWS // len(paths)), None)
            complete &= batch is None or batch.num_rows == file.metadata.num_rows
        if batch is not None:
            tables.append(pa.Table.from_batches([batch]))
    if not tables:
        raise BadDataError("no_data", f"{paths[0]}: expected at least one row, received none")
    nested = any(pa.types.is_nested(field.type) for field in tables[0].schema)
    if nested:
        rows = [row for table in tables for row in table.slice(0, MOST_RECORDS).to_pylist()]
        complete &= all(table.num_rows <= MOST_RECORDS for table in tables)
        return _of_records("parquet", rows[:MOST_RECORDS], complete=complete)
    steps = {
        name: cells_of_values(v for table in tables for v in table.column(name).to_pylist())
        for name in tables[0].column_names
        if all(name in table.column_names for table in tables)
    }
    rows_of = tuple(table.num_rows for table in tables)
    return Sniffed(
        format="parquet", steps=steps, records={}, number=0, files=rows_of, complete=complete
    )


def _of_records(name: str, records: list[dict[str, Any]], *, complete: bool) -> Sniffed:
    """Records whose steps are lists, or a list of objects, or lists in `features`."""
    if not records:
        raise GuessError(f"expected records to guess from, the {name} files hold none")
    steps: dict[str, list[Any]] = {}
    scalars: dict[str, list[Any]] = {}
    for place, record in enumerate(records):
        for key, value in _flat(record):
            if isinstance(value, list):
                steps.setdefault(key, []).extend(value)
            elif not isinstance(value, dict):
                column = scalars.setdefault(key, [])
                column.extend([None] * (place - len(column)))
                column.append(value)
    for column in scalars.values():
        column.extend([None] * (len(records) - len(column)))
    return Sniffed(
        format=name,
        steps={key: cells_of_values(column) for key, column in steps.items()},
        records={key: cells_of_values(column) for key, column in scalars.items()},
        number=len(records),
        complete=complete,
    )


def _flat(record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in record.items():
        if key == "features" and isinstance(value, dict):
            yield from value.items()
        elif isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            names = dict.fromkeys(name for step in value for name in step)
            yield from ((name, [step.get(name) for step in value]) for name in names)
        else:
            yield key, value


def _ts(paths: list[str]) -> Sniffed:
    steps: dict[str, list[str]] = {}
    words: list[str] = []
    complete = True
    for path in paths:
        text, whole = _head(path)
        complete &= whole
        header, _, data = text.partition("@data")
        items = {key.lower(): rest for key, rest in _ITEM.findall(header)}
        labelled = [k for k in ("classlabel", "targetlabel") if items.get(k, "").startswith("true")]
        for line in filter(None, map(str.strip, data.splitlines()[:MOST_RECORDS])):
            features = line.split(":")
            words += [features.pop()] if labelled else []
            for place, column in enumerate(features):
                steps.setdefault(f"feature_{place}", []).extend(column.split(","))
    if not steps:
        raise GuessError(f"{paths[0]}: expected lines after @data, received none")
    name = "target" if labelled == ["targetlabel"] else "label"
    # A class is a word, digits or not.
    labels = cells_of(words) if name == "target" else Cells(kind="text", values=words)
    return Sniffed(
        format="ts",
        steps={key: cells_of(cells) for key, cells in steps.items()},
        records={name: labels} if labelled else {},
        number=max(1, len(words)),
        complete=complete,
    )


def _npz(paths: list[str]) -> Sniffed:
    with np.load(paths[0], allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files[:MOST_RECORDS]}
    lengths = next((arrays[n] for n in ("length", "lengths", "row_lengths") if n in arrays), None)
    if lengths is None:  # An array a sequence.
        wide = [array.reshape(len(array), -1) for array in arrays.values() if array.ndim]
        flat = {"values": np.concatenate(wide)} if wide else {}
        number = len(wide)
    else:
        flat, number = arrays, len(lengths)
    steps: dict[str, Cells] = {}
    records: dict[str, Cells] = {}
    total = number if lengths is None else int(lengths.sum())
    for name, array in flat.items():
        if name == "values" and array.ndim == 2:
            for place, column in enumerate(array[:MOST_ROWS].T):
                steps[f"feature_{place}"] = cells_of_values(column.tolist())
        elif array.ndim == 1 and len(array) == total and array is not lengths:
            steps[name] = cells_of_values(array[:MOST_ROWS].tolist())
        elif array.ndim == 1 and len(array) == number and array is not lengths:
            records[name] = cells_of_values(array.tolist())
    return Sniffed(
        format="npz", steps=steps, records=records, number=number, complete=len(paths) == 1
    )


def _xes(paths: list[str]) -> Sniffed:
    traces: list[dict[str, Any]] = []
    for path in paths:
        with raw_files.open(path) as stream:
            for _, element in defusedxml.ElementTree.iterparse(stream):
                if element.tag.rpartition("}")[2] == "trace":
                    traces.append(_trace(element))
                    element.clear()
                if len(traces) >= MOST_RECORDS:
                    return _of_records("xes", traces, complete=False)
    return _of_records("xes", traces, complete=True)


def _trace(element: Any) -> dict[str, Any]:
    def attributes(of: Any) -> dict[str, Any]:
        convert = {"int": int, "float": float, "string": str, "id": str, "date": str}
        return {
            child.get("key"): convert[kind](child.get("value"))
            for child in of
            if (kind := child.tag.rpartition("}")[2]) in convert
        }

    events = [child for child in element if child.tag.rpartition("}")[2] == "event"]
    own = attributes(element)
    own.pop("concept:name", None)  # The trace's id.
    return own | {"events": [attributes(event) for event in events]}


_READERS = {
    "csv": _csv,
    "jsonl": _jsonl,
    "npz": _npz,
    "parquet": _parquet,
    "ts": _ts,
    "xes": _xes,
}
