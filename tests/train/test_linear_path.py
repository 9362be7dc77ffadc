"""The linear path: started at a PCA, blind to padding, and left behind where there is more."""

from typing import NamedTuple

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from train import samples
from train.samples import F

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import architecture, linear_path, shrinkage_pca
from ragline.components.train.model.linear_path import LinearPath
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

SIZE = 3
STEPS = 5
LENGTHS = (1, 2, 5, 9, 14, 1, 3, 4, 7, 11, 6, 30) * 3


def _options(**options) -> TrainOptions:
    return TrainOptions(
        **{"units": 4, "embedding_size": SIZE, "linear_steps": STEPS, "batch_size": 8} | options
    )


IDS = ["complete", "missing values"]


@pytest.fixture(scope="module", params=[False, True], ids=IDS)
def missing(request) -> bool:
    return request.param


@pytest.fixture(scope="module")
def made(missing) -> list[samples.Sample]:
    return samples.make(2, LENGTHS, missing=missing)


@pytest.fixture(scope="module")
def path(made, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("linear") / "shard"
    return samples.write(file, [samples.record(sample) for sample in made])


class Start(NamedTuple):
    """The oracle's start: rows [N, D], their mean, the components' directions, and the weights."""

    rows: np.ndarray
    mean: np.ndarray
    directions: np.ndarray
    weight: np.ndarray
    covariance: np.ndarray

    def embed(self) -> np.ndarray:
        return (self.rows - self.mean) * self.weight @ self.directions.T

    def outputs(self, made: list[samples.Sample], steps: int) -> list[np.ndarray]:
        grids = self.mean[: steps * F] + self.embed() @ self.directions[:, : steps * F]
        return [
            oracle.resample(grid.reshape(steps, F), len(sample.values))
            for grid, sample in zip(grids, made, strict=True)
        ]

    def error(self, made: list[samples.Sample], steps: int) -> float:
        observed = None if made[0].observed is None else [s.observed for s in made]
        return oracle.mean_squared_error(
            [s.values for s in made], self.outputs(made, steps), observed
        )


def _start(made: list[samples.Sample], share: float, steps: int = STEPS) -> Start:
    """The principal components of grid and statistics, the latter with a share of the variance."""
    rows = np.stack([oracle.resample(s.values, steps, s.observed).ravel() for s in made])
    return _components(rows, _standardised(made, made), share, steps)


def _standardised(made: list[samples.Sample], by: list[samples.Sample]) -> np.ndarray:
    """The statistics of sequences, standardised by those of sequences."""
    described, others = (
        np.stack([oracle.statistics(s.values, s.observed) for s in each]) for each in (made, by)
    )
    spread = others.std(axis=0)
    scale = np.where(spread > 1e-3, spread, 0.0)
    return oracle.standardised_statistics(described, others.mean(axis=0), scale)


def _components(rows: np.ndarray, z: np.ndarray, share: float, steps: int) -> Start:
    sums = shrinkage_pca.RowSums(rows.mean(axis=0), rows.shape[1])
    sums.add(rows)
    grid = shrinkage_pca.shrink(sums.stats(), steps)
    plain = np.cov(rows.T, bias=True)
    if share == 0.0:
        covariance = grid if steps == STEPS else plain
        directions = shrinkage_pca.components(covariance, SIZE)
        return Start(rows, rows.mean(axis=0), directions, np.ones(rows.shape[1]), covariance)
    both = np.concatenate([rows, z], axis=1)
    covariance = np.cov(both.T, bias=True)
    # The grid's with itself is shrunk towards another by r, and its own with the rest to 0 by r.
    off = ~np.eye(len(plain), dtype=bool)
    target = np.kron(
        np.einsum("kflf->kl", plain.reshape(steps, F, steps, F)),
        np.einsum("kfkg->fg", plain.reshape(steps, F, steps, F)),
    ) / np.trace(plain)
    r = ((grid - plain)[off] @ (target - plain)[off]) / np.square((target - plain)[off]).sum()
    n = len(plain)
    covariance[:n, :n] = grid
    covariance[:n, n:] *= 1.0 - r
    covariance[n:, :n] *= 1.0 - r
    variances = np.diag(covariance)
    weight = np.ones(len(covariance))
    weight[n:] = np.sqrt(share / (1.0 - share) * variances[:n].sum() / variances[n:].sum())
    scaled = weight[:, np.newaxis] * covariance * weight
    directions = shrinkage_pca.components(scaled, SIZE)
    return Start(both, both.mean(axis=0), directions, weight, scaled)


def _chosen(made: list[samples.Sample]) -> Start:
    """The start of the largest share that reconstructs every fourth sequence better than a PCA."""
    held_out = made[3::4]
    most = [sample for place, sample in enumerate(made) if place % 4 != 3]

    def error(share: float, steps: int) -> float:
        start = _components(
            *(
                np.stack([oracle.resample(s.values, steps, s.observed).ravel() for s in most]),
                _standardised(most, made), share, steps,
            )
        )  # fmt: skip
        rows = np.stack([oracle.resample(s.values, steps, s.observed).ravel() for s in held_out])
        if share:
            rows = np.concatenate([rows, _standardised(held_out, made)], axis=1)
        return start._replace(rows=rows).error(held_out, steps)

    at_most = linear_path.AT_MOST * error(0.0, 16)
    shares = (share for share in linear_path.SHARES if error(share, STEPS) <= at_most)
    return _start(made, next(shares, 0.0))


REMASKED = {"encoder": "gru", "decoder": "teacher", "layers": 2}
mostly_missing = pytest.mark.parametrize(
    "missing", [pytest.param(False, marks=pytest.mark.full), True], indirect=True, ids=IDS
)


@pytest.mark.parametrize(
    ("missing", "strategy", "shape"),
    [
        (False, "crop", {}),
        pytest.param(False, "remask", REMASKED, marks=pytest.mark.full),
        pytest.param(False, "equal_length", {}, marks=pytest.mark.full),
        (True, "crop", {}),
        (True, "remask", REMASKED),
        (True, "equal_length", {}),
    ],
    indirect=["missing"],
    ids=str,
)
def test_training_starts_at_the_error_of_the_components(made, missing, path, strategy, shape):
    options = _options(padding=strategy, **shape)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    trainer.model.start(samples.read(path, missing=missing, batch_size=7), seed=0)
    expected = _chosen(made).error(made, STEPS)
    batches = samples.filled(samples.read(path, missing=missing, batch_size=5), np.nan, extra=3)
    for sums in (trainer.evaluate(batches), trainer.measure(batches)):
        assert mean_of(sums, LOSS) == pytest.approx(expected, rel=1e-5)


def test_the_code_is_turned_and_scaled_to_a_mean_variance_of_1(made, missing, path):
    built = LinearPath(features=F, steps=STEPS, size=SIZE)
    batches = samples.read(path, missing=missing)
    built.start_at(batches, seed=0)
    [batch] = batches
    embedding = built.encode(batch).numpy()
    start = _chosen(made)
    plain = start.embed()
    np.testing.assert_allclose(embedding.mean(axis=0), 0.0, atol=1e-5)

    def distances(points: np.ndarray) -> np.ndarray:
        return np.linalg.norm(points[:, np.newaxis] - points, axis=2)

    scale = distances(embedding).sum() / distances(plain).sum()
    np.testing.assert_allclose(distances(embedding), scale * distances(plain), rtol=0, atol=1e-4)
    variance = np.einsum("nd,de,ne->n", start.directions, start.covariance, start.directions)
    assert scale == pytest.approx(1.0 / np.sqrt(variance.mean()), rel=1e-4)


@pytest.mark.parametrize("size", [STEPS * F, STEPS * F + 4])
def test_a_code_as_long_as_the_grid_loses_nothing_of_it(size):
    sequences = [sample.values for sample in samples.make(4, [STEPS] * 30)]
    values, length = samples.pad(sequences)
    built = LinearPath(features=F, steps=STEPS, size=size)
    built.start_at(_batches(values, length), seed=3)
    embedding = built.encode(SequenceBatch.complete(values, length))
    np.testing.assert_allclose(built.decode(embedding, length, STEPS), values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("length", [1, 4])
def test_sequences_that_are_all_the_same_are_their_mean(length):
    values, lengths = samples.pad([np.full((length, F), 2.0, np.float32)] * 3)
    built = LinearPath(features=F, steps=STEPS, size=SIZE)
    built.start_at(_batches(values, lengths), seed=0)
    embedding = built.encode(SequenceBatch.complete(values, lengths))
    np.testing.assert_allclose(embedding, 0.0, atol=1e-6)
    np.testing.assert_allclose(built.decode(embedding, lengths, length), values, rtol=0, atol=1e-6)


@mostly_missing
def test_the_same_seed_starts_the_same_and_another_turns_the_code(path, missing):
    weights = []
    for seed in (0, 0, 1):
        built = LinearPath(features=F, steps=STEPS, size=SIZE)
        built.start_at(samples.read(path, missing=missing, batch_size=4), seed)
        weights.append(built.to_embedding.get_weights())
    assert all((a == b).all() for a, b in zip(weights[0], weights[1], strict=True))
    assert np.abs(weights[0][0] - weights[2][0]).max() > 1e-3


@mostly_missing
def test_the_recurrence_learns_what_is_left_over(path, missing, tmp_path):
    """From 0: both of its last layers move with the first update, all others with the second."""
    options = _options(learning_rate=1e-2, epochs=6, patience=6)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    trainer.model.start(samples.read(path, missing=missing), seed=0)
    trained = trainer.model.trainable_weights
    before = [weight.numpy() for weight in trained]
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: samples.read(path, missing=missing, shuffle_seed=epoch),
        eval_batches=lambda: samples.read(path, missing=missing),
        options=options,
        checkpoints=Checkpoints(tmp_path, "x"),
        on_epoch=lambda epoch: None,
    )
    assert [epoch.epoch for epoch in history] == list(range(7))
    assert fit_loop.best_epoch(history).masked_mse < 0.98 * history[0].masked_mse
    for one, other in zip(before, trained, strict=True):
        assert (one != other.numpy()).any()


@mostly_missing
def test_a_training_that_only_gets_worse_keeps_its_start(path, missing, tmp_path):
    options = _options(learning_rate=3.0, epochs=4, patience=2)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    trainer.model.start(samples.read(path, missing=missing), seed=0)
    before = trainer.model.get_weights()
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: samples.read(path, missing=missing),
        eval_batches=lambda: samples.read(path, missing=missing),
        options=options,
        checkpoints=Checkpoints(tmp_path, "x"),
        on_epoch=lambda epoch: None,
    )
    # Patience is counted among the epochs that trained.
    assert history[-1].epoch == min(4, fit_loop.best_epoch(history[1:]).epoch + 2)
    assert fit_loop.best_epoch(history).epoch == 0
    for one, other in zip(before, trainer.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_missing_value_is_not_a_zero():
    """A line has the same embedding without one of its values, but for the share observed."""
    built = LinearPath(features=1, steps=STEPS, size=SIZE)
    kernel, bias = built.to_embedding.get_weights()
    kernel[-2] = 0.0  # The last one is of log(length).
    built.to_embedding.set_weights([kernel, bias])
    line = tf.reshape(tf.range(1.0, 8.0), [1, 7, 1])
    length = tf.constant([7], tf.int64)
    weight = tf.reshape(tf.constant([1.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0]), [1, 7, 1])
    expected = built.encode(SequenceBatch.complete(line, length)).numpy()
    actual = built.encode(SequenceBatch(line * weight, length, weight)).numpy()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-6)
    as_zeros = built.encode(SequenceBatch.complete(line * weight, length)).numpy()
    assert np.abs(as_zeros - expected).max() > 1e-2


def test_the_grid_has_fewer_steps_where_there_are_many_features():
    assert linear_path.grid_steps(32, 64) == 32
    assert linear_path.grid_steps(32, 65) == 31
    assert linear_path.grid_steps(32, 1024) == 2
    assert linear_path.grid_steps(32, 1025) == 0
    assert linear_path.grid_steps(0, 1) == 0


@pytest.mark.parametrize(
    ("features", "tokens", "number"),
    [(1, 0, 22), (58, 0, 1219), (59, 0, 1240), (60, 0, 0), (40, 10, 951), (58, 10, 0)],
)
def test_statistics_of_too_many_features_are_left_out(features, tokens, number):
    steps = linear_path.grid_steps(32, features)
    built = LinearPath(features=features, steps=steps, size=SIZE, tokens={"word": tokens})
    assert built.to_embedding.kernel.shape[0] == steps * features + number
    assert (built.statistics is None) == (number == 0)


def test_the_start_is_of_the_grid_alone_without_statistics():
    features, steps = 85, linear_path.grid_steps(32, 85)
    built = LinearPath(features=features, steps=steps, size=SIZE)
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(length, features)).astype(np.float32) for length in (3, 9, 4, 5)]
    batch = samples.batch(sequences)
    built.start_at(tf.data.Dataset.from_tensors(batch), seed=0)
    assert np.isfinite(built.encode(batch)).all()


@pytest.mark.parametrize("options", [{"linear_steps": 0}, {"padding": "keras"}], ids=str)
def test_a_model_without_the_path_is_left_as_it_was_drawn(options, path, missing):
    keras.utils.set_random_seed(0)
    built = architecture.build(features=F, options=_options(**options))
    before = built.get_weights()
    built.start(samples.read(path, missing=missing), seed=0)
    assert built.linear is None
    for one, other in zip(before, built.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def _batches(values: tf.Tensor, length: tf.Tensor) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensors(SequenceBatch.complete(values, length))
