"""Define a sample of raw files: columns of cells, and how much of the files they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

# Some seconds of reading; of more, ranges are read that lie all over the files.
SAMPLE_BYTES = 32 << 20
MOST_FILES = 1024
MOST_ROWS = 1 << 20
# Of a file that is not read whole, so many ranges.
RANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Holds cells of files.

    Attributes:
      format: the format of all files, which `samples.take` fills in.
      steps: column -> its cells, one a step.
      is_text: whether numbers and times are text in `steps`, as in CSV.
      records: column -> its cells, one a record; empty for tables.
      by_place: whether the columns of the steps have no names but their order, so that a schema
        must have each of them, as a feature.
      lengths: int64 [N], the steps of each record; None for tables, whose rows are steps.
      files: file -> the number of its rows, in order, of tables.
      paths: the paths of the files that were read.
      files_in_all: the number of files that there are, which `samples.take` fills in.
      complete: whether nothing was left unread.
      left_out: column -> why it cannot be used.
      options: the keys of `[input]` that the files need to be read so.
    """

    steps: Mapping[str, pa.Array]
    is_text: bool = False
    records: Mapping[str, pa.Array] = field(default_factory=dict)
    by_place: bool = False
    lengths: np.ndarray | None = None
    files: tuple[int, ...] = ()
    paths: tuple[str, ...] = ()
    files_in_all: int = 0
    complete: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    format: str = ""

    @property
    def rows(self) -> int:
        """Return the number of steps, or of records, that were read."""
        if self.lengths is not None:
            return len(self.lengths)
        return len(next(iter(self.steps.values()), ()))


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` places: the first, the last, and evenly between them."""
    chosen: list[int] = np.unique(np.linspace(0, count - 1, min(most, count)).astype(int)).tolist()
    return chosen


def ranges(size: int, most: int) -> list[tuple[int, int]]:
    """Return ranges [start, stop) of `most` of `size` bytes: one, or spread from start to end."""
    if size <= most:
        return [(0, size)]
    each = max(1, most // RANGES)
    starts = np.linspace(0, size - each, RANGES).astype(int).tolist()
    return [(start, start + each) for start in starts]


def joined(parts: list[pa.Array]) -> pa.Array:
    """Join cells of several files into a column; text where their types differ."""
    if len({part.type for part in parts}) > 1:
        try:
            parts = [part.cast(pa.float64(), safe=False) for part in parts]
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            parts = [pa.array([_text(cell) for cell in part.to_pylist()]) for part in parts]
    chunked = pa.chunked_array(parts) if parts else pa.chunked_array([], pa.null())
    combined = chunked.combine_chunks()
    return combined if isinstance(combined, pa.Array) else pa.concat_arrays(combined.chunks)


def _text(cell: Any) -> str | None:
    return None if cell is None else str(cell)
