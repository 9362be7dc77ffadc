"""The term `slices`: what is cut, its error beside an oracle, and what an update learns from it."""

import pathlib

import numpy as np
import oracle
import pytest
import tensorflow as tf
from train import samples
from train.samples import FILLS, VOCABULARIES, F, Sample

from ragline.components.runtime import cores
from ragline.components.train.data import random_slices
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import TermOptions, TrainOptions
from ragline.pipeline.config import ConfigError, load

LENGTHS = (9, 1, 4, 17, 2, 12, 3, 40)
ALIKE = TermOptions(name="alike", type="slices", weight=0.5)
NAMES = tuple(vocabulary.name for vocabulary in VOCABULARIES)


def _options(**changed: object) -> TrainOptions:
    shape = {"units": 4, "embedding_size": 3, "linear_steps": 4, "epochs": 2, "patience": 2}
    return TrainOptions(**shape | {"statistics": 0.0, "seed": 5} | changed)


def _trainer(options: TrainOptions, *further: TermOptions) -> Trainer:
    strategy = tf.distribute.get_strategy()
    return Trainer(features=F, options=options, strategy=strategy, terms=further)


def _write(folder: pathlib.Path, made: list[Sample]) -> str:
    return samples.write(folder / "shard", [samples.record(sample) for sample in made])


def _seed(update: int, which: int) -> tf.Tensor:
    return tf.constant([5, 2 * update + which])


def _cut(batch: SequenceBatch, seed: int) -> SequenceBatch:
    return random_slices.cut(batch, tf.constant([0, seed]))


def _starts(whole: np.ndarray, part: np.ndarray) -> list[int]:
    """The steps of a sequence at which a slice of it may have begun."""
    starts = range(len(whole) - len(part) + 1)
    return [start for start in starts if np.array_equal(whole[start : start + len(part)], part)]


@pytest.mark.parametrize("fill", FILLS)
def test_a_slice_is_a_part_of_its_sequence_whatever_the_padding_holds(
    tmp_path: pathlib.Path, fill: float
) -> None:
    made = samples.with_token_ids(2, samples.make(1, LENGTHS, missing=True))
    batches = samples.read(_write(tmp_path, made), missing=True, categories=NAMES)
    [batch], [padded] = batches, samples.filled(batches, fill, extra=7)
    first, same, other = _cut(batch, 1), _cut(padded, 1), _cut(batch, 2)
    tf.nest.map_structure(np.testing.assert_array_equal, first, same)
    assert any(first.length.numpy() != other.length.numpy())
    for row, one in enumerate(made):
        steps = int(first.length[row])
        assert max(1, 0.4 * len(one.values) - 0.5) <= steps <= 0.9 * len(one.values) + 0.5
        parts = [
            (one.values, first.values),
            (one.observed, first.sample_weight > 0),
            *((one.token_ids[name], first.token_ids[name]) for name in NAMES),
            *((one.token_ids[name] >= 0, first.token_weight[name] > 0) for name in NAMES),
        ]
        starts = [{*_starts(whole, part[row, :steps].numpy())} for whole, part in parts]
        assert set.intersection(*starts)
        assert not any(np.any(part[row, steps:].numpy()) for _, part in parts)


def test_slices_begin_and_end_anywhere() -> None:
    batch = samples.batch([np.arange(20.0, dtype=np.float32)[:, np.newaxis]] * 2000)
    slices = _cut(batch, 3)
    first, length = slices.values[:, 0, 0].numpy(), slices.length.numpy()
    assert ({*length}, {*first}) == ({*range(8, 19)}, {*map(float, range(13))})
    assert {*(first + length)} == {*map(float, range(8, 21))}


@pytest.fixture(scope="module")
def in_two_shards() -> Trainer:
    """Traced once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cores, "batch_shards", lambda device: 2)
        trainer = _trainer(_options(), ALIKE)
    trainer.model.set_weights(samples.draw(trainer.model))
    return trainer


@pytest.mark.parametrize("fill", FILLS)
def test_its_error_is_the_oracles_whatever_the_padding_holds(
    tmp_path: pathlib.Path, fill: float, in_two_shards: Trainer
) -> None:
    made = samples.make(1, LENGTHS, missing=True)
    batches = samples.read(_write(tmp_path, made), missing=True)
    trainer, [batch] = in_two_shards, batches
    weights = trainer.model.get_weights()
    embeddings = []
    for which in range(2):
        slices = random_slices.cut(batch, _seed(0, which))
        rows = zip(slices.values.numpy(), slices.sample_weight.numpy(), strict=True)
        parts = zip(rows, slices.length.numpy(), strict=True)
        embeddings.append(
            np.stack(
                [
                    oracle.encode(values[:length], weights, _options(), weight[:length] > 0)
                    for (values, weight), length in parts
                ]
            )
        )
    sums = trainer.measure(samples.filled(batches, fill, extra=7))
    [term] = [term for term in trainer.terms if term.compares_sequences]
    assert sums[f"{term.key}_count"] == len(LENGTHS)
    expected = oracle.slices_error(*embeddings)
    assert sums[term.key] / len(LENGTHS) == pytest.approx(expected, rel=1e-5)


def test_padded_values_have_a_gradient_of_zero(tmp_path: pathlib.Path) -> None:
    made = samples.make(1, LENGTHS)
    [batch] = samples.filled(samples.read(_write(tmp_path, made)), float("nan"), extra=3)
    trainer = _trainer(_options(), ALIKE)
    trainer.model.set_weights(samples.draw(trainer.model))
    [term] = [term for term in trainer.terms if term.compares_sequences]
    with tf.GradientTape() as tape:
        tape.watch(batch.values)
        error = term.total(batch, trainer._forward(batch, training=True))
    slopes = tape.gradient(error, batch.values).numpy()
    assert not slopes[~batch.valid.numpy()].any()
    assert np.isfinite(slopes).all() and slopes[batch.valid.numpy()].any()


def test_a_sequence_alone_has_no_error_and_counts_for_nothing(tmp_path: pathlib.Path) -> None:
    trainer = _trainer(_options(), ALIKE)
    sums = trainer.update(samples.read(_write(tmp_path, samples.make(1, (5, 9))), batch_size=1))
    [term] = [term for term in trainer.terms if term.compares_sequences]
    assert (sums[term.key], sums[f"{term.key}_count"]) == (0.0, 0.0)
    assert all(np.isfinite(weight).all() for weight in trainer.model.get_weights())


@pytest.mark.full
def test_an_interrupted_training_goes_on_with_the_slices_of_its_update(
    tmp_path: pathlib.Path,
) -> None:
    """They depend on the number of the update, as below; test_loop.py resumes that number."""
    batches = samples.read(_write(tmp_path, samples.make(1, LENGTHS)), batch_size=4)

    def fitted(folder: str, epochs: int) -> tuple[Trainer, list[fit_loop.Epoch]]:
        trainer = _trainer(_options(epochs=epochs), ALIKE)
        history = fit_loop.fit(
            trainer,
            train_batches=lambda epoch: batches,
            eval_batches=lambda: batches,
            options=_options(epochs=epochs),
            checkpoints=Checkpoints(tmp_path / folder, "x"),
            on_epoch=lambda epoch: None,
        )
        return trainer, history

    whole, history = fitted("whole", 2)
    fitted("cut", 1)
    resumed, continued = fitted("cut", 2)
    for name in ("variables", "averages"):
        pairs = zip(getattr(whole, name), getattr(resumed, name), strict=True)
        for one, other in pairs:
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert [epoch.further for epoch in history] == [epoch.further for epoch in continued]
    assert all({*epoch.further["alike"]} == {"error"} for epoch in history)


def test_each_update_has_slices_of_its_own(tmp_path: pathlib.Path) -> None:
    batches = samples.read(_write(tmp_path, samples.make(1, LENGTHS)))
    trainer = _trainer(_options(), ALIKE)
    [term] = [term for term in trainer.terms if term.compares_sequences]
    errors = []
    for update in (0, 1, 0):
        trainer.optimizer.iterations.assign(update)
        errors.append(trainer.measure(batches)[term.key])
    assert errors[0] == errors[2] != errors[1]


@pytest.mark.full
def test_training_brings_the_slices_of_a_sequence_together(tmp_path: pathlib.Path) -> None:
    made = samples.make(1, LENGTHS * 4)
    batches = samples.read(_write(tmp_path, made))
    errors = {}
    for further in ((), (TermOptions(name="alike", type="slices", weight=10.0),)):
        trainer = _trainer(_options(learning_rate=0.01), *further)
        trainer.start(batches)
        for _ in range(40):
            trainer.update(batches)
        [batch] = batches
        pairs = [trainer.model.encode(_cut(batch, seed)).numpy() for seed in (1, 2)]
        errors[bool(further)] = oracle.slices_error(*pairs)
    assert errors[True] < 0.8 * errors[False]


@pytest.mark.parametrize(
    ("train", "term", "message"),
    [
        ("", "", ""),
        ("gradient_accumulation_steps = 2", "", "'alike' compares .* expected train.gradient_acc"),
        ("strategy = 'multi_worker'", "", "'alike' compares .* expected train.strategy = 'one'"),
        ("", "options = { share = 0.5 }", r"options\.share: unknown key; a slices has none"),
    ],
)
def test_a_configuration_has_it_or_says_what_does_not_go_with_it(
    tmp_path: pathlib.Path, train: str, term: str, message: str
) -> None:
    text = 'name = "x"\nschema = "gestures"\nworkdir = "w"\n[input]\ntrain = "data/*.jsonl"\n'
    table = f'[[terms]]\nname = "alike"\ntype = "slices"\nweight = 0.5\n{term}\n'
    file = tmp_path / "c.toml"
    file.write_text(f"{text}[train]\n{train}\n{table}")
    if not message:
        assert load(file).terms == (ALIKE,)
        return
    with pytest.raises(ConfigError, match=message):
        load(file)
