"""The four errors under the four averages, read through the real input, beside the oracle."""

from collections.abc import Iterable

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from train import samples
from train.samples import FILLS, F, Sample

from ragline.components.contract.masking import masked_mean
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.records import Records
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.objective import loss
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

ERRORS = ("squared", "absolute", "huber", "log_cosh")
AVERAGES = ("value", "step", "sequence", "feature")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "shard.gz"


def _write(path, made: list[Sample]) -> str:
    return samples.write(path, [samples.record(sample) for sample in made])


def _outputs(values):
    """Of a model that takes one feature for the other: exact, in NumPy and TensorFlow alike."""
    return values[..., ::-1]


def _feature_weights(made: list[Sample]) -> tuple[float, ...]:
    """Of all sequences; where none can be missing, none are needed."""
    if made[0].observed is None:
        return ()
    numbers = np.sum([one.observed.sum(axis=0) for one in made], axis=0)
    return tuple(input_pipeline.balanced(numbers).tolist())


def _mean(batches: Iterable[SequenceBatch], error: str) -> float:
    """The ratio of the sums over all batches."""
    total = count = 0.0
    for batch in batches:
        sums = loss.error_sums(error, batch.values, _outputs(batch.values), batch.sample_weight)
        total, count = total + float(sums[0]), count + float(sums[1])
    return total / count


# Every average with missing values, the first one also without; `make test-full` has all.
@pytest.mark.parametrize(
    ("average", "missing"),
    [
        pytest.param(
            *(average, missing),
            marks=[] if missing or average == AVERAGES[0] else pytest.mark.full,
        )
        for average in AVERAGES
        for missing in (False, True)
    ],
)
@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.integers(1, 30), min_size=1, max_size=20),
    batch_size=st.sampled_from([1, 3, 7, 256]),
    bucketed=st.booleans(),
    scale=st.sampled_from([1e-3, 1.0, 1e4]),
    fill=st.sampled_from(FILLS),
)
def test_the_loss_equals_the_oracle_in_batches_of_any_size(
    path, average, missing, seed, lengths, batch_size, bucketed, scale, fill
):
    made = samples.make(seed, lengths, missing=missing, scale=scale)
    if missing:  # Somewhere a value is there.
        made.append(Sample(values=np.ones((1, F), np.float32), observed=np.array([[True, False]])))
    similar = batching.plan_similar_length(np.array(lengths), batch_size, F)
    read = {"plan": similar} if bucketed else {"batch_size": batch_size}
    read |= {"average": average, "feature_weights": _feature_weights(made)}
    batches = list(samples.filled(samples.read(_write(path, made), missing=missing, **read), fill))
    values = [sample.values for sample in made]
    observed = [sample.observed for sample in made] if missing else None
    outputs = [_outputs(sample) for sample in values]
    for error in ERRORS:
        expected = oracle.mean_error(values, outputs, observed, error=error, average=average)
        assert _mean(batches, error) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("average", "expected"), [("value", 5.5), ("step", 7), ("sequence", 9)])
def test_each_average_by_a_worked_example(path, average, expected):
    """Three sequences and their squared errors, `-` where the value is missing:

        a  step 0   1  1      b  step 0   - 16      c  step 0   -  -
           step 1   4  -
           step 2   -  -

    value     each of the four values alike: (1 + 1 + 4 + 16) / 4 = 5.5
    step      each step's mean alike: ((1 + 1) / 2 + 4 + 16) / 3 = 7
    sequence  each sequence's mean alike: ((1 + 1 + 4) / 3 + 16) / 2 = 9

    Step 2 of a, and all of c, have no value and do not count; nothing of them is NaN.
    """
    made = [
        Sample(values=np.nan_to_num(values), observed=np.isfinite(values))
        for values in (
            np.array([[1, -1], [2, np.nan], [np.nan, np.nan]], np.float32),
            np.array([[np.nan, 4]], np.float32),
            np.array([[np.nan, np.nan]], np.float32),
        )
    ]
    for batch_size in (1, 2, 3):
        total = count = 0.0
        for batch in samples.read(
            _write(path, made), missing=True, batch_size=batch_size, average=average
        ):
            zeros = tf.zeros_like(batch.values)
            sums = loss.error_sums("squared", batch.values, zeros, batch.sample_weight)
            total, count = total + float(sums[0]), count + float(sums[1])
        assert total / count == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("missing", [False, True])
def test_the_weights_of_features_are_those_of_the_split(path, missing):
    """The second feature is observed in one of ten steps; 11 / (2 * 10) and 11 / (2 * 1)."""
    values = np.arange(20, dtype=np.float32).reshape(10, 2)
    observed = np.ones((10, 2), bool)
    observed[1:, 1] = False
    made = [Sample(values=values, observed=observed if missing else None)]
    lengths, spec = np.array([10]), samples.SPEC | (samples.OBSERVED if missing else {})
    records = Records(files=(_write(path, made),), lengths=lengths, spec=spec, features=F)
    options = TrainOptions(average="feature", batch_size=4)
    [batch] = records.for_training(options)
    weight = np.broadcast_to(np.atleast_3d(batch.sample_weight.numpy()), (1, 10, 2))
    expected = [[0.55, 5.5]] + [[0.55, 0.0]] * 9 if missing else np.ones((10, 2))
    np.testing.assert_allclose(weight[0], expected, rtol=1e-6)
    [scored] = records.for_metrics(options)
    assert {*scored.sample_weight.numpy().ravel()} <= {0.0, 1.0}


def test_a_feature_that_was_never_observed_has_no_weight():
    np.testing.assert_allclose(input_pipeline.balanced(np.array([9.0, 0.0, 3.0])), [2 / 3, 0.0, 2])


@pytest.mark.parametrize(
    "error",
    [*ERRORS[:2], *(pytest.param(error, marks=pytest.mark.full) for error in ERRORS[2:])],
)
def test_the_trainer_reports_that_loss(path, error):
    options = TrainOptions(units=4, embedding_size=3, linear_steps=4, statistics=0.0, error=error)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    trainer.optimizer = keras.optimizers.SGD(0.0)
    made = samples.make(3, [9, 1, 4, 30, 2], missing=True)
    file = _write(path, made)
    values, observed = [s.values for s in made], [s.observed for s in made]
    weights = trainer.model.get_weights()
    outputs = [oracle.reconstruct(s.values, weights, options, s.observed) for s in made]
    for average in AVERAGES:
        read = {"average": average, "feature_weights": _feature_weights(made)}
        batches = samples.read(file, missing=True, batch_size=2, **read)
        expected = oracle.mean_error(values, outputs, observed, error=error, average=average)
        assert mean_of(trainer.update(batches), LOSS) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("error", ERRORS)
def test_no_error_overflows(error):
    differences = np.array([[[1e4, -1e4], [1e-4, 0.0]]], np.float32)
    outputs = tf.Variable(differences)
    with tf.GradientTape() as tape:
        total, _ = loss.error_sums(error, tf.zeros([1, 2, 2]), outputs, tf.ones([1, 2]))
    assert float(total) == pytest.approx(
        oracle.ERRORS[error](differences.astype(np.float64)).sum(), rel=1e-6
    )
    slope = tape.gradient(total, outputs).numpy()
    expected = {
        "squared": 2 * differences,
        "absolute": np.sign(differences),
        "huber": np.clip(differences, -1, 1),
        "log_cosh": np.tanh(differences),
    }[error]
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("error", ERRORS)
def test_a_batch_without_an_observed_value_has_a_loss_of_0_and_no_gradient(path, average, error):
    nothing = np.zeros((3, F), bool)
    made = [Sample(values=np.zeros((3, F), np.float32), observed=nothing)] * 2
    read = {"average": average, "feature_weights": _feature_weights(made)}
    [batch] = samples.read(_write(path, made), missing=True, **read)
    outputs = tf.Variable(tf.ones_like(batch.values))
    with tf.GradientTape() as tape:
        total, count = loss.error_sums(error, batch.values, outputs, batch.sample_weight)
        mean = masked_mean(total, count)
    assert (float(total), float(count), float(mean)) == (0.0, 0.0, 0.0)
    assert (tape.gradient(mean, outputs).numpy() == 0.0).all()
