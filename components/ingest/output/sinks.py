"""Define sinks, which take the sequences of a unit; that of ingest writes shards of Examples."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import SPLITS, Columns, length_bucket
from ragline.components.files.places import Place
from ragline.components.ingest.output import examples, sources, span_stats, statistics
from ragline.components.ingest.output.shards import ShardSet
from ragline.components.ingest.records.chunk import Chunk, File


class Sink(Protocol):
    """Takes the sequences of a unit that is processed; on an error, it leaves nothing."""

    def __enter__(self) -> Self:
        """Begin, with nothing written."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Complete what was written, or discard it."""

    def write(self, sequences: Chunk, split: np.ndarray, window: np.ndarray, file: File) -> None:
        """Take sequences that are checked and cut.

        Args:
          sequences: N sequences, maybe 0, each with its ids and at least one step.
          split: object [N], the split of each sequence.
          window: int64 [N, 2], see `policies.Applied`.
          file: the file that all of them came from.
        """

    def report(self) -> dict[str, Any]:
        """Return what the unit's report says of them, once all is completed."""


class ShardSink:
    """Writes shards of serialised Examples, one a split that gets a sequence."""

    def __init__(
        self, folders: Mapping[str, Place], name: str, columns: Columns, source_file: Place
    ) -> None:
        """Open no shard yet: each is opened at its first sequence.

        Args:
          folders: split -> the folder of its shards.
          name: the name of the shard in each folder.
          columns: the columns of the schema.
          source_file: the file that says where each sequence came from.
        """
        self._shards = ShardSet(folders, name)
        self._columns = columns
        self._source_file = source_file
        self._sources: list[pa.Table] = []
        self._written: Counter[str] = Counter()
        self._lengths: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
        self._ranges = [statistics.empty(columns)]
        self._span_stats: dict[str, span_stats.SpanStats] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._shards.__exit__(kind, error, trace)
        if error is None:
            sources.write(self._sources, self._source_file)

    def write(self, sequences: Chunk, split: np.ndarray, window: np.ndarray, file: File) -> None:
        """Encode sequences as Examples, each into its split's shard."""
        if file.span is not None and len(sequences):
            known = self._span_stats.get(file.span)
            stats = span_stats.of_chunk(sequences, self._columns)
            self._span_stats[file.span] = span_stats.merged([known, stats]) if known else stats
        named = sources.table_of(sequences.sequence_id, sequences.number, file.shown_path)
        self._sources.append(named)
        ranges = [*self._ranges, statistics.of_chunk(sequences, self._columns)]
        self._ranges = [statistics.merged(ranges, self._columns)]
        for name in SPLITS:
            of_split = sequences.select(split == name)
            if len(of_split):
                self._shards.write(name, examples.encode_chunk(of_split, self._columns))
                self._written[name] += len(of_split)
                self._lengths[name].update(map(length_bucket, of_split.length.tolist()))

    def report(self) -> dict[str, Any]:
        """Return ranges, span statistics, sequences by split and length, and the shards."""
        return {
            "features": statistics.merged(self._ranges, self._columns),
            "span_stats": self._span_stats,
            "written": dict(self._written),
            "lengths": {name: dict(counted) for name, counted in self._lengths.items()},
            "shards": {
                split: dataclasses.asdict(shard) for split, shard in self._shards.finished.items()
            },
        }
