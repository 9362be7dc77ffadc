"""What `ragline plan` says of an epoch is what an epoch is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from train import samples
from train.samples import SPEC, F

from components.sequence import Columns, Feature
from components.train import buckets, input, model
from components.train.options import TrainOptions
from pipeline import plan

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=80)


@pytest.mark.parametrize("padding", ["crop", "equal_length", "keras"])
def test_the_epoch_is_the_one_that_the_input_pipeline_makes(tmp_path, padding):
    lengths = np.random.default_rng(5).integers(1, 30, 70)
    made = samples.make(0, lengths.tolist())
    path = samples.write(tmp_path / "a.gz", map(samples.record, made))
    options = TrainOptions(padding=padding, batch_size=4)
    bounds = buckets.boundaries(options, lengths)
    fixed = buckets.fixed_steps(options, lengths)
    found = [
        batch.values.shape[:2]
        for batch in input.batches(
            [path], spec=SPEC, features=F, batch_size=4, boundaries=bounds, fixed_steps=fixed
        )
    ]
    epoch = buckets.epoch_of(lengths, bounds, 4, fixed)
    assert epoch.batches == len(found)
    assert epoch.padded_steps == sum(rows * steps for rows, steps in found)
    assert epoch.steps == lengths.sum()


@given(lengths=LENGTHS, batch_size=st.integers(1, 9))
def test_lengths_of_their_own_have_no_padding(lengths, batch_size):
    options = TrainOptions(padding="equal_length", batch_size=batch_size)
    lengths = np.array(lengths)
    epoch = buckets.epoch_of(lengths, buckets.boundaries(options, lengths), batch_size)
    assert (epoch.padded_steps, epoch.waste) == (epoch.steps, 0.0)


@given(lengths=LENGTHS, batch_size=st.integers(1, 9))
def test_a_shorter_batch_is_never_lost(lengths, batch_size):
    lengths = np.array(lengths)
    epoch = buckets.epoch_of(lengths, buckets.bucket_boundaries(lengths, batch_size), batch_size)
    assert -(-len(lengths) // batch_size) <= epoch.batches <= len(lengths)
    assert 0.0 <= epoch.waste < 1.0


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"cell": "gru", "layers": 2},
        {"bidirectional": True, "decoder": "teacher", "units": 5, "embedding_size": 3},
        {"bidirectional": True, "layers": 2},
    ],
)
def test_the_parameters_that_a_plan_names_are_those_of_the_recurrent_model(options):
    found = TrainOptions(linear_steps=0, **options)
    features = tuple(Feature(name=name, unit=None, allow_missing=False) for name in "ab")
    columns = Columns(features=features, context={})
    built = model.build(features=F, options=found, steps=4)
    assert plan.parameters(columns, found) == pytest.approx(built.count_params(), rel=0.02)
