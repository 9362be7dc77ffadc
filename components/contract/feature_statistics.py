"""Carry each feature's mean and standard deviation from Transform to the export of the model.

Transform names the tensors by which its graph standardises; the trainer reads them there by these
names, once, in float64. (TFT's annotations of the schema would be the place for them; its public
builds write none.)
"""

import pathlib

import numpy as np
import tensorflow as tf

# Tensors [F] of Transform's graph: the mean, the standard deviation or 1, whether the feature
# varies, and whether it was ever observed.
MEAN, SCALE = "feature_mean", "feature_scale"
VARIES, SEEN = "feature_varies", "feature_seen"


def read(transform_graph: pathlib.Path | str) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and std of each feature, float64 [F] each, from the SavedModel of Transform.

    The mean is NaN of a feature that was never observed; the std is exactly 0 of one that never
    varied.
    """
    function = tf.saved_model.load(str(transform_graph)).transform_fn.graph
    captured = {
        inner.name: outer.numpy()
        for outer, inner in function.captures
        if outer.dtype not in (tf.resource, tf.variant)
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tensors = tf.graph_util.import_graph_def(
            function.as_graph_def(),
            input_map={name: tf.constant(value) for name, value in captured.items()},
            return_elements=[f"{name}:0" for name in (MEAN, SCALE, VARIES, SEEN)],
        )
        mean, scale, varies, seen = session.run(tensors)
    return np.where(seen, mean, np.nan), np.where(varies, scale, 0.0)
