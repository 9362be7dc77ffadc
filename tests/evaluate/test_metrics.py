import itertools
import pickle
from types import SimpleNamespace

import numpy as np
import pytest

from ragline.components.evaluate.metrics import totals
from ragline.components.evaluate.metrics.masked_metrics import AddTotals, MaskedMetrics


def _element(name: bytes, squares, count: float) -> SimpleNamespace:
    return _batch([name], [squares], [count])


def _batch(names: list[bytes], squares, counts) -> SimpleNamespace:
    """As TFMA hands a batch over: a scalar is an array of one."""
    return SimpleNamespace(
        prediction={
            "model_squared_error": np.array(squares, np.float64),
            "values": np.array(counts)[:, np.newaxis],
        },
        features={"sequence_id": np.array(names, object)},
    )


def _totals(combiner: AddTotals, accumulator) -> dict[str, np.ndarray]:
    [extracted] = combiner.extract_output(accumulator).values()
    return extracted


def _numbered(*numbers: int) -> SimpleNamespace:
    squares = [[number * 0.1, 1.0 / number] for number in numbers]
    return _batch([str(number).encode() for number in numbers], squares, numbers)


ELEMENTS = [_numbered(number) for number in range(1, 8)]
BATCHES = [_numbered(1, 2, 3), _numbered(4), _numbered(5, 6), _numbered(7)]


@pytest.mark.parametrize("elements", [ELEMENTS, BATCHES])
@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 5], [0, 4]])
def test_any_cut_and_any_order_of_merging_gives_the_same_totals(cuts, elements):
    combiner = pickle.loads(pickle.dumps(AddTotals()))
    bounds = [0, *cuts, len(elements)]
    accumulators = []
    for start, stop in itertools.pairwise(bounds):
        accumulator = combiner.create_accumulator()
        for element in elements[start:stop]:
            accumulator = combiner.add_input(accumulator, element)
        accumulators.append(pickle.loads(pickle.dumps(accumulator)))
    expected = totals.sum_by_group(
        {
            "values": np.array([float(number) for number in range(1, 8)]),
            "model_squared_error": np.array([[n * 0.1, 1.0 / n] for n in range(1, 8)]),
        },
        [str(number).encode() for number in range(1, 8)],
        range(7),
    )
    for order in itertools.permutations(accumulators):
        extracted = _totals(combiner, combiner.merge_accumulators(order))
        assert extracted.keys() == expected.keys()
        for name, total in extracted.items():
            np.testing.assert_allclose(total, expected[name], rtol=1e-15)


def test_nothing_adds_up_to_nothing():
    combiner = AddTotals()
    merged = combiner.merge_accumulators([combiner.create_accumulator()] * 2)
    assert _totals(combiner, merged) == {}


def test_merging_leaves_its_inputs_alone():
    combiner = AddTotals()
    one = combiner.add_input(combiner.create_accumulator(), ELEMENTS[0])
    before = {name: total.copy() for name, total in one.items()}
    combiner.merge_accumulators([one, one])
    for name, total in before.items():
        np.testing.assert_array_equal(one[name], total)


def test_a_large_total_keeps_what_a_small_error_adds():
    """In float32, 1e9 + 1 is 1e9."""
    combiner = AddTotals()
    accumulator = combiner.create_accumulator()
    for value in (1e9, 1.0, 1.0):
        accumulator = combiner.add_input(accumulator, _element(b"x", [value], 1.0))
    assert _totals(combiner, accumulator)["model_squared_error"].sum() == 1e9 + 2


def test_a_value_that_is_not_finite_shows_in_the_total():
    combiner = AddTotals()
    accumulator = combiner.create_accumulator()
    for value in (1.0, float("nan")):
        accumulator = combiner.add_input(accumulator, _element(b"x", [value], 1.0))
    assert np.isnan(_totals(combiner, accumulator)["model_squared_error"].sum())


def test_an_edited_source_is_another_metric():
    """TFX's cache of the Evaluator sees the metric's configuration alone."""
    configs = [
        MaskedMetrics(["a"], [], [], source=source).get_config() for source in ("one", "two")
    ]
    assert configs[0] != configs[1]
