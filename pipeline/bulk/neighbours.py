"""Find the sequences whose embeddings are nearest to one's, for `ragline neighbours`.

Distances are Euclidean, in float64, to every embedding: a million of 32 numbers take a second.
"""

import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import EMBEDDING, RECONSTRUCTION_ERROR
from ragline.components.contract.suggestions import did_you_mean

DISTANCE, PART = "distance", "part"
_SHOWN = (SEQUENCE_ID, ENTITY_ID, LENGTH, RECONSTRUCTION_ERROR)
_MOST_LISTED = 5
_MOST_WORDS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Embeddings:
    """Holds the rows of the parts that `ragline encode` wrote.

    Attributes:
      table: N rows, without their embeddings; `part` is the file of each.
      vectors: float64 [N, E].
    """

    table: pa.Table
    vectors: np.ndarray


def read(place: str) -> Embeddings:
    """Read the parts in a folder, or one part.

    Raises:
      UsageError: there is no part.
    """
    path = pathlib.Path(place)
    parts = [path] if path.is_file() else sorted(path.glob("part-*.parquet"))
    if not parts:
        raise UsageError(
            f"{place}: expected a folder that `ragline encode` wrote, with part-00000.parquet in "
            f"it, received {'another folder' if path.is_dir() else 'nothing'}"
        )
    tables = []
    for part in parts:
        try:
            table = pq.read_table(part)
        except pa.ArrowInvalid as error:
            raise UsageError(f"{part}: expected a Parquet file: {error}") from error
        if missing := {*_SHOWN, EMBEDDING} - {*table.column_names}:
            raise UsageError(
                f"{part}: expected columns {', '.join((*_SHOWN, EMBEDDING))}, as `ragline encode` "
                f"writes them; {', '.join(sorted(missing))} is missing"
            )
        tables.append(table.append_column(PART, pa.array([part.name] * len(table), pa.string())))
    whole = pa.concat_tables(tables)
    column = whole.column(EMBEDDING).combine_chunks()
    flat = np.asarray(column.flatten(), np.float64)
    return Embeddings(table=whole.drop_columns([EMBEDDING]), vectors=flat.reshape(len(whole), -1))


def find(embeddings: Embeddings, sequence: str, number: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the row of a sequence, and those of its nearest neighbours, the nearest first.

    Args:
      embeddings: the rows.
      sequence: an id, or one without its window: `walk` of `walk[0:64]`, if it has one alone.
      number: the number of neighbours, at most.

    Raises:
      UsageError: no row has the id, or several windows have.
    """
    ids = embeddings.table.column(SEQUENCE_ID).to_pylist()
    place = _place(ids, sequence)
    distances = np.sqrt(((embeddings.vectors - embeddings.vectors[place]) ** 2).sum(axis=1))
    distances[place] = -1.0  # The first, whoever else is at the same point.
    order = np.argsort(distances, kind="stable")[1 : number + 1]
    [row] = embeddings.table.take([place]).select([*_SHOWN, PART]).to_pylist()
    rows = embeddings.table.take(order).select([*_SHOWN, PART]).to_pylist()
    pairs = zip(order.tolist(), rows, strict=True)
    return row, [{DISTANCE: float(distances[at])} | other for at, other in pairs]


def _place(ids: Sequence[str], sequence: str) -> int:
    exact = [place for place, name in enumerate(ids) if name == sequence]
    windows = [place for place, name in enumerate(ids) if name.startswith(f"{sequence}[")]
    if len(places := exact or windows) == 1:
        return places[0]
    if places:
        listed = ", ".join(ids[place] for place in places[:_MOST_LISTED])
        raise UsageError(
            f"--id: expected one sequence, received {sequence!r} of {len(places)}: {listed}"
            f"{', ...' if len(places) > _MOST_LISTED else ''}"
        )
    example = f", such as {ids[0]!r}" if ids else ""
    raise UsageError(
        f"--id: expected one of {len(ids):,} ids{example}, received {sequence!r}"
        f"{did_you_mean(sequence, ids[:_MOST_WORDS])}"
    )


def labels(file: pathlib.Path) -> tuple[str, Mapping[str, dict[str, Any]]]:
    """Read a table of what is known of sequences or entities.

    Returns:
      `sequence_id` or `entity_id`, and id -> its other columns, of the first row that has it.

    Raises:
      UsageError: the file cannot be read, or has no column of ids.
    """
    try:
        table = pq.read_table(file) if file.suffix == ".parquet" else pyarrow.csv.read_csv(file)
    except (OSError, pa.ArrowInvalid) as error:
        raise UsageError(f"--labels: {file}: expected CSV or Parquet: {error}") from error
    key = next((name for name in (SEQUENCE_ID, ENTITY_ID) if name in table.column_names), None)
    if key is None:
        raise UsageError(
            f"--labels: {file}: expected a column {SEQUENCE_ID} or {ENTITY_ID}, received "
            f"{', '.join(table.column_names)}"
        )
    ids = pc.cast(table.column(key), pa.string()).to_pylist()
    rows = table.drop_columns([key]).to_pylist() if table.num_columns > 1 else [{} for _ in ids]
    return key, dict(zip(reversed(ids), reversed(rows), strict=True))


def with_labels(
    rows: Sequence[dict[str, Any]], key: str, known: Mapping[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return rows with the columns of their labels behind their own."""
    return [
        row | {f"label_{k}" if k in row else k: v for k, v in known.get(row[key], {}).items()}
        for row in rows
    ]


def to_table(row: Mapping[str, Any], neighbours: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Return a table as text: headings, the sequence itself at a distance of 0, its neighbours."""
    rows = [{DISTANCE: 0.0, **row}, *neighbours]
    names = list(dict.fromkeys(name for each in rows for name in each))
    if all(each[ENTITY_ID] == each[SEQUENCE_ID] for each in rows):
        names.remove(ENTITY_ID)
    if len({each[PART] for each in rows}) == 1:
        names.remove(PART)
    return [names, *([_cell(each.get(name)) for name in names] for each in rows)]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
