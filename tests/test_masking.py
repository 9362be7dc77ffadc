"""Tests of the masked mean against an oracle that deletes the padding: NumPy, float64."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract import masking, relative

FILLS = (0.0, 1e9, 1e38, np.nan, np.inf, -np.inf)
WEIGHTS = (0.0, 0.5, 1.0, 3.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A batch with a fill wherever nothing counts.

    Attributes:
      values: float32 [B, T, F].
      weight: float32 [B, T] or [B, T, F].
      per_value: the weight as [B, T, F].
    """

    values: np.ndarray
    weight: np.ndarray
    per_value: np.ndarray


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Lengths 0 to T, whole steps or single values weighted, any fill where the weight is 0."""
    batch, steps, features = (draw(st.integers(1, high)) for high in (4, 5, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    lengths = np.array(draw(st.lists(st.integers(0, steps), min_size=batch, max_size=batch)))
    valid = np.arange(steps) < lengths[:, np.newaxis]
    shape = draw(st.sampled_from([(batch, steps), (batch, steps, features)]))
    choices = draw(st.sampled_from([(1.0,), (0.0, 1.0), WEIGHTS]))
    weight = random.choice(choices, shape) * valid.reshape(valid.shape + (1,) * (len(shape) - 2))
    per_value = np.broadcast_to(
        weight if weight.ndim == 3 else weight[..., np.newaxis], (batch, steps, features)
    )
    values = random.uniform(-10, 10, (batch, steps, features))
    values = np.where(per_value > 0, values, draw(st.sampled_from(FILLS)))
    return Case(
        values=values.astype(np.float32), weight=weight.astype(np.float32), per_value=per_value
    )


def _oracle(case: Case) -> tuple[float, float]:
    """(sum, count), of the values that are left once all others are deleted."""
    kept = case.per_value > 0
    weight = case.per_value[kept].astype(np.float64)
    return float(np.sum(weight * case.values[kept].astype(np.float64))), float(np.sum(weight))


def _mean_and_gradient(case: Case) -> tuple[float, np.ndarray]:
    values = tf.constant(case.values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        mean = masking.masked_mean(*masking.masked_sum(values, tf.constant(case.weight)))
    return float(mean), tape.gradient(mean, values).numpy()


@given(cases())
@settings(max_examples=sampled(100), deadline=None)
def test_sum_count_and_mean_are_those_without_the_padding(case: Case) -> None:
    total, count = masking.masked_sum(tf.constant(case.values), tf.constant(case.weight))
    expected_total, expected_count = _oracle(case)
    assert total.dtype == count.dtype == tf.float32
    np.testing.assert_allclose(total, expected_total, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(count, expected_count, rtol=1e-6)
    mean = masking.masked_mean(total, count)
    expected = expected_total / expected_count if expected_count else 0.0
    np.testing.assert_allclose(mean, expected, rtol=1e-5, atol=1e-4)
    assert relative.masked_mean_of(expected_total, expected_count) == expected


@given(cases())
@settings(max_examples=sampled(100), deadline=None)
def test_gradient_is_weight_by_count_and_exactly_zero_where_nothing_counts(case: Case) -> None:
    _, gradient = _mean_and_gradient(case)
    _, count = _oracle(case)
    assert np.isfinite(gradient).all()
    assert (gradient[case.per_value == 0] == 0.0).all()
    np.testing.assert_allclose(gradient * count, case.per_value * (count > 0), rtol=1e-5)


@given(cases(), st.integers(1, 3), st.sampled_from(FILLS))
@settings(max_examples=sampled(50), deadline=None)
def test_extra_padding_changes_nothing(case: Case, extra: int, fill: float) -> None:
    def pad(array: np.ndarray, content: float) -> np.ndarray:
        widths = [(0, 0), (0, extra)] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, widths, constant_values=content)

    longer = Case(
        values=pad(case.values, fill),
        weight=pad(case.weight, 0),
        per_value=pad(case.per_value, 0),
    )
    steps = case.values.shape[1]
    mean, gradient = _mean_and_gradient(case)
    longer_mean, longer_gradient = _mean_and_gradient(longer)
    # As close as a sum in another order is.
    np.testing.assert_allclose(longer_mean, mean, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(longer_gradient[:, :steps], gradient)
    assert (longer_gradient[:, steps:] == 0.0).all()


@pytest.mark.parametrize("fill", FILLS)
def test_nothing_counted_gives_zero_and_no_gradient(fill: float) -> None:
    case = Case(
        values=np.full((2, 3, 1), fill, np.float32),
        weight=np.zeros((2, 3), np.float32),
        per_value=np.zeros((2, 3, 1)),
    )
    mean, gradient = _mean_and_gradient(case)
    assert mean == 0.0
    assert (gradient == 0.0).all()
    assert relative.masked_mean_of(0.0, 0.0) == 0.0


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_dtype_is_that_of_the_values(dtype: tf.DType) -> None:
    values = tf.ones((2, 3, 1), dtype)
    total, count = masking.masked_sum(values, tf.constant([[True, False, True]] * 2))
    assert (total.dtype, count.dtype, float(total), float(count)) == (dtype, dtype, 4.0, 4.0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(6, 8))
@settings(max_examples=sampled(25), deadline=None)
def test_mask_is_true_where_a_step_is_valid(lengths: list[int], steps: int) -> None:
    mask = masking.mask_of(tf.constant(lengths), steps).numpy()
    expected = [[step < length for step in range(steps)] for length in lengths]
    assert mask.dtype == bool
    np.testing.assert_array_equal(mask, expected)


def test_mask_comes_from_lengths_not_from_values() -> None:
    values = tf.zeros((1, 3, 2))
    mask = masking.mask_of(tf.constant([2]), tf.shape(values)[1])
    total, count = masking.masked_sum(values + 1.0, tf.cast(mask, tf.float32))
    assert (float(total), float(count)) == (4.0, 4.0)
    assert float(masking.masked_sum(values, tf.cast(mask, tf.float32))[1]) == 4.0


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 2), (2, 3, 2, 2)])
def test_select_gives_zero_where_nothing_counts(shape: tuple[int, ...], fill: float) -> None:
    mask = np.array([[True, False, True], [False, False, True]])
    kept = np.broadcast_to(mask.reshape(mask.shape + (1,) * (len(shape) - 2)), shape)
    values = tf.constant(np.where(kept, 7.0, fill), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        selected = masking.select(tf.constant(mask), values)
        squared = tf.reduce_sum(tf.square(selected))
    np.testing.assert_array_equal(selected, np.where(kept, 7.0, 0.0))
    np.testing.assert_array_equal(tape.gradient(squared, values), np.where(kept, 14.0, 0.0))


def test_counts_says_which_values_count() -> None:
    values = tf.zeros((1, 2, 2))
    by_step = masking.counts(tf.constant([[2.0, 0.0]]), values)
    by_value = masking.counts(tf.constant([[[0.5, 0.0], [0.0, 1.0]]]), values)
    np.testing.assert_array_equal(by_step, [[[True, True], [False, False]]])
    np.testing.assert_array_equal(by_value, [[[True, False], [False, True]]])


@pytest.mark.parametrize(
    ("values", "weight"),
    [
        ((4, 3, 2), (4,)),
        ((4, 4, 2), (4,)),  # B == T: here Keras would weight time, and say nothing.
        ((4, 4, 2), ()),
        ((4, 3, 2), (4, 3, 2, 1)),
        ((4, 3), (4, 3)),
        ((4, 3, 2), (4, 1)),
        ((4, 3, 2), (1, 3)),
        ((4, 3, 2), (4, 3, 1)),
        ((4, 3, 2), (3, 4)),
    ],
)
def test_a_weight_that_would_be_broadcast_is_refused(
    values: tuple[int, ...], weight: tuple[int, ...]
) -> None:
    for function in (
        masking.masked_sum,
        lambda values, weight: masking.counts(weight, values),
    ):
        with pytest.raises(
            ValueError, match=r"expected values \[B, T, F\] with a weight \[B, T\] or \[B, T, F\]"
        ):
            function(tf.ones(values), tf.ones(weight))


def test_unknown_sizes_are_taken_and_unknown_ranks_refused() -> None:
    def trace(rank: int | None) -> tf.types.experimental.ConcreteFunction:
        shape = None if rank is None else [None] * rank
        signature = [tf.TensorSpec([None] * 3), tf.TensorSpec(shape)]
        return tf.function(masking.masked_sum, input_signature=signature).get_concrete_function()

    total, count = trace(2)(tf.ones((2, 3, 2)), tf.constant([[1.0, 1.0, 0.0]] * 2))
    assert (float(total), float(count)) == (8.0, 8.0)
    for rank in (1, None):
        with pytest.raises(ValueError, match=r"with a weight \[B, T\] or \[B, T, F\], received"):
            trace(rank)


def test_mean_on_the_host_is_the_mean_in_the_graph() -> None:
    for total, count in ((7.0, 3.0), (1e30, 7.0), (0.0, 0.0)):
        graph = masking.masked_mean(tf.constant(total, tf.float64), tf.constant(count, tf.float64))
        assert float(graph) == relative.masked_mean_of(total, count)
