"""Heads on the code, of data in which some sequences lack some labels."""

import dataclasses
import functools

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled
from train import samples
from train.samples import GRADE, KIND, SCORE, F, Sample

from ragline.components.contract.masking import masked_mean
from ragline.components.train import terms
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import HeadOptions, TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

HEADS = (KIND, GRADE, SCORE)
LENGTHS = (4, 1, 7, 2, 5, 3, 1, 6, 2)
OPTIONS = TrainOptions(units=4, embedding_size=3, linear_steps=3, statistics=0.0, clip_norm=1e9)
some_lengths = st.lists(st.integers(1, 6), min_size=1, max_size=9)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("records") / "shard"


def _read(path, made: list[Sample], heads=HEADS, **options) -> tf.data.Dataset:
    file = samples.write(path, [samples.record(sample) for sample in made])
    return samples.read(file, heads=heads, **options)


@functools.cache
def _trainer(heads: tuple[HeadOptions, ...], step: float) -> Trainer:
    """Plain gradient steps of this size, from weights without a bias of 0."""
    strategy = tf.distribute.get_strategy()
    trainer = Trainer(features=F, options=OPTIONS, strategy=strategy, heads=heads)
    trainer.optimizer = keras.optimizers.SGD(step)
    return trainer


@functools.cache
def _start(heads: tuple[HeadOptions, ...]) -> list[np.ndarray]:
    # Those of the heads come last: the others are always the same.
    return samples.draw(_trainer(heads, 0.0).model)


def _update(heads: tuple[HeadOptions, ...], batches: tf.data.Dataset, step: float = 2.0**10):
    """The change of each weight, and what was reported."""
    trainer = _trainer(heads, step)
    trainer.model.set_weights(_start(heads))
    sums = trainer.update(batches)
    return samples.changes(trainer.model, _start(heads)), sums


def _expected(head: HeadOptions, made: list[Sample]) -> tuple[float, int, int]:
    """The mean loss over the labelled sequences alone, their number, and how many are right."""
    weights = _start(HEADS)
    kernel, bias = weights[-2 * (3 - HEADS.index(head)) :][:2]
    losses, right = [], 0
    for sample in made:
        if head.column not in sample.labels:
            continue
        label = sample.labels[head.column]
        outputs = oracle.encode(sample.values, weights, OPTIONS, sample.observed) @ kernel + bias
        if head.type == "regression":
            losses.append(np.square(outputs[0] - label))
            continue
        text = label.decode() if isinstance(label, bytes) else str(label)
        losses.append(oracle.cross_entropy(outputs, head.classes.index(text)))
        right += int(outputs.argmax() == head.classes.index(text))
    return (float(np.mean(losses)) if losses else 0.0), len(losses), right


@settings(deadline=None, max_examples=sampled(15))
@given(seed=st.integers(0, 2**16), lengths=some_lengths, batch_size=st.sampled_from([1, 3, 7, 256]))
def test_what_is_reported_in_training_is_the_metric_and_the_oracles_mean(
    path, seed, lengths, batch_size
):
    """With steps of 0, so that all are of the same weights."""
    made = samples.make(seed, lengths)
    batches = _read(path, made, batch_size=batch_size)
    _, trained = _update(HEADS, batches, step=0.0)
    evaluated = _trainer(HEADS, 0.0).evaluate(batches)
    assert mean_of(trained, LOSS) == pytest.approx(mean_of(evaluated, LOSS), rel=1e-6)
    for head in HEADS:
        name = f"{head.name}_loss"
        expected, labelled, right = _expected(head, made)
        assert mean_of(trained, name) == pytest.approx(mean_of(evaluated, name), rel=1e-6)
        # Absolute as well: a small error is the difference of two float32 that are not small.
        assert mean_of(evaluated, name) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert trained[f"{name}_count"] == evaluated[f"{name}_count"] == labelled
        if head.type == "classification":
            assert evaluated[f"{head.name}_right"] == right


def test_an_epoch_reports_each_head(path, tmp_path):
    made = samples.make(9, LENGTHS * 4)
    trainer = _trainer(HEADS, 0.0)
    trainer.model.set_weights(_start(HEADS))
    start, epoch = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: _read(path, made, batch_size=4, shuffle_seed=epoch),
        eval_batches=lambda: _read(tmp_path / "eval", made, batch_size=2),
        options=dataclasses.replace(OPTIONS, epochs=1),
        checkpoints=fit_loop.Checkpoints(tmp_path, "x"),
        on_epoch=lambda epoch: None,
    )
    for head in HEADS:
        expected, labelled, right = _expected(head, made)
        metrics = {"loss": expected, "eval_loss": expected}
        if head.type == "classification":
            assert 0 < right < labelled
            metrics["eval_accuracy"] = right / labelled
        # Nothing moved; epoch 0 reports it of the start, in any case.
        for actual in (start, epoch):
            assert actual.heads[head.name] == pytest.approx(metrics, rel=1e-6)


def test_each_class_is_told_by_its_place_in_the_list(path):
    """Of text and of integers; a label that is not finite is one that is missing."""
    labels = (
        {"kind": b"c", "grade": 7, "score": 0.5},
        {"grade": -3, "score": float("nan")},
        {"kind": b"a", "score": float("inf")},
        {"kind": b"b", "grade": 1, "score": 0.0},
    )
    made = [Sample(values=np.ones((1, F), np.float32), labels=label) for label in labels]
    [batch] = _read(path, made)
    actual = {name: batch.labels[name].numpy().tolist() for name in batch.labels}
    assert actual == {"kind": [2, 0, 0, 1], "grade": [0, 2, 0, 1], "score": [0.5, 0.0, 0.0, 0.0]}
    weight = {name: batch.label_weight[name].numpy().tolist() for name in batch.label_weight}
    assert weight == {"kind": [1, 0, 1, 1], "grade": [1, 1, 0, 1], "score": [1, 0, 0, 1]}


@pytest.mark.parametrize(
    ("column", "label", "received"), [("kind", b"d", "d"), ("grade", 2, "2"), ("kind", b"", "")]
)
def test_a_class_that_the_head_does_not_list_stops_training(path, column, label, received):
    made = samples.make(1, [3, 2])
    made[1].labels[column] = label
    batches = _read(path, made)
    for head in (head for head in HEADS if head.column == column):
        listed = ", ".join(head.classes)
        message = rf"{column}: head {head.name} expected one of {listed}; received\] \[{received}\]"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            _update(HEADS, batches)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
@pytest.mark.parametrize("content", [0.0, 1e30, float("nan"), float("inf")])
def test_an_unlabelled_sequence_has_no_part_in_the_loss_and_a_gradient_of_0(head, content):
    """Whatever stands for its label."""
    rng = np.random.default_rng(0)
    outputs = tf.Variable(rng.normal(size=(4, head.outputs)).astype(np.float32))
    weight = np.array([1, 0, 1, 0], np.float32)
    if head.type == "regression":
        labels = np.where(weight, rng.normal(size=4), content).astype(np.float32)
        errors = np.square(outputs.numpy()[:, 0].astype(np.float64) - labels)
    else:
        labels = np.where(weight, rng.integers(3, size=4), 10**9 if content else 0)
        errors = [oracle.cross_entropy(outputs.numpy()[row], labels[row]) for row in (0, 2)]
        errors = np.insert(errors, 1, np.nan)
    with tf.GradientTape() as tape:
        total, count = terms.of(head).sums(tf.constant(labels), outputs, tf.constant(weight))
        mean = masked_mean(total, count)
    assert float(mean) == pytest.approx((errors[0] + errors[2]) / 2, rel=1e-6)
    gradient = tape.gradient(mean, outputs).numpy()
    assert (gradient[weight == 0] == 0.0).all()
    assert (gradient[weight == 1] != 0.0).all()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_batch_without_a_label_gives_0_and_no_gradient(head):
    outputs = tf.Variable(tf.ones([3, head.outputs]))
    label = tf.zeros([3], tf.float32 if head.type == "regression" else tf.int64)
    with tf.GradientTape() as tape:
        total, count = terms.of(head).sums(label, outputs, tf.zeros([3]))
        mean = masked_mean(total, count)
    assert (float(total), float(count), float(mean)) == (0.0, 0.0, 0.0)
    assert (tape.gradient(mean, outputs).numpy() == 0.0).all()


def test_without_labels_an_update_is_that_of_a_model_without_heads(path):
    """And the heads themselves stay as they are."""
    made = [Sample(values=sample.values) for sample in samples.make(2, LENGTHS)]
    expected, plain = _update((), _read(path, made, heads=()))
    actual, sums = _update(HEADS, _read(path, made))
    for one, other in zip(expected, actual[: len(expected)], strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_array_equal(other, one)
    assert all((change == 0.0).all() for change in actual[len(expected) :])
    assert {name: sums[name] for name in plain} == plain
    assert {mean_of(sums, f"{head.name}_loss") for head in HEADS} == {0.0}


def test_heads_move_the_code_by_their_weight_and_leave_the_decoder_alone(path):
    made = samples.make(2, LENGTHS)
    expected, plain = _update((), _read(path, made, heads=()))
    changes = []
    for weight in (0.5, 1.0):
        score = dataclasses.replace(SCORE, weight=weight)
        actual, sums = _update((score,), _read(path, made, heads=(score,)))
        assert sums[LOSS] == plain[LOSS]
        # The linear path's two maps come first, the one to the code and the one from it.
        encoder, decoder = (0, 1, *range(4, 9)), (2, 3, *range(9, 14))
        for one, other in ((expected[index], actual[index]) for index in decoder):
            np.testing.assert_allclose(other, one, rtol=0, atol=1e-6 * np.abs(one).max())
        changes.append(
            np.concatenate([(actual[index] - expected[index]).ravel() for index in encoder])
        )
    half, whole = changes
    np.testing.assert_allclose(2 * half, whole, rtol=0, atol=1e-5 * np.abs(whole).max())
    assert np.abs(whole).max() > 1.0


def test_a_model_without_heads_has_the_weights_of_one_with_heads():
    """From the same seed, before any update: heads are made last and draw nothing before."""
    strategy = tf.distribute.get_strategy()
    plain, headed = (
        Trainer(features=F, options=OPTIONS, strategy=strategy, heads=heads).model
        for heads in ((), HEADS)
    )
    assert plain.heads == []
    pairs = zip(plain.get_weights(), headed.get_weights()[:16], strict=True)
    assert all((one == other).all() for one, other in pairs)
    batch = samples.batch([sample.values for sample in samples.make(3, LENGTHS)])
    assert (plain.encode(batch).numpy() == headed.encode(batch).numpy()).all()
    assert (plain(batch).numpy() == headed(batch).numpy()).all()
