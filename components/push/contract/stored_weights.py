"""Hold the weights and vocabularies of a SavedModel against the digests that the model states."""

import pathlib
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import trackable_object_graph_pb2

from ragline.components.contract.signatures import ENCODER_FILE, WEIGHTS_FILE
from ragline.components.files.storage import sha256
from ragline.components.push.contract.padding_contract import Violation
from ragline.components.serving.facts import ModelFacts, digest_of_weights
from ragline.components.serving.fast import weights

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


def violations(model: pathlib.Path, facts: ModelFacts) -> list[Violation]:
    """Return a violation for the variables, and for each vocabulary, that are not as stated."""
    expected = dict.fromkeys(("variables", WEIGHTS_FILE), facts.weights_sha256)
    received = {"variables": _digest_of(read, model), WEIGHTS_FILE: _digest_of(weights.read, model)}
    if not (model / WEIGHTS_FILE).exists():  # An older ragline exported it.
        del expected[WEIGHTS_FILE]
    for category, stated in zip(facts.columns.categories, facts.categories, strict=True):
        file = model / "assets" / category.vocabulary
        expected[file.name] = stated.vocabulary_sha256
        received[file.name] = sha256(file) if file.is_file() else "no file"
    return [
        Violation(
            "weights",
            name,
            float("nan"),
            f"the SHA-256 that {ENCODER_FILE} states, {expected[name]}, received {received[name]}",
        )
        for name in expected
        if received[name] != expected[name]
    ]


def _digest_of(
    reader: Callable[[pathlib.Path], Mapping[str, np.ndarray]], model: pathlib.Path
) -> str:
    try:
        return digest_of_weights(reader(model))
    except (OSError, ValueError) as error:
        return str(error)


def read(model: pathlib.Path) -> dict[str, np.ndarray]:
    """Return the variables of a SavedModel, name -> value, as its file holds them.

    Raises:
      ValueError: a file is missing, or is not what its name says.
    """
    try:
        reader = tf.train.load_checkpoint(str(model / "variables" / "variables"))
        objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
            reader.get_tensor(_OBJECT_GRAPH)
        )
        return {
            attribute.full_name: reader.get_tensor(attribute.checkpoint_key)
            for node in objects.nodes
            for attribute in node.attributes
            if attribute.full_name
        }
    except (tf.errors.OpError, IndexError, RuntimeError) as error:
        raise ValueError(f"{model}: expected a SavedModel's variables: {error}") from error
