"""Write Parquet files of embeddings, whole or absent.

    sequence_id           string
    entity_id             string
    window_start          int64    first step of the sequence in its session
    window_end            int64    end of its steps in the session, exclusive
    length                int64    window_end - window_start
    embedding             fixed-size list of E float32
    reconstruction_error  float32  the masked mean squared error, standardised units; null where it
                                   was not wanted
    model_version         string   number of the encoder, as in serving/

`window_start` and `window_end` are the numbers of an id such as `id[64:128]`.
"""

from collections.abc import Sequence as Collection
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID
from ragline.components.contract.signatures import EMBEDDING, RECONSTRUCTION_ERROR
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import Staged

WINDOW_START, WINDOW_END = "window_start", "window_end"
MODEL_VERSION = "model_version"


def schema(embedding_size: int) -> pa.Schema:
    """Return the schema of every part."""
    return pa.schema(
        [
            (SEQUENCE_ID, pa.string()),
            (ENTITY_ID, pa.string()),
            (WINDOW_START, pa.int64()),
            (WINDOW_END, pa.int64()),
            (LENGTH, pa.int64()),
            (EMBEDDING, pa.list_(pa.float32(), embedding_size)),
            (RECONSTRUCTION_ERROR, pa.float32()),
            (MODEL_VERSION, pa.string()),
        ]
    )


def table(
    *,
    sequence_id: Collection[str | None],
    entity_id: Collection[str | None],
    window: np.ndarray,
    embedding: np.ndarray,
    error: np.ndarray | None,
    version: str,
) -> pa.Table:
    """Build N rows from window int64 [N, 2], embedding float32 [N, E], error [N], if any."""
    size = embedding.shape[1]
    columns = [
        pa.array(sequence_id, pa.string()),
        pa.array(entity_id, pa.string()),
        pa.array(window[:, 0]),
        pa.array(window[:, 1]),
        pa.array(window[:, 1] - window[:, 0]),
        pa.FixedSizeListArray.from_arrays(pa.array(embedding.reshape(-1)), size),
        pa.nulls(len(window), pa.float32()) if error is None else pa.array(error),
        pa.array([version] * len(window), pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=schema(size))


class PartWriter:
    """Writes one part; the file appears once it is whole, and only if it has a row."""

    def __init__(self, place: Place, embedding_size: int) -> None:
        """Open a file for the part, which has no row yet.

        Args:
          place: path of the part.
          embedding_size: E.
        """
        self._place = place
        self._staged = Staged(place)
        self._schema = schema(embedding_size)
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def write(self, rows: pa.Table) -> None:
        """Add rows."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._staged.file, self._schema, compression="zstd")
        self._writer.write_table(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            if self._writer is not None:
                self._writer.close()
            if error is not None:
                return
            if self._writer is not None:
                self._staged.publish()
                with places.open(self._place) as stored:
                    self.rows = pq.read_metadata(stored).num_rows
            else:
                # The unit may have had rows when it was processed before.
                places.remove(self._place)
        finally:
            self._staged.discard()
