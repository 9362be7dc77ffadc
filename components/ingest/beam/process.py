"""A unit of work: parts of files in; shards, a part of the quarantine and a report out.

All that a unit makes is a file under a name that follows from its index, so a unit that is
processed again, because some of its records turned out to be refused, replaces what it made.
"""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ragline.components.contract.columns import SEQUENCE_ID, SPLITS, TIME_DELTA, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import write_json
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.output.sinks import ShardSink, Sink
from ragline.components.ingest.records import checks, duplicates, splits
from ragline.components.ingest.records.checks import Reject
from ragline.components.ingest.records.chunk import Chunk, File, Part, Rejected
from ragline.components.ingest.steps import policies

FilePart = tuple[File, Part, int]
# (index of a file, number in it) -> why the record is refused.
Refused = Mapping[tuple[int, int], Reject]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What all units of a run have in common.

    Attributes:
      columns: what the schema says.
      options: of the input.
      files: all files, by their index.
      evaluated_span: of the others, nothing falls to eval; None to evaluate on all.
      folders: split -> where its shards stand.
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
        """What raw files must hold: all but what is filled here."""
        if not self.options.steps.time_delta:
            return self.columns
        read = tuple(each for each in self.columns.features if each.name != TIME_DELTA)
        return dataclasses.replace(self.columns, features=read)

    @property
    def checks_entities(self) -> bool:
        """Whether an entity can stand in both splits; by a hash of it, it cannot."""
        return self.options.eval is not None or self.options.eval_from is not None


def report_file(staging: Place, unit: int) -> str:
    """Where a unit's report stands."""
    return f"{staging}/report-{unit:05d}.json"


def report_files(staging: Place) -> Iterable[str]:
    """All reports, in no order."""
    return places.inside(staging, "report-*.json")


def rows_file(staging: Place, unit: int) -> str:
    """Where stands how many rows of long tables a unit had."""
    return f"{staging}/rows-{unit:05d}.json"


def quarantine_file(staging: Place, unit: int) -> str:
    """Where a unit's rejected records stand, a JSON object a line."""
    return f"{staging}/rejected-{unit:05d}.jsonl"


def shard_name(unit: int) -> str:
    """What a unit's shard is called, in each split's folder."""
    return f"examples-{unit:05d}.tfrecord.gz"


def process(
    unit: int, parts: Iterable[FilePart], job: Job, refused: Refused | None = None
) -> np.ndarray:
    """Processes a unit into shards.

    Args:
      unit: its index.
      parts: see `turn`.
      job: what all units have in common.
      refused: see `turn`.

    Returns:
      The marks of its records, for `duplicates`.
    """
    sink = ShardSink(job.folders, shard_name(unit), job.columns)
    return turn(unit, parts, job, refused, sink)


def turn(
    unit: int, parts: Iterable[FilePart], job: Job, refused: Refused | None, sink: Sink
) -> np.ndarray:
    """Processes a unit: its records checked and cut, the sequences into a sink, and a report.

    A BadDataError in it becomes the report's `failure`: of an exception in a worker, runners keep
    the words alone.

    Args:
      unit: its index.
      parts: the file, what was read of it, and how many rows of a table its rejected records have.
      job: what all units have in common.
      refused: records that are refused for what stands in other units.
      sink: for its sequences, not yet begun.

    Returns:
      The marks of its records, for `duplicates`.
    """
    one = _Turn(unit, job, refused or {}, sink)
    try:
        one.run(parts)
    except BadDataError as error:
        one.report["failure"] = failure_of(error)
    write_json(report_file(job.staging, unit), one.report)
    return np.concatenate([np.zeros(0, duplicates.MARK), *one.marks])


def failure_of(error: BadDataError) -> dict[str, Any]:
    """An error as plain data."""
    return {"code": error.code, "lines": list(error.lines)}


class _Turn:
    """One turn of one unit."""

    def __init__(self, unit: int, job: Job, refused: Refused, sink: Sink) -> None:
        self._unit = unit
        self._job = job
        self._sink = sink
        self._raw_columns = job.raw_columns
        self._refused = refused
        self._reasons: Counter[str] = Counter()
        self._policies: Counter[str] = Counter()
        self.marks: list[np.ndarray] = []
        counts = dict.fromkeys(("read", "accepted", "rows", "accepted_rows"), 0)
        self.report: dict[str, Any] = {"unit": unit, **counts, "first": {}}

    def run(self, parts: Iterable[FilePart]) -> None:
        job = self._job
        with (
            places.create(quarantine_file(job.staging, self._unit)) as quarantine,
            self._sink,
        ):
            for file, part, rejected_rows in parts:
                self.report["rows"] += rejected_rows + int(part.chunk.length.sum())
                for rejected in self._part(file, part):
                    quarantine.write(json.dumps(self._line(file, rejected)).encode() + b"\n")
        self.report |= {"reasons": dict(self._reasons), "policies": dict(self._policies)}
        self.report |= self._sink.report()

    def _part(self, file: File, part: Part) -> Iterator[Rejected]:
        """Writes what can be written of a Part, and returns the rest."""
        job = self._job
        self.report["read"] += len(part.chunk) + len(part.rejected)
        yield from part.rejected
        kept = checks.refuse(with_ids(part.chunk, file, job), self._reasons_of(file, part.chunk))
        yield from kept.rejected
        checked = checks.check(kept.chunk, self._raw_columns, job.options.steps)
        yield from checked.rejected
        applied = policies.apply(checked.chunk, job.columns, job.options.steps)
        yield from applied.rejected
        if not len(applied.record):
            return
        self._policies.update(applied.counts)
        self.report["accepted_rows"] += int(checked.chunk.length[np.unique(applied.record)].sum())
        entities = [str(checked.chunk.entity_id[place]) for place in applied.record.tolist()]
        split = splits.splits_of(
            entities,
            job.options,
            file.split,
            applied.start,
            is_older=job.evaluated_span not in (None, file.span),
        )
        if left_out := int((split == splits.LEFT_OUT).sum()):
            self._policies["eval_of_older_spans"] += left_out
        records, first = np.unique(applied.record, return_index=True)
        self.report["accepted"] += len(records)
        self._mark(file, checked.chunk, applied, records, split[first], split)
        done = 0
        for chunk in applied.chunks:
            of_chunk = slice(done, done + len(chunk))
            of_split, window = split[of_chunk], applied.window[of_chunk]
            done += len(chunk)
            kept = of_split != splits.LEFT_OUT
            self._sink.write(chunk.select(kept), of_split[kept], window[kept], file.span)

    def _reasons_of(self, file: File, chunk: Chunk) -> dict[int, Reject]:
        if not self._refused:
            return {}
        keys = ((file.index, number) for number in chunk.number.tolist())
        return {place: self._refused[key] for place, key in enumerate(keys) if key in self._refused}

    def _mark(
        self,
        file: File,
        checked: Chunk,
        applied: policies.Applied,
        records: np.ndarray,
        split_of_record: np.ndarray,
        split: np.ndarray,
    ) -> None:
        def add(names: Iterable[str | None], entity: bool, of: np.ndarray, at: np.ndarray) -> None:
            self.marks.append(
                duplicates.marks(
                    [str(name) for name in names],
                    entity=entity,
                    splits=of,
                    unit=self._unit,
                    file=file.index,
                    number=at,
                )
            )

        number = checked.number[records]
        ids = [checked.sequence_id[place] for place in records.tolist()]
        add(ids, False, split_of_record, number)
        if len(records) < len(applied.record) or list(applied.sequence_id) != ids:
            add(applied.sequence_id, False, split, checked.number[applied.record])
        if self._job.checks_entities:
            entities = [checked.entity_id[place] for place in records.tolist()]
            add(entities, True, split_of_record, number)

    def _line(self, file: File, rejected: Rejected) -> dict[str, Any]:
        """A line of the quarantine; it is counted as it is made."""
        self._reasons[rejected.code] += 1
        place = f"{shown_path(file)}, line {rejected.number}"
        self.report["first"].setdefault(rejected.code, f"{place}: {rejected.detail}")
        return {
            "code": rejected.code,
            "detail": rejected.detail,
            SEQUENCE_ID: rejected.sequence_id,
            "file": shown_path(file),
            "line": rejected.number,
            "text": rejected.text,
        }


def refused_of(found: np.ndarray, files: tuple[File, ...]) -> dict[tuple[int, int], Reject]:
    """Refusals of one unit -> why each of its records is refused; a duplicate before all else."""
    reasons: dict[tuple[int, int], Reject] = {}
    for one in found[np.argsort(found["entity"], kind="stable")]:
        place = f"{shown_path(files[one['first_file']])}, line {one['first_number']}"
        reject = (
            Reject(duplicates.ENTITY_IN_TWO_SPLITS, f"its entity is in {SPLITS[0]} at {place}")
            if one["entity"]
            else Reject(duplicates.DUPLICATE_ID, f"first at {place}")
        )
        reasons.setdefault((int(one["file"]), int(one["number"])), reject)
    return reasons


def shown_path(file: File) -> str:
    """A path for people; what is not UTF-8 in it becomes U+FFFD."""
    return file.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def with_ids(chunk: Chunk, file: File, job: Job) -> Chunk:
    """A Chunk in which every record has its id, its place if it states none, and its entity.

    What stands in the file's name is the entity, or context of text, where a record states none.
    """
    ids = [
        f"{file.name}:{number}" if stated is None else stated
        for number, stated in zip(chunk.number.tolist(), chunk.sequence_id, strict=True)
    ]
    of_file = file.fields.get(job.options.entity or "")
    entities = [
        of_file or own if stated is None else stated
        for own, stated in zip(ids, chunk.entity_id, strict=True)
    ]
    context = {
        name: [file.fields[name] if value is None else value for value in values]
        if name in file.fields and job.columns.context[name] == "bytes"
        else values
        for name, values in chunk.context.items()
    }
    return dataclasses.replace(chunk, sequence_id=ids, entity_id=entities, context=context)
