"""The machine code: its tanh, its products cut to size, and what becomes of NaN."""

import runpy

import numba
import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from numba.core.caching import CompileResultCacheImpl

from ragline.components.train.model.lstm import recurrence, tiles

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


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7, 40])
@pytest.mark.parametrize(
    ("inner", "columns"), [(1, 4), (8, 32), (33, 132), (132, 33), (64, 31), (1500, 20)]
)
def test_a_product_is_numpys_whatever_its_size(rows, inner, columns):
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(rows, inner)), rng.normal(size=(inner, columns))
    # What stands beside the product: a tile that is too large would write there.
    around = np.full((rows + 2, columns), 7.0, np.float32)
    edge = np.empty((rows, tiles.COLUMNS), np.float32)
    weights = tiles.cut(right.astype(np.float32))
    recurrence._product(left.astype(np.float32), weights, edge, around[1:-1])
    np.testing.assert_allclose(around[1:-1], left @ right, rtol=0, atol=4 * ULP * inner)
    np.testing.assert_array_equal(around[[0, -1]], 7.0)


@pytest.mark.parametrize("columns", [8, 16, 32])
def test_a_tile_is_right_with_registers_of_each_width(columns, monkeypatch):
    monkeypatch.setattr(tiles, "COLUMNS", columns)
    multiply = tiles._tile(2)

    @numba.njit
    def second_block(left, blocks, out):
        multiply(left, 1, blocks, 1, out, 3)

    # Whole numbers, whose sums are exact in any order.
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-9, 9, s).astype(np.float32) for s in ((4, 13), (13, columns + 3)))
    out = np.zeros((4, columns + 5), np.float32)
    second_block(left, tiles.cut(right), out)
    expected = np.zeros_like(out)
    expected[1:3, 3:6] = left[1:3] @ right[:, columns:]
    np.testing.assert_array_equal(out, expected)


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


def test_the_cache_of_other_tiles_is_not_taken(monkeypatch, tmp_path):
    (tmp_path / "loops.py").write_text("def twice(values):\n    values *= 2\n")

    def from_cache(tiles_digest):
        monkeypatch.setattr(recurrence, "_TILES", tiles_digest)
        loops = runpy.run_path(str(tmp_path / "loops.py"))
        compiled = recurrence._compiled(loops["twice"])
        compiled.compile((numba.float32[::1],))
        return sum(compiled.stats.cache_hits.values())

    assert [from_cache("a"), from_cache("a"), from_cache("b")] == [0, 1, 0]
