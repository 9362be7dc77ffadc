"""Hand TFMA whole batches of sequences, where its own extractors make a dictionary of each one.

    record batch -> batches of like length -> sums of `evaluate` -> (slice, its sequences' sums)

A slice is that of TFMA's SliceKeyExtractor for a column of at most one value a record: one of each
value, none of a record without one, and the whole split.
"""

from collections.abc import Collection, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.api import types
from tensorflow_model_analysis.extractors.extractor import Extractor
from tensorflow_model_analysis.extractors.predictions_extractor import PredictionsExtractor
from tensorflow_model_analysis.extractors.slice_key_extractor import (
    SLICE_KEY_EXTRACTOR_STAGE_NAME,
)
from tensorflow_model_analysis.slicer import slicer_lib

from ragline.components.contract.columns import ENTITY_ID, LENGTH, SEQUENCE_ID, SPLITS
from ragline.components.contract.sampling import SplitSample
from ragline.components.serving import facts

# Sequences of a call of the model: enough for its products, and few enough for batches of like
# length among the thousand that TFX reads at a time.
_BATCH = 128


def extractors(eval_shared_model: Any, eval_config: Any) -> list[Extractor]:
    """Return the extractors of a model on this machine's disk, and of the config's slices."""
    columns = [column for spec in eval_config.slicing_specs for column in spec.feature_keys]
    sample = facts.read(eval_shared_model.model_path).samples.get(SPLITS[1])
    return [
        _extractor("ReadBatches", read_batches, columns, sample),
        PredictionsExtractor(eval_config=eval_config, eval_shared_model=eval_shared_model),
        slice_extractor(columns),
    ]


def slice_extractor(columns: Collection[str]) -> Extractor:
    """Return the extractor after which TFMA evaluates."""
    return _extractor(SLICE_KEY_EXTRACTOR_STAGE_NAME, slice_batch, columns)


def _extractor(name: str, function: Any, *arguments: Any) -> Extractor:
    transform = beam.FlatMap(function, *arguments).with_output_types(types.Extracts)
    return Extractor(stage_name=name, ptransform=transform)


def read_batches(
    extracts: types.Extracts, columns: Collection[str], sample: SplitSample | None = None
) -> Iterator[types.Extracts]:
    """Yield serialised records of about equal length, with their ids and columns to slice by.

    Args:
      extracts: a record batch of raw records.
      columns: columns to slice by; one that no record of the batch has may be absent.
      sample: the part of the split that is evaluated; None for all of it.
    """
    batch = extracts[constants.ARROW_RECORD_BATCH_KEY]
    if sample is not None:
        batch = batch.filter(pa.array([*map(sample.keeps, _values(batch, ENTITY_ID))], pa.bool_()))
    length = _values(batch, LENGTH).astype(np.int64)
    order = np.argsort(length, kind="stable")
    serialised = _values(batch, constants.ARROW_INPUT_COLUMN)
    read = {name: _values(batch, name) for name in (SEQUENCE_ID, *columns)}
    for start in range(0, len(order), _BATCH):
        rows = order[start : start + _BATCH]
        yield {
            constants.INPUT_KEY: serialised[rows],
            constants.FEATURES_KEY: {name: values[rows] for name, values in read.items()},
        }


def _values(batch: Any, column: str) -> np.ndarray:
    """Return the value of each record, object [B]; None where it has none."""
    values = np.full(batch.num_rows, None, object)
    if (place := batch.schema.get_field_index(column)) >= 0:
        values[:] = [row[0] if row else None for row in batch.column(place).to_pylist()]
    return values


def slice_batch(extracts: types.Extracts, columns: Collection[str]) -> Iterator[types.Extracts]:
    """Yield, of each slice that a batch has sequences of, their sums and ids.

    Args:
      extracts: the features of a batch, object [B] each, and predictions, each [B, ...].
      columns: columns to slice by.
    """
    features = extracts[constants.FEATURES_KEY]
    ids = features[SEQUENCE_ID]
    rows: dict[slicer_lib.SliceKeyType, Any] = {(): slice(None)}
    for column in columns:
        for value in {*features[column]} - {None}:
            rows[((column, value),)] = features[column] == value
    for key, of_slice in rows.items():
        yield {
            constants.SLICE_KEY_TYPES_KEY: slicer_lib.slice_keys_to_numpy_array([key]),
            constants.FEATURES_KEY: {SEQUENCE_ID: ids[of_slice]},
            constants.LABELS_KEY: None,
            constants.EXAMPLE_WEIGHTS_KEY: None,
            constants.PREDICTIONS_KEY: {
                name: sums[of_slice] for name, sums in extracts[constants.PREDICTIONS_KEY].items()
            },
        }
