"""The objective that chooses the epoch, beside a NumPy float64 oracle that has no padding."""

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf
from train import samples
from train.samples import GRADE, KIND, SCORE, VOCABULARIES, F, Sample
from train.test_bigram import oracle as bigram_oracle

from ragline.components.contract import relative
from ragline.components.contract.relative import MeasuredTerm
from ragline.components.train.data import batching
from ragline.components.train.loop import fit_loop, training
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.objective import trivial_baselines
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms import steps as step_terms
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

HEADS = (KIND, GRADE, SCORE)
CATEGORIES = tuple(vocabulary.name for vocabulary in VOCABULARIES)
LENGTHS = (9, 1, 4, 17, 2, 12, 3, 5, 30, 1, 8)


def _made(seed: int) -> list[Sample]:
    """Sequences with missing values, labels and tokens; the second feature is 30 times as wide."""
    made = samples.with_token_ids(seed, samples.make(seed, LENGTHS, missing=True))
    scale = np.array([1.0, 30.0], np.float32)
    return [dataclasses.replace(sample, values=sample.values * scale) for sample in made]


def _read(path, made: list[Sample], batch_size: int) -> tf.data.Dataset:
    file = samples.write(path, list(map(samples.record, made)))
    return samples.read(
        file, missing=True, batch_size=batch_size, heads=HEADS, categories=CATEGORIES
    )


def _labels(made: list[Sample], head) -> list:
    labels = [sample.labels[head.column] for sample in made if head.column in sample.labels]
    return [label.decode() if isinstance(label, bytes) else label for label in labels]


def _tokens(made: list[Sample], name: str) -> list[int]:
    tokens = np.concatenate([sample.token_ids[name] for sample in made])
    return tokens[tokens >= 0].tolist()


def _cross_entropy(train: list, evaluation: list, size: int) -> float:
    return float(
        np.mean([-math.log((train.count(x) + 1) / (len(train) + size)) for x in evaluation])
    )


def test_the_trivial_baselines_are_the_oracles(tmp_path):
    train, evaluation = _made(1), _made(2)
    measured = {
        size: trivial_baselines.measure(
            _read(tmp_path / "train", train, size),
            lambda size=size: _read(tmp_path / "eval", evaluation, size),
            step_terms.of_model(TrainOptions(), HEADS, CATEGORIES),
        )
        for size in (1, 4, 256)
    }
    errors, accuracies, bigrams = {"normalised_mse": 1.0}, {}, {}
    for head in (KIND, GRADE):
        known = [str(label) for label in _labels(train, head)]
        there = [str(label) for label in _labels(evaluation, head)]
        name = f"head/{head.name}/loss"
        errors[name] = _cross_entropy(known, there, len(head.classes))
        mode = max(head.classes, key=known.count)
        accuracies[name] = there.count(mode) / len(there)
    scores = np.array(_labels(evaluation, SCORE), np.float64)
    errors["head/score/mse"] = np.square(scores - np.mean(_labels(train, SCORE))).mean()
    for vocabulary in VOCABULARIES:
        known, there = _tokens(train, vocabulary.name), _tokens(evaluation, vocabulary.name)
        name = f"category/{vocabulary.name}/cross_entropy"
        errors[name] = _cross_entropy(known, there, vocabulary.size)
        mode = max(range(vocabulary.size), key=known.count)
        accuracies[name] = there.count(mode) / len(there)
        sequences = (
            [s.token_ids[vocabulary.name].tolist() for s in m] for m in (train, evaluation)
        )
        bigrams[name] = bigram_oracle(*sequences)
    values = [
        np.concatenate([s.values[s.observed[:, f], f] for s in evaluation]).astype(np.float64)
        for f in range(F)
    ]
    for baselines in measured.values():
        assert baselines.errors == pytest.approx(errors, rel=1e-9)
        assert baselines.accuracies == pytest.approx(accuracies, rel=1e-12)
        assert baselines.bigrams.keys() == bigrams.keys()
        for name, scored in baselines.bigrams.items():
            assert scored == pytest.approx(bigrams[name], rel=1e-12)
        assert baselines.number.tolist() == [len(column) for column in values]
        assert baselines.variance == pytest.approx([v.var() for v in values], rel=1e-9)


def test_an_epoch_is_judged_by_all_terms_relative_to_their_baselines(tmp_path):
    made = _made(3)
    options = TrainOptions(units=4, embedding_size=3, linear_steps=4, epochs=1, patience=1)
    trainer = Trainer(
        features=F,
        options=options,
        strategy=tf.distribute.get_strategy(),
        heads=HEADS,
        vocabularies=VOCABULARIES,
    )
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: _read(tmp_path / "train", made, 4),
        eval_batches=lambda: _read(tmp_path / "eval", made, 3),
        options=options,
        checkpoints=Checkpoints(tmp_path, "x"),
        on_epoch=lambda epoch: None,
    )
    epoch = history[1]
    trainer.model.set_weights(trainer.model.get_weights())
    terms = {term["name"]: term for term in epoch.terms}
    assert terms["head/kind/loss"]["value"] == epoch.heads["kind"]["eval_loss"]
    code = epoch.categories["code"]["eval_cross_entropy"]
    assert terms["category/code/cross_entropy"]["value"] == code
    weights = [1.0, 1.0, 1.0, SCORE.weight, 1.0, 1.0]
    ratios = [
        terms[name]["value"] / terms[name]["baseline"]
        for name in (
            "normalised_mse",
            "head/kind/loss",
            "head/grade/loss",
            "head/score/mse",
            "category/activity/cross_entropy",
            "category/code/cross_entropy",
        )
    ]
    assert len(terms) == len(ratios)
    assert epoch.objective == pytest.approx(np.average(ratios, weights=weights), rel=1e-12)
    line = training.describe(epoch, 1)
    assert line.startswith(f"epoch 1/1  objective {epoch.objective:.4f}  loss ")
    assert f"objective {epoch.objective:.4f}, began at 0.7500  " in training.describe(
        epoch, 1, 0.75
    )
    for name, term in terms.items():
        assert f"{name} {term['value']:.4g} of {term['baseline']:.4g}" in line


def test_the_numbers_are_those_of_each_feature_however_wide(tmp_path):
    """The kept weights, by the oracle's normalised MSE: masked MSE is of the wide feature alone."""
    made = _made(4)
    options = TrainOptions(units=4, embedding_size=3, linear_steps=4, epochs=2, patience=2)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    file = samples.write(tmp_path / "all", list(map(samples.record, made)))
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: samples.read(file, missing=True, batch_size=4),
        eval_batches=lambda: samples.read(file, missing=True, batch_size=3),
        options=options,
        checkpoints=Checkpoints(tmp_path, "x"),
        on_epoch=lambda epoch: None,
    )
    best = fit_loop.best_epoch(history)
    [batch] = samples.read(file, missing=True)
    outputs = trainer.model.decode(trainer.model.encode(batch), batch).values.numpy()
    shares = []
    for feature in range(F):
        true = np.concatenate([s.values[s.observed[:, feature], feature] for s in made])
        rows = [outputs[row, : len(s.values), feature] for row, s in enumerate(made)]
        kept = np.concatenate([o[s.observed[:, feature]] for o, s in zip(rows, made, strict=True)])
        errors = np.square(kept.astype(np.float64) - true)
        shares.append(errors.mean() / true.astype(np.float64).var())
    assert best.objective == pytest.approx(np.mean(shares), rel=1e-5)
    assert fit_loop.best_epoch(history).objective == min(e.objective for e in history)


def test_what_does_not_vary_is_no_term():
    assert math.isnan(relative.objective([]))
    only_one = np.array([9, 0, 0])
    assert relative.cross_entropy_of_frequencies(only_one, np.array([3, 4, 0])) == 0.0
    assert relative.cross_entropy_of_frequencies(np.array([3, 4, 0]), only_one) == 0.0
    assert relative.accuracy_of_mode(only_one, np.zeros(3, int)) == 0.0
    number, mean = np.array([4.0, 4.0, 0.0]), np.array([1e6, 0.0, 0.0])
    spread = relative.variance(number, number * mean, number * np.square(mean) + [0, 4.0, 0])
    assert spread.tolist() == [0.0, 1.0, 0.0]
    assert relative.normalised_mse(np.array([5.0, 2.0, 0.0]), number, spread) == 0.5
    assert math.isnan(relative.normalised_mse(number, number, np.zeros(3)))


def _epoch(number: int, value: float) -> fit_loop.Epoch:
    term = MeasuredTerm(name="normalised_mse", weight=1.0, value=value, baseline=1.0)
    return fit_loop.Epoch(
        epoch=number,
        loss=1.0,
        masked_mse=-value,  # Has no part in the choice.
        heads={},
        seconds=1.0,
        steps=1,
        padded_steps=1,
        terms=(dataclasses.asdict(term),),
    )


def test_patience_is_counted_among_the_epochs_that_trained():
    """A start at the principal components is low, and training goes above it at first."""
    falling = [_epoch(number, value) for number, value in enumerate((0.3, 0.9, 0.8, 0.7, 0.6))]
    assert not fit_loop._is_over(falling, 2)
    assert fit_loop.best_epoch(falling).epoch == 0
    rising = [_epoch(number, value) for number, value in enumerate((0.3, 0.5, 0.8, 0.9))]
    assert fit_loop._is_over(rising, 2)
    diverged = [*falling, _epoch(5, math.nan)]
    assert fit_loop.best_epoch(diverged).epoch == 0


def test_batches_are_planned_by_the_data_and_the_start_reads_a_part(tmp_path, monkeypatch):
    """`fit_loop.train` takes the batch size from the number of sequences.

    What the start is computed from, and what epoch 0 measures, are the same few of them.
    """
    monkeypatch.setattr(fit_loop, "START_SEQUENCES", 10)
    made = samples.make(5, [3] * 40)
    file = samples.write(tmp_path / "all", list(map(samples.record, made)))
    from ragline.components.train.data.records import Records

    records = Records(
        files=(file,),
        lengths=np.array([3] * 40),
        spec=samples.SPEC | samples.LABELS | samples.TOKEN_ID_SPEC,
        features=F,
    )
    options = TrainOptions(units=2, embedding_size=2, linear_steps=2, updates=10)
    trainer = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    history = fit_loop.train(
        trainer, records, records, options=options, checkpoints=Checkpoints(tmp_path, "x")
    )
    # 40 sequences in batches of 8 are 5 updates a pass.
    assert len(history) == 1 + 2
    assert int(trainer.optimizer.iterations) == trainer.rate.updates == 10
    assert batching.plan_training(options, records.lengths, F).sequences is None

    drawn = [batch.values.numpy() for batch in records.for_training(options, at_most=10)]
    number = sum(map(len, drawn))
    assert 1 < number < 25
    assert [epoch.steps for epoch in history] == [3 * number, 3 * 40, 3 * 40]
    started = Trainer(features=F, options=options, strategy=tf.distribute.get_strategy())
    started.start(records.for_training(options, at_most=10))
    mean = np.concatenate(drawn)[:, [0, 2]].reshape(number, -1).mean(axis=0)  # Of a grid of two.
    np.testing.assert_allclose(started.model.linear.to_grid.bias.numpy(), mean, rtol=1e-5)
    measured = started.measure(records.for_training(options, at_most=10))
    assert history[0].loss == pytest.approx(mean_of(measured, LOSS), rel=1e-6)
