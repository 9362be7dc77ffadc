"""Sample JSON Lines: the records of ranges."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.ingest.formats import jsonl
from ragline.components.ingest.records.checks import RejectedRecord
from ragline.components.ingest.records.chunk import File, Piece
from ragline.components.ingest.samples.nested import sample_of
from ragline.components.ingest.samples.sample import SAMPLE_BYTES, Sample, ranges
from ragline.components.ingest.source import raw_files

_MOST_RECORDS = 200_000


def take(paths: Sequence[str]) -> Sample:
    """Read the records of ranges of files.

    Raises:
      BadDataError: `unreadable`; `no_data`, no line is a JSON object.
    """
    records: list[dict[str, Any]] = []
    counts: list[int] = []
    complete, first_bad = True, ""
    for path in paths:
        before = len(records)
        most = _MOST_RECORDS * (len(counts) + 1) // len(paths)
        for piece, is_whole in _pieces(path, SAMPLE_BYTES // len(paths)):
            complete &= is_whole
            rest_of_a_line = 1 if piece.start else 0
            for number, text in itertools.islice(raw_files.records(piece), rest_of_a_line, None):
                if len(records) >= most:
                    complete = False
                    break
                try:
                    value = jsonl.decoded(text)
                except RejectedRecord as reject:
                    first_bad = first_bad or f"{path}: line {number}: {reject}"
                    continue
                if isinstance(value, dict):
                    records.append(value)
                else:
                    kind = type(value).__name__
                    first_bad = first_bad or f"{path}: line {number}: received {kind}"
        counts.append(len(records) - before)
    if not records:
        raise BadDataError(
            "no_data",
            f"{first_bad or paths[0]}: expected a JSON object a line, no line is one; "
            "`jq -c '.[]'` writes a list so, and `jq -c .` an object of several lines",
        )
    return sample_of(records, paths, counts, complete=complete)


def _pieces(path: str, most: int) -> Iterator[tuple[Piece, bool]]:
    size = places.size(path)
    file = File(path=path, name=path, index=0, format="jsonl", split=None)
    if raw_files.compression(path):
        yield Piece(file=file, start=0, stop=None, first=1, size=size), True
        return
    chosen = ranges(size, most)
    for start, stop in chosen:
        yield Piece(file=file, start=start, stop=stop, first=1, size=stop - start), len(chosen) == 1
