"""`python -m components.push.check MODEL PROBES`: an exported encoder, loaded in a clean process.

It imports TensorFlow and NumPy alone, as a server would: what is served must need neither the
project's training code nor tensorflow_transform. Both loaders are tried, since a SavedModel of a
Keras 3 model can load in Python and fail in a session, which TF Serving uses (keras#19274).

Prints one JSON object: `violations`, a list of sentences, and `embedding_size`.
"""

import argparse
import json
import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from components.push import contract, probes
from components.sequence import LENGTH, VALUES
from components.signatures import EMBEDDING, ENCODE, ENCODE_FLAT, SCORE, SERVING_DEFAULT


def check(model: pathlib.Path, probes_file: pathlib.Path) -> dict[str, Any]:
    """Loads a model both ways and checks the padding contract.

    Args:
      model: a SavedModel.
      probes_file: `.npz` of `values` [sum T, F], `row_lengths` [B] and the feature `names` [F].
    """
    with np.load(probes_file, allow_pickle=False) as arrays:
        ends = np.cumsum(arrays["row_lengths"])[:-1]
        sequences = np.split(arrays["values"], ends)
        names = [str(name) for name in arrays["names"]]
    loaded = tf.saved_model.load(str(model))
    signatures = {
        name: _numpy(loaded.signatures[name])
        for name in (SERVING_DEFAULT, ENCODE, ENCODE_FLAT, SCORE)
    }
    found = [
        str(violation)
        for violation in contract.violations(
            signatures, sequences, lambda some: probes.encode(some, names)
        )
    ]
    values, length = contract.pad(sequences)
    expected = signatures[ENCODE](**{VALUES: values, LENGTH: length})[EMBEDDING]
    figure = float(np.max(np.abs(expected - _by_session(model, values, length))))
    if not figure <= contract.TOLERANCE:
        found.append(f"session: {ENCODE}: {figure:.3g}, expected <= {contract.TOLERANCE}")
    return {"violations": found, "embedding_size": expected.shape[1]}


def _numpy(signature: Any) -> contract.Signature:
    def call(**inputs: np.ndarray) -> dict[str, np.ndarray]:
        tensors = {
            name: tf.constant(array, tf.string if array.dtype == object else None)
            for name, array in inputs.items()
        }
        return {name: tensor.numpy() for name, tensor in signature(**tensors).items()}

    return call


def _by_session(model: pathlib.Path, values: np.ndarray, length: np.ndarray) -> np.ndarray:
    """The embeddings by the loader that TF Serving, saved_model_cli and BulkInferrer use."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(model))
        signature = meta.signature_def[ENCODE]
        return session.run(
            signature.outputs[EMBEDDING].name,
            {
                signature.inputs[VALUES].name: values,
                signature.inputs[LENGTH].name: length,
            },
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Checks an exported encoder.")
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("probes", type=pathlib.Path)
    arguments = parser.parse_args()
    print(json.dumps(check(arguments.model, arguments.probes)))
