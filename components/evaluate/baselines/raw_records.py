"""Read raw records for the baselines: their ids, entities, lengths and slices.

A split may be more than fits in memory: it is read in parts, or a few of its records are taken.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils

from ragline.components.contract.columns import (
    ENTITY_ID,
    LENGTH,
    OBSERVED,
    SEQUENCE_ID,
    VALUES,
    Columns,
)
from ragline.components.contract.sampling import SplitSample
from ragline.components.evaluate.metrics import slices, totals
from ragline.components.files import shards

# Serialised raw records [B] -> standardised values [T, F] of each; see `make_standardiser`.
Standardise = Callable[[tf.Tensor], list[np.ndarray]]
_BATCH = 256
# Serialised bytes of a part of a split; with the longest records, one more.
PART_BYTES = 2**24
_READ = 256  # Records whose ids are parsed at once.
_IDS = {
    SEQUENCE_ID: tf.io.FixedLenFeature([], tf.string),
    ENTITY_ID: tf.io.FixedLenFeature([], tf.string),
}


class RawRecords(NamedTuple):
    """Holds N raw records.

    Attributes:
      serialised: serialised tf.Examples.
      sequence_ids: id of each sequence.
      entities: entity of each sequence.
      lengths: int64 [N].
      columns: column to slice by -> [N] values, None where a record has none.
    """

    serialised: list[bytes]
    sequence_ids: list[bytes]
    entities: list[str]
    lengths: np.ndarray
    columns: dict[str, list[Any]]

    def take(self, rows: Sequence[int]) -> "RawRecords":
        """Take the records of some rows, in the order of the rows."""
        return RawRecords(
            *([values[row] for row in rows] for values in self[:3]),
            lengths=self.lengths[list(rows)],
            columns={name: [values[row] for row in rows] for name, values in self.columns.items()},
        )

    def by_slice(self) -> dict[str, list[int]]:
        """Return slice -> its rows."""
        rows = {slices.OVERALL: list(range(len(self.serialised)))}
        for column, values in self.columns.items():
            for row, value in enumerate(values):
                if value is not None:
                    rows.setdefault(slices.name_of(column, value), []).append(row)
        return rows


def parts(
    folder: str,
    columns: Sequence[str],
    sample: SplitSample | None = None,
    most_bytes: int = PART_BYTES,
) -> Iterator[RawRecords]:
    """Read the records of a split, a part at a time.

    Args:
      folder: folder of its gzipped shards.
      columns: columns to slice by.
      sample: the part of the split that is read; None for all of it.
      most_bytes: serialised bytes of a part.
    """
    part: list[bytes] = []
    size = 0
    for _, record in _records(folder, sample):
        if part and size + len(record) > most_bytes:
            yield parsed(part, columns)
            part, size = [], 0
        part.append(record)
        size += len(record)
    if part:
        yield parsed(part, columns)


def lowest(
    folder: str, columns: Sequence[str], limit: int, sample: SplitSample | None = None
) -> RawRecords:
    """Read the records of the lowest hashed ids: the same in every run and any order.

    Args:
      folder: folder of the split's gzipped shards.
      columns: columns to slice by.
      limit: largest number of records.
      sample: the part of the split that they are of; None for all of it.
    """
    ranked = ((totals.hash_rank(name), record) for name, record in _records(folder, sample))
    kept = heapq.nsmallest(limit, ranked, key=lambda row: row[0])
    return parsed([record for _, record in kept], columns)


def _records(folder: str, sample: SplitSample | None) -> Iterator[tuple[bytes, bytes]]:
    """Yield id and serialised record of each sequence that is read."""
    for batch in shards.read(shards.matching([f"{folder}/*"])).batch(_READ):
        ids = tf.io.parse_example(batch, _IDS)
        rows = zip(ids[SEQUENCE_ID].numpy(), ids[ENTITY_ID].numpy(), batch.numpy(), strict=True)
        for name, entity, record in rows:
            if sample is None or sample.keeps(entity):
                yield name, record


def parsed(serialised: Sequence[bytes], columns: Sequence[str]) -> RawRecords:
    """Parse serialised records.

    Args:
      serialised: serialised tf.Examples.
      columns: columns to slice by.
    """
    rows = ((tf.train.Example.FromString(record).features.feature, record) for record in serialised)
    kept = [
        (
            record,
            _first(feature[SEQUENCE_ID]),
            _first(feature[ENTITY_ID]).decode(),
            _first(feature[LENGTH]),
            *(_first(feature[column]) if column in feature else None for column in columns),
        )
        for feature, record in rows
    ]
    fields = [list(field) for field in zip(*kept, strict=True)] or [[]] * (4 + len(columns))
    return RawRecords(
        *fields[:3], np.array(fields[3], np.int64), dict(zip(columns, fields[4:], strict=True))
    )


def _first(feature: tf.train.Feature) -> Any:
    kind = feature.WhichOneof("kind")
    values = getattr(feature, kind).value if kind else ()
    return values[0] if values else None


def batches(records: RawRecords) -> Iterator[tuple[np.ndarray, tf.Tensor]]:
    """Yield (rows, serialised [B]) of batches of similar length, which hold little padding."""
    order = np.argsort(records.lengths, kind="stable")
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        yield rows, tf.constant([records.serialised[row] for row in rows], tf.string)


def standardised(records: RawRecords, standardise: Standardise) -> list[np.ndarray]:
    """Return the standardised values [T, F] of each record, NaN where missing."""
    values: dict[int, np.ndarray] = {}
    for rows, batch in batches(records):
        values.update(zip(rows.tolist(), standardise(batch), strict=True))
    return [values[row] for row in range(len(records.serialised))]


def make_standardiser(
    transform_graph: str, schema: schema_pb2.Schema, columns: Columns
) -> Standardise:
    """Return a function from serialised raw records [B] to standardised values.

    The values are float64 [T, F] each, NaN where missing.

    Args:
      transform_graph: uri of Transform's output.
      schema: schema of the raw records.
      columns: the schema's features.
    """
    layer = tft.TFTransformOutput(transform_graph).transform_features_layer()
    raw_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    spec = {name: raw_spec[name] for name in columns.names}

    def standardise(serialised: tf.Tensor) -> list[np.ndarray]:
        transformed = layer(tf.io.parse_example(serialised, spec))
        values = _rows(transformed[VALUES], len(columns.features))
        if OBSERVED not in transformed:
            return values
        observed = _rows(transformed[OBSERVED], len(columns.features))
        return [np.where(o > 0, v, np.nan) for v, o in zip(values, observed, strict=True)]

    return standardise


def _rows(ragged: tf.RaggedTensor, features: int) -> list[np.ndarray]:
    flat, ends = ragged.flat_values.numpy().astype(np.float64), ragged.row_splits.numpy()[1:-1]
    return [row.reshape(-1, features) for row in np.split(flat, ends)]
