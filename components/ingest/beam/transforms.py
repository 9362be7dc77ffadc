"""Define the Beam transforms of ingest: units of work -> files, and the duplicates among all units.

    units -> parts -> shards, quarantine, reports          where a record is a sequence
    units -> rows -> GroupByKey -> parts -> ...            where a row is a step
                     keys -> GroupByKey -> refusals -> the units that hold them, once more

Rows of long tables go from worker to worker as Arrow streams of many rows, by the engine's own
GroupByKey; only for the engine in this process, which would hold them all in memory, they go by
files. Of the records only the deduplication keys travel: they go from the raw file, or from the
group of rows, to the shard in one worker.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import apache_beam as beam
import numpy as np

from ragline.components.contract.errors import BadDataError
from ragline.components.files.storage import write_json
from ragline.components.ingest import formats
from ragline.components.ingest.beam import grouping, packed_rows, process, spill
from ragline.components.ingest.beam.process import FilePart, IngestContext, Rejections
from ragline.components.ingest.beam.spill import Spill
from ragline.components.ingest.records import duplicates
from ragline.components.ingest.records.chunk import Rows
from ragline.components.ingest.source.units import Unit
from ragline.components.runtime import progress
from ragline.components.runtime.local_runner import LocalRunner

# Parts of the deduplication keys: many enough that one is small, few enough for small runs.
_PARTS = 16

# What one call processes: a unit, or all that a grouping holds of the rows of one shard.
Source = Unit | Iterable[Any]
# Processes a unit and returns its deduplication keys, as `process.write_shards` does.
UnitFunction = Callable[[int, Iterable[FilePart], IngestContext, Rejections | None], np.ndarray]


class Grouping(Protocol):
    """Brings all rows of a sequence together; an engine may have one of its own."""

    def transform(self, context: IngestContext, shards: int) -> beam.PTransform:
        """Return the transform (index, Unit of tables) -> (shard, what there is of its rows)."""

    def rows(self, held: Iterable[Any]) -> Iterator[Rows]:
        """Yield the rows of one shard, in any order."""


class ByEngine:
    """Groups rows by the engine's GroupByKey."""

    def transform(self, context: IngestContext, shards: int) -> beam.PTransform:
        """See `Grouping`."""
        return GroupRows(ReadRows(context, shards), tuple[int, bytes])

    def rows(self, held: Iterable[bytes]) -> Iterator[Rows]:
        """See `Grouping`."""
        for streams in held:
            yield from packed_rows.unpack_all(streams)


class BySpill:
    """Groups rows by files in a folder of this machine's disk, for the engine in this process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def transform(self, context: IngestContext, shards: int) -> beam.PTransform:
        """See `Grouping`."""
        return GroupRows(WriteSpills(context, shards, self._folder), tuple[int, Spill])

    def rows(self, held: Iterable[Spill]) -> Iterator[Rows]:
        """See `Grouping`."""
        yield from spill.read(sorted(held, key=lambda spilt: (spilt.path, spilt.start)))


def read_rows(index: int, unit: Unit, context: IngestContext) -> Iterator[Rows]:
    """Read a unit of tables, and count its rows in a report once all are read."""
    report: dict[str, Any] = {"rows": 0}
    try:
        for piece in unit.pieces:
            table = formats.of(piece.file.format)
            for part in table.rows(piece, context.raw_columns, context.options):
                report["rows"] += len(part) + len(part.rejected)
                yield part
            progress.advance(piece.size)
    except BadDataError as error:
        report["failure"] = process.failure_of(error)
    write_json(process.rows_file(context.staging, index), report)


class GroupRows(beam.PTransform):
    """Groups (index, Unit of tables) into (shard, what holds its rows)."""

    def __init__(self, reader: beam.DoFn, keyed: Any) -> None:
        """Args: what reads the rows of a unit, and the type of what it yields: (shard, holder)."""
        super().__init__()
        self._reader, self._keyed = reader, keyed

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        """Read the rows, and group them."""
        read = beam.ParDo(self._reader).with_output_types(self._keyed)
        return units | "ReadRows" >> read | beam.GroupByKey()


class ReadRows(beam.DoFn):
    """Reads (index, Unit of tables) into (shard, streams of rows)s."""

    def __init__(self, context: IngestContext, shards: int) -> None:
        self._context = context
        self._shards = shards

    def process(self, element: tuple[int, Unit]) -> Iterator[tuple[int, bytes]]:
        """Read one unit."""
        rows = read_rows(*element, self._context)
        for shard, streams in packed_rows.by_shard(rows, self._shards).items():
            yield shard, b"".join(streams)


class WriteSpills(beam.DoFn):
    """Reads (index, Unit of tables) into (shard, Spill)s, one file a unit."""

    def __init__(self, context: IngestContext, shards: int, folder: str) -> None:
        self._context = context
        self._shards = shards
        self._folder = folder

    def process(self, element: tuple[int, Unit]) -> Iterator[tuple[int, Spill]]:
        """Read one unit."""
        index, unit = element
        file = f"{self._folder}/rows-{index:05d}.arrows"
        yield from spill.write(file, read_rows(index, unit, self._context), self._shards).items()


class _OfSources(beam.DoFn):
    """Holds what a unit is processed by."""

    def __init__(
        self, context: IngestContext, grouped: Grouping, process_unit: UnitFunction
    ) -> None:
        self._context = context
        self._grouping = grouped
        self._process_unit = process_unit


class Process(_OfSources):
    """Processes (index, Source) and yields (part, its deduplication keys packed)."""

    def process(self, element: tuple[int, Source]) -> Iterator[tuple[int, bytes]]:
        """Process one unit."""
        index, source = element
        parts = _parts(source, self._context, self._grouping)
        keys = self._process_unit(index, parts, self._context, None)
        yield from duplicates.partition_by_hash(keys, _PARTS)


class ResolveDuplicates(beam.DoFn):
    """Turns (part, all its keys) into (index of a unit, its refusals)."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Resolve one part of all keys."""
        refusals = duplicates.refusals(element[1])
        for unit in np.unique(refusals["unit"]).tolist():
            yield unit, refusals[refusals["unit"] == unit].tobytes()


class KeepRefused(beam.DoFn):
    """Keeps (index, Source)s of units with refusals: of others, no row goes anywhere again."""

    def process(
        self, element: tuple[int, Source], refused: Iterable[int]
    ) -> Iterator[tuple[int, Source]]:
        """Yield the unit if it has refusals."""
        index, source = element
        if index in refused:
            yield index, source if isinstance(source, Unit) else tuple(source)


class ProcessAgain(_OfSources):
    """Processes (index, {its Source, its refusals}) again."""

    def process(self, element: tuple[int, dict[str, Iterable[Any]]]) -> None:
        """Process one unit."""
        index, joined = element
        refusals = np.frombuffer(b"".join(joined["refusals"]), duplicates.REFUSAL)
        [source] = joined["sources"]
        context = self._context
        rejections = process.rejections_of(refusals, context.files)
        parts = _parts(source, context, self._grouping)
        self._process_unit(index, parts, context, rejections)


class IngestSequences(beam.PTransform):
    """Ingests (index, Unit)s into the files that `process.py` describes."""

    def __init__(
        self,
        context: IngestContext,
        shards: int | None,
        spills: str,
        process_unit: UnitFunction = process.write_shards,
    ) -> None:
        """Take what all units have in common.

        Args:
          context: what all units have in common.
          shards: the number of shards that rows of long tables are assigned to; None without rows.
          spills: a folder for rows that wait on this machine's disk, see `spill`.
          process_unit: processes a unit; called a second time if some of its records are refused.
        """
        super().__init__()
        self._context = context
        self._shards = shards
        self._spills = spills
        self._process_unit = process_unit

    def expand(self, units: beam.PCollection) -> beam.PCollection:
        """Apply the steps, under the names that TFX shows in its logs."""
        of_engine = units.pipeline.runner
        here = isinstance(of_engine, LocalRunner)
        grouped: Grouping = BySpill(self._spills) if here else ByEngine()
        sources = units | "SpreadUnits" >> beam.Reshuffle()
        if self._shards is not None:
            sources |= "GroupRows" >> grouped.transform(self._context, self._shards)
        refusals = (
            sources
            | "Process"
            >> beam.ParDo(Process(self._context, grouped, self._process_unit)).with_output_types(
                tuple[int, bytes]
            )
            | "GroupDedupKeys" >> beam.GroupByKey()
            | "ResolveDuplicates"
            >> beam.ParDo(ResolveDuplicates()).with_output_types(tuple[int, bytes])
        )
        refused = refusals | "RefusedUnits" >> beam.Keys() | "OnceEach" >> beam.Distinct()
        again = sources | "KeepRefused" >> beam.ParDo(
            KeepRefused(), beam.pvalue.AsIter(refused)
        ).with_output_types(tuple[int, Any])
        return (
            {"sources": again, "refusals": refusals}
            | "JoinRefusals" >> beam.CoGroupByKey()
            | "ProcessAgain"
            >> beam.ParDo(
                ProcessAgain(self._context, grouped, self._process_unit)
            ).with_output_types(bytes)
        )


def _parts(source: Source, context: IngestContext, grouped: Grouping) -> Iterator[FilePart]:
    if isinstance(source, Unit):
        for piece in source.pieces:
            reader = formats.of(piece.file.format)
            for part in reader.read(piece, context.raw_columns, context.options):
                yield piece.file, part, 0
            progress.advance(piece.size)
    else:
        rows = list(grouped.rows(source))
        for of_file in grouping.to_chunks(rows, context.raw_columns):
            yield context.files[of_file.file], of_file.part, of_file.rejected_rows
