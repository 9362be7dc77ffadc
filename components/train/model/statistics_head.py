"""Tell statistics of a sequence from its embedding: one linear map, which training alone uses.

    z     = (statistic - mean) / scale, at most FARTHEST from 0
    error = mean over the statistics of (embedding @ kernel + bias - z)^2

Mean and scale are those of the training split; no outlier makes a large error. The map starts at
the least squares of what the linear path encodes, so that the first updates do not turn the
embedding to a map that was drawn.
"""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import shrinkage_pca
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.linear_path import LinearPath
from ragline.components.train.objective import statistics

FARTHEST = 5.0


class StatisticsHead(keras.Layer):
    """Holds the map, and the mean and scale of each statistic."""

    def __init__(self, *, features: int, size: int) -> None:
        """Build the layers.

        Args:
          features: F.
          size: E.
        """
        super().__init__(dtype="float32", name="statistics")
        number = statistics.size_of(features)
        self.to_statistics = Dense(size, number, exact=False, name="to_statistics")
        self.mean = self.add_weight(
            shape=(number,), initializer="zeros", trainable=False, name="mean"
        )
        self.scale = self.add_weight(
            shape=(number,), initializer="ones", trainable=False, name="scale"
        )
        self.built = True

    def errors(self, embedding: tf.Tensor, batch: SequenceBatch) -> tf.Tensor:
        """Return the error of each sequence, float32 [B]; a statistic that never varies has 0."""
        expected = tf.stop_gradient(statistics.describe(batch)) - self.mean
        z = tf.clip_by_value(tf.math.divide_no_nan(expected, self.scale), -FARTHEST, FARTHEST)
        return tf.reduce_mean(tf.square(self.to_statistics(embedding) - z), axis=1)

    def start_at(self, batches: tf.data.Dataset, linear: LinearPath | None) -> None:
        """Set mean and scale to those of sequences, and the map to its least squares.

        Two passes over the batches.

        Args:
          batches: a dataset of `SequenceBatch`, the same in both passes.
          linear: what makes the embedding before the first update; None if nothing is known of it,
            so that the map starts at 0.
        """
        size = self.to_statistics.kernel.shape[0]

        def row(batch: SequenceBatch) -> tf.Tensor:
            zeros = tf.zeros([tf.size(batch.length), size])
            embedding = zeros if linear is None else linear.encode(batch)
            return tf.concat([embedding, statistics.describe(batch)], axis=1)

        compiled = tf.function(row, input_signature=[batches.element_spec], autograph=False)

        def parts() -> Iterable[np.ndarray]:
            return (compiled(batch).numpy() for batch in one_pass(batches))

        stats = shrinkage_pca.covariance_stats(parts)
        of_embedding, both = stats.covariance[:size, :size], stats.covariance[:size, size:]
        scale = np.sqrt(np.diag(stats.covariance)[size:])
        scaled = np.divide(both, scale, out=np.zeros_like(both), where=scale > 0.0)
        kernel = np.linalg.lstsq(of_embedding, scaled, rcond=1e-9)[0]
        self.mean.assign(stats.mean[size:])
        self.scale.assign(scale)
        self.to_statistics.set_weights([kernel, -stats.mean[:size] @ kernel])
