"""Take a sample of the input through the formats, checks and policies of a run, in seconds.

Nothing is written, and nothing here imports Beam or TensorFlow. Of each file no more than its
beginning is read; files are taken from all over the pattern. A sequence of a long table that may
go on behind the end of the sample is left out.
"""

import dataclasses
import os
import tempfile
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.files import places
from ragline.components.ingest import formats
from ragline.components.ingest.beam import grouping, process
from ragline.components.ingest.beam.process import IngestContext
from ragline.components.ingest.options import InputOptions, StepOptions
from ragline.components.ingest.preview import preview_result
from ragline.components.ingest.preview.preview_result import Bad, Preview
from ragline.components.ingest.records import checks, duplicates, splits
from ragline.components.ingest.records.chunk import Chunk, File, Part, Piece, QuarantineLine, Rows
from ragline.components.ingest.source import raw_files
from ragline.components.ingest.source.read_plan import find_files, list_files
from ragline.components.ingest.steps import policies

# Some seconds of reading, and more sequences than a distribution of lengths needs.
SAMPLE_BYTES = 48 << 20
MOST_FILES = 1024
MOST_STEPS = 2_000_000


def take(
    options: InputOptions,
    columns: Columns,
    *,
    sample_bytes: int = SAMPLE_BYTES,
    most_files: int = MOST_FILES,
) -> Preview:
    """Read a sample of the input.

    Args:
      options: the options of the input.
      columns: the columns of the schema.
      sample_bytes: the bytes that are read, about, over all files.
      most_files: the most files that are read, evenly spaced among all.

    Raises:
      BadDataError: what would stop a run before its first record: no file, an unknown format, a
        bad header, a missing column.
    """
    matches = find_files(options)
    spans = next((matched.spans for matched in matches.values()), ())
    job = IngestContext(
        columns=columns,
        options=options,
        files=(),
        evaluated_span=spans[-1] if spans else None,
        folders={},
        staging=os.curdir,
    )
    files = list_files(matches, options)
    sizes = [places.size(file.path) for file in files]
    chosen = np.unique(np.linspace(0, len(files) - 1, min(most_files, len(files))).astype(int))
    sample = _Sample(job)
    each = max(1, sample_bytes // len(chosen))
    taken = 0
    for place in chosen.tolist():
        if sample.steps >= MOST_STEPS:
            break
        taken += _read(files[place], sizes[place], each, job, sample)
    sample.finish()
    return sample.preview(
        files=len(files),
        bytes=sum(sizes),
        formats=dict(Counter(file.format for file in files)),
        spans=spans,
        missing_spans=next((matched.missing for matched in matches.values()), ()),
        share=min(1.0, taken / max(1, sum(sizes))),
    )


def _read(file: File, size: int, most: int, job: IngestContext, sample: "_Sample") -> int:
    """Read a file's beginning; return the number of its bytes that were read."""
    pieces, complete = _beginning(file, size, most, job)
    taken = 0
    for piece in pieces:
        taken += piece.size
        if job.options.group_by:
            for rows in formats.of(file.format).rows(piece, job.raw_columns, job.options):
                complete &= sample.steps < MOST_STEPS
                sample.wait(file, rows, complete=complete)
                if sample.steps >= MOST_STEPS:
                    return min(taken, size)
        else:
            for part in formats.of(file.format).read(piece, job.raw_columns, job.options):
                sample.add(file, part)
                if sample.steps >= MOST_STEPS:
                    return min(taken, size)
    return size if complete else min(taken, size)


def _beginning(file: File, size: int, most: int, job: IngestContext) -> tuple[list[Piece], bool]:
    """Return the first pieces of a file, and whether they are all of it.

    A large file of lines is not read to its end, which would be to find out where to cut it.
    """
    file_format, columns, options = formats.of(file.format), job.raw_columns, job.options
    if not file_format.is_line_based or raw_files.compression(file.path) or size <= most:
        pieces = file_format.pieces(file, columns, options, most)
        ends = np.cumsum([piece.size for piece in pieces])
        number = int(np.searchsorted(ends, most)) + 1
        return pieces[:number], number >= len(pieces)
    with tempfile.NamedTemporaryFile(suffix=os.path.splitext(file.path)[1]) as beginning:
        with raw_files.open_lines(file.path) as stream:
            head = stream.read(most)
        head = head[: head.rfind(b"\n") + 1] or head
        beginning.write(head)
        beginning.flush()
        short = dataclasses.replace(file, path=beginning.name)
        return [
            dataclasses.replace(
                piece, file=file, stop=len(head) if piece.stop is None else piece.stop
            )
            for piece in file_format.pieces(short, columns, options, most)
        ], False


def _equal_times(chunk: Chunk, steps: StepOptions) -> int:
    if chunk.time is None or steps.duplicate_time != "keep" or steps.resample is not None:
        return 0
    owner = np.repeat(np.arange(len(chunk)), chunk.length)
    order = np.lexsort((chunk.time, owner))
    same = (np.diff(chunk.time[order]) == 0) & (np.diff(owner[order]) == 0)
    return int(same.sum())


class _Sample:
    """Gathers the records of the sample, and all that is known of them at the end."""

    def __init__(self, job: IngestContext) -> None:
        self._job = job
        self._files: dict[int, File] = {}
        self._rows: list[Rows] = []
        self._cut: set[str] = set()
        self._read = self._accepted = self.steps = 0
        self._reasons: Counter[str] = Counter()
        self._equal_times = 0
        self._bad: list[Bad] = []
        self._policies: Counter[str] = Counter()
        self._chunks: list[Chunk] = []
        self._splits: list[np.ndarray] = []
        self._dedup_keys: list[np.ndarray] = []

    def wait(self, file: File, rows: Rows, *, complete: bool) -> None:
        """Take rows of a long table; others of their sequences may be in another file."""
        self._files[file.index] = file
        self._rows.append(rows)
        self.steps += len(rows)
        if not complete and len(rows):
            self._cut.add(str(rows.sequence_id[-1]))

    def add(self, file: File, part: Part) -> None:
        """Take sequences, as `process` does, but write nothing."""
        job = self._job
        self._files[file.index] = file
        self._read += len(part.chunk) + len(part.rejected)
        self._refuse(file, part.rejected)
        checked = checks.check(
            process.with_ids(part.chunk, file, job), job.raw_columns, job.options.steps
        )
        self._refuse(file, checked.rejected)
        self._equal_times += _equal_times(checked.chunk, job.options.steps)
        applied = policies.apply(
            checked.chunk, job.columns, job.options.steps, job.options.time_zone
        )
        self._refuse(file, applied.rejected)
        if not len(applied.record):
            return
        self._policies.update(applied.counts)
        entities = [str(checked.chunk.entity_id[place]) for place in applied.record.tolist()]
        split = splits.splits_of(
            entities,
            job.options,
            file.split,
            applied.start,
            is_older=job.evaluated_span not in (None, file.span),
        )
        kept = split != splits.LEFT_OUT
        records, first = np.unique(applied.record, return_index=True)
        self._accepted += len(records)
        self._add_keys(file, checked.chunk, records, split[first])
        self._splits.append(split[kept])
        done = 0
        for applied_chunk in applied.chunks:
            chunk = applied_chunk.select(kept[done : done + len(applied_chunk)])
            done += len(applied_chunk)
            self._chunks.append(chunk)
            self.steps += 0 if job.options.group_by else int(chunk.length.sum())

    def finish(self) -> None:
        """Group the rows that wait, and refuse the records whose ids stand twice."""
        grouped = list(grouping.to_chunks(self._rows, self._job.raw_columns))
        names = {name for group in grouped for name in group.part.chunk.sequence_id}
        cut = self._cut if names - self._cut else set()  # A beginning is better than nothing.
        for group in grouped:
            chunk = group.part.chunk
            kept = np.array([name not in cut for name in chunk.sequence_id], bool)
            part = dataclasses.replace(group.part, chunk=chunk.select(kept))
            self.add(self._files[group.file], part)
        if not self._files:
            return
        twice = duplicates.refusals(keys.tobytes() for keys in self._dedup_keys)
        some = next(iter(self._files.values()))
        known = tuple(self._files.get(index, some) for index in range(max(self._files) + 1))
        for (index, number), reject in process.rejections_of(twice, known).items():
            self._accepted -= 1
            self._note(self._files[index], number, reject.code, reject.detail)

    def preview(self, **of_files: Any) -> Preview:
        """Return what the sample holds; `of_files` are the attributes that it does not know."""
        columns, chunks = self._job.columns, self._chunks
        lengths = [chunk.length for chunk in self._chunks]
        split = np.concatenate(self._splits) if self._splits else np.zeros(0, object)
        names = [name for chunk in self._chunks for name in chunk.entity_id]
        entities: dict[str, set[str | None]] = {name: set() for name in SPLITS}
        for of_split, name in zip(split.tolist(), names, strict=True):
            entities[of_split].add(name)
        return Preview(
            read=self._read,
            accepted=self._accepted,
            reasons=dict(self._reasons.most_common()),
            bad=preview_result.first(self._bad),
            policies=dict(sorted(self._policies.items())),
            lengths=np.concatenate([np.zeros(0, np.int64), *lengths]),
            split=split,
            entities={name: len(of_split) for name, of_split in entities.items()},
            columns=tuple(preview_result.column(feature, chunks) for feature in columns.features),
            categories={
                category.name: preview_result.counted(
                    c.values[category.name].tolist() for c in self._chunks
                )
                for category in columns.categories
            },
            context={
                name: preview_result.counted(c.context[name] for c in chunks)
                for name in columns.context
            },
            equal_times=self._equal_times,
            encoded=preview_result.encoded(self._chunks[0], columns) if self._chunks else None,
            **of_files,
        )

    def _add_keys(self, file: File, chunk: Chunk, records: np.ndarray, split: np.ndarray) -> None:
        places = records.tolist()
        kinds = [(False, chunk.sequence_id)]
        if self._job.checks_entities:
            kinds.append((True, chunk.entity_id))
        for is_entity, names in kinds:
            self._dedup_keys.append(
                duplicates.dedup_keys(
                    [str(names[place]) for place in places],
                    entity=is_entity,
                    splits=split,
                    unit=0,
                    file=file.index,
                    number=chunk.number[records],
                )
            )

    def _refuse(self, file: File, rejected: Iterable[QuarantineLine]) -> None:
        for line in rejected:
            self._note(file, line.number, line.code, line.detail)

    def _note(self, file: File, number: int, code: str, detail: str) -> None:
        self._reasons[code] += 1
        self._bad.append(Bad(file=file.shown_path, line=number, code=code, detail=detail))
