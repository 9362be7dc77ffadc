"""The batching plan, a pure function of the lengths."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train import samples
from train.samples import SPEC, F

from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.batching import BatchPlan
from ragline.components.train.options import TrainOptions

LENGTHS = st.lists(st.integers(1, 400), max_size=200).map(np.array)
LIMITS = st.one_of(st.none(), st.integers(1, 500))
SEEDS = st.one_of(st.none(), st.integers(0, 2**16))


def _batches(plan: BatchPlan, lengths: np.ndarray, seed: int | None = None) -> list[list[int]]:
    generator = None if seed is None else np.random.default_rng(seed)
    order, bounds = batching.cut_batches(plan, lengths.astype(np.int64), generator)
    assert (order.dtype, bounds.dtype) == (np.int64, np.int64)
    return [order[start:stop].tolist() for start, stop in itertools.pairwise(bounds)]


def _waste(batches: list[list[int]], lengths: np.ndarray) -> float:
    computed = sum(len(batch) * lengths[batch].max() for batch in batches)
    return 1 - lengths.sum() / computed


@given(
    lengths=LENGTHS,
    sequences=LIMITS,
    steps=LIMITS,
    sort=st.booleans(),
    equal=st.booleans(),
    seed=SEEDS,
)
def test_every_sequence_is_in_one_batch_and_no_batch_is_over_its_limits(
    lengths, sequences, steps, sort, equal, seed
):
    plan = BatchPlan(sequences=sequences, steps=steps, sort=sort, equal=equal)
    batches = _batches(plan, lengths, seed)
    assert sorted(itertools.chain(*batches)) == list(range(len(lengths)))
    for batch in batches:
        assert batch
        assert sequences is None or len(batch) <= sequences
        assert steps is None or len(batch) == 1 or len(batch) * lengths[batch].max() <= steps
        assert not equal or len(set(lengths[batch].tolist())) == 1


@given(lengths=LENGTHS, sequences=LIMITS, steps=LIMITS)
def test_no_two_neighbours_would_have_fitted_into_one_batch(lengths, sequences, steps):
    """Sorted and without chance, the next sequence is always one too many."""
    batches = _batches(BatchPlan(sequences=sequences, steps=steps), lengths)
    for batch, following in itertools.pairwise(batches):
        joined = [*batch, following[0]]
        over = steps is not None and len(joined) * lengths[joined].max() > steps
        assert over or (sequences is not None and len(joined) > sequences)


@given(lengths=LENGTHS, seed=st.integers(0, 2**16))
def test_the_seed_decides_the_plan(lengths, seed):
    plan = BatchPlan(steps=300)
    assert _batches(plan, lengths, seed) == _batches(plan, lengths, seed)


def test_another_seed_puts_others_together_and_in_another_order():
    lengths = np.random.default_rng(0).integers(50, 100, 500)
    first, second = (_batches(BatchPlan(steps=800), lengths, seed) for seed in (1, 2))
    assert len({frozenset(batch) for batch in first} & {frozenset(batch) for batch in second}) < 5
    longest = [lengths[batch].max() for batch in first]
    assert abs(np.corrcoef(longest, np.arange(len(longest)))[0, 1]) < 0.5


@pytest.mark.parametrize("sequences", [16, 64])
@pytest.mark.parametrize(("sigma", "number"), [(0.3, 3_000), (0.8, 5_000), (1.2, 20_000)])
def test_log_normal_lengths_waste_at_most_a_twentieth(sigma, number, sequences):
    rng = np.random.default_rng(3)
    lengths = np.clip(np.exp(rng.normal(np.log(60), sigma, number)), 5, 400).astype(np.int64)
    plan = batching.plan_similar_length(lengths, sequences, features=8)
    pools = [lengths[start : start + plan.pool] for start in range(0, number, plan.pool)]
    batches_of_pools = [(_batches(plan, pool, seed), pool) for seed, pool in enumerate(pools)]
    computed = sum(len(b) * pool[b].max() for batches, pool in batches_of_pools for b in batches)
    assert 1 - lengths.sum() / computed <= 0.05
    # Few batches are left over: nearly all of them are as large as the budget allows.
    assert sum(len(batches) for batches, _ in batches_of_pools) <= 1.2 * computed / plan.steps


def test_without_chance_similar_lengths_waste_less():
    lengths = np.random.default_rng(4).integers(1, 300, 2_000)
    plan = batching.plan_similar_length(lengths, 32, features=2)
    assert _waste(_batches(plan, lengths), lengths) < _waste(_batches(plan, lengths, 1), lengths)


def test_a_pool_is_bounded_by_its_values_and_holds_many_batches():
    short, long = np.full(100, 10), np.full(100, 10_000)
    assert batching.plan_similar_length(short, 32, features=8).pool == 2**23 // 80
    assert batching.plan_similar_length(long, 32, features=8).pool == 64 * 32
    assert batching.plan_similar_length(np.zeros(0, np.int64), 32, features=1).steps == 32
    of_metrics = [
        batching.plan_similar_length(each, 32, 8, least_steps=640) for each in (short, long)
    ]
    budgets = [batching.plan_similar_length(each, 32, features=8).steps for each in (short, long)]
    assert [plan.steps for plan in of_metrics] == [max(steps, 640) for steps in budgets]
    assert min(budgets) < 640 < max(budgets)


@pytest.mark.parametrize("padding", ["crop", "equal_length", "keras"])
def test_the_epoch_is_the_one_that_the_input_pipeline_makes(tmp_path, padding):
    lengths = np.random.default_rng(5).integers(1, 30, 70)
    made = samples.make(0, lengths.tolist())
    path = samples.write(tmp_path / "a.gz", map(samples.record, made))
    options = TrainOptions(padding=padding, batch_size=4)
    plan = batching.plan_training(options, lengths, F)
    fixed = batching.fixed_steps(options, lengths)
    parse = input_pipeline.parser(spec=SPEC, features=F, fixed_steps=fixed)
    shapes = [
        batch.values.shape[:2]
        for batch in input_pipeline.batches(input_pipeline.read([path]), parse, plan=plan)
    ]
    expected = batching.epoch_size(plan, lengths, fixed)
    assert expected.batches == len(shapes)
    assert expected.padded_steps == sum(rows * steps for rows, steps in shapes)
    assert expected.steps == lengths.sum()
    if padding == "equal_length":
        assert (expected.padded_steps, expected.waste) == (expected.steps, 0.0)
