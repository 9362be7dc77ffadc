"""The linear path around the recurrence: sequence -> grid -> embedding -> grid -> sequence.

    embedding       = linear(grid of the values) + what the recurrent encoder adds
    reconstruction  = linear(embedding), read from the grid + what the recurrent decoder adds

The recurrent decoder reads, beside the embedding, the linear reconstruction of the step that it
adds to.

Training starts at the principal components of the training split, with nothing added: the error is
that of a PCA of as many numbers, and the recurrence has only to learn what no linear map can. A
model that was drawn and not started so has random maps, as its other layers have.

The embedding is turned by a random rotation, and scaled to a mean variance of 1. Either changes no
reconstruction, and both spread what is known alike over all its numbers: of components as they are
the first has hundreds of times the last one's variance, and a user who standardises an embedding,
as most do before comparing distances, would make them equal.
"""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import grid_resample, shrinkage_pca
from ragline.components.train.model.dense import Dense

# K F, so that the covariance of the grids has at most 32 MiB, and its components take seconds.
MOST_NUMBERS = 2_048


def grid_steps(wanted: int, features: int) -> int:
    """K: as many as wanted, or as keep K F within MOST_NUMBERS; 0 if that leaves fewer than 2."""
    steps = min(wanted, MOST_NUMBERS // features)
    return steps if steps >= 2 else 0


class LinearPath(keras.Layer):
    """Two dense maps, between the grid of a sequence [K F] and its embedding [E]."""

    def __init__(self, *, features: int, steps: int, size: int, exact: bool = False) -> None:
        """Build both maps.

        Args:
          features: F.
          steps: K, see `grid_steps`.
          size: E.
          exact: see `Dense`.
        """
        super().__init__(dtype="float32", name="linear")
        self.steps, self._features = steps, features
        # "to_code" is its name in every encoder that was pushed.
        self.to_embedding = Dense(steps * features, size, exact=exact, name="to_code")
        self.to_grid = Dense(size, steps * features, exact=exact, name="to_grid")
        self.built = True

    def grid(self, batch: SequenceBatch) -> tf.Tensor:
        """Sequences on the grid, float32 [B, K F]; missing values are filled in."""
        values = batch.valid_values
        if batch.sample_weight.shape.rank == 3:
            observed = (batch.sample_weight > 0) & batch.valid[..., tf.newaxis]
            values = grid_resample.fill(values, observed)
        grid = grid_resample.to_grid(values, batch.length, self.steps)
        return tf.reshape(grid, [-1, self.steps * self._features])

    def encode(self, batch: SequenceBatch) -> tf.Tensor:
        """Return the linear part of the embedding, float32 [B, E]."""
        return self.to_embedding(self.grid(batch))

    def decode(self, embedding: tf.Tensor, length: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
        """Return the linear part of the output, float32 [B, T, F]; padding repeats the last step.

        Args:
          embedding: float32 [B, E].
          length: int [B].
          steps: T.
        """
        grid = tf.reshape(self.to_grid(embedding), [-1, self.steps, self._features])
        return grid_resample.from_grid(grid, length, steps)

    def start_at(self, batches: tf.data.Dataset, seed: int) -> None:
        """Set both maps to the principal components of sequences.

        Two passes over the batches, and (K F)^2 numbers in memory.

        Args:
          batches: a dataset of `SequenceBatch`, the same in both passes.
          seed: of the embedding's rotation.
        """
        grid = tf.function(self.grid, input_signature=[batches.element_spec], autograph=False)

        def parts() -> Iterable[np.ndarray]:
            return (grid(batch).numpy() for batch in one_pass(batches))

        stats = shrinkage_pca.covariance_stats(parts)
        covariance = shrinkage_pca.shrink(stats, self.steps)
        size = self.to_embedding.units
        directions = shrinkage_pca.components(covariance, size)
        variance = np.einsum("nd,de,ne->", directions, covariance, directions) / size
        scale = np.sqrt(variance) if variance > 0.0 else 1.0
        noise = np.random.default_rng(seed).normal(size=(size, size))
        # [D, E]; orthonormal columns, or rows if the embedding is the longer of the two.
        turned = directions.T @ np.linalg.qr(noise).Q[: len(directions)]
        self.to_embedding.set_weights([turned / scale, -stats.mean @ turned / scale])
        self.to_grid.set_weights([turned.T * scale, stats.mean])
