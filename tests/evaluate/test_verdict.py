import math

import pytest

from components.evaluate.verdict import judge


def _overall(error=0.4, baseline=1.0, finite=10.0, sequences=10.0):
    values = {
        "masked_mse": error,
        "training_mean_masked_mse": baseline,
        "finite_share": finite / sequences if sequences else 0.0,
        "finite_sequences": finite,
        "sequences": sequences,
    }
    return {name: {"value": value} for name, value in values.items()}


def test_a_candidate_that_beats_the_training_mean_is_blessed():
    verdict = judge(_overall())
    assert verdict.blessed
    assert verdict.reasons == (
        "all 10 sequences have a finite embedding and reconstruction",
        "masked_mse 0.4 is below the training mean's 1",
    )


@pytest.mark.parametrize("error", [1.0, 1.5, math.inf, math.nan, None])
def test_one_that_does_not_is_not(error):
    verdict = judge(_overall(error=error))
    assert not verdict.blessed
    [reason] = verdict.reasons
    assert "is not below the training mean's 1" in reason


def test_one_sequence_that_is_not_finite_is_enough():
    """A mean would not show it: TFMA blessed nine NaN in ten."""
    verdict = judge(_overall(finite=9.0))
    assert not verdict.blessed
    assert verdict.reasons == (
        "1 of 10 sequences have an embedding or a reconstruction that is not finite",
    )


def test_every_broken_rule_is_named():
    assert len(judge(_overall(error=2.0, finite=0.0)).reasons) == 2


def test_an_empty_eval_split_blesses_nothing():
    assert not judge(_overall(error=0.0, baseline=0.0, finite=0.0, sequences=0.0)).blessed
