import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.signatures import (
    ABSOLUTE,
    LAST_VALUE,
    MODEL,
    SEQUENCE_MEAN,
    SQUARED,
    TRAINING_MEAN,
    error_sum,
)
from ragline.components.train import terms
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.objective import loss
from ragline.components.train.options import HeadOptions

FILLS = (0.0, 1e9, 1e38, float("nan"), float("inf"))


def _batch(seed: int, lengths: list[int], fill: float, extra: int = 0, features: int = 3):
    """Targets, outputs [B, T, F], weight [B, T]; padding holds `fill`."""
    rng = np.random.default_rng(seed)
    sequences = [rng.normal(size=(length, features)).astype(np.float32) for length in lengths]
    outputs = [rng.normal(size=(length, features)).astype(np.float32) for length in lengths]
    steps = max(lengths) + extra
    shape = (len(lengths), steps, features)
    padded, padded_outputs = np.full(shape, fill, np.float32), np.full(shape, fill, np.float32)
    weight = np.zeros(shape[:2], np.float32)
    for row, length in enumerate(lengths):
        padded[row, :length], padded_outputs[row, :length] = sequences[row], outputs[row]
        weight[row, :length] = 1.0
    return sequences, outputs, padded, padded_outputs, weight


lengths_of_batches = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@settings(deadline=None, max_examples=sampled(60))
@given(
    seed=st.integers(0, 2**16),
    lengths=lengths_of_batches,
    fill=st.sampled_from(FILLS),
    extra=st.integers(0, 5),
)
def test_loss_is_the_mean_over_valid_values_whatever_the_padding(seed, lengths, fill, extra):
    sequences, outputs, padded, padded_outputs, weight = _batch(seed, lengths, fill, extra)
    total, count = loss.error_sums(
        "squared", tf.constant(padded), tf.constant(padded_outputs), tf.constant(weight)
    )
    assert float(count) == sum(lengths) * 3
    expected = oracle.mean_squared_error(sequences, outputs)
    assert float(total) / float(count) == pytest.approx(expected, rel=1e-6)


@settings(deadline=None, max_examples=sampled(60))
@given(seed=st.integers(0, 2**16), lengths=lengths_of_batches, fill=st.sampled_from(FILLS))
def test_gradient_at_padding_is_exactly_zero_and_finite_elsewhere(seed, lengths, fill):
    *_, padded, padded_outputs, weight = _batch(seed, lengths, fill, extra=2)
    targets, outputs = tf.Variable(padded), tf.Variable(padded_outputs)
    with tf.GradientTape() as tape:
        total, count = loss.error_sums("squared", targets, outputs, tf.constant(weight))
        value = total / count
    for gradient in tape.gradient(value, [targets, outputs]):
        gradient = gradient.numpy()
        assert (gradient[weight == 0] == 0.0).all()
        assert np.isfinite(gradient).all()
        assert (gradient[weight > 0] != 0.0).any()


def test_a_missing_value_counts_neither_in_the_sum_nor_in_the_count():
    rng = np.random.default_rng(0)
    targets, outputs = rng.normal(size=(2, 2, 4, 3)).astype(np.float32)
    observed = rng.random((2, 4, 3)) > 0.3
    total, count = loss.error_sums(
        "squared",
        tf.constant(np.where(observed, targets, np.nan)),
        tf.constant(outputs),
        tf.constant(observed.astype(np.float32)),
    )
    assert float(count) == observed.sum()
    expected = np.square(outputs.astype(np.float64) - targets)[observed].sum()
    assert float(total) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_sums_over_batches_of_any_size_give_one_mean(batch_size):
    rng = np.random.default_rng(1)
    lengths = list(rng.integers(1, 40, 100))
    sequences, outputs, padded, padded_outputs, weight = _batch(2, lengths, float("nan"))
    total = count = 0.0
    for start in range(0, len(lengths), batch_size):
        rows = slice(start, start + batch_size)
        sums = loss.error_sums(
            "squared",
            tf.constant(padded[rows]),
            tf.constant(padded_outputs[rows]),
            tf.constant(weight[rows]),
        )
        total, count = total + float(sums[0]), count + float(sums[1])
    assert total / count == pytest.approx(oracle.mean_squared_error(sequences, outputs), rel=1e-6)


def test_a_weight_of_one_number_a_sequence_is_refused():
    values = tf.zeros([4, 4, 2])  # B == T, where Keras would weigh time and say nothing.
    with pytest.raises(ValueError, match=r"expected values \[B, T, F\] with a weight"):
        loss.error_sums("squared", values, values, tf.ones([4]))


@pytest.mark.parametrize("missing", [False, True])
def test_sums_by_sequence_agree_with_the_oracle(missing):
    lengths = [5, 1, 9, 3]
    sequences, outputs, padded, padded_outputs, weight = _batch(3, lengths, float("nan"))
    observed = [np.ones(values.shape, bool) for values in sequences]
    if missing:
        rng = np.random.default_rng(4)
        observed = [rng.random(values.shape) > 0.4 for values in sequences]
        weight = np.zeros(padded.shape, np.float32)
        for row, seen in enumerate(observed):
            weight[row, : len(seen)] = seen
    sums = loss.sums_by_sequence(
        SequenceBatch(tf.constant(padded), tf.constant(lengths, tf.int64), tf.constant(weight)),
        tf.constant(padded_outputs),
        tf.zeros([4, 2]),
    )
    for row, (values, output, seen) in enumerate(zip(sequences, outputs, observed, strict=True)):
        values = values.astype(np.float64)
        for predictor, predicted in (
            (MODEL, output),
            (TRAINING_MEAN, np.zeros_like(values)),
            (SEQUENCE_MEAN, oracle.sequence_means(values, seen)),
            (LAST_VALUE, oracle.last_values(values, seen)),
        ):
            errors = np.where(seen, predicted - values, 0.0)
            squared = sums[error_sum(predictor, SQUARED)].numpy()[row]
            absolute = sums[error_sum(predictor, ABSOLUTE)].numpy()[row]
            expected = np.square(errors).sum(axis=0)
            np.testing.assert_allclose(squared, expected, rtol=1e-12, atol=1e-12)
            assert absolute == pytest.approx(np.abs(errors).sum(), rel=1e-12, abs=1e-12)
        assert sums["values"].numpy()[row] == seen.sum()
        assert sums["feature_values"].numpy()[row].tolist() == seen.sum(axis=0).tolist()
        total = np.where(seen, values, 0.0).sum(axis=0)
        np.testing.assert_allclose(sums["feature_sum"].numpy()[row], total, atol=1e-12)
        assert sums["steps"].numpy()[row] == len(values)


@pytest.mark.parametrize("where", ["embedding", "valid step", "padding"])
def test_finite_sequences_sees_every_value_that_counts_and_no_other(where):
    embedding, outputs = np.zeros((2, 3), np.float32), np.zeros((2, 4, 1), np.float32)
    if where == "embedding":
        embedding[1, 2] = np.nan
    else:
        outputs[1, 1 if where == "valid step" else 3] = np.inf
    sums = loss.sums_by_sequence(
        SequenceBatch.complete(tf.zeros([2, 4, 1]), tf.constant([4, 2], tf.int64)),
        tf.constant(outputs),
        tf.constant(embedding),
    )
    assert sums["finite_sequences"].numpy().tolist() == [1.0, float(where == "padding")]


@settings(deadline=None, max_examples=sampled(60))
@given(
    seed=st.integers(0, 2**16),
    lengths=lengths_of_batches,
    fill=st.sampled_from(FILLS),
    share=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
)
def test_the_last_value_is_that_of_the_last_step_before_in_which_it_was_observed(
    seed, lengths, fill, share
):
    sequences, _, padded, padded_outputs, _ = _batch(seed, lengths, fill, extra=1)
    rng = np.random.default_rng(seed)
    observed = [rng.random(values.shape) >= share for values in sequences]
    weight = np.zeros(padded.shape, np.float32)
    for row, seen in enumerate(observed):
        weight[row, : len(seen)] = seen
    sums = loss.sums_by_sequence(
        SequenceBatch(tf.constant(padded), tf.constant(lengths, tf.int64), tf.constant(weight)),
        tf.constant(padded_outputs),
        tf.zeros([len(lengths), 1]),
    )
    for row, (values, seen) in enumerate(zip(sequences, observed, strict=True)):
        values = values.astype(np.float64)
        errors = np.where(seen, oracle.last_values(values, seen) - values, 0.0)
        actual = sums[error_sum(LAST_VALUE, SQUARED)].numpy()[row]
        np.testing.assert_allclose(actual, np.square(errors).sum(axis=0), rtol=1e-12, atol=1e-12)


def test_what_a_sequence_adds_to_a_head_s_metrics_is_what_the_head_s_loss_is_made_of():
    rng = np.random.default_rng(5)
    kind = HeadOptions(name="kind", column="c", type="classification", classes=("a", "b", "c"))
    grade = HeadOptions(name="grade", column="g", type="regression")
    weight = tf.constant([1.0, 0.0, 1.0, 1.0, 0.0])
    label = tf.constant([0, 1, 2, 1, 0], tf.int64)
    logits = rng.normal(size=(5, 3)).astype(np.float32)
    sums = terms.of(kind).sums_by_sequence(label, tf.constant(logits), weight)
    expected = [oracle.cross_entropy(logits[row], int(label[row])) for row in (0, 2, 3)]
    actual = sums["head_kind_loss"].numpy()
    np.testing.assert_allclose(actual[[0, 2, 3]], expected, rtol=1e-12)
    assert actual[[1, 4]].tolist() == [0.0, 0.0]
    right = logits.argmax(axis=1) == label.numpy()
    assert sums["head_kind_right"].numpy().tolist() == (right * weight.numpy()).tolist()
    assert sums["head_kind_labelled"].numpy().tolist() == weight.numpy().tolist()
    target, output = rng.normal(size=5).astype(np.float32), rng.normal(size=(5, 1))
    output = output.astype(np.float32)
    sums = terms.of(grade).sums_by_sequence(
        tf.where(weight > 0, target, np.nan), tf.constant(output), weight
    )
    errors = np.square(output[:, 0].astype(np.float64) - target) * weight.numpy()
    np.testing.assert_allclose(sums["head_grade_loss"].numpy(), errors, rtol=1e-12)
    assert set(sums) == {"head_grade_loss", "head_grade_labelled"}
