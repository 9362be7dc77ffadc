"""Write the file of another runtime, if it agrees with the SavedModel on sequences of noise."""

import pathlib
from typing import Any

import numpy as np
import onnxruntime
import tensorflow as tf

from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.contract.signatures import EMBEDDING, ENCODE
from ragline.components.export import onnx_graph
from ragline.components.files.storage import write_bytes
from ragline.components.serving import facts, versions
from ragline.components.serving.fast import read_network
from ragline.components.serving.fast.network import Network
from ragline.components.serving.fast.read_network import CannotExportError

TOLERANCE = 1e-5
_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)
_GARBAGE = (np.nan, 1e30, -np.inf)


def onnx(model: pathlib.Path, output: pathlib.Path) -> float:
    """Write a SavedModel of ours as ONNX.

    Args:
      model: the folder of the SavedModel.
      output: the file; it is whole, and agrees with the model, or is not there.

    Returns:
      The largest difference between an embedding of onnxruntime and the SavedModel's.

    Raises:
      CannotExportError: the model cannot be exported.
      NoEncoderError: the model does not state its facts.
      DamagedModelError: a file of it is not what was pushed.
      OSError: the file cannot be written.
    """
    versions.check(model)
    stated = facts.read(model)
    try:
        loaded = tf.saved_model.load(str(model))
    except Exception as error:  # A foreign file fails in any way it likes.
        raise CannotExportError(
            f"{model}: expected a SavedModel: {str(error).splitlines()[0]}"
        ) from error
    if ENCODE not in loaded.signatures:
        raise CannotExportError(
            f"{model}: expected a signature {ENCODE!r}, received {sorted(loaded.signatures)}"
        )
    network = read_network.read(model, _weights(loaded), stated)
    content = onnx_graph.build(network).SerializeToString(deterministic=True)
    largest = difference(loaded, content, inputs_of(network))
    if not largest <= TOLERANCE:
        raise CannotExportError(
            f"{model}: as ONNX it gives other embeddings: expected a difference of at most "
            f"{TOLERANCE}, received {largest:.3g}; its training options are none that ONNX serves"
        )
    write_bytes(output, content)
    return largest


def _weights(loaded: Any) -> dict[str, np.ndarray]:
    """Return the variables of a loaded SavedModel, name -> array."""
    variables = getattr(loaded, "variables", ())
    return {variable.name.partition(":")[0]: variable.numpy() for variable in variables}


def inputs_of(network: Network) -> dict[str, np.ndarray]:
    """Make ten sequences of 1 to 89 steps around the training means, garbage in their padding.

    One value in ten is missing; some tokens are missing, and some are in no vocabulary.
    """
    rng = np.random.default_rng(0)
    length = np.array(_LENGTHS, np.int64)
    shape = (len(length), length.max() + 1, len(network.mean))
    values = network.mean + network.scale * rng.normal(size=shape)
    values[rng.random(shape) < 0.1] = np.nan
    padding = np.arange(shape[1]) >= length[:, np.newaxis]
    values[padding] = rng.choice(_GARBAGE, size=(int(padding.sum()), shape[2]))
    inputs: dict[str, np.ndarray] = {VALUES: values.astype(np.float32), LENGTH: length}
    for table in network.tables:
        if table.category.is_text:
            tokens = np.array([*table.tokens, "", "in no vocabulary"], object)
        else:
            tokens = np.array([*map(int, table.tokens), -(2**62)], np.int64)
        inputs[table.category.key] = tokens[rng.integers(len(tokens), size=shape[:2])]
    return inputs


def difference(loaded: Any, content: bytes, inputs: dict[str, np.ndarray]) -> float:
    """Return the largest absolute difference between the embeddings of SavedModel and ONNX."""
    tensors = {
        name: tf.constant(array, tf.string) if array.dtype == object else tf.constant(array)
        for name, array in inputs.items()
    }
    expected = loaded.signatures[ENCODE](**tensors)[EMBEDDING].numpy()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    [received] = session.run([EMBEDDING], inputs)
    return float(np.abs(expected - received).max())
