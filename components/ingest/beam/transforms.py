"""The Beam transforms of ingest: units of work -> files, and the duplicates among all units.

    units -> parts -> shards, quarantine, reports          where a record is a sequence
    units -> rows -> spills -> GroupByKey -> parts -> ...  where a row is a step
                     keys -> GroupByKey -> refusals -> the units that hold them, once more

What goes from worker to worker is small: places in files, and the deduplication key of each record.
The records themselves go from the raw file to the shard in one worker.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np

from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import write_json
from ragline.components.ingest import formats
from ragline.components.ingest.beam import grouping, process, spill
from ragline.components.ingest.beam.process import FilePart, IngestContext, Rejections
from ragline.components.ingest.beam.spill import Spill
from ragline.components.ingest.records import duplicates
from ragline.components.ingest.source.units import Unit
from ragline.components.runtime import progress

# Parts of the deduplication keys: many enough that one is small, few enough for small runs.
_PARTS = 16

Source = Unit | tuple[Spill, ...]
# Processes a unit and returns its deduplication keys, as `process.write_shards` does.
UnitFunction = Callable[[int, Iterable[FilePart], IngestContext, Rejections | None], np.ndarray]


class ReadRows(beam.DoFn):
    """Reads (index, Unit of tables) into (shard, Spill)s, and counts the rows in a report."""

    def __init__(self, context: IngestContext, shards: int) -> None:
        self._context = context
        self._shards = shards

    def process(self, element: tuple[int, Unit]) -> Iterator[tuple[int, Spill]]:
        """Read one unit."""
        index, unit = element
        context = self._context
        report: dict[str, Any] = {"rows": 0}

        def rows() -> Iterator[Any]:
            for piece in unit.pieces:
                table = formats.of(piece.file.format)
                for part in table.rows(piece, context.raw_columns, context.options):
                    report["rows"] += len(part) + len(part.rejected)
                    yield part
                progress.advance(piece.size)

        spills: dict[int, Spill] = {}
        try:
            spills = spill.write(f"{context.staging}/rows-{index:05d}.arrows", rows(), self._shards)
        except BadDataError as error:
            report["failure"] = process.failure_of(error)
        write_json(process.rows_file(context.staging, index), report)
        yield from spills.items()


class Process(beam.DoFn):
    """Processes (index, Unit or Spills) and yields (part, its deduplication keys packed)."""

    def __init__(self, context: IngestContext, process_unit: UnitFunction) -> None:
        self._context = context
        self._process_unit = process_unit

    def process(self, element: tuple[int, Source]) -> Iterator[tuple[int, bytes]]:
        """Process one unit."""
        index, source = element
        keys = self._process_unit(index, _parts(source, self._context), self._context, None)
        yield from duplicates.partition_by_hash(keys, _PARTS)


class ResolveDuplicates(beam.DoFn):
    """Turns (part, all its keys) into (index of a unit, its refusals)."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Resolve one part of all keys."""
        refusals = duplicates.refusals(element[1])
        for unit in np.unique(refusals["unit"]).tolist():
            yield unit, refusals[refusals["unit"] == unit].tobytes()


class ProcessAgain(beam.DoFn):
    """Processes (index, {sources, refusals}) again, if there are refusals."""

    def __init__(self, context: IngestContext, process_unit: UnitFunction) -> None:
        self._context = context
        self._process_unit = process_unit

    def process(self, element: tuple[int, dict[str, Iterable[Any]]]) -> None:
        """Process one unit."""
        index, joined = element
        packed = b"".join(joined["refusals"])
        if packed:
            [source] = joined["sources"]
            context = self._context
            refusals = np.frombuffer(packed, duplicates.REFUSAL)
            rejections = process.rejections_of(refusals, context.files)
            self._process_unit(index, _parts(source, context), context, rejections)


class IngestSequences(beam.PTransform):
    """Ingests (index, Unit)s into the files that `process.py` describes."""

    def __init__(
        self,
        context: IngestContext,
        shards: int | None,
        process_unit: UnitFunction = process.write_shards,
    ) -> None:
        """Take what all units have in common.

        Args:
          context: what all units have in common.
          shards: the number of shards that rows of long tables are assigned to; None without rows.
          process_unit: processes a unit; called a second time if some of its records are refused.
        """
        super().__init__()
        self._context = context
        self._shards = shards
        self._process_unit = process_unit

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        """Apply the steps, under the names that TFX shows in its logs."""
        sources = units | "SpreadUnits" >> beam.Reshuffle()
        if self._shards is not None:
            sources = (
                sources
                | "ReadRows"
                >> beam.ParDo(ReadRows(self._context, self._shards)).with_output_types(
                    tuple[int, Spill]
                )
                | "GroupRows" >> beam.GroupByKey()
                | "SortSpills" >> beam.MapTuple(_sorted).with_output_types(tuple[int, Any])
            )
        refusals = (
            sources
            | "Process"
            >> beam.ParDo(Process(self._context, self._process_unit)).with_output_types(
                tuple[int, bytes]
            )
            | "GroupDedupKeys" >> beam.GroupByKey()
            | "ResolveDuplicates"
            >> beam.ParDo(ResolveDuplicates()).with_output_types(tuple[int, bytes])
        )
        return (
            {"sources": sources, "refusals": refusals}
            | "JoinRefusals" >> beam.CoGroupByKey()
            | "ProcessAgain"
            >> beam.ParDo(ProcessAgain(self._context, self._process_unit)).with_output_types(bytes)
        )


def _sorted(shard: int, spills: Iterable[Spill]) -> tuple[int, tuple[Spill, ...]]:
    return shard, tuple(sorted(spills, key=lambda spilt: (spilt.path, spilt.start)))


def _parts(source: Source, context: IngestContext) -> Iterator[FilePart]:
    if isinstance(source, Unit):
        for piece in source.pieces:
            reader = formats.of(piece.file.format)
            for part in reader.read(piece, context.raw_columns, context.options):
                yield piece.file, part, 0
            progress.advance(piece.size)
    else:
        rows = list(spill.read(source))
        for grouped in grouping.to_chunks(rows, context.raw_columns):
            yield context.files[grouped.file], grouped.part, grouped.rejected_rows
