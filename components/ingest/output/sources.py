"""Keep where each sequence came from: sequence id -> file and line, in a Parquet file.

    sequence_id   string      as in the Examples
    file          dictionary  path of the file; of a long table, of the sequence's first row
    line          int64       its place there, from 1: a line of text, a row, a record

It stands beside the ingest report and not in the Examples, which a model is trained on: statistics,
drift and cache keys would change with the name of a file.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import Staged

_SCHEMA = pa.schema(
    [
        (SEQUENCE_ID, pa.string()),
        ("file", pa.dictionary(pa.int32(), pa.string())),
        ("line", pa.int64()),
    ]
)


def table_of(
    sequence_ids: Collection[str | None], lines: np.ndarray | Collection[int], path: str
) -> pa.Table:
    """Return the sources of N sequences of one file.

    Args:
      sequence_ids: N ids.
      lines: int64 [N], the line of each.
      path: path of the file, as a person is shown it.
    """
    places_of = pa.repeat(pa.scalar(0, pa.int32()), len(sequence_ids))
    files = pa.DictionaryArray.from_arrays(places_of, pa.array([path], pa.string()))
    columns = [pa.array(sequence_ids, pa.string()), files, pa.array(lines, pa.int64())]
    return pa.table(columns, schema=_SCHEMA)


def write(tables: Iterable[pa.Table], place: Place) -> None:
    """Write the sources of a unit."""
    joined = pa.concat_tables([_SCHEMA.empty_table(), *tables]).unify_dictionaries()
    with Staged(place) as staged:
        pq.write_table(joined, staged)


def gather(parts: Iterable[Place], place: Place) -> None:
    """Put the sources of all units into one file, in the order of the units."""
    with Staged(place) as staged, pq.ParquetWriter(staged, _SCHEMA) as whole:
        for part in parts:
            with places.open(part) as file:
                whole.write_table(pq.read_table(file, schema=_SCHEMA))


def read(place: Place, sequence_ids: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return id -> file and line of some sequences; those that are not there are left out."""
    wanted = pa.array(sequence_ids, pa.string())
    sources: dict[str, tuple[str, int]] = {}
    with places.open(place) as file:
        for batch in pq.ParquetFile(file).iter_batches():
            rows = batch.filter(pc.is_in(batch.column(SEQUENCE_ID), wanted)).to_pylist()
            sources.update({row[SEQUENCE_ID]: (row["file"], row["line"]) for row in rows})
    return sources
