"""The Beam job of `ragline encode`: ingest's units of work, with an encoder in place of the shards.

    units -> parts of files -> checked, cut sequences -> groups -> embeddings -> a Parquet part
                                                                   a report, marks, quarantine

A unit is what is done or not done: its marks are written last, and a unit that has them is not
redone. It is processed a second time if ingest refuses some of its records for what stands in other
units (a duplicate id); that, too, is remembered.
"""

import collections
import concurrent.futures
import io
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self

import apache_beam as beam
import numpy as np
import pyarrow as pa
from apache_beam.utils import shared

from ragline.components.contract.columns import Columns
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, read_json, write_bytes, write_text
from ragline.components.ingest.beam import process
from ragline.components.ingest.beam.process import FilePart, Job, Refused
from ragline.components.ingest.beam.transforms import IngestSequences
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.source.units import Unit
from ragline.components.serving.batches import Sequences
from ragline.components.serving.encoder import Encoder, Facts
from ragline.pipeline.bulk import parts

# Sequences are sorted by length within a group: large enough for full batches of each length, and
# in memory some 20 MB of six features, of which there are three at a time.
_GROUP_STEPS = 1 << 18
_GROUP_VALUES = 1 << 22
# Two groups at a time: what one does between its batches, the other's layers compute meanwhile.
_THREADS = 2


def part_file(folder: Place, unit: int) -> str:
    """Where a unit's embeddings stand."""
    return f"{folder}/part-{unit:05d}.parquet"


def _marks_file(staging: Place, unit: int) -> str:
    return f"{staging}/marks-{unit:05d}.npy"


def _again_file(staging: Place, unit: int) -> str:
    return f"{staging}/again-{unit:05d}.txt"


def _read_marks(file: str) -> np.ndarray:
    found: np.ndarray = np.load(io.BytesIO(places.read(file)), allow_pickle=False)
    return found


def run(
    pipeline: beam.Pipeline,
    units: Sequence[Unit],
    job: Job,
    *,
    shards: int | None,
    facts: Facts,
    folder: Place,
) -> None:
    """Runs the job; what is done already is not done again.

    Args:
      pipeline: empty, on the runner that is wanted.
      units: of work.
      job: what all units have in common.
      shards: into how many rows are dealt; None where there are none.
      facts: of the encoder.
      folder: where the parts go.
    """
    work = Work(facts, folder)
    (
        pipeline
        | "Units" >> beam.Create([(unit.index, unit) for unit in units])
        | IngestSequences(job, shards, work)
    )
    pipeline.run().wait_until_finish()


class Work:
    """What becomes of a unit; the model is loaded once a worker, at its first unit."""

    def __init__(self, facts: Facts, folder: Place) -> None:
        """Takes the encoder's facts, and where the parts go."""
        self._facts = facts
        self._folder = folder
        self._shared = shared.Shared()

    def __call__(
        self, unit: int, file_parts: Iterable[FilePart], job: Job, refused: Refused | None
    ) -> np.ndarray:
        """Encodes a unit, unless that is done; the arguments are those of `process.process`."""
        marks_file = _marks_file(job.staging, unit)
        if refused is None and places.exists(marks_file):
            return _read_marks(marks_file)
        again_file = _again_file(job.staging, unit)
        digest = digest_of(sorted(f"{key} {reject}" for key, reject in (refused or {}).items()))
        if refused and places.exists(again_file) and places.read(again_file).decode() == digest:
            return _read_marks(marks_file)
        encoder = self._shared.acquire(self._loaded)
        writer = parts.PartWriter(part_file(self._folder, unit), self._facts.embedding_size)
        marks = process.turn(unit, file_parts, job, refused, EmbeddingSink(encoder, writer))
        if refused:
            write_text(again_file, digest)
        elif "failure" not in read_json(process.report_file(job.staging, unit)):
            packed = io.BytesIO()
            np.save(packed, marks)
            write_bytes(marks_file, packed.getvalue())
        return marks

    def _loaded(self) -> Encoder:
        from ragline.components.runtime import cores  # Late: it imports TensorFlow.

        cores.prepare()
        return Encoder(self._facts.path)


class EmbeddingSink:
    """A sink of ingest that encodes, group by group, in threads beside the one that reads."""

    def __init__(self, encoder: Encoder, writer: parts.PartWriter) -> None:
        """Begins with nothing."""
        self._encoder = encoder
        self._writer = writer
        self._columns = encoder.facts.columns
        width = max(1, len(self._columns.features))
        self._most = min(_GROUP_STEPS, max(1, _GROUP_VALUES // width))
        self._waiting: list[tuple[Chunk, np.ndarray]] = []
        self._steps = 0
        self._written = collections.Counter[str]()
        self._threads = concurrent.futures.ThreadPoolExecutor(_THREADS)
        self._groups: collections.deque[concurrent.futures.Future[pa.Table]] = collections.deque()

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self._start()
                self._settle(0)
        except BaseException as failed:
            self._writer.__exit__(type(failed), failed, failed.__traceback__)
            raise
        else:
            self._writer.__exit__(kind, error, trace)
        finally:
            self._threads.shutdown(cancel_futures=True)

    def write(
        self, sequences: Chunk, split: np.ndarray, window: np.ndarray, span: str | None
    ) -> None:
        """Takes sequences; all splits and spans are alike here."""
        self._written.update(sequences=len(sequences), steps=int(sequences.length.sum()))
        self._waiting.append((sequences, window))
        self._steps += int(sequences.length.sum())
        if self._steps >= self._most:
            self._start()
            self._settle(_THREADS)

    def report(self) -> dict[str, Any]:
        """How many sequences and steps were encoded, and the rows of the part as it was read."""
        counts = {"sequences": 0, "steps": 0, **self._written}
        return {**counts, "rows_written": self._writer.rows}

    def _start(self) -> None:
        if self._waiting:
            self._groups.append(self._threads.submit(self._encoded, self._waiting))
        self._waiting, self._steps = [], 0

    def _settle(self, most: int) -> None:
        """Writes the oldest groups, in order, until at most so many are at work."""
        while len(self._groups) > most:
            self._writer.write(self._groups.popleft().result())

    def _encoded(self, group: Sequence[tuple[Chunk, np.ndarray]]) -> pa.Table:
        chunks = [chunk for chunk, _ in group]
        embedding, error = self._encoder.score_flat(_sequences(chunks, self._columns))
        return parts.table(
            sequence_id=[one for chunk in chunks for one in chunk.sequence_id],
            entity_id=[one for chunk in chunks for one in chunk.entity_id],
            window=np.concatenate([window for _, window in group]),
            embedding=embedding,
            error=error,
            version=self._encoder.facts.version,
        )


def _sequences(chunks: Sequence[Chunk], columns: Columns) -> Sequences:
    values = [_matrix(chunk, columns) for chunk in chunks]
    return Sequences(
        values=np.concatenate(values),
        length=np.concatenate([chunk.length for chunk in chunks]),
        words={
            category.key: np.concatenate([chunk.values[category.name] for chunk in chunks])
            for category in columns.categories
        },
    )


def _matrix(chunk: Chunk, columns: Columns) -> np.ndarray:
    flat = [chunk.values[name] for name in columns.names]
    return np.stack(flat, axis=1, dtype=np.float32, casting="same_kind")
