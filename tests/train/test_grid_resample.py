"""Interpolation beside NumPy's own, one sequence at a time, without padding."""

import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled
from train import samples

from ragline.components.train.model import grid_resample

LENGTHS = (1, 2, 3, 15, 16, 17, 40)
some_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=5)
some_steps = st.integers(2, 33)


def _sequences(seed: int, lengths) -> list[np.ndarray]:
    return [sample.values for sample in samples.make(seed, lengths)]


@settings(deadline=None, max_examples=sampled(40))
@given(seed=st.integers(0, 2**16), lengths=some_lengths, steps=some_steps, extra=st.integers(0, 9))
def test_a_grid_is_numpys_interpolation_and_back(seed, lengths, steps, extra):
    """Of more steps than the grid and of fewer, of a single one, and whatever the padding is."""
    sequences = _sequences(seed, lengths)
    values, length = samples.pad(sequences, fill=1e9, extra=extra)
    grid = grid_resample.to_grid(values, length, steps)
    back = grid_resample.from_grid(grid, length, values.shape[1]).numpy()
    for row, sequence in enumerate(sequences):
        expected = oracle.resample(sequence, steps)
        np.testing.assert_allclose(grid.numpy()[row], expected, rtol=0, atol=1e-6)
        expected = oracle.resample(expected, len(sequence))
        np.testing.assert_allclose(back[row, : len(sequence)], expected, rtol=0, atol=2e-6)
        last = np.broadcast_to(back[row, len(sequence) - 1], back[row, len(sequence) :].shape)
        np.testing.assert_array_equal(back[row, len(sequence) :], last)


@pytest.mark.parametrize("steps", [2, 31, 32])
def test_a_sequence_as_long_as_the_grid_is_the_grid(steps):
    [sequence] = _sequences(0, [steps])
    values, length = samples.pad([sequence], extra=3)
    grid = grid_resample.to_grid(values, length, steps)
    np.testing.assert_array_equal(grid[0], sequence)
    np.testing.assert_array_equal(grid_resample.from_grid(grid, length, steps)[0], sequence)


def test_the_weights_stay_exact_in_a_very_long_sequence():
    """Positions in float32 would be 1e-3 off; a line is resampled to a line."""
    steps = 100_001
    line = np.linspace(0.0, 1.0, steps, dtype=np.float32).reshape(1, -1, 1)
    grid = grid_resample.to_grid(tf.constant(line), tf.constant([steps], tf.int64), 32)
    np.testing.assert_allclose(grid[0, :, 0], np.linspace(0.0, 1.0, 32), rtol=0, atol=1e-6)


@settings(deadline=None, max_examples=sampled(40))
@given(
    seed=st.integers(0, 2**16),
    lengths=some_lengths,
    share=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    steps=some_steps,
)
def test_filled_and_resampled_is_interpolation_over_the_observed(seed, lengths, share, steps):
    """Whatever stands where nothing was observed; a feature without any is 0."""
    rng = np.random.default_rng(seed)
    sequences = _sequences(seed, lengths)
    seen = [rng.random(sequence.shape) < share for sequence in sequences]
    values, length = samples.pad(sequences, fill=np.nan, extra=1)
    observed, _ = samples.pad([one.astype(np.float32) for one in seen], extra=1)
    values = tf.where(observed > 0, values, np.nan)
    filled = grid_resample.fill(values, observed > 0)
    grid = grid_resample.to_grid(filled, length, steps).numpy()
    for row, (sequence, there) in enumerate(zip(sequences, seen, strict=True)):
        expected = oracle.resample(sequence, steps, there)
        np.testing.assert_allclose(grid[row], expected, rtol=0, atol=2e-6)
        kept = filled.numpy()[row, : len(sequence)]
        np.testing.assert_array_equal(kept[there], sequence[there])


def test_what_was_not_observed_has_no_gradient():
    values = tf.constant([[[1.0], [np.nan], [np.inf], [4.0], [1e38]]])
    observed = tf.constant([[[True], [False], [False], [True], [False]]])
    with tf.GradientTape() as tape:
        tape.watch(values)
        filled = grid_resample.fill(values, observed)
    np.testing.assert_allclose(filled[0, :, 0], [1.0, 2.0, 3.0, 4.0, 4.0], rtol=1e-6)
    gradient = tf.convert_to_tensor(tape.gradient(filled, values))
    np.testing.assert_allclose(gradient[0, :, 0], [2.0, 0.0, 0.0, 3.0, 0.0], rtol=1e-6)
