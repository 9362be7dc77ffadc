"""The Beam part of ingest: files -> parsed records -> unique records, rejected ones aside.

Counter, namespace `ragline.ingest`: `records_read`. What was accepted and what was rejected is
counted in the files that were written (`account.py`).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from components.ingest import examples, formats, splits
from components.ingest.checks import Reject
from components.sequence import SEQUENCE_ID, Columns

NAMESPACE = "ragline.ingest"
RECORDS_READ = "records_read"
REJECTED = "rejected"
_SHOWN_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A record that parsed: its Example, its split, and its origin, which orders duplicates.

    Attributes:
      origin: (index of the file, line).
      shown: file, line and the first characters, for the quarantine.
    """

    origin: tuple[int, int]
    split: str
    example: bytes
    shown: dict[str, Any]


class ReadRecords(beam.DoFn):
    """Source -> its records."""

    def __init__(self) -> None:
        self._records_read = beam.metrics.Metrics.counter(NAMESPACE, RECORDS_READ)

    def process(self, source: formats.Source) -> Iterator[formats.Raw]:
        """One file."""
        for raw in formats.read(source):
            self._records_read.inc()
            yield raw


class ParseRecord(beam.DoFn):
    """Raw -> (sequence_id, Parsed), or a quarantine line on the output `rejected`."""

    def __init__(self, columns: Columns, eval_share: float) -> None:
        self._columns = columns
        self._eval_share = eval_share

    def process(self, raw: formats.Raw) -> Iterator[Any]:
        """One record."""
        shown = {
            "file": raw.source.path,
            "line": raw.line,
            "text": raw.text[:_SHOWN_CHARACTERS].decode("utf-8", errors="replace"),
        }
        try:
            sequence = raw.parse(self._columns)
        except Reject as reject:
            yield TaggedOutput(REJECTED, _quarantine_line(reject, None, shown))
            return
        split = raw.source.split or splits.split_of(sequence.entity_id, self._eval_share)
        parsed = Parsed(
            origin=(raw.source.index, raw.line),
            split=split,
            example=examples.encode(sequence, self._columns),
            shown=shown,
        )
        yield sequence.sequence_id, parsed


class KeepFirst(beam.DoFn):
    """(sequence_id, all records of that id) -> the first one; the others are `duplicate_id`."""

    def process(self, group: tuple[str, Iterable[Parsed]]) -> Iterator[Any]:
        """All records of one id."""
        sequence_id, records = group
        first, *others = sorted(records, key=lambda record: record.origin)
        yield TaggedOutput(first.split, first.example)
        for other in others:
            reject = Reject(
                "duplicate_id", f"first at {first.shown['file']}, line {first.shown['line']}"
            )
            yield TaggedOutput(REJECTED, _quarantine_line(reject, sequence_id, other.shown))


class IngestSequences(beam.PTransform):
    """Sources -> {split: serialised Examples, `rejected`: quarantine records}."""

    def __init__(
        self, *, columns: Columns, eval_share: float, split_names: tuple[str, ...]
    ) -> None:
        super().__init__()
        self._columns = columns
        self._eval_share = eval_share
        self._split_names = split_names

    def expand(self, sources: beam.PCollection) -> dict[str, beam.PCollection]:
        """Label by label; TFX shows these names in its logs."""
        parsed = (
            sources
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadRecords" >> beam.ParDo(ReadRecords()).with_output_types(formats.Raw)
            | "ParseRecords"
            >> beam.ParDo(ParseRecord(self._columns, self._eval_share))
            .with_outputs(REJECTED, main="parsed")
            .with_output_types(tuple[str, Parsed])
        )
        unique = (
            parsed.parsed
            | "GroupById" >> beam.GroupByKey()
            | "KeepFirst" >> beam.ParDo(KeepFirst()).with_outputs(REJECTED, *self._split_names)
        )
        outputs = {split: unique[split] for split in self._split_names}
        outputs[REJECTED] = (
            parsed[REJECTED],
            unique[REJECTED],
        ) | "FlattenRejected" >> beam.Flatten()
        return outputs


def _quarantine_line(
    reject: Reject, sequence_id: str | None, shown: dict[str, Any]
) -> dict[str, Any]:
    return {"code": reject.code, "detail": reject.detail, SEQUENCE_ID: sequence_id, **shown}
