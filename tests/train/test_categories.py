"""Categorical steps beside the NumPy float64 oracle, which has no padding to begin with."""

import dataclasses
import functools
import pathlib

import keras
import numpy as np
import oracle
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from train import samples
from train.samples import FILLS, VOCABULARIES, F, Sample

from ragline.components.contract.columns import Category
from ragline.components.runtime import cores
from ragline.components.train.data import batching
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import architecture
from ragline.components.train.objective import categories
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import CategoryTerm

ACTIVITY, CODE = (word.name for word in VOCABULARIES)
LENGTHS = (9, 1, 4, 17, 2, 12, 3, 5, 30, 1, 8)
AVERAGES = ("value", "step", "sequence")
STRATEGIES = ("crop", "equal_length", "remask")
QUICK = [*(("crop", average) for average in AVERAGES), ("remask", "sequence")]
some_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=7)


def _options(**options) -> TrainOptions:
    shape = {"units": 4, "embedding_size": 3, "linear_steps": 4}
    return TrainOptions(**shape, statistics=0.0, clip_norm=1e9, seed=1, **options)


@functools.cache
def _trainer(options: TrainOptions, step: float = 2.0**10) -> Trainer:
    """One plain gradient step, which hides nothing of the gradient."""
    strategy = tf.distribute.get_strategy()
    trainer = Trainer(
        features=F,
        options=options,
        strategy=strategy,
        vocabularies=VOCABULARIES,
        heads=(samples.KIND,),
    )
    trainer.optimizer = keras.optimizers.SGD(step)
    return trainer


@functools.cache
def _start(options: TrainOptions) -> list[np.ndarray]:
    return samples.draw(_trainer(options).model)


def _update(options: TrainOptions, batches: tf.data.Dataset):
    """The change of each weight from the same start, and what was reported."""
    start = _start(dataclasses.replace(options, gradient_accumulation_steps=1))
    trainer = _trainer(options)
    trainer.model.set_weights(start)
    sums = trainer.update(batches)
    return samples.changes(trainer.model, start), sums


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("records")


def _made(seed: int, lengths=LENGTHS) -> list[Sample]:
    return samples.with_token_ids(seed, samples.make(seed, lengths, missing=True))


def _read(path, made: list[Sample], **options) -> tf.data.Dataset:
    file = samples.write(path, [samples.record(sample) for sample in made])
    return samples.read(
        file, missing=True, categories=(ACTIVITY, CODE), heads=(samples.KIND,), **options
    )


class Weights:
    """Those of a model with both categories and one head, in its own order."""

    def __init__(self, weights: list[np.ndarray]) -> None:
        *self.numeric, activity, code, _, _, _, _, _, _ = weights
        self.tables = {ACTIVITY: activity, CODE: code}
        self.words = {ACTIVITY: weights[-6:-4], CODE: weights[-4:-2]}

    def inputs(self, sample: Sample) -> np.ndarray:
        """Values and embedded codes [T, F + sum E], 0 where missing."""
        embedded = [
            np.where(codes[:, np.newaxis] >= 0, self.tables[name][codes], 0.0)
            for name, codes in sample.token_ids.items()
        ]
        return np.concatenate([sample.values, *embedded], axis=1)

    def values(self, sample: Sample, options: TrainOptions) -> np.ndarray:
        inputs, tokens = self.inputs(sample), samples.tokens(sample)
        return oracle.reconstruct(inputs, self.numeric, options, sample.observed, tokens)

    def logits(self, sample: Sample, name: str, options: TrainOptions) -> np.ndarray:
        """[T, size], by the same decoder."""
        inputs, (kernel, bias) = self.inputs(sample), self.words[name]
        tokens = samples.tokens(sample)
        states, _ = oracle.decode(inputs, self.numeric, options, sample.observed, tokens)
        return states @ kernel + bias

    def entropies(self, sample: Sample, name: str, options: TrainOptions) -> np.ndarray:
        """Of the steps whose word is there."""
        logits = self.logits(sample, name, options)
        return np.array(
            [
                oracle.cross_entropy(row, code)
                for row, code in zip(logits, sample.token_ids[name], strict=True)
                if code >= 0
            ]
        )


SHAPES = {
    "lstm": {},
    "teacher, two layers": {"decoder": "teacher", "layers": 2},
    "gru, both ways": {"encoder": "gru", "bidirectional": True},
}


@pytest.mark.parametrize("strategy", ["crop", "remask"])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_logits_and_cross_entropies_equal_the_oracle(folder, shape, strategy):
    options = _options(padding=strategy, **SHAPES[shape])
    made = _made(3)
    trainer = _trainer(options)
    trainer.model.set_weights(_start(options))
    weights = Weights(_start(options))
    [batch] = samples.filled(_read(folder / "oracle", made), np.nan, extra=2)
    outputs = trainer.model.decode(trainer.model.encode(batch), batch)
    for row, sample in enumerate(made):
        steps = len(sample.values)
        expected = weights.values(sample, options)
        np.testing.assert_allclose(outputs.values[row, :steps], expected, atol=2e-6)
        for name in (ACTIVITY, CODE):
            expected = weights.logits(sample, name, options)
            np.testing.assert_allclose(outputs.logits[name][row, :steps], expected, atol=2e-6)
            if strategy == "crop":
                assert (outputs.logits[name][row, steps:].numpy() == 0.0).all()


# `crop` with each average, which is one trace, and `remask` with one; `make test-full` has all.
@pytest.mark.parametrize(
    ("strategy", "average"),
    [
        pytest.param(
            strategy,
            average,
            marks=[] if (strategy, average) in QUICK else pytest.mark.full,
        )
        for strategy in STRATEGIES
        for average in AVERAGES
    ],
)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 2**16), lengths=some_lengths, batch_size=st.sampled_from([1, 3, 256]))
def test_what_is_reported_equals_the_oracle(folder, strategy, average, seed, lengths, batch_size):
    """In training, as the average says; on eval, each word alike. With steps of 0."""
    options = _options(padding=strategy)
    trainer = _trainer(options, 0.0)
    trainer.model.set_weights(_start(options))
    made = _made(seed, lengths)
    batches = _read(
        folder / "reported",
        made,
        plan=batching.plan_training(
            dataclasses.replace(options, batch_size=batch_size), np.array(lengths), F
        ),
        average=average,
    )
    trained, evaluated = trainer.update(batches), trainer.evaluate(batches)
    weights = Weights(_start(options))
    for name in (ACTIVITY, CODE):
        entropies = [weights.entropies(sample, name, options) for sample in made]
        actual = [entropy for entropy in entropies if len(entropy)]
        expected = np.concatenate([*actual, []]).mean() if actual else 0.0
        term = CategoryTerm(name).key
        assert mean_of(evaluated, term) == pytest.approx(expected, rel=1e-6, abs=1e-6)
        assert evaluated[f"{term}_count"] == sum(map(len, entropies))
        if average == "sequence" and actual:
            expected = np.mean([entropy.mean() for entropy in actual])
        assert mean_of(trained, term) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("content", [0, 1, -1, -(2**63), 2**63 - 1])
def test_what_stands_in_the_padding_of_codes_changes_nothing(folder, content):
    options = _options(decoder="teacher")
    batches = _read(folder / "content", _made(4))
    expected, reported = _update(options, samples.filled(batches, 0.0, 3))
    actual, again = _update(options, samples.filled(batches, np.nan, 3, token_id=content))
    for one, other in zip(expected, actual, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_array_equal(other, one)
    assert again == reported


CHANGES = {
    "2 micro-batches": lambda batch: (batch(), 2),
    "more micro-batches than rows": lambda batch: (batch(), 16),
    "more padding": lambda batch: (batch(fixed_steps=41), 1),
    "another order": lambda batch: (batch(shuffle_seed=2), 1),
    "all of them": lambda batch: (samples.filled(batch(shuffle_seed=3), np.inf, 20), 2),
}


# test_exactness.py also has more micro-batches than rows in `make test`, which is another trace.
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(change, marks=pytest.mark.full if change.startswith("more micro") else [])
        for change in CHANGES
    ],
)
@pytest.mark.parametrize("average", ["value", "sequence"])
def test_an_update_depends_only_on_the_sequences(folder, average, change):
    def batch(**options) -> tf.data.Dataset:
        return _read(folder / "fixed", _made(5), average=average, **options)

    expected, reported = _update(_options(), batch())
    batches, parts = CHANGES[change](batch)
    actual, again = _update(_options(gradient_accumulation_steps=parts), batches)
    for one, other in zip(expected, actual, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=2e-6 * np.abs(one).max())
    del reported["padded_steps"], again["padded_steps"]
    assert again == pytest.approx(reported, rel=1e-6)


def test_two_shards_in_two_parts_make_the_update_of_one(folder, monkeypatch):
    """With missing values, words and labels, each sequence alike; all other tests have one."""
    options = _options(gradient_accumulation_steps=2)
    made, updates, reported = _made(8), [], []
    for shards in (1, 2):
        monkeypatch.setattr(cores, "batch_shards", lambda device, shards=shards: shards)
        trainer = _trainer(options) if shards == 1 else _trainer.__wrapped__(options)
        assert trainer._batch_shards == shards
        trainer.model.set_weights(_start(options))
        batches = _read(folder / "shards", made, average="sequence", batch_size=8)
        reported.append([trainer.measure(batches), trainer.evaluate(batches)])
        trainer.update(_read(folder / "shards", made, average="sequence"))
        updates.append(np.concatenate([w.ravel() for w in trainer.model.get_weights()]))
    one, two = updates
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-6 * np.abs(one).max())
    for sums, others in zip(*reported, strict=True):
        assert others.keys() == sums.keys()
        for name, total in sums.items():
            np.testing.assert_allclose(others[name], total, rtol=1e-6, err_msg=name)


def test_the_objective_is_the_sum_of_its_terms(folder):
    """Against numerical differentiation of the oracle, in float64, of one weight of each kind."""
    options = _options()
    made = _made(6, (3, 1, 4))
    made = [dataclasses.replace(sample, labels={}) for sample in made]
    changes, _ = _update(options, _read(folder / "slope", made))

    def objective(arrays: list[np.ndarray]) -> float:
        weights = Weights(arrays)
        total = oracle.mean_squared_error(
            [sample.values for sample in made],
            [weights.values(sample, options) for sample in made],
            [sample.observed for sample in made],
        )
        for name in (ACTIVITY, CODE):
            actual = [weights.entropies(sample, name, options) for sample in made]
            total += float(np.concatenate(actual).mean())
        return total

    start = [weight.astype(np.float64) for weight in _start(options)]
    used, untrained = made[0].token_ids[CODE][0], len(start) - len(changes)
    for index, place in ((0, (F, 0)), (5, (0, 1)), (-7, (used, 0)), (-6, (1, 2)), (-3, (0,))):
        slopes = []
        for side in (-1e-5, 1e-5):
            moved = [array.copy() for array in start]
            moved[index if index < 0 else untrained + index][place] += side
            slopes.append(objective(moved))
        slope = (slopes[1] - slopes[0]) / 2e-5
        assert -changes[index][place] / 2.0**10 == pytest.approx(slope, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("strategy", ["crop", "remask"])
@pytest.mark.parametrize("fill", FILLS)
def test_the_gradient_of_padding_is_exactly_0(folder, fill, strategy):
    """Of padded values, and of the embedding of a code that stands in padding alone."""
    options = _options(padding=strategy, decoder="teacher")
    autoencoder = _trainer(options).model
    autoencoder.set_weights(_start(options))
    made = [
        dataclasses.replace(
            sample, token_ids=sample.token_ids | {CODE: np.minimum(sample.token_ids[CODE], 1)}
        )
        for sample in _made(7)
    ]
    [batch] = samples.filled(_read(folder / "gradient", made), fill, extra=2, token_id=2)
    values, table = tf.Variable(batch.values), autoencoder.tables[1].embeddings.value
    with tf.GradientTape() as tape:
        changed = batch._replace(values=tf.convert_to_tensor(values))
        outputs = autoencoder.decode(autoencoder.encode(changed), changed)
        entropies = [
            categories.cross_entropy(batch.token_ids[name], logits, batch.token_weight[name])
            for name, logits in outputs.logits.items()
        ]
        objective = tf.add_n([tf.reduce_sum(entropy) for entropy in entropies])
    of_values, of_table = tape.gradient(objective, [values, table])
    valid = tf.sequence_mask(batch.length, values.shape[1]).numpy()
    assert (of_values.numpy()[~valid] == 0.0).all()
    assert (of_values.numpy()[valid] != 0.0).any()
    rows = tf.convert_to_tensor(of_table).numpy()
    assert (rows[2] == 0.0).all()
    assert (np.abs(rows[:2]).max(axis=1) > 0.0).all()
    assert np.isfinite(rows).all()
    assert np.isfinite(of_values.numpy()).all()


def test_what_does_not_count_has_no_cross_entropy_whatever_stands_there():
    logits = tf.Variable([[[0.0, 1.0], [np.nan, 0.0], [np.inf, -np.inf]]])
    weight = tf.constant([[2.0, 0.0, 0.0]])
    with tf.GradientTape() as tape:
        entropy = categories.cross_entropy(tf.constant([[0, -1, 2**62]], tf.int64), logits, weight)
    assert entropy.numpy().tolist() == [[pytest.approx(np.log(1 + np.e), rel=1e-6), 0.0, 0.0]]
    slope = tape.gradient(entropy, logits).numpy()[0]
    np.testing.assert_allclose(slope[0], np.array([-1, 1]) * np.e / (1 + np.e), rtol=1e-6)
    assert (slope[1:] == 0.0).all()


def test_the_code_0_is_a_code_like_any_other():
    """A step of it is not padding; a missing word is exactly 0 in the input, and no code is."""
    options = _options()
    autoencoder = _trainer(options).model
    autoencoder.set_weights(_start(options))
    values = tf.zeros([1, 3, F])
    steps = tf.constant([3], tf.int64)

    def embedding(*activities: int) -> np.ndarray:
        codes = {ACTIVITY: tf.constant([activities], tf.int64), CODE: tf.zeros([1, 3], tf.int64)}
        length = steps - 3 + len(activities)
        shown = {name: one[:, : len(activities)] for name, one in codes.items()}
        batch = SequenceBatch.complete(values[:, : len(activities)], length)
        return autoencoder.encode(batch._replace(token_ids=shown)).numpy()

    assert np.abs(embedding(0, 0, 0) - embedding(0, 0)).max() > 1e-3
    assert np.abs(embedding(0, 0, 0) - embedding(0, 0, -1)).max() > 1e-3
    before = embedding(-1, -1, -1)
    table = autoencoder.tables[0].embeddings
    table.assign(table + 1.0)
    np.testing.assert_array_equal(embedding(-1, -1, -1), before)
    assert np.abs(embedding(-1, 0, -1) - before).max() > 1e-3


def test_sums_by_sequence_and_the_finite_share():
    """In the third sequence a logit that counts is not finite; in the second, one that does not."""
    vocabulary = VOCABULARIES[1]
    logits = np.array(
        [[[2, 0, 0], [0, 1, 0]], [[0, 0, 3], [np.nan, 0, 0]], [[0, 0, 0], [np.inf, 0, 0]]],
        np.float32,
    )
    codes = np.array([[0, 2], [2, -1], [1, 1]])
    weight = np.array([[1, 1], [1, 0], [1, 1]], np.float32)
    batch = SequenceBatch(
        tf.zeros([3, 2, F]),
        tf.constant([2, 2, 2], tf.int64),
        tf.ones([3, 2]),
        token_ids={CODE: tf.constant(codes)},
        token_weight={CODE: tf.constant(weight)},
    )
    actual = categories.with_categories(
        {"finite_sequences": tf.constant([0.0, 1.0, 1.0], tf.float64), "steps": tf.zeros([3])},
        [vocabulary],
        batch,
        {CODE: tf.constant(logits)},
    )
    assert set(actual) == {
        "finite_sequences",
        "steps",
        "category_code_cross_entropy",
        "category_code_right",
        "category_code_observed",
    }
    assert actual["finite_sequences"].numpy().tolist() == [0.0, 1.0, 0.0]
    assert actual["category_code_observed"].numpy().tolist() == [2.0, 1.0, 2.0]
    assert actual["category_code_right"].numpy().tolist() == [1.0, 1.0, 0.0]
    expected = [
        oracle.cross_entropy(logits[0, 0], 0) + oracle.cross_entropy(logits[0, 1], 2),
        oracle.cross_entropy(logits[1, 0], 2),
    ]
    entropy = actual["category_code_cross_entropy"].numpy()
    assert entropy.dtype == np.float64
    np.testing.assert_allclose(entropy[:2], expected, rtol=1e-6)
    sums = {"finite_sequences": tf.ones([3])}
    assert categories.with_categories(sums, [], batch, {}) == sums


@pytest.mark.parametrize(
    ("size", "expected"), [(2, 3), (7, 5), (10, 6), (100, 22), (1_000, 32), (10_001, 32)]
)
def test_the_size_of_an_embedding(size, expected):
    vocabulary = Vocabulary(category=Category(name="a", kind="int"), size=size)
    assert vocabulary.embedding_size == expected


def test_the_textbook_model_refuses_categories():
    with pytest.raises(ValueError, match="without categories, received activity, code"):
        architecture.build(
            features=F, options=TrainOptions(padding="keras"), vocabularies=VOCABULARIES
        )


def test_a_record_whose_codes_have_another_length_stops_training(folder):
    made = _made(8, (3, 2))
    made[1].token_ids[CODE] = np.zeros(3, np.int64)
    with pytest.raises(tf.errors.InvalidArgumentError, match="the steps of code are not as many"):
        list(_read(folder / "length", made))


def test_an_epoch_reports_each_category(folder):
    options = _options(epochs=1)
    made = _made(9)
    trainer = _trainer(options, 0.0)
    trainer.model.set_weights(_start(options))
    start, epoch = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: _read(folder / "train", made, batch_size=4),
        eval_batches=lambda: _read(folder / "eval", made, batch_size=2),
        options=options,
        checkpoints=fit_loop.Checkpoints(folder / "checkpoints", "x"),
        on_epoch=lambda epoch: None,
    )
    weights = Weights(_start(options))
    # Nothing moved; epoch 0 reports it of the start, in any case.
    assert start.categories[CODE] == pytest.approx(epoch.categories[CODE], rel=1e-6)
    for name in (ACTIVITY, CODE):
        expected = np.concatenate([weights.entropies(sample, name, options) for sample in made])
        right = sum(
            int((logits.argmax(axis=1) == sample.token_ids[name]).sum())
            for sample in made
            for logits in [weights.logits(sample, name, options)]
        )
        assert epoch.categories[name] == pytest.approx(
            {
                "cross_entropy": expected.mean(),
                "eval_cross_entropy": expected.mean(),
                "eval_accuracy": right / len(expected),
            },
            rel=1e-6,
        )


def test_without_categories_batches_and_weights_are_as_they_were(folder):
    file = samples.write(folder / "plain", [samples.record(one) for one in samples.make(1, (3, 2))])
    [batch] = samples.read(file)
    assert (batch.token_ids, batch.token_weight) == ({}, {})
    plain, worded = (
        Trainer(
            features=F,
            options=_options(),
            strategy=tf.distribute.get_strategy(),
            vocabularies=words,
        ).model
        for words in ((), VOCABULARIES)
    )
    assert (plain.tables, plain.words) == ([], [])
    assert len(worded.weights) == len(plain.weights) + 6
