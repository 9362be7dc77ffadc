"""Statistics of sequences: exact, blind to padding, standardised, predicted, not judged."""

from collections.abc import Iterable

import numpy as np
import oracle
import pytest
import tensorflow as tf
from train import samples
from train.samples import FILLS, F, Sample

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import sequence_statistics
from ragline.components.train.model.linear_path import LinearPath
from ragline.components.train.model.sequence_statistics import SequenceStatistics
from ragline.components.train.model.statistics_head import StatisticsHead
from ragline.components.train.objective import trivial_baselines
from ragline.components.train.options import TrainOptions

LENGTHS = (1, 2, 5, 9, 14, 1, 3, 4, 7, 11, 6, 30)
SIZE = 3


TOKENS = sequence_statistics.frequent_tokens(samples.VOCABULARIES)


def _described(sample: Sample) -> np.ndarray:
    return oracle.statistics(sample.values, sample.observed, samples.tokens(sample))


def _parts(built: SequenceStatistics, batches: Iterable[SequenceBatch]) -> list[np.ndarray]:
    return [sequence_statistics.describe(batch, built.tokens).numpy() for batch in batches]


def _statistics(made: list[Sample]) -> SequenceStatistics:
    return SequenceStatistics(F, TOKENS if made[0].token_ids else {})


@pytest.fixture(
    scope="module", params=["complete", "missing values", "missing values and categories"]
)
def made(request) -> list[Sample]:
    made = samples.make(3, LENGTHS, missing=request.param != "complete")
    return samples.with_token_ids(5, made) if "categories" in request.param else made


@pytest.fixture(scope="module")
def path(made, tmp_path_factory) -> str:
    file = tmp_path_factory.mktemp("statistics") / "shard"
    return samples.write(file, map(samples.record, made))


def _read(path: str, made: list[Sample], **options) -> tf.data.Dataset:
    names = tuple(made[0].token_ids)
    return samples.read(path, missing=made[0].observed is not None, categories=names, **options)


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("extra", [0, 3])
def test_statistics_are_the_oracles_whatever_the_padding_holds(made, path, fill, extra):
    batches = samples.filled(_read(path, made, batch_size=5), fill, extra)
    built = _statistics(made)
    actual = np.concatenate(
        [sequence_statistics.describe(batch, built.tokens) for batch in batches]
    )
    assert actual.shape[1] == built.size
    np.testing.assert_allclose(actual, [_described(s) for s in made], rtol=1e-6, atol=1e-6)


def test_mean_and_scale_are_those_of_all_sequences_however_they_are_batched(made, path):
    described = np.array([_described(sample) for sample in made])
    spread = described.std(axis=0)
    for size in (1, 5, 64):
        built = _statistics(made)
        batches = _read(path, made, batch_size=size)
        built.start_at(_parts(built, batches))
        np.testing.assert_allclose(built.mean, described.mean(axis=0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(built.scale, np.where(spread > 1e-3, spread, 0.0), rtol=1e-5)
        [batch] = _read(path, made)
        expected = oracle.standardised_statistics(
            described, described.mean(axis=0), np.where(spread > 1e-3, spread, 0.0)
        )
        np.testing.assert_allclose(built(batch), expected, rtol=0, atol=2e-5)
        [part] = _parts(built, [batch])
        np.testing.assert_allclose(built.standardise(part), built(batch), rtol=0, atol=1e-5)


def test_a_feature_never_observed_and_one_far_off_are_finite():
    values = tf.constant([[[1e30, 5.0], [-1e30, 5.0], [0.0, 0.0]]])
    weight = tf.constant([[[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]])
    batch = SequenceBatch(values, tf.constant([2], tf.int64), weight)
    # Mean, deviation, least, most, correlations of which the first is -1, bends, share observed.
    described = [0, 0, 1e30, 0, -1e30, 0, 1e30, 0, -1, *[0] * 31, 1, 0, np.log(2)]
    actual = sequence_statistics.describe(batch, {})
    np.testing.assert_allclose(actual, [described], rtol=1e-6)
    built = SequenceStatistics(2, {})
    z = built(batch).numpy()
    assert np.abs(z).max() == sequence_statistics.FARTHEST


def test_what_varies_by_rounding_alone_is_left_out():
    """Of a value that is nearly the same everywhere, no runtime could agree on the rest."""
    sequences = [np.full((5, F), 1.0 + 1e-7 * place, np.float32) for place in range(9)]
    batch = samples.batch(sequences)
    built = SequenceStatistics(F, {})
    built.start_at(_parts(built, [batch]))
    assert not built.scale.numpy().any()
    assert not built(batch).numpy().any()


def test_the_map_starts_at_the_least_squares_of_the_linear_path(made, path):
    tokens = TOKENS if made[0].token_ids else {}
    linear = LinearPath(features=F, steps=4, size=SIZE, tokens=tokens)
    head = StatisticsHead(features=F, tokens=tokens, size=SIZE, linear=linear)
    [batch] = _read(path, made)
    inputs = linear.start_at(_read(path, made, batch_size=5), seed=0)
    head.start_at(_read(path, made), linear, inputs)
    scaled = linear.statistics(batch).numpy().astype(np.float64)
    codes = linear.encode(batch).numpy().astype(np.float64)
    inputs = np.hstack([codes, np.ones((len(made), 1))])
    left = scaled - inputs @ np.linalg.lstsq(inputs, scaled, rcond=None)[0]
    actual = head.errors(linear.encode(batch), batch)
    np.testing.assert_allclose(actual, np.square(left).mean(axis=1), rtol=0, atol=1e-4)


def test_without_a_linear_path_it_starts_at_the_mean_and_constants_have_no_error():
    batch = samples.batch([np.full((length, F), 2.0, np.float32) for length in (3, 3, 8)])
    head = StatisticsHead(features=F, tokens={}, size=SIZE, linear=None)
    head.start_at(tf.data.Dataset.from_tensors(batch), None, None)
    assert not head.to_statistics.kernel.numpy().any()
    length = np.log([3.0, 3.0, 8.0])
    number = sequence_statistics.size_of(F)
    expected = np.square((length - length.mean()) / length.std()) / number
    errors = head.errors(tf.ones([3, SIZE]), batch)
    np.testing.assert_allclose(errors, expected, rtol=1e-5)


@pytest.mark.full
def test_training_tells_them_better_and_no_epoch_is_chosen_by_it(tmp_path):
    made = samples.make(3, LENGTHS)
    batches = samples.read(samples.write(tmp_path / "shard", map(samples.record, made)))
    [batch] = batches
    described, errors = sequence_statistics.describe(batch, {}).numpy(), {}
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
        spread = described.std(axis=0)
        varies = spread > 0.0  # The correlation by 32 steps does not.
        errors[weight] = float(np.square(left[:, varies] / spread[varies]).mean())
    assert errors[10.0] < 0.9 * errors[0.0]
