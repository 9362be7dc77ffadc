"""The linear path around the recurrence: sequence -> grid, statistics -> embedding -> grid.

    embedding       = linear(grid of the values, statistics) + what the recurrent encoder adds
    reconstruction  = linear(embedding), read from the grid + what the recurrent decoder adds

The recurrent decoder reads, beside the embedding, the linear reconstruction of the step that it
adds to.

Training starts at the principal components of the training split, with nothing added. They are
those of the grid and of the standardised statistics together (`sequence_statistics.py`), which are
scaled so as to hold a share of all variance. A larger share separates sequences better that move
otherwise, and costs reconstruction: the share is the largest of `SHARES` with which the start
reconstructs the training split better than a PCA of as many numbers (`BASELINE_STEPS`), or 0. The
recurrence has only to learn what no linear map can. A model that was drawn and not started so has
random maps, as its other layers have.

The embedding is turned by a random rotation, and scaled to a mean variance of 1. Either changes no
reconstruction, and both spread what is known alike over all its numbers: of components as they are
the first has hundreds of times the last one's variance, and a user who standardises an embedding,
as most do before comparing distances, would make them equal.
"""

import itertools
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import grid_resample, sequence_statistics, shrinkage_pca
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.sequence_statistics import SequenceStatistics
from ragline.components.train.model.shrinkage_pca import CovarianceStats, Maps
from ragline.components.train.objective import loss

# K F, so that a covariance of grids has at most 32 MiB, and its components take seconds; and with
# the statistics and the baseline's grid, 128 MiB.
MOST_GRID_NUMBERS, MOST_NUMBERS = 2_048, 4_096
# Of the variance of grid and statistics; docs/quality.md has what each is worth.
SHARES = (0.35, 0.2, 0.1, 0.05, 0.0)
BASELINE_STEPS = 16  # Those of components/evaluate/baselines/pca_baseline.py.
# Of the baseline's error: what a start has at most on the split that it was computed from, so that
# it has no more than the baseline on another one.
AT_MOST = 0.97


def grid_steps(wanted: int, features: int) -> int:
    """K: as many as wanted, or as keep K F within MOST_GRID_NUMBERS; 0 if that is less than 2."""
    steps = min(wanted, MOST_GRID_NUMBERS // features)
    return steps if steps >= 2 else 0


class LinearPath(keras.Layer):
    """Two dense maps: grid [K F] and statistics [P] -> embedding [E], and embedding -> grid.

    Attributes:
      steps: K.
      statistics: what makes the statistics; None if they would be too many.
    """

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
        numbers = steps * features
        self.statistics = None
        more = sequence_statistics.size_of(features) + BASELINE_STEPS * features
        if numbers + more <= MOST_NUMBERS:
            self.statistics = SequenceStatistics(features)
            numbers += self.statistics.size
        # "to_code" is its name in every encoder that was pushed.
        self.to_embedding = Dense(numbers, size, exact=exact, name="to_code")
        self.to_grid = Dense(size, steps * features, exact=exact, name="to_grid")
        self.built = True

    def encode(self, batch: SequenceBatch) -> tf.Tensor:
        """Return the linear part of the embedding, float32 [B, E]."""
        return self.to_embedding(self._inputs(batch))

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

        Four passes over the batches, and (K F + P + 16 F)^2 numbers in memory; without statistics
        two, and (K F)^2.

        Args:
          batches: a dataset of `SequenceBatch`, the same in each pass.
          seed: of the embedding's rotation.
        """
        if self.statistics is not None:
            self.statistics.start_at(batches)
        maps = self._principal_maps(batches)
        size = self.to_embedding.units
        scale = np.sqrt(maps.variance / size) if maps.variance > 0.0 else 1.0
        noise = np.random.default_rng(seed).normal(size=(size, size))
        # [n, E]; orthonormal columns, or rows if the embedding is the longer of the two.
        rotation = np.linalg.qr(noise).Q[: len(maps.to_grid)]
        kernel = maps.to_components @ rotation / scale
        self.to_embedding.set_weights([kernel, -maps.mean @ kernel])
        grid_mean = maps.mean[: self.steps * self._features]
        self.to_grid.set_weights([rotation.T @ maps.to_grid * scale, grid_mean])

    def _inputs(self, batch: SequenceBatch) -> tf.Tensor:
        """Return what the embedding is a map of, float32 [B, K F + P]."""
        grid = _grid(batch, self.steps)
        return tf.concat([grid, self.statistics(batch)], axis=1) if self.statistics else grid

    def _principal_maps(self, batches: tf.data.Dataset) -> Maps:
        """Return the maps of the largest share that reconstructs better than the baseline."""
        grid, size = self.steps * self._features, self.to_embedding.units
        inputs = self.to_embedding.kernel.shape[0]

        def row(batch: SequenceBatch) -> tf.Tensor:
            baseline = [_grid(batch, BASELINE_STEPS)] if self.statistics else []
            return tf.concat([self._inputs(batch), *baseline], axis=1)

        rows = _compiled(row, batches)
        stats = shrinkage_pca.covariance_stats(
            lambda: (rows(batch).numpy() for batch in one_pass(batches)), grid
        )
        own, others = slice(inputs), slice(inputs, None)
        joint = CovarianceStats(
            stats.mean[own], stats.covariance[own, own], stats.spread, stats.rows
        )
        covariance = shrinkage_pca.shrink(joint, self.steps, grid)
        candidates = [
            shrinkage_pca.maps(joint.mean, covariance, grid, size, share)
            for share in (SHARES if self.statistics else SHARES[-1:])
        ]
        if self.statistics is None:
            return candidates[-1]
        mean = stats.mean[others]
        baseline = shrinkage_pca.maps(mean, stats.covariance[others, others], len(mean), size, 0.0)

        def error(batch: SequenceBatch, output: tf.Tensor) -> tf.Tensor:
            by_feature = loss.squared_errors(batch.values, output, batch.sample_weight)
            return tf.reduce_sum(by_feature)

        def errors(batch: SequenceBatch) -> tf.Tensor:
            both = row(batch)
            outputs = [
                *(_reconstruct(both[:, own], maps, batch, self.steps) for maps in candidates),
                _reconstruct(both[:, others], baseline, batch, BASELINE_STEPS),
            ]
            return tf.stack([error(batch, output) for output in outputs])

        compiled = _compiled(errors, batches)
        *of_shares, of_baseline = sum(compiled(batch).numpy() for batch in one_pass(batches))
        better = (of_share <= AT_MOST * of_baseline for of_share in of_shares)
        return next(itertools.compress(candidates, better), candidates[-1])


def _grid(batch: SequenceBatch, steps: int) -> tf.Tensor:
    """Return the sequences on a grid of K steps, float32 [B, K F]; missing values are filled in."""
    grid = grid_resample.to_grid(grid_resample.filled(batch), batch.length, steps)
    return tf.reshape(grid, [-1, steps * batch.values.shape[2]])


def _reconstruct(rows: tf.Tensor, maps: Maps, batch: SequenceBatch, steps: int) -> tf.Tensor:
    """Return what the principal components of rows say of each sequence, float32 [B, T, F]."""
    mean, to_components, to_grid = (
        tf.constant(each, tf.float32) for each in (maps.mean, maps.to_components, maps.to_grid)
    )
    grid = (rows - mean) @ to_components @ to_grid + mean[: to_grid.shape[1]]
    grid = tf.reshape(grid, [-1, steps, batch.values.shape[2]])
    return grid_resample.from_grid(grid, batch.length, batch.steps)


def _compiled(
    function: Callable[[SequenceBatch], tf.Tensor], batches: tf.data.Dataset
) -> Callable[[SequenceBatch], tf.Tensor]:
    return tf.function(function, input_signature=[batches.element_spec], autograph=False)
