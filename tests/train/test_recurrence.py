"""The machine code: its tanh, its products cut to size, and what becomes of NaN."""

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from numba.core.caching import CompileResultCacheImpl

from ragline.components.train.model import recurrence

ULP = float(np.finfo(np.float32).eps)


def test_tanh_and_sigmoid_are_within_four_units_in_the_last_place():
    x = np.concatenate([np.linspace(-20, 20, 200_001), np.geomspace(1e-30, 1, 1_001)])
    x = x.astype(np.float32)
    for added, exact in (
        (recurrence._add_tanh, np.tanh(x.astype(np.float64))),
        (recurrence._add_sigmoid, scipy.special.expit(x.astype(np.float64))),
    ):
        actual = x.copy()
        added(actual, np.zeros_like(x))
        # A sigmoid near 0 is a half less a half: as near as 1 is.
        scale = np.abs(exact) if added is recurrence._add_tanh else 1.0
        np.testing.assert_array_less(np.abs(actual - exact), 4 * ULP * scale + 1e-44)
        assert np.abs(actual).max() <= 1.0 + ULP


def test_nan_stays_nan_and_infinity_saturates():
    actual = np.array([np.nan, np.inf, -np.inf], np.float32)
    recurrence._add_tanh(actual, np.zeros(3, np.float32))
    np.testing.assert_array_equal(actual, [np.nan, 1.0, -1.0])
    inputs = np.zeros((3, 2, 4), np.float32)
    inputs[1, 0] = np.nan
    outputs, *_ = recurrence.forward(inputs, np.ones((1, 4), np.float32), 3)
    np.testing.assert_array_equal(np.isnan(outputs[..., 0]), [[0, 0], [1, 0], [1, 0]])


@pytest.mark.parametrize("rows", [1, 15, 16, 17, 40])
@pytest.mark.parametrize(("inner", "columns"), [(1, 4), (8, 32), (33, 132), (132, 33), (64, 31)])
def test_a_product_is_numpys_whatever_its_size(rows, inner, columns):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
    actual = np.full((rows, columns), np.nan, np.float32)
    block = np.empty((recurrence._ROWS, recurrence._COLUMNS), np.float32)
    weights = recurrence._blocks(right.astype(np.float32))
    recurrence._product(left.astype(np.float32), weights, block, actual)
    np.testing.assert_allclose(actual, left @ right, rtol=0, atol=4 * ULP * inner)


def test_arrays_are_where_tensorflow_takes_them_without_a_copy():
    inputs, recurrent = np.zeros((3, 5, 28), np.float32), np.zeros((7, 28), np.float32)
    outputs, gates, cells = recurrence.forward(inputs, recurrent, 3)
    actual = recurrence.backward(outputs, recurrent, gates, cells)
    assert [array.ctypes.data % 64 for array in (outputs, gates, cells, actual)] == [0] * 4


def _doubled(x):
    for j in range(len(x)):
        x[j] *= 2.0


def test_without_a_place_for_a_cache_it_is_compiled_all_the_same(monkeypatch):
    monkeypatch.setattr(CompileResultCacheImpl, "_locator_classes", [])
    array = np.ones(3, np.float32)
    recurrence._compiled(_doubled)(array)
    np.testing.assert_array_equal(array, 2.0)


def test_what_is_prepared_is_what_tensorflow_calls():
    recurrence.prepare()
    inputs, recurrent = tf.zeros([3, 5, 28]), tf.zeros([7, 28])
    actual = tf.numpy_function(recurrence.forward, [inputs, recurrent, 3], [tf.float32] * 3)
    tf.numpy_function(recurrence.backward, [actual[0], recurrent, *actual[1:]], tf.float32)
    assert len(recurrence._forward.signatures) == len(recurrence._backward.signatures) == 1
