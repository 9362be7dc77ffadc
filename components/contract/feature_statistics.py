"""Carry each feature's mean and standard deviation from Transform to the export of the model.

Transform states them once, as an annotation of the schema of the transformed records: the tensor
[mean, std], float64 [2, F], by which the exported graph standardises. A feature that never varies
has a std of exactly 0; one that was never observed has a mean of NaN.
"""

import numpy as np
import tensorflow as tf
from tensorflow_metadata.proto.v0 import schema_pb2

TYPE_URL = "type.googleapis.com/tensorflow.TensorProto"


def to_annotation(mean: tf.Tensor, std: tf.Tensor) -> tf.Tensor:
    """Serialise the statistics of F features, float64 [F] each, as a message of TYPE_URL."""
    return tf.io.serialize_tensor(tf.stack([mean, std]))


def of_schema(schema: schema_pb2.Schema) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and the std that a schema of transformed records states, float64 [F] each.

    Raises:
      ValueError: it does not state them once.
    """
    annotations = [
        annotation
        for annotation in schema.annotation.extra_metadata
        if annotation.type_url == TYPE_URL
    ]
    if len(annotations) != 1:
        raise ValueError(
            f"the schema of the transformed records: expected one annotation {TYPE_URL}, with mean "
            f"and std of each feature, received {len(annotations)}"
        )
    mean, std = tf.io.parse_tensor(annotations[0].value, tf.float64).numpy()
    return mean, std
