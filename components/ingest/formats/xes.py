"""Read event logs in XES: a trace is a sequence, its events are the steps.

    <log>
      <trace>
        <string key="concept:name" value="case 7"/>           the sequence's id
        <event>
          <string key="concept:name" value="register"/>       categories: words or codes
          <float key="cost" value="12.5"/>                    features
          <date key="time:timestamp" value="2024-05-01T12:00:00Z"/>
        </event>
      </trace>
    </log>

The schema's names are the attributes' keys, colons and all: `concept:name` of a trace is its id, of
an event a category, if the schema has one of that name. Features are `int` and `float` attributes,
categories of words `string` and `id`, categories of codes `int`; the time, named by
`input.order_by`, is a `date`. Attributes of the trace can be context and the entity. An attribute
that an event lacks is a null cell; one that no event of the file has is a mistake in the schema.

The file is read as a stream, and refused if it declares a document type, and with it entities.

Source: IEEE 1849-2016, the XES standard.
"""

import xml.sax
from collections.abc import Iterable, Iterator, Sequence
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import AttributesImpl

import defusedxml.sax
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from defusedxml.common import DefusedXmlException

from ragline.components.contract import kinds
from ragline.components.contract.columns import SEQUENCE_ID, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats.interface import Format, Use
from ragline.components.ingest.formats.parsing import columnar, texts
from ragline.components.ingest.formats.parsing.columnar import STEPS, Flat
from ragline.components.ingest.formats.parsing.faults import Faults, nulls
from ragline.components.ingest.formats.parsing.table import Layout
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Part, Piece
from ragline.components.ingest.samples.sample import Sample
from ragline.components.ingest.source import beginnings, raw_files

NAME = "concept:name"
_BLOCK = 1 << 18
_MOST_KEYS = 100
# Tags of the attributes that each kind of column takes.
_OF_FEATURES = ("int", "float")
_OF_WORDS = ("string", "id")
_OF_CONTEXT = (*_OF_WORDS, "boolean")
_OF_CODES = ("int",)
_OF_TIMES = ("date", "string", "int", "float")
# As XML Schema writes it.
_MISSING = pa.array(["NaN"])

# Key -> (tag, value).
Attributes = dict[str, tuple[str, str]]


class Xes(Format):
    """Reads event logs in XES."""

    uses = (Use("event logs: `.xes`", "a trace"),)
    suffixes = (".xes",)

    def recognises(self, path: str, beginning: bytes) -> bool:
        """Return whether text begins as XML does."""
        return beginnings.starts(beginning, b"<")

    def sample(self, paths: Sequence[str]) -> Sample:
        """Read the traces that files begin with.

        Raises:
          BadDataError: `unreadable`, not well-formed or with a document type; `no_data`, no trace.
        """
        from ragline.components.ingest.samples import xes as samples

        return samples.take(paths)

    def pieces(
        self, file: File, columns: Columns, options: InputOptions, piece_bytes: int
    ) -> list[Piece]:
        """Make one piece of a file: where a trace begins is known only from the file's beginning.

        Raises:
          BadDataError: `unreadable`, the file cannot be opened.
        """
        with raw_files.open(file.path):
            return [Piece(file=file, start=0, stop=None, first=1, size=places.size(file.path))]

    def read(self, piece: Piece, columns: Columns, options: InputOptions) -> Iterator[Part]:
        """Read the traces of a file.

        Raises:
          BadDataError: `unreadable`, not well-formed, or with a document type;
            `missing_column`, a key that no event of the file has.
        """
        path = piece.file.path
        layout = columnar.layout_of_records(columns, options, path)
        handler = _Traces(layout, piece.first)
        for _ in blocks(path, handler):
            if handler.steps >= STEPS:
                yield handler.part()
        if handler.count:
            yield handler.part()
        if handler.events and (
            absent := [name for name in layout.steps if name not in handler.seen]
        ):
            raise BadDataError(
                "missing_column",
                f"{path}: expected events with the attribute {absent[0]!r}, received "
                f"{', '.join(map(repr, sorted(handler.keys)[:20]))}",
            )


def blocks(path: str, handler: ContentHandler) -> Iterator[None]:
    """Parse a file block by block, and stop after each.

    Raises:
      BadDataError: `unreadable`, not well-formed, or with a document type.
    """
    parser = defusedxml.sax.make_parser()
    parser.forbid_dtd = True
    parser.setContentHandler(handler)
    with raw_files.open(path) as file:
        try:
            while block := file.read(_BLOCK):
                parser.feed(block)
                yield
            parser.close()
        except DefusedXmlException as error:
            raise BadDataError(
                "unreadable",
                f"{path}: line {parser.getLineNumber()}: expected no document type: {error}; take "
                "the <!DOCTYPE ...> out",
            ) from error
        except xml.sax.SAXParseException as error:
            raise BadDataError(
                "unreadable",
                f"{path}: line {error.getLineNumber()}: {error.getMessage()}; expected "
                "a whole XES log: fetch or write it again",
            ) from error
        except (LookupError, ValueError) as error:  # Of the encoding that the file declares.
            raise BadDataError("unreadable", f"{path}: line 1: {error}") from error


class Walk(ContentHandler):
    """Calls `end_event` and `end_trace` with the attributes of each, nested ones aside."""

    def __init__(self) -> None:
        super().__init__()
        self._trace: Attributes | None = None
        self._event: Attributes | None = None
        self._depth = 0

    def end_event(self, event: Attributes) -> None:
        """Take an event that has ended."""
        raise NotImplementedError

    def end_trace(self, trace: Attributes) -> None:
        """Take a trace that has ended."""
        raise NotImplementedError

    # SAX's names, and its class, which is generic only in its stubs.
    def startElement(self, name: str, attrs: "AttributesImpl[str]") -> None:  # noqa: N802
        """Begin a trace, an event, an attribute of either, or an attribute of an attribute."""
        tag = name.rpartition(":")[2]
        if self._trace is None:
            if tag == "trace":
                self._trace = {}
        elif tag == "event" and self._event is None and not self._depth:
            self._event = {}
        else:
            owner = self._trace if self._event is None else self._event
            if not self._depth and "key" in attrs:
                owner[attrs["key"]] = tag, attrs.get("value", "")
            self._depth += 1

    def endElement(self, name: str) -> None:  # noqa: N802
        """End what has begun last."""
        if self._depth:
            self._depth -= 1
        elif self._event is not None:
            self.end_event(self._event)
            self._event = None
        elif self._trace is not None:
            self.end_trace(self._trace)
            self._trace = None


class _Traces(Walk):
    """Gathers traces as columns of text.

    Attributes:
      count: traces that wait to become a Part.
      steps: events that wait.
      events: all events so far.
      seen: columns that any event has had.
      keys: the keys of attributes of events, for a sentence.
    """

    def __init__(self, read: Layout, first: int) -> None:
        super().__init__()
        self._read = read
        self._tags = dict.fromkeys(read.features, _OF_FEATURES) | {
            category.name: _tags_of(category.kind) for category in read.columns.categories
        }
        if read.time:
            self._tags[read.time] = _OF_TIMES
        self._next = first
        self.events = 0
        self.seen: set[str] = set()
        self.keys: set[str] = set()
        self._clear()

    def _clear(self) -> None:
        self._traces: list[Attributes] = []
        self._lengths: list[int] = []
        self._cells: dict[str, list[str | None]] = {name: [] for name in self._tags}
        self._rejects: dict[int, RejectedRecord] = {}
        self._length = 0
        self.count = 0
        self.steps = 0

    def end_trace(self, trace: Attributes) -> None:
        """End a sequence."""
        self._traces.append(trace)
        self._lengths.append(self._length)
        self._length = 0
        self.count += 1

    def end_event(self, event: Attributes) -> None:
        """End a step."""
        for name, tags in self._tags.items():
            tag, value = event.get(name, (None, None))
            if tag is not None:
                self.seen.add(name)
                if tag not in tags:
                    where = f"attribute {name!r}, step {self._length}"
                    self._refuse(RejectedRecord("type", f"{where}: {_expected(tags, tag)}"))
                    value = None
            self._cells[name].append(value)
        if len(self.keys) < _MOST_KEYS:
            self.keys.update(event)
        self._length += 1
        self.steps += 1
        self.events += 1

    def _refuse(self, reject: RejectedRecord) -> None:
        self._rejects.setdefault(self.count, reject)

    def part(self) -> Part:
        """Return the traces that wait; one that has not ended goes on waiting."""
        ended = sum(self._lengths)
        rest = {name: cells[ended:] for name, cells in self._cells.items()}
        reject = self._rejects.pop(self.count, None)
        part = columnar.part(self._flat(ended), self._read, self._rejects)
        self._next += self.count
        waiting = self._length
        self._clear()
        self._cells, self._length, self.steps = rest, waiting, waiting
        if reject:
            self._rejects[0] = reject
        return part

    def _flat(self, ended: int) -> Flat:
        length = np.array(self._lengths, np.int64)
        faults = Faults(records=self.count, rejects=self._rejects)
        of_steps = faults.of_steps(length)
        of_steps_kinds = dict.fromkeys(self._read.features, kinds.NUMBER) | {
            category.name: category.kind for category in self._read.columns.categories
        }
        records: dict[str, pa.Array] = {
            name: _texts(trace.get(NAME if name == SEQUENCE_ID else name) for trace in self._traces)
            for name in (self._read.sequence or SEQUENCE_ID,)
        }
        if self._read.entity:
            records[self._read.entity] = _texts(t.get(self._read.entity) for t in self._traces)
        for name, kind in self._read.columns.context.items():
            attributes = [trace.get(name) for trace in self._traces]
            for place, cell in enumerate(attributes):
                tags = _tags_of(kind, _OF_CONTEXT)
                if cell is not None and cell[0] not in tags:
                    what = f"attribute {name!r}: {_expected(tags, cell[0])}"
                    self._rejects.setdefault(place, RejectedRecord("type", what))
                    attributes[place] = None
            records[name] = _typed(name, kind, _texts(attributes), faults, absent=True)
        return Flat(
            number=np.arange(self._next, self._next + self.count),
            length=length,
            steps={
                name: _typed(
                    name,
                    of_steps_kinds.get(name, kinds.TEXT),
                    pa.array(cells[:ended], pa.string()),
                    of_steps,
                )
                for name, cells in self._cells.items()
            },
            records=records,
        )


def _tags_of(kind: kinds.Kind, of_text: tuple[str, ...] = _OF_WORDS) -> tuple[str, ...]:
    return kinds.pick(kind, text=of_text, integer=_OF_CODES, number=_OF_FEATURES)


def _expected(tags: tuple[str, ...], received: str) -> str:
    return f"expected {' or '.join(tags)}, received {received}"


def _texts(cells: Iterable[tuple[str, str] | None]) -> pa.Array:
    return pa.array([None if cell is None else cell[1] for cell in cells], pa.string())


def _typed(
    name: str, kind: str, cells: pa.Array, faults: Faults, *, absent: bool = False
) -> pa.Array:
    """Convert text to the kind of its column; null stays null, as does NaN that means absent."""
    if kinds.is_text(kind):
        return cells
    if kinds.is_integer(kind):
        return texts.integers(f"attribute {name!r}", cells, faults)
    numbers = texts.numbers(name, pc.fill_null(cells, "NaN"), _MISSING, faults)
    return pa.array(numbers, mask=np.isnan(numbers) if absent else nulls(cells))
