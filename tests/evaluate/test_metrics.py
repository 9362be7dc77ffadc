import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from components.evaluate.metrics import AddTotals


def _element(**sums: float) -> SimpleNamespace:
    return SimpleNamespace(prediction={name: np.array([value]) for name, value in sums.items()})


def _totals(combiner: AddTotals, accumulator) -> dict[str, float]:
    [totals] = combiner.extract_output(accumulator).values()
    return totals


ELEMENTS = [_element(error=number * 0.1, count=number) for number in range(1, 8)]


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 5], [0, 7]])
def test_any_cut_and_any_order_of_merging_gives_the_same_totals(cuts):
    combiner = pickle.loads(pickle.dumps(AddTotals()))
    bounds = [0, *cuts, len(ELEMENTS)]
    accumulators = []
    for start, stop in itertools.pairwise(bounds):
        accumulator = combiner.create_accumulator()
        for element in ELEMENTS[start:stop]:
            accumulator = combiner.add_input(accumulator, element)
        accumulators.append(pickle.loads(pickle.dumps(accumulator)))
    for order in itertools.permutations(accumulators):
        totals = _totals(combiner, combiner.merge_accumulators(order))
        assert totals["count"] == 28
        assert totals["error"] == pytest.approx(2.8, rel=1e-15)


def test_nothing_adds_up_to_nothing():
    combiner = AddTotals()
    merged = combiner.merge_accumulators([combiner.create_accumulator()] * 2)
    assert _totals(combiner, merged) == {}


def test_merging_leaves_its_inputs_alone():
    combiner = AddTotals()
    one = combiner.add_input(combiner.create_accumulator(), ELEMENTS[0])
    before = dict(one)
    combiner.merge_accumulators([one, dict(one)])
    assert one == before


def test_a_large_total_keeps_what_a_small_error_adds():
    """In float32, 1e9 + 1 is 1e9."""
    combiner = AddTotals()
    accumulator = combiner.create_accumulator()
    for value in (1e9, 1.0, 1.0):
        accumulator = combiner.add_input(accumulator, _element(error=value))
    assert _totals(combiner, accumulator) == {"error": 1e9 + 2}


def test_a_value_that_is_not_finite_shows_in_the_total():
    combiner = AddTotals()
    accumulator = combiner.create_accumulator()
    for value in (1.0, float("nan")):
        accumulator = combiner.add_input(accumulator, _element(error=value))
    assert np.isnan(_totals(combiner, accumulator)["error"])
