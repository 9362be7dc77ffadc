"""What other runtimes make of an exported encoder, on every length, with garbage in the padding."""

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.contract.signatures import EMBEDDING, ENCODE
from ragline.components.serving.batches import Sequences
from ragline.components.serving.fast.recurrence import openvino  # As ragline imports it.

MOST = 40  # Steps.
_GARBAGE = (np.nan, np.inf, -np.inf, 1e30, 0.0)


def every_length(
    loaded: Any, words: dict[str, np.ndarray], missing: float = 0.1
) -> dict[str, np.ndarray]:
    """One sequence of each length from 1 to MOST, and a padded step after the longest.

    Args:
      loaded: the SavedModel, for its number of features.
      words: of each category, those to draw from.
      missing: share of the values that are NaN.
    """
    rng = np.random.default_rng(1)
    features = loaded.signatures[ENCODE].structured_input_signature[1][VALUES].shape[2]
    length = rng.permutation(np.arange(1, MOST + 1))
    shape = (MOST, MOST + 1, features)
    values = rng.normal(size=shape)
    values[rng.random(shape) < missing] = np.nan
    values[0, : length[0], 0] = np.nan  # A feature that was never observed ...
    values[1, : length[1]] = np.nan  # ... a sequence of which nothing was ...
    values[2, : length[2]] = 0.0  # ... and one of zeros.
    padding = np.arange(shape[1]) >= length[:, np.newaxis]
    values[padding] = rng.choice(_GARBAGE, size=(int(padding.sum()), features))
    inputs = {VALUES: values.astype(np.float32), LENGTH: length}
    return inputs | {
        key: known[rng.integers(len(known), size=shape[:2])] for key, known in words.items()
    }


def flat(inputs: dict[str, np.ndarray]) -> Sequences:
    """Padded inputs of `encode` as flat columns."""
    valid = np.arange(inputs[VALUES].shape[1]) < inputs[LENGTH][:, np.newaxis]
    tokens = {name: a[valid] for name, a in inputs.items() if name not in (VALUES, LENGTH)}
    return Sequences(values=inputs[VALUES][valid], length=inputs[LENGTH], tokens=tokens)


def savedmodel(loaded: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """The embeddings by TensorFlow."""
    tensors = {
        key: tf.constant(array, tf.string) if array.dtype == object else tf.constant(array)
        for key, array in inputs.items()
    }
    return loaded.signatures[ENCODE](**tensors)[EMBEDDING].numpy()


def by_openvino(loaded: Any, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Those by OpenVINO, which reads the SavedModel's own graph; in float32, not its default."""
    converted = openvino.convert_model(loaded.signatures[ENCODE])
    hint = {openvino.properties.hint.inference_precision: openvino.Type.f32}
    compiled = openvino.Core().compile_model(converted, "CPU", hint)
    return compiled(inputs)[EMBEDDING]


def written(model: pathlib.Path, output: pathlib.Path) -> Any:
    """A session on the model as ONNX."""
    import onnxruntime

    from ragline.components.export import write

    write.onnx(model, output)
    return onnxruntime.InferenceSession(output, providers=["CPUExecutionProvider"])
