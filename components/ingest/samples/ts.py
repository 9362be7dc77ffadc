"""Sample .ts files: their own records, by a schema of as many features as there are."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.formats import ts
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.records.chunk import Chunk, File
from ragline.components.ingest.samples.sample import SAMPLE_BYTES, Sample, joined
from ragline.components.ingest.source import raw_files


def take(paths: Sequence[str]) -> Sample:
    """Read the sequences of files, as far as they go.

    Raises:
      BadDataError: `unreadable`, `bad_header`, `bad_dim`; `no_data`, no line after @data.
    """
    number = next((n for n in map(_features, paths) if n), 0)
    if not number:
        raise BadDataError(
            "no_data", f"{paths[0]}: expected lines after @data, a sequence each; received none"
        )
    columns = Columns(
        features=tuple(
            Feature(name=f"feature_{place}", unit=None, allow_missing=True)
            for place in range(number)
        ),
        context={ts.LABEL: "bytes", ts.TARGET: "float"},
    )
    chunks, complete = _chunks(paths, columns)
    values = {
        name: joined([pa.array(chunk.values[name], from_pandas=True) for chunk in chunks])
        for name in columns.names
    }
    records = {
        name: pa.array([value for chunk in chunks for value in chunk.context[name]])
        for name in columns.context
    }
    return Sample(
        steps=values,
        records={
            name: column for name, column in records.items() if not pa.types.is_null(column.type)
        },
        by_place=True,
        lengths=np.concatenate([chunk.length for chunk in chunks]),
        paths=tuple(paths),
        complete=complete,
    )


def _features(path: str) -> int:
    """Return the number of features of the first sequence of a file; 0 if there is none."""
    with raw_files.open_lines(path) as lines:
        header = ts.read_header(lines, None, path)
        for line in lines:
            if text := line.strip():
                return 1 + text.count(b":") - bool(header.context)
    return 0


def _chunks(paths: Sequence[str], columns: Columns) -> tuple[list[Chunk], bool]:
    options = InputOptions(train=paths[0])
    chunks: list[Chunk] = []
    complete, rejected = True, None
    for path in paths:
        file = File(path=path, name=path, index=0, format="ts", split=None)
        left = max(1, SAMPLE_BYTES // len(paths))
        for piece in ts.Ts().pieces(file, columns, options, left):
            if left <= 0:
                complete = False
                break
            left -= piece.size
            for part in ts.Ts().read(piece, columns, options):
                chunks.append(part.chunk)
                rejected = rejected or next(iter(part.rejected), None)
    if not sum(map(len, chunks)) and rejected:
        raise BadDataError(
            "no_data",
            f"{paths[0]}: line {rejected.number}: {rejected.code}: {rejected.detail}; no line is a "
            "sequence",
        )
    return chunks, complete
