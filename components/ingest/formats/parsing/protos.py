"""Read both kinds of tf.Example: many records at once, odd ones by themselves.

tfx_bsl decodes records by the thousand into Arrow columns. It tells a whole batch that a record in
it is of the wrong type, and an absent list from an empty one not always; so whatever looks odd is
looked at again by itself, as a message, which gives the code and the detail.
"""

import abc
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ragline.components.contract import kinds
from ragline.components.contract.columns import LENGTH, SEQUENCE_ID, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.interface import Format
from ragline.components.ingest.formats.parsing import columnar
from ragline.components.ingest.formats.parsing.columnar import Flat
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Part, Piece, QuarantineLine, shown
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, framing, raw_files

_BATCH_BYTES = 1 << 23
_BATCH_RECORDS = 1 << 13
_SHOWN_VALUES = 100
# The lists of an Example's values.
_TEXTS, _INTEGERS, _NUMBERS = "bytes_list", "int64_list", "float_list"

# Column -> the kind of list that holds its values.
Kinds = Mapping[str, str]
# Column -> [N] lists of cells; None where a record has no such column.
Lists = Mapping[str, pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Describes one of the two kinds of messages.

    Attributes:
      name: the words for it in sentences.
      parse: bytes -> the message; raises what protobuf raises.
      records: message -> its columns that hold one value, as a map of tf.train.Feature.
      steps: message -> the rest of its columns; of a tf.Example, the same map.
      count: (column, its cell in `steps`, kind of list) -> number of steps; raises RejectedRecord.
      decoder: (columns of records, columns of steps) -> what decodes a batch; it raises
        RuntimeError for a batch with an odd record.
    """

    name: str
    parse: Callable[[bytes], Any]
    records: Callable[[Any], Mapping[str, Any]]
    steps: Callable[[Any], Mapping[str, Any]]
    count: Callable[[str, Any, str], int]
    decoder: Callable[[Kinds, Kinds], Callable[[list[bytes]], tuple[Lists, Lists]]]


class MessageFormat(Format):
    """Reads TFRecord files of one kind of message, a record a sequence.

    Attributes:
      holds_lists: whether the messages are SequenceExamples.
    """

    holds_lists: ClassVar[bool]

    @staticmethod
    @abc.abstractmethod
    def message() -> Message:
        """Describe the messages."""

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether a file begins with a record of this kind."""
        return beginnings.is_framed(beginning) and _holds_lists(path) == self.holds_lists

    def sample(self, paths: Sequence[str]) -> Sample:
        """Raise an error, for the records name no columns.

        Raises:
          BadDataError: `unknown_format`.
        """
        raise BadDataError(
            "unknown_format",
            f"{paths[0]}: {self.uses[0].files} is in ragline's own contract, which names no "
            "columns; expected a schema written by hand, see docs/ingest.md",
        )

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Cut a file into ranges of records; a compressed file is one piece.

        Raises:
          BadDataError: `framing`, or `unreadable`.
        """
        stored = places.size(file.path)
        cuts, header, number = [(0, 1)], None, 0
        is_compressed = bool(raw_files.compression(file.path))
        layout = columnar.layout_of_records(columns, options, file.path)
        with raw_files.open(file.path) as raw:
            size = None if is_compressed else stored
            for offset, payload in framing.records(raw, size, file.path):
                number += 1
                if header is None:
                    header = _kinds_of(payload, self.message(), layout)
                if is_compressed:
                    break
                if offset - cuts[-1][0] >= piece_bytes:
                    cuts.append((offset, number))
        if header is None:
            return []
        if is_compressed:
            return [Piece(file=file, start=0, stop=None, first=1, size=stored, header=header)]
        stops = [*(start for start, _ in cuts[1:]), stored]
        return [
            Piece(file=file, start=start, stop=stop, first=first, size=stop - start, header=header)
            for (start, first), stop in zip(cuts, stops, strict=True)
        ]

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the records of a piece.

        Raises:
          BadDataError: `framing`, or `unreadable`.
        """
        layout = columnar.layout_of_records(columns, options, piece.file.path)
        reader = _Reader(self.message(), layout, piece.header or {})
        payloads: list[bytes] = []
        number, waiting = piece.first, 0
        with raw_files.open(piece.file.path) as raw:
            if piece.start:
                raw.seek(piece.start)
            for _, payload in framing.records(
                raw, piece.stop, piece.file.path, start=piece.start, first=piece.first
            ):
                payloads.append(payload)
                waiting += len(payload)
                if waiting >= _BATCH_BYTES or len(payloads) >= _BATCH_RECORDS:
                    yield reader.part(payloads, number)
                    number, payloads, waiting = number + len(payloads), [], 0
        if payloads:
            yield reader.part(payloads, number)


def _holds_lists(path: str) -> bool:
    """Return whether the first record of a TFRecord file is a SequenceExample, or an Example.

    Raises:
      BadDataError: `framing`, or `unreadable`.
    """
    import tensorflow as tf  # Seconds; needed for this alone.

    with raw_files.open(path) as file:
        _, record = next(framing.records(file, None, path))
    try:
        lists = tf.train.SequenceExample.FromString(record).feature_lists.feature_list
    except Exception:  # protobuf's DecodeError; an Example does parse, and has no lists.
        return False
    return bool(lists)


def schema_type(kind: str) -> Any:
    """Return the type of a schema's feature that a kind of list holds."""
    from tensorflow_metadata.proto.v0 import schema_pb2

    types = {
        "bytes_list": schema_pb2.BYTES,
        "int64_list": schema_pb2.INT,
        "float_list": schema_pb2.FLOAT,
    }
    return types[kind]


class _Reader:
    """Decodes batches of records of one file."""

    def __init__(self, message: Message, read: Layout, of_files: Kinds) -> None:
        context = {name: _list_of(kind) for name, kind in read.columns.context.items()}
        self._message = message
        self._read = read
        self._records = context | {
            name: _INTEGERS if name == read.length else of_files.get(name, _TEXTS)
            for name in read.records
            if name not in context
        }
        self._steps = dict.fromkeys(read.features, _NUMBERS) | {
            category.name: _list_of(category.kind) for category in read.columns.categories
        }
        if read.time:
            self._steps[read.time] = of_files.get(read.time, _INTEGERS)
        self._decode = message.decoder(self._records, self._steps)

    def part(self, payloads: list[bytes], first: int) -> Part:
        """Return a batch, the first of which is number `first` of its file."""
        rejected: dict[int, QuarantineLine] = {}
        try:
            records, steps = self._decode(payloads)
            odd = np.flatnonzero(self._odd(records, steps)).tolist()
        except RuntimeError:
            odd = list(range(len(payloads)))
        for place in odd:
            if line := self._rejected(payloads[place], first + place):
                rejected[place] = line
        places = [place for place in range(len(payloads)) if place not in rejected]
        if odd:
            for place in self._undecodable([payloads[place] for place in places]):
                rejected[places[place]] = self._unlike(
                    payloads[places[place]], first + places[place]
                )
            places = [place for place in places if place not in rejected]
            records, steps = self._decode([payloads[place] for place in places])
        length = _lengths(next(iter(steps.values())))
        part = columnar.part(
            Flat(
                number=np.array(places, np.int64) + first,
                length=length,
                steps={name: column.flatten() for name, column in steps.items()},
                records={
                    name: pc.list_element(_padded(column), 0)
                    for name, column in records.items()
                    if name != self._read.length
                },
            ),
            self._read,
        )
        both = [*rejected.values(), *part.rejected]
        return Part(chunk=part.chunk, rejected=tuple(sorted(both, key=lambda r: r.number)))

    def _odd(self, records: Lists, steps: Lists) -> np.ndarray:
        """Return bool [N], True for the records that do not look to be of one shape."""
        lengths = np.stack([_lengths(column) for column in steps.values()])
        absent = np.stack([column.is_null().to_numpy(False) for column in steps.values()])
        odd: np.ndarray = absent.any(axis=0) | (lengths != lengths[0]).any(axis=0)
        for column in records.values():
            odd |= _lengths(column) > 1
        if self._read.length:
            stated = pc.list_element(_padded(records[self._read.length]), 0)
            odd |= pc.fill_null(pc.not_equal(stated, pa.array(lengths[0])), False).to_numpy(False)
        return odd

    def _undecodable(self, payloads: list[bytes]) -> list[int]:
        """Return those of a batch that decode to something else than the message says."""

        def is_odd(batch: list[bytes]) -> bool:
            try:
                return bool(self._odd(*self._decode(batch)).any())
            except RuntimeError:
                return True

        if not payloads or not is_odd(payloads):
            return []
        return [place for place, payload in enumerate(payloads) if is_odd([payload])]

    def _rejected(self, payload: bytes, number: int) -> QuarantineLine | None:
        """Return why a record cannot be used, by its message; None if it can be."""
        try:
            message = self._message.parse(payload)
        except Exception as error:  # protobuf's own, of which there are several.
            return self._unlike(payload, number, str(error))
        try:
            self._check(message)
        except RejectedRecord as reject:
            return QuarantineLine(
                number=number,
                code=reject.code,
                detail=reject.detail,
                sequence_id=self._sequence_id(message),
                text=self._text(message),
            )
        return None

    def _unlike(
        self, payload: bytes, number: int, why: str = "a key stands there twice"
    ) -> QuarantineLine:
        detail = f"expected {self._message.name}: {why}"
        return QuarantineLine(
            number=number, code="proto", detail=detail, sequence_id=None, text=shown(payload)
        )

    def _check(self, message: Any) -> None:
        columns = self._message.steps(message)
        counts = {}
        for name, kind in self._steps.items():
            if name not in columns:
                raise RejectedRecord("missing_column", f"expected a column {name!r}, received none")
            counts[name] = self._message.count(name, columns[name], kind)
        if len(set(counts.values())) > 1:
            raise RejectedRecord(
                "ragged", f"expected as many steps in each column, received {counts}"
            )
        columns = self._message.records(message)
        for name, kind in self._records.items():
            if name not in columns or (received := columns[name].WhichOneof("kind")) is None:
                continue
            values = getattr(columns[name], received).value
            if received != kind or len(values) > 1:
                raise RejectedRecord(
                    "type",
                    f"column {name!r}: expected one value in a {kind}, "
                    f"received {len(values)} in a {received}",
                )
            steps = next(iter(counts.values()))
            if name == self._read.length and len(values) and values[0] != steps:
                raise RejectedRecord(
                    "length_mismatch", f"{LENGTH}: expected {steps}, received {values[0]}"
                )

    def _sequence_id(self, message: Any) -> str | None:
        columns = self._message.records(message)
        name = self._read.sequence or SEQUENCE_ID
        ids = list(columns[name].bytes_list.value) if name in columns else []
        try:
            return ids[0].decode() if ids else None
        except UnicodeDecodeError:
            return None

    def _text(self, message: Any) -> str:
        """Return the beginning of each column, as JSON."""
        record = {}
        for columns in (self._message.records(message), self._message.steps(message)):
            for name, column in columns.items():
                features = getattr(column, "feature", None)
                cells = [column] if features is None else features[:_SHOWN_VALUES]
                record[name] = [value for cell in cells for value in _values(cell)]
        return shown(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace"))


def _list_of(kind: str) -> str:
    return kinds.pick(kind, text=_TEXTS, integer=_INTEGERS, number=_NUMBERS)


def _kinds_of(payload: bytes, message: Message, read: Layout) -> Kinds:
    """Return the kinds of list of columns that may be of several, by the first record."""
    try:
        first = message.parse(payload)
    except Exception:  # It is rejected when it is read.
        return {}
    of_files = {}
    records, steps = message.records(first), message.steps(first)
    for columns, names in ((records, (read.sequence, read.entity)), (steps, (read.time,))):
        for name in names:
            if name is not None and name in columns:
                column = columns[name]
                cell = next(iter(getattr(column, "feature", [column])), None)
                kind = cell.WhichOneof("kind") if cell is not None else None
                if kind and (kind != _NUMBERS or name == read.time):
                    of_files[name] = kind
    return of_files


def _values(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    values = list(getattr(feature, kind).value[:_SHOWN_VALUES]) if kind else []
    return [v.decode("utf-8", "replace") if isinstance(v, bytes) else v for v in values]


def _lengths(column: pa.Array) -> np.ndarray:
    """Return int64 [N], 0 for what is absent."""
    lengths: np.ndarray = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return lengths


def _padded(column: pa.Array) -> pa.Array:
    """Convert lists of one or none to lists of exactly one, null where there was none."""
    lengths = _lengths(column)
    starts = np.cumsum(lengths) - lengths
    places = pa.array(starts, mask=lengths == 0)
    return pa.FixedSizeListArray.from_arrays(pc.take(column.flatten(), places), 1)
