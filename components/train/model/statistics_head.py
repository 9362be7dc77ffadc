"""Predict the statistics of a sequence from its embedding: one linear map, in training alone.

    error = mean over the statistics of (embedding @ kernel + bias - z)^2

z are the standardised statistics of `sequence_statistics.py`. The map starts at the least squares
of what the linear path encodes, so that the first updates do not turn the embedding to a map that
was drawn.
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
from ragline.components.train.model.sequence_statistics import SequenceStatistics


class StatisticsHead(keras.Layer):
    """Holds the map, and the statistics if no linear path does."""

    def __init__(self, *, features: int, size: int, linear: LinearPath | None) -> None:
        """Build the map.

        Args:
          features: F.
          size: E.
          linear: the linear path of the model, if it has one.
        """
        super().__init__(dtype="float32", name="statistics")
        shared = None if linear is None else linear.statistics
        self.starts = shared is None
        self.statistics = shared or SequenceStatistics(features)
        self.to_statistics = Dense(size, self.statistics.size, exact=False, name="to_statistics")
        self.built = True

    def errors(self, embedding: tf.Tensor, batch: SequenceBatch) -> tf.Tensor:
        """Return the error of each sequence, float32 [B]; a statistic that never varies is 0."""
        z = self.statistics(batch)
        return tf.reduce_mean(tf.square(self.to_statistics(embedding) - z), axis=1)

    def start_at(self, batches: tf.data.Dataset, linear: LinearPath | None) -> None:
        """Set the map to its least squares, in two passes over the batches.

        Args:
          batches: a dataset of `SequenceBatch`, the same in both passes.
          linear: what makes the embedding before the first update, already started; None if
            nothing is known of it, so that the map starts at 0.
        """
        if linear is None or linear.statistics is None:
            self.statistics.start_at(batches)
        size = self.to_statistics.kernel.shape[0]

        def row(batch: SequenceBatch) -> tf.Tensor:
            zeros = tf.zeros([tf.size(batch.length), size])
            embedding = zeros if linear is None else linear.encode(batch)
            return tf.concat([embedding, self.statistics(batch)], axis=1)

        compiled = tf.function(row, input_signature=[batches.element_spec], autograph=False)

        def parts() -> Iterable[np.ndarray]:
            return (compiled(batch).numpy() for batch in one_pass(batches))

        stats = shrinkage_pca.covariance_stats(parts)
        of_embedding, both = stats.covariance[:size, :size], stats.covariance[:size, size:]
        kernel = np.linalg.lstsq(of_embedding, both, rcond=1e-9)[0]
        self.to_statistics.set_weights([kernel, stats.mean[size:] - stats.mean[:size] @ kernel])
