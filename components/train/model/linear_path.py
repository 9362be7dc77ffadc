"""Define the linear path around the recurrence: grid, statistics -> embedding -> grid.

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

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Collection
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.input_pipeline import one_pass
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import grid_resample, sequence_statistics, shrinkage_pca
from ragline.components.train.model.dense import Dense
from ragline.components.train.model.sequence_statistics import SequenceStatistics
from ragline.components.train.model.shrinkage_pca import CovarianceStats, Maps, RowSums

# K F, so that a covariance of grids has at most 32 MiB, and its components take seconds; and with
# the statistics and the baseline's grid, 128 MiB.
MOST_GRID_NUMBERS, MOST_NUMBERS = 2_048, 4_096
# Of the variance of grid and statistics; docs/quality.md has what each is worth.
SHARES = (0.9, 0.7, 0.5, 0.35, 0.25, 0.2, 0.1, 0.0)
BASELINE_STEPS = 16  # Those of components/evaluate/baselines/pca_baseline.py.
# The share is chosen by the error of every fourth sequence, with maps of the others: statistics of
# few sequences fit those best that they were computed from.
HELD_OUT = 4
# Of the baseline's error, so that a start has no more than the baseline on another split.
AT_MOST = 0.97


def grid_steps(wanted: int, features: int) -> int:
    """Return K: as many as wanted, or as keep K F within MOST_GRID_NUMBERS; 0 if below 2."""
    steps = min(wanted, MOST_GRID_NUMBERS // features)
    return steps if steps >= 2 else 0


class RowBatch(NamedTuple):
    """Holds the rows of a batch, of which the components are computed.

    Attributes:
      batch: the sequences.
      values: float64 [B, D]: grid and standardised statistics, and the baseline's grid.
      held_out: whether a row is to choose the share, bool [B].
    """

    batch: SequenceBatch
    values: np.ndarray
    held_out: np.ndarray


class LinearPath(keras.Layer):
    """Holds two dense maps: grid [K F], statistics [P] -> embedding [E], and embedding -> grid.

    Attributes:
      steps: K.
      statistics: what makes the statistics; None if they would be too many.
    """

    def __init__(
        self,
        *,
        features: int,
        steps: int,
        size: int,
        tokens: Mapping[str, int] | None = None,
        exact: bool = False,
    ) -> None:
        """Build both maps.

        Args:
          features: F.
          steps: K, see `grid_steps`.
          size: E.
          tokens: category -> V; see `sequence_statistics.frequent_tokens`.
          exact: see `Dense`.
        """
        super().__init__(dtype="float32", name="linear")
        self.steps, self._features = steps, features
        tokens = tokens or {}
        numbers = steps * features
        self.statistics = None
        more = sequence_statistics.size_of(features, tokens.values()) + BASELINE_STEPS * features
        if numbers + more <= MOST_NUMBERS:
            self.statistics = SequenceStatistics(features, tokens)
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

    def start_at(self, batches: tf.data.Dataset, seed: int) -> CovarianceStats:
        """Set both maps to the principal components of sequences.

        Three passes over the batches, and two matrices of (K F + P + 16 F)^2 numbers in memory;
        without statistics one pass, and (K F)^2.

        Args:
          batches: a dataset of `SequenceBatch`, the same in each pass.
          seed: of the embedding's rotation.

        Returns:
          The statistics of what the embedding is a map of, [K F + P].
        """
        row = tf.function(self._row, input_signature=[batches.element_spec], autograph=False)
        described = slice(self.steps * self._features, self.to_embedding.kernel.shape[0])
        if self.statistics is not None:
            made = (row(batch).numpy() for batch in one_pass(batches))
            self.statistics.start_at(rows[:, described] for rows in made)

        def standardised() -> Iterator[RowBatch]:
            number = 0
            for batch in one_pass(batches):
                values = row(batch).numpy().astype(np.float64)
                if self.statistics is not None:
                    values[:, described] = self.statistics.standardise(values[:, described])
                places = number + np.arange(len(values))
                number += len(values)
                yield RowBatch(batch, values, places % HELD_OUT == HELD_OUT - 1)

        most, held_out = self._sums(standardised())
        share = SHARES[-1]
        if self.statistics is not None and most.rows and held_out.rows:
            share = self._share(most.stats(), standardised(), batches.element_spec)
        most.merge(held_out)
        stats = most.stats().part(slice(described.stop))
        self._set(self._maps(stats, share), seed)
        return stats

    def _set(self, maps: Maps, seed: int) -> None:
        """Set both maps, the embedding turned at random and scaled to a mean variance of 1."""
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

    def _row(self, batch: SequenceBatch) -> tf.Tensor:
        """Return the grid and, if a share has to be chosen, statistics and the baseline's grid."""
        grid = _grid(batch, self.steps)
        if self.statistics is None:
            return grid
        described = sequence_statistics.describe(batch, self.statistics.tokens)
        return tf.concat([grid, described, _grid(batch, BASELINE_STEPS)], axis=1)

    def _sums(self, parts: Iterable[RowBatch]) -> tuple[RowSums, RowSums]:
        """Return the sums of the sequences' rows: of most, and of those that are held out."""
        made: list[RowSums] = []
        for _, values, held_out in parts:
            shift, grid = values.mean(axis=0), self.steps * self._features
            made = made or [RowSums(shift, grid), RowSums(shift, grid)]
            for sums, chosen in zip(made, (~held_out, held_out), strict=True):
                sums.add(values[chosen])
        most, others = made
        return most, others

    def _maps(self, stats: CovarianceStats, share: float) -> Maps:
        """Return the maps of inputs of such statistics, and of a share of the variance."""
        grid = self.steps * self._features
        covariance = shrinkage_pca.shrink(stats, self.steps, grid)
        return shrinkage_pca.maps(stats.mean, covariance, grid, self.to_embedding.units, share)

    def _share(
        self, stats: CovarianceStats, parts: Iterable[RowBatch], spec: SequenceBatch
    ) -> float:
        """Return the largest share that reconstructs better than the baseline what is held out.

        Args:
          stats: the statistics of the rows that are not.
          parts: the rows of all sequences.
          spec: what a batch is, as `tf.data` has it.
        """
        inputs, size = self.to_embedding.kernel.shape[0], self.to_embedding.units
        candidates = [self._maps(stats.part(slice(inputs)), share) for share in SHARES]
        of_baseline = stats.part(slice(inputs, None))
        mean = of_baseline.mean
        baseline = shrinkage_pca.maps(mean, of_baseline.covariance, len(mean), size, 0.0)

        def errors(batch: SequenceBatch, rows: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
            chosen = tf.nest.map_structure(functools.partial(tf.gather, indices=places), batch)
            of_candidates = _errors(rows[:, :inputs], candidates, chosen, self.steps)
            others = _errors(rows[:, inputs:], [baseline], chosen, BASELINE_STEPS)
            return tf.concat([of_candidates, others], axis=1)

        of_rows = tf.TensorSpec([None, len(stats.mean)], tf.float32)
        signature = [spec, of_rows, tf.TensorSpec([None], tf.int64)]
        compiled = tf.function(errors, input_signature=signature, autograph=False)
        total = np.zeros(len(SHARES) + 1)
        for batch, values, held_out in parts:
            places = np.flatnonzero(held_out)
            made = compiled(batch, tf.constant(values[places], tf.float32), places)
            total += made.numpy().sum(axis=0, dtype=np.float64)
        better = total[:-1] <= AT_MOST * total[-1]
        return next(itertools.compress(SHARES, better), SHARES[-1])


def _grid(batch: SequenceBatch, steps: int) -> tf.Tensor:
    """Return the sequences on a grid of K steps, float32 [B, K F]; missing values are filled in."""
    grid = grid_resample.to_grid(grid_resample.filled(batch), batch.length, steps)
    return tf.reshape(grid, [-1, steps * batch.values.shape[2]])


def _errors(
    rows: tf.Tensor, candidates: Collection[Maps], batch: SequenceBatch, steps: int
) -> tf.Tensor:
    """Return each sequence's sum of the squared errors of reconstructions, float32 [B, C].

    Args:
      rows: float32 [B, D].
      candidates: C maps, whose components reconstruct the sequences.
      batch: the sequences.
      steps: K, the steps of the rows' grid.
    """
    grids = []
    for maps in candidates:
        mean, to_components, to_grid = (
            tf.constant(each, tf.float32) for each in (maps.mean, maps.to_components, maps.to_grid)
        )
        grid = (rows - mean) @ to_components @ to_grid + mean[: to_grid.shape[1]]
        grids.append(tf.reshape(grid, [-1, steps, batch.values.shape[2]]))
    outputs = grid_resample.from_grid(tf.concat(grids, axis=2), batch.length, batch.steps)
    apart = tf.stack(tf.split(outputs, len(grids), axis=2), axis=1) - batch.values[:, tf.newaxis]
    weight = batch.sample_weight[:, tf.newaxis]  # [B, 1, T] or [B, 1, T, F].
    weight = weight if weight.shape.rank == 4 else weight[..., tf.newaxis]
    return tf.reduce_sum(masking.select(weight > 0, weight * tf.square(apart)), axis=[2, 3])
