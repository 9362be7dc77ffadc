"""Samples of raw files as columns, read by the readers' own parsers, for `ragline init`.

A sample is all that there is, or, of more than `SAMPLE_BYTES`, ranges that lie all over the files:
their beginnings, middles and ends. What stands in it is not checked: ingest does that.

sample.py   what a sample is, and how places are spread
nested.py   decoded objects as columns
csv.py      which delimiter, whether there is a header, the rows of ranges
jsonl.py    the records of ranges
npz.py      whole arrays, as far as a sample goes
parquet.py  batches of rows from all over the row groups
ts.py       the reader's own records
xes.py      the traces that files begin with
"""

import dataclasses
import importlib
from collections import Counter
from collections.abc import Sequence

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats as readers
from ragline.components.ingest.samples.sample import MOST_FILES, Sample, spread

_FORMATS = ("csv", "jsonl", "npz", "parquet", "ts", "xes")


def take(paths: Sequence[str], format_name: str = "auto") -> Sample:
    """Reads a sample of files.

    Args:
      paths: of the files, at least one.
      format_name: how all of them are read; `auto` goes by each one's name and bytes.

    Raises:
      BadDataError: a file that cannot be read; `unknown_format`, also of files of several formats,
        or of one that says nothing of its columns.
    """
    chosen = [paths[place] for place in spread(len(paths), MOST_FILES)]
    name = _format_of(chosen) if format_name == "auto" else format_name
    if name not in _FORMATS:
        raise BadDataError(
            "unknown_format",
            f"{chosen[0]}: {name} is in ragline's own contract, which names no columns; expected a "
            "schema written by hand, see docs/ingest.md",
        )
    module = importlib.import_module(f"{__name__}.{name}")
    try:
        sample: Sample = module.take(chosen)
    except OSError as error:
        path = error.filename or chosen[0]
        raise BadDataError("unreadable", f"{path}: {error.strerror or error}") from error
    return dataclasses.replace(
        sample,
        files_in_all=len(paths),
        complete=sample.complete and len(chosen) == len(paths),
    )


def _format_of(paths: Sequence[str]) -> str:
    formats = {path: readers.guess(path) for path in paths}
    counted = Counter(formats.values())
    if len(counted) > 1:
        first = {name: path for path, name in reversed(formats.items())}
        listed = ", ".join(f"{path} as {name}" for name, path in first.items())
        raise BadDataError(
            "unknown_format",
            f"expected files of one format, received {listed}; expected a pattern that names only "
            "files of one format, or --format",
        )
    return next(iter(counted))
