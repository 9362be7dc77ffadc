"""The statistics that an embedding is trained to tell: exact, blind to padding, not judged."""

import numpy as np
import pytest
import tensorflow as tf
from train import samples
from train.samples import FILLS, F, Sample

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model.linear_path import LinearPath
from ragline.components.train.model.statistics_head import StatisticsHead
from ragline.components.train.objective import statistics, trivial_baselines
from ragline.components.train.options import TrainOptions

LENGTHS = (1, 2, 5, 9, 14, 1, 3, 4, 7, 11, 6, 30)
SIZE = 3


def _described(sample: Sample) -> np.ndarray:
    """The oracle: NumPy, float64, of one sequence without padding."""
    seen = np.ones(sample.values.shape, bool) if sample.observed is None else sample.observed
    columns = [column[there] for column, there in zip(sample.values.T, seen.T, strict=True)]
    columns = [column.astype(np.float64) if len(column) else np.zeros(1) for column in columns]
    of_each = (np.mean, np.std, np.min, np.max)
    described = [[each(column) for column in columns] for each in of_each]
    return np.array([*np.ravel(described), np.log(len(sample.values))])


@pytest.fixture(scope="module", params=[False, True], ids=["complete", "missing values"])
def made(request) -> list[Sample]:
    return samples.make(3, LENGTHS, missing=request.param)


@pytest.fixture(scope="module")
def path(made, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("statistics") / "shard"
    return samples.write(file, map(samples.record, made))


def _read(path: str, made: list[Sample], **options) -> tf.data.Dataset:
    return samples.read(path, missing=made[0].observed is not None, **options)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("extra", [0, 3])
def test_statistics_are_the_oracles_whatever_the_padding_holds(made, path, fill, extra):
    batches = samples.filled(_read(path, made, batch_size=5), fill, extra)
    actual = np.concatenate([statistics.describe(batch) for batch in batches])
    assert actual.shape[1] == statistics.size_of(F)
    np.testing.assert_allclose(actual, [_described(s) for s in made], rtol=1e-6, atol=1e-6)


def test_a_feature_never_observed_and_one_far_off_are_finite():
    values = tf.constant([[[1e30, 5.0], [-1e30, 5.0], [0.0, 0.0]]])
    weight = tf.constant([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    batch = SequenceBatch(values, tf.constant([2], tf.int64), weight)
    expected = [[0.0, 0.0, 1e30, 0.0, -1e30, 0.0, 1e30, 0.0, np.log(2.0)]]
    np.testing.assert_allclose(statistics.describe(batch), expected, rtol=1e-6)


def test_the_map_starts_at_the_least_squares_of_the_linear_path(made, path):
    head, linear = StatisticsHead(features=F, size=SIZE), LinearPath(features=F, steps=4, size=SIZE)
    [batch] = _read(path, made)
    linear.start_at(_read(path, made), seed=0)
    head.start_at(_read(path, made, batch_size=5), linear)
    described = np.array([_described(sample) for sample in made])
    scaled = (described - described.mean(axis=0)) / described.std(axis=0)
    codes = linear.encode(batch).numpy().astype(np.float64)
    inputs = np.hstack([codes, np.ones((len(made), 1))])
    left = scaled - inputs @ np.linalg.lstsq(inputs, scaled, rcond=None)[0]
    actual = head.errors(linear.encode(batch), batch)
    np.testing.assert_allclose(actual, np.square(left).mean(axis=1), rtol=0, atol=1e-4)


def test_without_a_linear_path_it_starts_at_the_mean_and_constants_have_no_error():
    batch = samples.batch([np.full((length, F), 2.0, np.float32) for length in (3, 3, 8)])
    head = StatisticsHead(features=F, size=SIZE)
    head.start_at(tf.data.Dataset.from_tensors(batch), None)
    assert not head.to_statistics.kernel.numpy().any()
    length = np.log([3.0, 3.0, 8.0])
    expected = np.square((length - length.mean()) / length.std()) / statistics.size_of(F)
    errors = head.errors(tf.ones([3, SIZE]), batch)
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


def test_training_tells_them_better_and_no_epoch_is_chosen_by_it(tmp_path):
    made = samples.make(3, LENGTHS)
    batches = samples.read(samples.write(tmp_path / "shard", map(samples.record, made)))
    [batch] = batches
    described, errors = statistics.describe(batch).numpy(), {}
    for weight in (0.0, 10.0):
        options = TrainOptions(units=4, embedding_size=SIZE, linear_steps=4, statistics=weight)
        trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
        trainer.start(batches)
        for _ in range(20):
            trainer.update(batches)
        judged = trivial_baselines.measure(batches, lambda: batches, trainer.terms)
        assert [*judged.errors] == ["normalised_mse"]
        inputs = np.hstack([trainer.model.encode(batch).numpy(), np.ones((len(made), 1))])
        left = described - inputs @ np.linalg.lstsq(inputs, described, rcond=None)[0]
        errors[weight] = float(np.square(left / described.std(axis=0)).mean())
    assert errors[10.0] < 0.9 * errors[0.0]
