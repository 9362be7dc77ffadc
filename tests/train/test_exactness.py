"""The update depends on which sequences share a batch, and on nothing else."""

import functools
import pathlib

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import FULL, sampled
from train import samples
from train.samples import KIND, SCORE, F

from ragline.components.train.data import batching
from ragline.components.train.loop.trainer import STEPS, Trainer
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

AVERAGES = ("value", "step", "sequence")
HEADS = (KIND, SCORE)
LENGTHS = (9, 1, 4, 17, 2, 12, 3, 5, 30, 1, 8)


@functools.cache
def _trainer(parts: int = 1) -> Trainer:
    """One plain gradient step, which hides nothing of the gradient.

    A step as long as this, and a power of 2, so that rounding of the weights hides nothing either.
    """
    options = TrainOptions(
        units=4,
        embedding_size=3,
        clip_norm=1e9,
        gradient_accumulation_steps=parts,
        seed=1,
    )
    strategy = tf.distribute.get_strategy()
    trainer = Trainer(features=F, options=options, strategy=strategy, heads=HEADS)
    trainer.optimizer = keras.optimizers.SGD(2.0**10)
    return trainer


@functools.cache
def _start() -> list[np.ndarray]:
    return [variable.numpy() for variable in _trainer().variables]


def _update(batches: tf.data.Dataset, parts: int = 1) -> tuple[list[np.ndarray], dict]:
    """The change of each weight from the same start, and what was reported."""
    start, trainer = _start(), _trainer(parts)
    for variable, value in zip(trainer.variables, start, strict=True):
        variable.assign(value)
    sums = trainer.update(batches)
    pairs = zip(trainer.variables, start, strict=True)
    return [after.numpy() - before for after, before in pairs if after.trainable], sums


def _assert_same(actual: tuple[list[np.ndarray], dict], expected: tuple[list[np.ndarray], dict]):
    for one, other in zip(expected[0], actual[0], strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())
    reported = {name: value for name, value in expected[1].items() if name != "padded_steps"}
    assert {name: actual[1][name] for name in reported} == pytest.approx(reported, rel=1e-6)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("records")


@pytest.fixture(scope="module")
def records() -> list[bytes]:
    return [samples.record(sample) for sample in samples.make(5, LENGTHS, missing=True)]


def _read(path, records: list[bytes], **options) -> tf.data.Dataset:
    return samples.read(samples.write(path, records), missing=True, heads=HEADS, **options)


# change -> the same batch, and in how many parts it is computed.
CHANGES = {
    "2 micro-batches": lambda batch: (batch(), 2),
    "4 micro-batches": lambda batch: (batch(), 4),
    "more micro-batches than rows": lambda batch: (batch(), 16),
    "more padding": lambda batch: (batch(fixed_steps=41), 1),
    "NaN in the padding": lambda batch: (samples.filled(batch(), np.nan, extra=3), 1),
    "another order": lambda batch: (batch(shuffle_seed=2), 1),
    "all of them": lambda batch: (
        samples.filled(batch(shuffle_seed=3), np.inf, extra=20),
        2,
    ),
}


# Each number of parts is a trace of its own.
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, marks=pytest.mark.full if change == "4 micro-batches" else [])
        for change in CHANGES
    ],
)
@pytest.mark.parametrize("average", AVERAGES)
def test_an_update_depends_only_on_the_sequences(folder, records, average, change):
    def batch(**options) -> tf.data.Dataset:
        return _read(folder / "fixed", records, average=average, **options)

    expected = _update(batch())
    assert all(np.abs(weight).max() > 0 for weight in expected[0])
    batches, parts = CHANGES[change](batch)
    _assert_same(_update(batches, parts), expected)


@settings(deadline=None, max_examples=sampled(15))
@given(
    seed=st.integers(0, 2**16),
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    average=st.sampled_from(AVERAGES),
    parts=st.sampled_from([2, 4, 16] if FULL else [2, 16]),
    extra=st.integers(0, 9),
    order=st.randoms(use_true_random=False),
)
def test_an_update_is_the_same_for_any_sequences(
    folder, seed, lengths, average, parts, extra, order
):
    """Heads without any label, and sequences without any value, are among them."""
    records = [samples.record(sample) for sample in samples.make(seed, lengths, missing=True)]
    expected, reported = _update(_read(folder / "any", records, average=average))
    order.shuffle(records)
    changed, again = _update(
        samples.filled(_read(folder / "other", records, average=average), np.nan, extra),
        parts,
    )
    one, other = (np.concatenate([c.ravel() for c in each]) for each in (expected, changed))
    np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())
    assert again[LOSS] == pytest.approx(reported[LOSS], rel=1e-6)


def test_the_averages_are_three_different_updates(folder, records):
    updates = [_update(_read(folder / "three", records, average=a))[0] for a in AVERAGES]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(updates[one][0] - updates[other][0]).max() > 1e-3


def test_parts_of_a_batch_are_computed_one_after_another(folder, records):
    """A loop in the graph: parts laid out side by side may run at once, and then save no memory."""
    sizes = []
    for parts in (2, 16):
        trainer = _trainer(parts)
        trainer.update(_read(folder / "loop", records))
        step = next(step for (name, _), step in trainer._functions.items() if "update" in name)
        sizes.append(len(step.get_concrete_function().graph.as_graph_def().node))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("bucketed", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_evaluation_is_the_same_in_any_batches(folder, batch_size, bucketed):
    """And equal to the oracle, for the reconstruction and for each head."""
    made = samples.make(6, LENGTHS * 2, missing=True)
    trainer = _trainer()
    for variable, value in zip(trainer.variables, _start(), strict=True):
        variable.assign(value)
    lengths = np.array(LENGTHS * 2)
    batches = _read(
        folder / "eval",
        [samples.record(sample) for sample in made],
        plan=batching.plan_similar_length(lengths, batch_size, F)
        if bucketed
        else batching.plan_unsorted(batch_size),
        shuffle_seed=batch_size,
    )
    alone = batch_size == 1 and not bucketed
    assert len(list(batches)) == 22 if alone else len(list(batches)) < 22
    sums = trainer.evaluate(batches)
    *weights, kind, kind_bias, score, score_bias = trainer.model.get_weights()
    values = [sample.values for sample in made]
    embeddings = [oracle.encode(s.values, weights, observed=s.observed) for s in made]
    entropies = [
        oracle.cross_entropy(
            embedding @ kind + kind_bias, KIND.classes.index(sample.labels["kind"].decode())
        )
        for embedding, sample in zip(embeddings, made, strict=True)
        if "kind" in sample.labels
    ]
    squares = [
        np.square(embedding @ score + score_bias - sample.labels["score"])
        for embedding, sample in zip(embeddings, made, strict=True)
        if "score" in sample.labels
    ]
    outputs = [oracle.reconstruct(s.values, weights, observed=s.observed) for s in made]
    expected = oracle.mean_squared_error(values, outputs, [s.observed for s in made])
    assert mean_of(sums, LOSS) == pytest.approx(expected, rel=1e-6)
    assert mean_of(sums, "kind_loss") == pytest.approx(np.mean(entropies), rel=1e-6)
    assert mean_of(sums, "score_loss") == pytest.approx(np.mean(squares), rel=1e-6)
    assert sums["loss_count"] == sum(sample.observed.sum() for sample in made)
    assert [sums["kind_loss_count"], sums["score_loss_count"]] == [len(entropies), len(squares)]
    assert sums[STEPS] == lengths.sum()
