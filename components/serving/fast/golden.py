"""Compare embeddings of golden inputs with those that the model in training gave.

The inputs are tf.Examples; tfx_bsl decodes them without TensorFlow.
"""

import base64
import os
from typing import Protocol

import numpy as np
import pyarrow as pa

from ragline.components.contract.signatures import EMBEDDING, EXAMPLES, GOLDEN_FILE
from ragline.components.files.places import Place
from ragline.components.files.storage import read_json
from ragline.components.serving.batches import Sequences
from ragline.components.serving.facts import ModelFacts


class Embeds(Protocol):
    """Embeds sequences."""

    def encode_flat(self, sequences: Sequences) -> np.ndarray:
        """Return the embeddings, float32 [N, E]."""


def difference(model: Place, stated: ModelFacts, encoder: Embeds) -> float:
    """Return the largest difference of an embedding, absolute or of its largest number.

    Args:
      model: the folder of the encoder that golden inputs lie beside.
      stated: its facts.
      encoder: what is compared.

    Raises:
      OSError: there are no golden inputs.
      ValueError: the file holds something else.
    """
    file = f"{os.fspath(model)}/{GOLDEN_FILE}"
    try:
        records = read_json(file)["records"]
        examples = [base64.b64decode(record[EXAMPLES], validate=True) for record in records]
        expected = np.array([record[EMBEDDING] for record in records], np.float32)
        sequences = _decode(examples, stated)
    except (KeyError, TypeError, pa.ArrowInvalid) as error:
        raise ValueError(f"{file}: expected records, received {error!r}") from error
    received = encoder.encode_flat(sequences)
    scale = np.maximum(1.0, np.abs(expected).max(axis=1, keepdims=True))
    return float((np.abs(received - expected) / scale).max())


def _decode(examples: list[bytes], stated: ModelFacts) -> Sequences:
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    schema = schema_pb2.Schema()
    for feature in stated.features:
        schema.feature.add(name=feature.name, type=schema_pb2.FLOAT)
    for category in stated.categories:
        schema.feature.add(name=category.name, type=getattr(schema_pb2, category.kind.upper()))
    batch = ExamplesToRecordBatchDecoder(schema.SerializeToString()).DecodeBatch(examples)
    first = batch.column(stated.features[0].name)
    values = [batch.column(feature.name).flatten().to_numpy() for feature in stated.features]
    return Sequences(
        values=np.stack(values, axis=1),
        length=np.array([len(row) for row in first], np.int64),
        tokens={
            category.input: _tokens(batch.column(category.name).flatten())
            for category in stated.categories
        },
    )


def _tokens(column: pa.Array) -> np.ndarray:
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy())
    return np.array([value.decode() for value in column.to_pylist()], object)
