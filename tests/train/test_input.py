import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from train import samples
from train.samples import SPEC, F

from ragline.components.train.data import batching, input_pipeline

SPEC_MISSING = SPEC | samples.OBSERVED


def _record(
    values: np.ndarray, observed: np.ndarray | None = None, length: int | None = None
) -> bytes:
    return samples.record(samples.Sample(values=values, observed=observed), length)


@pytest.fixture(scope="module")
def sequences() -> list[np.ndarray]:
    """300 sequences whose first value is their own number."""
    rng = np.random.default_rng(0)
    lengths = np.clip(np.exp(rng.normal(3, 0.7, 300)), 1, 150).astype(int)
    made = [rng.normal(size=(length, F)).astype(np.float32) for length in lengths]
    for number, values in enumerate(made):
        values[0, 0] = number
    return made


@pytest.fixture(scope="module")
def files(sequences, tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("records")
    return [
        samples.write(folder / f"{part}.gz", [_record(values) for values in sequences[part::2]])
        for part in range(2)
    ]


def _batches(files, **options):
    plan = batching.plan_similar_length(input_pipeline.read_lengths(files), 8, F)
    parse = input_pipeline.parser(spec=SPEC, features=F)
    return input_pipeline.batches(input_pipeline.read(files), parse, **{"plan": plan} | options)


def test_lengths_are_read_in_file_order(files, sequences):
    expected = [len(values) for part in range(2) for values in sequences[part::2]]
    assert input_pipeline.read_lengths(files).tolist() == expected


def test_every_sequence_comes_exactly_once_and_unchanged(files, sequences):
    seen = []
    for batch in _batches(files, shuffle_seed=1):
        for values, length in zip(batch.values.numpy(), batch.length.numpy(), strict=True):
            seen.append(int(values[0, 0]))
            np.testing.assert_array_equal(values[:length], sequences[seen[-1]])
            assert (values[length:] == 0.0).all()
    assert sorted(seen) == list(range(len(sequences)))


def test_weights_are_one_on_valid_steps_and_zero_in_padding(files, sequences):
    for batch in _batches(files):
        valid = tf.sequence_mask(batch.length, batch.values.shape[1], tf.float32)
        np.testing.assert_array_equal(batch.sample_weight.numpy(), valid.numpy())
        assert batch.values.shape[1] == batch.length.numpy().max()


def test_batches_of_similar_length_hold_little_padding(files, sequences):
    """In training, where chance has a say; 300 sequences are few, and their batches small."""
    lengths = np.array([len(values) for values in sequences])
    similar = list(_batches(files, shuffle_seed=1))
    padded = sum(batch.sample_weight.numpy().size for batch in similar)
    in_order = _batches(files, plan=batching.plan_unsorted(8))
    unsorted = sum(batch.sample_weight.numpy().size for batch in in_order)
    assert 1 - lengths.sum() / padded < 0.05
    assert padded < 0.7 * unsorted
    budget = np.ceil(8 * lengths.mean())
    assert all(b.sample_weight.numpy().size <= budget or len(b.length) == 1 for b in similar)


def _order(batches) -> list[int]:
    return [int(values[0, 0]) for batch in batches for values in batch.values.numpy()]


def test_the_seed_decides_the_order(files, sequences):
    first = _order(_batches(files, shuffle_seed=1))
    assert _order(_batches(files, shuffle_seed=1)) == first
    assert _order(_batches(files, shuffle_seed=2)) != first


def test_every_pool_is_shuffled_by_a_chance_of_its_own(files, sequences):
    """And the pools together are all of the data."""
    plan = dataclasses.replace(batching.plan_similar_length(np.array([20]), 2, F), pool=70)
    seen = _order(_batches(files, plan=plan, shuffle_seed=1))
    assert sorted(seen) == list(range(len(sequences)))
    assert seen == _order(_batches(files, plan=plan, shuffle_seed=1))


def test_a_missing_value_has_a_weight_of_its_own(tmp_path):
    observed = np.array([[1, 0], [1, 1], [0, 0]])
    long, short = np.ones((3, F), np.float32), np.ones((1, F), np.float32)
    file = samples.write(
        tmp_path / "missing.gz", [_record(long, observed), _record(short, np.array([[0, 1]]))]
    )
    parse = input_pipeline.parser(spec=SPEC_MISSING, features=F)
    [batch] = input_pipeline.batches(
        input_pipeline.read([file]), parse, plan=batching.plan_unsorted(8)
    )
    expected = np.zeros((2, 3, F))
    expected[0], expected[1, 0] = observed, [0, 1]
    np.testing.assert_array_equal(batch.sample_weight.numpy(), expected)


def test_a_record_whose_length_is_not_that_of_its_values_stops_training(tmp_path):
    file = samples.write(tmp_path / "wrong.gz", [_record(np.ones((3, F), np.float32), length=4)])
    parse = input_pipeline.parser(spec=SPEC, features=F)
    wrong = input_pipeline.batches(
        input_pipeline.read([file]), parse, plan=batching.plan_unsorted(1)
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="the steps of values are not as many"):
        list(wrong)


def test_the_same_records_are_drawn_in_each_pass_from_every_part_of_a_log():
    """A log in which five machines take turns, of which every fifth record would be one's."""
    log = tf.data.Dataset.range(2_000)
    drawn = input_pipeline.drawn(log, 5, seed=3)
    first, again = (list(map(int, drawn.as_numpy_iterator())) for _ in range(2))
    assert first == again == sorted({*first})
    by_machine = np.bincount(np.array(first) % 5, minlength=5)
    assert by_machine.min() > 50 and by_machine.sum() == pytest.approx(400, abs=60)
    assert first != list(map(int, input_pipeline.drawn(log, 5, seed=4).as_numpy_iterator()))
