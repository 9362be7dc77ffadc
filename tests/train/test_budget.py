"""The budget of a training: batch size, passes and the learning rate's decay."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.train.data import budget
from ragline.components.train.loop.decay import DECAY, FinalDecay
from ragline.components.train.options import PRESETS, TrainOptions


@pytest.mark.parametrize(
    ("sequences", "batch_size", "epochs", "patience"),
    [
        (1, 8, 200, 40),
        (80, 8, 100, 20),
        (270, 8, 30, 6),
        (299, 8, 27, 6),
        (300, 16, 53, 11),
        (999, 16, 20, 4),
        (1_000, 32, 32, 7),
        (1_582, 32, 20, 4),
        (30_000, 32, 20, 4),
        (64_000, 32, 10, 4),
        (10_000_000, 32, 1, 4),
    ],
)
def test_the_budget_follows_the_number_of_sequences(sequences, batch_size, epochs, patience):
    resolved = budget.resolve(TrainOptions(), sequences)
    assert (resolved.batch_size, resolved.epochs, resolved.patience) == (
        batch_size,
        epochs,
        patience,
    )


def test_what_is_set_stays():
    options = TrainOptions(epochs=12, batch_size=5, patience=2)
    assert budget.resolve(options, 10**6) == options
    resolved = budget.resolve(TrainOptions(epochs=12), 80)
    assert (resolved.epochs, resolved.batch_size, resolved.patience) == (12, 8, 4)


@given(sequences=st.integers(1, 10**8), updates=st.integers(1, 10**4))
def test_a_budget_is_kept(sequences, updates):
    resolved = budget.resolve(TrainOptions(updates=updates), sequences)
    a_pass = -(-sequences // resolved.batch_size)
    made = resolved.epochs * a_pass
    assert made >= updates or resolved.epochs == 200
    assert made <= max(20 * updates, a_pass)
    assert resolved.epochs >= min(200, -(-updates // 50)) or made > 20 * updates - a_pass
    assert budget.resolve(resolved, sequences) == resolved


def test_presets_are_budgets():
    epochs = [
        budget.resolve(TrainOptions(**PRESETS[name]), 5_000).epochs
        for name in ("small", "base", "large")
    ]
    assert epochs == [10, 20, 60]


def test_the_rate_falls_to_zero_at_the_end():
    rate = FinalDecay(0.5)
    assert float(rate(10**6)) == 0.5
    rate.updates = 1000
    steps = np.array([0, 699, 700, 850, 999, 1000, 2000])
    expected = 0.5 * np.clip((1 - steps / 1000) / DECAY, 0, 1)
    assert [float(rate(step)) for step in steps] == pytest.approx(expected, rel=1e-6, abs=1e-7)
    assert float(rate(999)) < 0.002 and float(rate(1000)) == 0.0
