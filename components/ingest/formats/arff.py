r"""Read ARFF, the archive's other format: a row a sequence or, with `input.group_by`, a step.

    @relation walks
    @attribute sequence_id string
    @attribute steps relational      a row a step, as many as the sequence has
      @attribute ax numeric
      @attribute ay numeric
    @end steps
    @attribute label {circle,line}
    @data
    a,'0.1,5\n0.2,?',circle

The archive turns that round: inner attributes are numbered, `att0`, `att1`, one a step, and each
inner row is a feature, in the schema's order, of any length; a series of one feature has numbered
attributes and no relation. There, steps at the end of which nothing is known are padding. `?` and
NaN are missing values.

Source: Weka's description of ARFF; files of the archive.
"""

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats.interface import ObjectFormat, Use
from ragline.components.ingest.formats.parsing import objects, padded
from ragline.components.ingest.formats.parsing.objects import Decoded
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records import checks
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Piece
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import raw_files

_BEGINNING = re.compile(rb"\s*(?:%[^\n]*\n\s*)*@relation\b", re.IGNORECASE)
_QUOTED = r"'[^'\\]*+(?:\\.[^'\\]*+)*+'|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+\""
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|\S+)\s+(.+)", re.IGNORECASE)
_CELL = re.compile(rf"\s*+(?:({_QUOTED})\s*+|([^,'\"]*+))(,|\Z)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_NUMERIC = ("numeric", "real", "integer")
Series = Mapping[str, set[str]]  # Relation, "" for the file -> attributes that are steps.


class _Attribute(NamedTuple):
    name: str
    kind: str = "relational"
    inner: "tuple[_Attribute, ...]" = ()


class Arff(ObjectFormat):
    """Reads ARFF files."""

    uses = (
        Use("the archive's other format, and Weka's: `.arff`", "a row"),
        Use("ARFF, a row a step", "the rows of one key", "`group_by`"),
    )
    suffixes = (".arff",)
    is_line_based = True

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether text begins with the name of a relation, comments aside."""
        return bool(_BEGINNING.match(beginning.removeprefix(raw_files.BOM)))

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Cut a file into ranges of rows; raises `bad_header`."""
        _, first, size = _header(file.path)
        pieces = raw_files.line_pieces(file, piece_bytes, skip=size, first=first)
        return pieces or [Piece(file=file, start=size, stop=size, first=first, size=0)]

    def sample(self, paths: Sequence[str]) -> Sample:
        """Decode the rows of pieces from all over each file; raises as `pieces` and `decode`."""
        sample = super().sample(paths)
        attributes, _, _ = _header(paths[0])
        relations = (attributes, *(attribute.inner for attribute in attributes))
        return dataclasses.replace(sample, by_place=any(_series_of(it, None) for it in relations))

    def decode(self, piece: Piece, columns: Columns | None) -> Iterator[Decoded]:
        """Yield the records of a piece as JSON has them; raises `unreadable`, `bad_header`."""
        attributes, _, _ = _header(piece.file.path)
        relations = [_Attribute("", inner=attributes), *attributes]
        series = {each.name: {*_series_of(each.inner, columns)} for each in relations}
        record = functools.partial(_record, attributes, series, columns)
        return objects.from_lines(piece, record, comment=b"%")


def _header(path: str) -> tuple[tuple[_Attribute, ...], int, int]:
    """Return the attributes of a file, the number of its first row, and the bytes before that."""
    levels: list[tuple[str, list[_Attribute]]] = [("", [])]
    size = 0
    with raw_files.open_lines(path) as lines:
        for number, line in enumerate(lines, start=1):
            size += len(line)
            text = line.removeprefix(raw_files.BOM).decode("utf-8", "replace").strip()
            word = text.split(None, 1)[0].lower() if text else "%"
            if word == "@data" and len(levels) == 1 and levels[0][1]:
                return tuple(levels[0][1]), number + 1, size
            if parts := _ATTRIBUTE.fullmatch(text):
                name, kind = _unquoted(parts[1]), parts[2].lower()
                if kind == "relational":
                    levels.append((name, []))
                else:
                    levels[-1][1].append(_Attribute(name, kind))
            elif word == "@end" and len(levels) > 1:
                name, inner = levels.pop()
                levels[-1][1].append(_Attribute(name, inner=tuple(inner)))
            elif word == "@data":
                break
            elif word != "@relation" and not word.startswith("%"):
                what = f"{path}: line {number}: expected @attribute, received {text[:40]!r}"
                raise BadDataError("bad_header", what)
    raise BadDataError("bad_header", f"{path}: expected attributes, then a line @data")


def _series_of(attributes: Sequence[_Attribute], columns: Columns | None) -> list[str]:
    """Return the names of the numbered attributes, which are the steps of a series."""
    numbers = [attribute.name for attribute in attributes if attribute.kind in _NUMERIC]
    stem = numbers[0].rstrip("0123456789") if numbers else ""
    names = [name for name in numbers if name.rstrip("0123456789") == stem]
    first = int(f"0{names[0].removeprefix(stem)}"[:10]) if names else 0
    counted = [f"{stem}{place}" for place in range(first, first + len(names))]
    is_named = columns is not None and {*columns.names} <= {*numbers}
    return names if names == counted and len(names) > 1 and not is_named else []


def _record(
    attributes: Sequence[_Attribute], series: Series, columns: Columns | None, text: bytes
) -> dict[str, Any]:
    record: dict[str, Any] = {}
    features: dict[str, Any] = {}
    own: list[str] = []
    for attribute, cell in zip(attributes, _split(checks.utf8(text), attributes), strict=True):
        if attribute.name in series[""]:
            own.append(cell or "?")
        elif not attribute.inner:
            record[attribute.name] = _value(cell, attribute)
        elif series[attribute.name]:
            features |= _features(_rows(cell), columns)
        else:
            steps = [_split(row, attribute.inner) for row in _rows(cell)]
            for place, inner in enumerate(attribute.inner):
                features[inner.name] = [_value(step[place], inner) for step in steps]
    features |= _features([",".join(own)], columns) if own else {}
    return record | ({"features": features} if features else {})


def _rows(cell: str | None) -> Iterator[str]:
    return filter(str.strip, (cell or "").split("\n"))


def _features(rows: Iterable[str], columns: Columns | None) -> dict[str, list[float]]:
    """Return feature -> its values, of a row a feature; without the padding at their end."""
    tidy = (",".join(map(str.strip, row.split(","))).encode() for row in rows)
    values = list(map(checks.parse_numbers, tidy))
    names = columns.names if columns else [f"feature_{place}" for place in range(len(values))]
    if len(names) != len(values):
        raise RejectedRecord("bad_dim", f"expected {len(names)} features, received {len(values)}")
    if len(lengths := {*map(len, values)}) > 1:
        what = f"expected as many steps in each feature, received {sorted(lengths)}"
        raise RejectedRecord("ragged", what)
    if not values:
        return {}
    [length] = padded.lengths_of(np.stack(values, axis=-1)[None], None)
    return {name: row[:length].tolist() for name, row in zip(names, values, strict=True)}


def _split(row: str, attributes: Sequence[_Attribute]) -> list[str | None]:
    """Split a row into cells; None where nothing is known."""
    cells: list[str | None] = []
    place, end = 0, ","
    while end and (cell := _CELL.match(row, place)):
        text = _unquoted(cell[1]) if cell[1] else cell[2].strip()
        cells.append(None if text == "?" and not cell[1] else text)
        place, end = cell.end(), cell[3]
    if end or len(cells) != len(attributes):
        what = f"{row[place : place + 20]!r} after {len(cells)}" if end else len(cells)
        raise RejectedRecord("ragged", f"expected {len(attributes)} cells, received {what}")
    return cells


def _unquoted(text: str) -> str:
    if text[:1] not in ("'", '"'):
        return text
    return re.sub(r"\\(.)", lambda escape: _ESCAPED.get(escape[1], escape[1]), text[1:-1])


def _value(cell: str | None, attribute: _Attribute) -> Any:
    if cell is None or attribute.kind not in _NUMERIC:
        return cell
    if re.fullmatch("[+-]?[0-9]{1,40}", cell):
        return int(cell)
    [number] = checks.parse_numbers(cell.replace(",", ";").encode()).tolist()
    return None if number != number else number
