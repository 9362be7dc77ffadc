"""Run the Beam job of `ragline encode`: ingest's units of work, with an encoder for the shards.

    units -> parts of files -> checked, cut sequences -> groups -> embeddings -> a Parquet part
                                                          a report, dedup keys, quarantine

A unit is finished once its deduplication keys are written, and is then not processed again. It is
processed a second time if ingest rejects some of its records because of other units (a duplicate
id); a file records that, too.
"""

import collections
import concurrent.futures
import functools
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.utils import shared

from ragline.components.contract.columns import Columns
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, read_json, write_bytes, write_text
from ragline.components.ingest.beam import process, spill
from ragline.components.ingest.beam.process import FilePart, IngestContext, Rejections
from ragline.components.ingest.beam.transforms import IngestSequences
from ragline.components.ingest.records.chunk import Chunk, File
from ragline.components.ingest.source.units import Unit
from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Facts
from ragline.pipeline.bulk import drift, embedder, parts
from ragline.pipeline.bulk.embedder import Embedder

# Sequences are sorted by length within a group: large enough for full batches of each length, and
# in memory some 20 MB of six features, of which there are three at a time.
_GROUP_STEPS = 1 << 18
_GROUP_VALUES = 1 << 22
# Two groups at a time: one computes while the other is between its batches.
_THREADS = 2


def part_file(folder: Place, unit: int) -> str:
    """Return the path of a unit's embeddings."""
    return f"{folder}/part-{unit:05d}.parquet"


def _keys_file(staging: Place, unit: int) -> str:
    return f"{staging}/dedup-keys-{unit:05d}.npy"


def _again_file(staging: Place, unit: int) -> str:
    return f"{staging}/again-{unit:05d}.txt"


def _read_keys(file: str) -> np.ndarray:
    keys: np.ndarray = np.load(io.BytesIO(places.read(file)), allow_pickle=False)
    return keys


def run(
    pipeline: beam.Pipeline,
    units: Sequence[Unit],
    context: IngestContext,
    *,
    shards: int | None,
    facts: Facts,
    folder: Place,
    errors: bool,
    bfloat16: bool,
) -> None:
    """Run the job; units that are finished are skipped.

    Args:
      pipeline: empty pipeline on the runner to use.
      units: units of work.
      context: options and columns that all units share.
      shards: the number of shards that rows of long tables are assigned to; None without rows.
      facts: the encoder's facts.
      folder: the folder of the parts.
      errors: whether to compute reconstruction errors.
      bfloat16: whether to compute in bfloat16.
    """
    load = functools.partial(embedder.load, facts.path, errors=errors, bfloat16=bfloat16)
    with spill.folder(context.staging) as spills:
        (
            pipeline
            | "Units" >> beam.Create([(unit.index, unit) for unit in units])
            | IngestSequences(context, shards, spills, EncodeUnit(facts, folder, load))
        )
        pipeline.run().wait_until_finish()


class EncodeUnit:
    """Encodes a unit; the model is loaded once a worker, at its first unit."""

    def __init__(self, facts: Facts, folder: Place, load: Callable[[], Embedder]) -> None:
        """Keep the encoder's facts, the folder of the parts, and what loads the encoder."""
        self._facts = facts
        self._folder = folder
        self._load = load
        self._shared = shared.Shared()

    def __call__(
        self,
        unit: int,
        file_parts: Iterable[FilePart],
        context: IngestContext,
        rejections: Rejections | None,
    ) -> np.ndarray:
        """Encode a unit, unless it is finished; see `process.write_shards`."""
        keys_file = _keys_file(context.staging, unit)
        if rejections is None and places.exists(keys_file):
            return _read_keys(keys_file)
        again_file = _again_file(context.staging, unit)
        digest = digest_of(
            sorted(f"{key} {rejection}" for key, rejection in (rejections or {}).items())
        )
        if rejections and places.exists(again_file) and places.read(again_file).decode() == digest:
            return _read_keys(keys_file)
        loaded = self._shared.acquire(self._load)
        writer = parts.PartWriter(part_file(self._folder, unit), self._facts.embedding_size)
        sink = EmbeddingSink(self._facts, loaded, writer)
        keys = process.process_unit(unit, file_parts, context, rejections, sink)
        if rejections:
            write_text(again_file, digest)
        elif "failure" not in read_json(process.report_file(context.staging, unit)):
            packed = io.BytesIO()
            np.save(packed, keys)
            write_bytes(keys_file, packed.getvalue())
        return keys


class EmbeddingSink:
    """Encodes the sequences of a unit, group by group, in threads beside the one that reads."""

    def __init__(self, facts: Facts, embedder: Embedder, writer: parts.PartWriter) -> None:
        """Start with no sequence."""
        self._version = facts.version
        self._embedder = embedder
        self._writer = writer
        self._columns = facts.columns
        width = max(1, len(self._columns.features))
        self._most = min(_GROUP_STEPS, max(1, _GROUP_VALUES // width))
        self._waiting: list[tuple[Chunk, np.ndarray]] = []
        self._steps = 0
        self._written = collections.Counter[str]()
        self._known = drift.known_words(facts.path, self._columns)
        self._compared: list[dict[str, Any]] = []
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS)
        self._groups: collections.deque[concurrent.futures.Future[pa.Table]] = collections.deque()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if error is None:
                self._start()
                self._write_groups(0)
        except BaseException as failed:
            self._writer.__exit__(None, failed, None)
            raise
        else:
            self._writer.__exit__(None, error, None)
        finally:
            self._threads.shutdown(cancel_futures=True)

    def write(self, sequences: Chunk, split: np.ndarray, window: np.ndarray, file: File) -> None:
        """Take sequences, of any split and file."""
        self._written.update(sequences=len(sequences), steps=int(sequences.length.sum()))
        compared = [*self._compared, drift.of_chunk(sequences, self._columns, self._known)]
        self._compared = [drift.merged(compared)]
        self._waiting.append((sequences, window))
        self._steps += int(sequences.length.sum())
        if self._steps >= self._most:
            self._start()
            self._write_groups(_THREADS)

    def report(self) -> dict[str, Any]:
        """Return the number of sequences, of steps, and of the part's rows as read back.

        And `compared`, what `drift` compares with the training data, in a list of at most one, and
        `runtime`, what computed, and `golden_difference`, how far it is from the SavedModel.
        """
        counts = {"sequences": 0, "steps": 0, **self._written}
        return {
            **counts,
            "rows_written": self._writer.rows,
            "compared": self._compared,
            "runtime": self._embedder.runtime,
            "golden_difference": self._embedder.difference,
        }

    def _start(self) -> None:
        if self._waiting:
            self._groups.append(self._threads.submit(self._encoded, self._waiting))
        self._waiting, self._steps = [], 0

    def _write_groups(self, most: int) -> None:
        """Write the oldest groups, in order, until at most `most` are being encoded."""
        while len(self._groups) > most:
            self._writer.write(self._groups.popleft().result())

    def _encoded(self, group: Sequence[tuple[Chunk, np.ndarray]]) -> pa.Table:
        chunks = [chunk for chunk, _ in group]
        embedding, error = self._embedder.embed(_sequences(chunks, self._columns))
        return parts.table(
            sequence_id=[name for chunk in chunks for name in chunk.sequence_id],
            entity_id=[name for chunk in chunks for name in chunk.entity_id],
            window=np.concatenate([window for _, window in group]),
            embedding=embedding,
            error=error,
            version=self._version,
        )


def _sequences(chunks: Sequence[Chunk], columns: Columns) -> Sequences:
    values = [_matrix(chunk, columns) for chunk in chunks]
    return Sequences(
        values=np.concatenate(values),
        length=np.concatenate([chunk.length for chunk in chunks]),
        tokens={
            category.key: np.concatenate([chunk.values[category.name] for chunk in chunks])
            for category in columns.categories
        },
    )


def _matrix(chunk: Chunk, columns: Columns) -> np.ndarray:
    flat = [chunk.values[name] for name in columns.names]
    return np.stack(flat, axis=1, dtype=np.float32, casting="same_kind")
