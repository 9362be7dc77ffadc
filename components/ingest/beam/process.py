"""Process a unit of work: parts of files in; shards, rejected records and a report out.

All that a unit makes is a file under a name that follows from its index, so a unit that is
processed again, because some of its records turned out to be refused, replaces what it made.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ragline.components.contract import kinds
from ragline.components.contract.columns import SEQUENCE_ID, SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import Staged, write_json
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.output.sinks import ShardSink, Sink
from ragline.components.ingest.records import checks, duplicates, splits
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import Chunk, File, Part, QuarantineLine
from ragline.components.ingest.records.refusals import Refusals
from ragline.components.ingest.steps import policies

FilePart = tuple[File, Part, int]
# (index of a file, number in it) -> why the record is rejected.
Rejections = Mapping[tuple[int, int], RejectedRecord]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IngestContext:
    """Holds what all units of a run have in common.

    Attributes:
      columns: the columns of the schema.
      options: the options of the input.
      files: all files, by their index.
      evaluated_span: the only span of which sequences may go to eval; None if all may.
      folders: split -> the folder of its shards.
      staging: a folder for what is not yet the run's output.
    """

    columns: Columns
    options: InputOptions
    files: tuple[File, ...]
    evaluated_span: str | None = None
    folders: Mapping[str, Place]
    staging: Place

    @property
    def raw_columns(self) -> Columns:
        """Return the columns that raw files must hold: all but those that ingest fills."""
        derived = self.options.steps.derived
        read = tuple(f for f in self.columns.features if f.name not in derived)
        return dataclasses.replace(self.columns, features=read)

    @property
    def checks_entities(self) -> bool:
        """Return whether an entity can stand in both splits; by a hash of it, it cannot."""
        return self.options.eval is not None or self.options.eval_from is not None


def report_file(staging: Place, unit: int) -> str:
    """Return the path of a unit's report."""
    return f"{staging}/report-{unit:05d}.json"


def report_files(staging: Place) -> Iterable[str]:
    """Return the paths of all reports, in no order."""
    return places.inside(staging, "report-*.json")


def rows_file(staging: Place, unit: int) -> str:
    """Return the path of the file that counts the rows of long tables of a unit."""
    return f"{staging}/rows-{unit:05d}.json"


def quarantine_file(staging: Place, unit: int) -> str:
    """Return the path of a unit's rejected records, a JSON object a line; absent without any."""
    return f"{staging}/rejected-{unit:05d}.jsonl"


def source_file(staging: Place, unit: int) -> str:
    """Return the path of the file that says where a unit's sequences came from."""
    return f"{staging}/sources-{unit:05d}.parquet"


def shard_name(unit: int) -> str:
    """Return the name of a unit's shard, in each split's folder."""
    return f"examples-{unit:05d}.tfrecord.gz"


def write_shards(
    unit: int,
    parts: Iterable[FilePart],
    context: IngestContext,
    rejections: Rejections | None = None,
) -> np.ndarray:
    """Process a unit into shards; arguments and result are those of `process_unit`."""
    sources = source_file(context.staging, unit)
    sink = ShardSink(context.folders, shard_name(unit), context.columns, sources)
    return process_unit(unit, parts, context, rejections, sink)


def process_unit(
    unit: int,
    parts: Iterable[FilePart],
    context: IngestContext,
    rejections: Rejections | None,
    sink: Sink,
) -> np.ndarray:
    """Process a unit: check and cut its records, write the sequences to a sink, and report.

    A BadDataError becomes the report's `failure`, because a runner keeps only the text of an
    exception in a worker.

    Args:
      unit: the unit's index.
      parts: the file, what was read of it, and how many rows of a table its rejected records have.
      context: what all units have in common.
      rejections: records that are rejected for what stands in other units.
      sink: where the sequences go; not yet entered.

    Returns:
      The deduplication keys of its records, see `duplicates`.
    """
    processor = UnitProcessor(unit, context, rejections or {}, sink)
    try:
        processor.run(parts)
    except BadDataError as error:
        processor.report["failure"] = failure_of(error)
    write_json(report_file(context.staging, unit), processor.report)
    return np.concatenate([np.zeros(0, duplicates.DEDUP_KEY), *processor.dedup_keys])


def failure_of(error: BadDataError) -> dict[str, Any]:
    """Return an error as plain data."""
    return {"code": error.code, "lines": list(error.lines)}


class UnitProcessor:
    """Processes one unit once.

    Attributes:
      report: what the unit did, as plain data.
      dedup_keys: the deduplication keys of its records, in parts.
    """

    def __init__(
        self, unit: int, context: IngestContext, rejections: Rejections, sink: Sink
    ) -> None:
        self._unit = unit
        self._context = context
        self._sink = sink
        self._raw_columns = context.raw_columns
        self._rejections = rejections
        self._reasons: Counter[str] = Counter()
        self._policies: Counter[str] = Counter()
        self.dedup_keys: list[np.ndarray] = []
        counts = dict.fromkeys(("read", "accepted", "rows", "accepted_rows"), 0)
        self.report: dict[str, Any] = {"unit": unit, **counts, "first": {}}

    def run(self, parts: Iterable[FilePart]) -> None:
        """Process all parts of the unit."""
        path = quarantine_file(self._context.staging, self._unit)
        staged = Staged(path)
        try:
            with staged.file.open("wb") as quarantine, self._sink:
                for file, part, rejected_rows in parts:
                    self.report["rows"] += rejected_rows + int(part.chunk.length.sum())
                    for rejected in self._part(file, part):
                        quarantine.write(json.dumps(self._line(file, rejected)).encode() + b"\n")
            if self._reasons:
                staged.publish()
            else:
                places.remove(path)
        finally:
            staged.discard()
        self.report |= {"reasons": dict(self._reasons), "policies": dict(self._policies)}
        self.report |= self._sink.report()

    def _part(self, file: File, part: Part) -> Iterator[QuarantineLine]:
        """Write the sequences of a Part, and yield the rejected records."""
        context = self._context
        self.report["read"] += len(part.chunk) + len(part.rejected)
        yield from part.rejected
        chunk = with_ids(part.chunk, file, context)
        kept = Refusals(chunk, self._rejected_elsewhere(file, chunk)).part()
        yield from kept.rejected
        checked = checks.check(kept.chunk, self._raw_columns, context.options.steps)
        yield from checked.rejected
        applied = policies.apply(
            checked.chunk, context.columns, context.options.steps, context.options.time_zone
        )
        yield from applied.rejected
        if not len(applied.record):
            return
        self._policies.update(applied.counts)
        self.report["accepted_rows"] += int(checked.chunk.length[np.unique(applied.record)].sum())
        entities = [str(checked.chunk.entity_id[place]) for place in applied.record.tolist()]
        split = splits.splits_of(
            entities,
            context.options,
            file.split,
            applied.start,
            is_older=context.evaluated_span not in (None, file.span),
        )
        if left_out := int((split == splits.LEFT_OUT).sum()):
            self._policies["eval_of_older_spans"] += left_out
        records, first = np.unique(applied.record, return_index=True)
        self.report["accepted"] += len(records)
        self._add_keys(file, checked.chunk, applied, records, split[first], split)
        done = 0
        for chunk in applied.chunks:
            of_chunk = slice(done, done + len(chunk))
            of_split, window = split[of_chunk], applied.window[of_chunk]
            done += len(chunk)
            kept = of_split != splits.LEFT_OUT
            self._sink.write(chunk.select(kept), of_split[kept], window[kept], file)

    def _rejected_elsewhere(self, file: File, chunk: Chunk) -> dict[int, tuple[str, str]]:
        """Return place in the Chunk -> (code, detail), of what stands in `rejections`."""
        if not self._rejections:
            return {}
        keys = ((file.index, number) for number in chunk.number.tolist())
        rejected = ((place, self._rejections.get(key)) for place, key in enumerate(keys))
        return {place: (record.code, record.detail) for place, record in rejected if record}

    def _add_keys(
        self,
        file: File,
        checked: Chunk,
        applied: policies.Applied,
        records: np.ndarray,
        split_of_record: np.ndarray,
        split: np.ndarray,
    ) -> None:
        def add(
            names: Iterable[str | None], entity: bool, splits: np.ndarray, number: np.ndarray
        ) -> None:
            self.dedup_keys.append(
                duplicates.dedup_keys(
                    [str(name) for name in names],
                    entity=entity,
                    splits=splits,
                    unit=self._unit,
                    file=file.index,
                    number=number,
                )
            )

        number = checked.number[records]
        ids = [checked.sequence_id[place] for place in records.tolist()]
        add(ids, False, split_of_record, number)
        if len(records) < len(applied.record) or list(applied.sequence_id) != ids:
            add(applied.sequence_id, False, split, checked.number[applied.record])
        if self._context.checks_entities:
            entities = [checked.entity_id[place] for place in records.tolist()]
            add(entities, True, split_of_record, number)

    def _line(self, file: File, rejected: QuarantineLine) -> dict[str, Any]:
        """Make a line of the quarantine, and count it."""
        self._reasons[rejected.code] += 1
        place = f"{file.shown_path}, line {rejected.number}"
        self.report["first"].setdefault(rejected.code, f"{place}: {rejected.detail}")
        return {
            "code": rejected.code,
            "detail": rejected.detail,
            SEQUENCE_ID: rejected.sequence_id,
            "file": file.shown_path,
            "line": rejected.number,
            "text": rejected.text,
        }


def rejections_of(
    refusals: np.ndarray, files: tuple[File, ...]
) -> dict[tuple[int, int], RejectedRecord]:
    """Return why each record is rejected, from the refusals of a unit; a duplicate comes first."""
    rejections: dict[tuple[int, int], RejectedRecord] = {}
    for refusal in refusals[np.argsort(refusals["entity"], kind="stable")]:
        place = f"{files[refusal['first_file']].shown_path}, line {refusal['first_number']}"
        reject = (
            RejectedRecord(
                duplicates.ENTITY_IN_TWO_SPLITS, f"its entity is in {SPLITS[0]} at {place}"
            )
            if refusal["entity"]
            else RejectedRecord(duplicates.DUPLICATE_ID, f"first at {place}")
        )
        rejections.setdefault((int(refusal["file"]), int(refusal["number"])), reject)
    return rejections


def with_ids(chunk: Chunk, file: File, context: IngestContext) -> Chunk:
    """Fill the ids that a Chunk lacks: a sequence's is its place, an entity's its sequence's.

    What stands in the file's name is the entity, or context of text, where a record states none.
    """
    ids = [
        f"{file.name}:{number}" if stated is None else stated
        for number, stated in zip(chunk.number.tolist(), chunk.sequence_id, strict=True)
    ]
    of_file = file.fields.get(context.options.entity or "")
    entities = [
        of_file or own if stated is None else stated
        for own, stated in zip(ids, chunk.entity_id, strict=True)
    ]
    values_of = {
        name: [file.fields[name] if value is None else value for value in values]
        if name in file.fields and kinds.is_text(context.columns.context[name])
        else values
        for name, values in chunk.context.items()
    }
    return dataclasses.replace(chunk, sequence_id=ids, entity_id=entities, context=values_of)
