"""Write golden inputs: raw sequences with their embeddings by the model in memory.

The push compares the served model's embeddings with them, in another process and from another
folder. The sequences are noise with the training data's means and deviations, and the most frequent
tokens in turn. They hold nobody's data, since they travel with the encoder.
"""

import base64
import pathlib
from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Collection

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from ragline.components.contract.columns import OBSERVED, VALUES, Category, Columns
from ragline.components.contract.feature_transforms import invert_by_feature
from ragline.components.contract.signatures import EMBEDDING, EXAMPLES, GOLDEN_FILE
from ragline.components.files.storage import write_json
from ragline.components.serving.facts import FeatureFacts
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder

_LENGTHS = (1, 2, 5, 13, 34)
_MOST_TOKENS = 8


def write(
    model: MaskedAutoencoder,
    *,
    transform_output: tft.TFTransformOutput,
    columns: Columns,
    features: Collection[FeatureFacts],
    directory: pathlib.Path,
) -> None:
    """Embed golden inputs, and write both beside the SavedModel, as golden.json.

    Each sequence goes through Transform and the model alone, in a batch without padding, and
    through none of the exported signatures.

    Args:
      model: the exported model.
      transform_output: Transform's graph.
      columns: the schema's features and categories.
      features: the facts of the features.
      directory: folder of the SavedModel.
    """
    transform = transform_output.transform_features_layer()
    vocabularies = {
        category.name: transform_output.vocabulary_by_name(category.vocabulary)
        for category in columns.categories
    }
    records = []
    for values in _sequences(features):
        raw = dict(zip(columns.names, values.T, strict=True)) | {
            category.name: _tokens(category, vocabularies[category.name], len(values))
            for category in columns.categories
        }
        transformed = transform({name: _ragged(column) for name, column in raw.items()})
        embedding = model.encode(_batch(transformed, values.shape, vocabularies))
        records.append(
            {
                EXAMPLES: base64.b64encode(_example(raw)).decode(),
                EMBEDDING: embedding.numpy()[0].tolist(),
            }
        )
    write_json(directory / GOLDEN_FILE, {"records": records})


def _batch(
    transformed: Mapping[str, tf.RaggedTensor], shape: tuple[int, int], categories: Iterable[str]
) -> SequenceBatch:
    """Return a batch of one transformed sequence of T steps and F features, without padding."""
    batch = SequenceBatch.complete(
        tf.reshape(transformed[VALUES].flat_values, [1, *shape]),
        tf.constant([shape[0]], tf.int64),
    )
    if OBSERVED in transformed:
        observed = tf.reshape(transformed[OBSERVED].flat_values, [1, *shape])
        batch = batch._replace(sample_weight=tf.cast(observed, tf.float32))
    return batch._replace(
        token_ids={name: transformed[name].flat_values[tf.newaxis] for name in categories}
    )


def _ragged(column: np.ndarray) -> tf.RaggedTensor:
    kind = tf.string if column.dtype == object else column.dtype
    return tf.RaggedTensor.from_row_lengths(tf.constant(column, kind), [len(column)])


def _sequences(features: Collection[FeatureFacts]) -> list[np.ndarray]:
    """Make sequences, float32 [T, F] each, with every seventh value missing, where that can be."""
    rng = np.random.default_rng(0)
    mean = np.array([feature.mean for feature in features], np.float64)  # NaN: never observed.
    std = np.array([feature.std for feature in features])
    may_miss = [feature.allow_missing for feature in features]
    sequences = []
    for length in _LENGTHS:
        noise = mean + std * rng.normal(size=(length, len(mean)))
        values = invert_by_feature([feature.transform for feature in features], noise)
        missing = (np.arange(values.size).reshape(values.shape) % 7 == 6) & may_miss
        sequences.append(np.where(missing, np.nan, values).astype(np.float32))
    return sequences


def _tokens(category: Category, vocabulary: list[bytes], steps: int) -> np.ndarray:
    """Make tokens [T]: the most frequent in turn, and a missing one, or the id after the lowest."""
    tokens = vocabulary[:_MOST_TOKENS]
    if category.is_text:
        return np.resize(np.array([*tokens, b""], object), steps)
    ids = [int(token) for token in tokens]
    return np.resize(np.array([*ids, min(ids) + 1], np.int64), steps)


def _example(raw: Mapping[str, np.ndarray]) -> bytes:
    example = tf.train.Example()
    for name, column in raw.items():
        kind = {"f": "float_list", "i": "int64_list", "O": "bytes_list"}[column.dtype.kind]
        getattr(example.features.feature[name], kind).value.extend(column.tolist())
    return example.SerializeToString(deterministic=True)
