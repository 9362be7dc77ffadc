"""Read samples of raw files as columns, by the formats' own parsers, for `ragline init`.

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
from collections import Counter
from collections.abc import Sequence

from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats
from ragline.components.ingest.samples.sample import MOST_FILES, Sample, spread
from ragline.components.ingest.source import beginnings


def take(paths: Sequence[str], format_name: str = formats.AUTO) -> Sample:
    """Read a sample of files.

    Args:
      paths: the paths of the files, at least one.
      format_name: the format of all of them; `auto` goes by the name and bytes of each.

    Raises:
      BadDataError: a file that cannot be read; `unknown_format`, also of files of several formats,
        or of one that says nothing of its columns.
    """
    chosen = [paths[place] for place in spread(len(paths), MOST_FILES)]
    name = _format_of(chosen) if format_name == formats.AUTO else format_name
    try:
        sample = formats.of(name).sample(chosen)
    except OSError as error:
        path = error.filename or chosen[0]
        raise BadDataError("unreadable", f"{path}: {error.strerror or error}") from error
    return dataclasses.replace(
        sample,
        format=name,
        files_in_all=len(paths),
        complete=sample.complete and len(chosen) == len(paths),
    )


def _format_of(paths: Sequence[str]) -> str:
    format_of = {path: beginnings.guess(path) for path in paths}
    counted = Counter(format_of.values())
    if len(counted) > 1:
        first = {name: path for path, name in reversed(format_of.items())}
        listed = ", ".join(f"{path} as {name}" for name, path in first.items())
        raise BadDataError(
            "unknown_format",
            f"expected files of one format, received {listed}; expected a pattern that names only "
            "files of one format, or --format",
        )
    return next(iter(counted))
