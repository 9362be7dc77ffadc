"""Predict the statistics of a sequence from its embedding: one linear map, in training alone.

    error = mean over the statistics of (embedding @ kernel + bias - z)^2

z are the standardised statistics of `sequence_statistics.py`. The map starts at the least squares
of what the linear path encodes, so that the first updates do not turn the embedding to a map that
was drawn.
"""

from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.linear_path import LinearPath
from ragline.components.train.model.sequence_statistics import SequenceStatistics, describe
from ragline.components.train.model.shrinkage_pca import CovarianceStats


class StatisticsHead(keras.Layer):
    """Holds the map, and the statistics if no linear path does."""

    def __init__(
        self, *, features: int, tokens: Mapping[str, int], size: int, linear: LinearPath | None
    ) -> None:
        """Build the map.

        Args:
          features: F.
          tokens: category -> V; see `sequence_statistics.frequent_tokens`.
          size: E.
          linear: the linear path of the model, if it has one.
        """
        super().__init__(dtype="float32", name="statistics")
        shared = None if linear is None else linear.statistics
        self.statistics = shared or SequenceStatistics(features, tokens)
        self.to_statistics = Dense(size, self.statistics.size, exact=False, name="to_statistics")
        self.built = True

    def errors(self, embedding: tf.Tensor, batch: SequenceBatch) -> tf.Tensor:
        """Return the error of each sequence, float32 [B]; a statistic that never varies is 0."""
        z = self.statistics(batch)
        return tf.reduce_mean(tf.square(self.to_statistics(embedding) - z), axis=1)

    def start_at(
        self, batches: tf.data.Dataset, linear: LinearPath | None, inputs: CovarianceStats | None
    ) -> None:
        """Set the map to its least squares; without a linear path that reads them, to 0.

        Args:
          batches: a dataset of `SequenceBatch`.
          linear: what makes the embedding before the first update, already started.
          inputs: the statistics of its inputs, of the same batches: what its start returned.
        """
        if linear is None or linear.statistics is None or inputs is None:

            def described(batch: SequenceBatch) -> tf.Tensor:
                return describe(batch, self.statistics.tokens)

            spec = [batches.element_spec]
            compiled = tf.function(described, input_signature=spec, autograph=False)
            self.statistics.start_at(compiled(batch).numpy() for batch in one_pass(batches))
            weights = self.to_statistics.get_weights()
            self.to_statistics.set_weights([np.zeros(weight.shape) for weight in weights])
            return
        to_embedding, bias = linear.to_embedding.get_weights()
        own = slice(-self.statistics.size, None)
        # Of the embedding, whose map is linear, with the statistics: [E, E] and [E, P].
        with_inputs = to_embedding.T.astype(np.float64) @ inputs.covariance
        kernel = np.linalg.lstsq(with_inputs @ to_embedding, with_inputs[:, own], rcond=1e-9)[0]
        embedding = inputs.mean @ to_embedding + bias
        self.to_statistics.set_weights([kernel, inputs.mean[own] - embedding @ kernel])
