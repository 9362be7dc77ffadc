"""The Beam part of ingest: units of work -> files, and what must be known of all units together.

    units -> parts -> shards, quarantine, reports          where a record is a sequence
    units -> rows -> spills -> GroupByKey -> parts -> ...  where a row is a step
                     marks -> GroupByKey -> refusals -> the units that hold them, once more

What goes from worker to worker is small: places in files, and 37 bytes a record. The records
themselves go from the raw file to the shard in one worker.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import write_json
from ragline.components.ingest import formats
from ragline.components.ingest.beam import grouping, process, spill
from ragline.components.ingest.beam.process import FilePart, Job, Refused
from ragline.components.ingest.beam.spill import Spill
from ragline.components.ingest.records import duplicates
from ragline.components.ingest.source.units import Unit
from ragline.components.runtime import progress

# Of the marks: so many that one worker's part is small, and few enough for small runs.
_PARTS = 16

Source = Unit | tuple[Spill, ...]
# What becomes of a unit: such as `process.process`, whose arguments they are.
Work = Callable[[int, Iterable[FilePart], Job, Refused | None], np.ndarray]


class ReadRows(beam.DoFn):
    """(index, Unit of tables) -> (shard, Spill); the rows are counted in a report."""

    def __init__(self, job: Job, shards: int) -> None:
        self._job = job
        self._shards = shards

    def process(self, element: tuple[int, Unit]) -> Iterator[tuple[int, Spill]]:
        """One unit."""
        index, unit = element
        job = self._job
        report: dict[str, Any] = {"rows": 0}

        def rows() -> Iterator[Any]:
            for piece in unit.pieces:
                table = formats.of_table(piece.file.format)
                for part in table.rows(piece, job.raw_columns, job.options):
                    report["rows"] += len(part) + len(part.rejected)
                    yield part
                progress.advance(piece.size)

        spills: dict[int, Spill] = {}
        try:
            spills = spill.write(f"{job.staging}/rows-{index:05d}.arrows", rows(), self._shards)
        except BadDataError as error:
            report["failure"] = process.failure_of(error)
        write_json(process.rows_file(job.staging, index), report)
        yield from spills.items()


class Process(beam.DoFn):
    """(index, Unit or Spills) -> (part, marks)."""

    def __init__(self, job: Job, work: Work) -> None:
        self._job = job
        self._work = work

    def process(self, element: tuple[int, Source]) -> Iterator[tuple[int, bytes]]:
        """One unit."""
        index, source = element
        marks = self._work(index, _parts(source, self._job), self._job, None)
        yield from duplicates.parted(marks, _PARTS)


class Refuse(beam.DoFn):
    """(part, all its marks) -> (index of a unit, its refusals)."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """One part of all marks."""
        found = duplicates.refusals(element[1])
        for unit in np.unique(found["unit"]).tolist():
            yield unit, found[found["unit"] == unit].tobytes()


class ProcessAgain(beam.DoFn):
    """(index, {sources, refusals}) -> nothing; units without refusals are left as they are."""

    def __init__(self, job: Job, work: Work) -> None:
        self._job = job
        self._work = work

    def process(self, element: tuple[int, dict[str, Iterable[Any]]]) -> None:
        """One unit."""
        index, joined = element
        packed = b"".join(joined["refusals"])
        if packed:
            [source] = joined["sources"]
            refused = process.refused_of(np.frombuffer(packed, duplicates.REFUSAL), self._job.files)
            self._work(index, _parts(source, self._job), self._job, refused)


class IngestSequences(beam.PTransform):
    """(index, Unit)s -> the files that `process` describes."""

    def __init__(self, job: Job, shards: int | None, work: Work = process.process) -> None:
        """Takes what all units have in common.

        Args:
          job: of all units.
          shards: into how many rows are dealt; None where there are none.
          work: what becomes of a unit, once or, if some of its records are refused, twice.
        """
        super().__init__()
        self._job = job
        self._shards = shards
        self._work = work

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        """Label by label; TFX shows these names in its logs."""
        sources = units | "SpreadUnits" >> beam.Reshuffle()
        if self._shards is not None:
            sources = (
                sources
                | "ReadRows"
                >> beam.ParDo(ReadRows(self._job, self._shards)).with_output_types(
                    tuple[int, Spill]
                )
                | "GroupRows" >> beam.GroupByKey()
                | "SortSpills" >> beam.MapTuple(_sorted).with_output_types(tuple[int, Any])
            )
        refusals = (
            sources
            | "Process"
            >> beam.ParDo(Process(self._job, self._work)).with_output_types(tuple[int, bytes])
            | "GroupMarks" >> beam.GroupByKey()
            | "Refuse" >> beam.ParDo(Refuse()).with_output_types(tuple[int, bytes])
        )
        return (
            {"sources": sources, "refusals": refusals}
            | "JoinRefusals" >> beam.CoGroupByKey()
            | "ProcessAgain"
            >> beam.ParDo(ProcessAgain(self._job, self._work)).with_output_types(bytes)
        )


def _sorted(shard: int, spills: Iterable[Spill]) -> tuple[int, tuple[Spill, ...]]:
    return shard, tuple(sorted(spills, key=lambda spilt: (spilt.path, spilt.start)))


def _parts(source: Source, job: Job) -> Iterator[FilePart]:
    if isinstance(source, Unit):
        for piece in source.pieces:
            reader = formats.of(piece.file.format)
            for part in reader.read(piece, job.raw_columns, job.options):
                yield piece.file, part, 0
            progress.advance(piece.size)
    else:
        rows = list(spill.read(source))
        for grouped in grouping.to_chunks(rows, job.raw_columns):
            yield job.files[grouped.file], grouped.part, grouped.rejected_rows
