"""A term that compares the sequences of a batch, as docs/extending.md shows it."""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from ingest.test_plug_in import BLOCKS, install
from train import samples
from train.samples import F

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.evaluate.verdict.rules import Rule, Rules, find_unknown_names
from ragline.components.runtime import cores
from ragline.components.train import terms
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import TermOptions, TrainOptions
from ragline.components.train.terms.interface import Outputs
from ragline.pipeline.config import ConfigError, load

LENGTHS = (9, 1, 4, 17, 2, 12, 3)
OPTIONS = TrainOptions(units=4, embedding_size=3, linear_steps=4, epochs=2, patience=2)


@pytest.fixture(autouse=True)
def near(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TermOptions]:
    """The page's package, installed, and a table that has it."""

    def forget() -> None:
        terms.TERMS.__dict__.pop("_entry_points", None)
        sys.modules.pop("apart", None)

    monkeypatch.syspath_prepend(tmp_path)
    entry = "[ragline.terms]\napart = apart:Apart\n"
    install(tmp_path, "apart", {"apart.py": BLOCKS["apart"]}, entry)
    forget()
    yield TermOptions(name="near", type="apart", weight=0.5)
    forget()


def _read(folder: pathlib.Path, batch_size: int = 256) -> tf.data.Dataset:
    made = samples.make(1, LENGTHS, missing=True)
    path = samples.write(folder / "shard", [samples.record(sample) for sample in made])
    return samples.read(path, missing=True, batch_size=batch_size)


def _trainer(*further: TermOptions) -> Trainer:
    return Trainer(
        features=F, options=OPTIONS, strategy=tf.distribute.get_strategy(), terms=further
    )


def _near(embeddings: np.ndarray) -> np.ndarray:
    """exp(-|a - b|^2) of all ordered pairs of two rows."""
    rows = [*embeddings.astype(np.float64)]
    return np.array(
        [
            np.exp(-np.square(a - b).sum())
            for i, a in enumerate(rows)
            for j, b in enumerate(rows)
            if i != j
        ]
    )


def test_its_error_is_of_all_pairs_of_a_batch_on_any_number_of_cores(
    near: TermOptions, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "batch_shards", lambda device: 2)
    [batch] = batches = _read(tmp_path)
    trainer = _trainer(near)
    expected = _near(trainer.model.encode(batch).numpy())
    [term] = [term for term in trainer.terms if term.compares_sequences]
    sums = trainer.measure(batches)
    assert sums[f"{term.key}_count"] == len(expected)
    assert sums[term.key] == pytest.approx(expected.sum(), rel=1e-6)
    # In two parts there are fewer pairs.
    shards = trainer._batch_shards, _trainer()._batch_shards
    assert shards == (1, 2)


def test_a_training_moves_embeddings_apart(near: TermOptions, tmp_path: pathlib.Path) -> None:
    [batch] = batches = _read(tmp_path)
    trainer = _trainer(dataclasses.replace(near, weight=1e4))
    before = _near(trainer.model.encode(batch).numpy()).mean()
    for _ in range(5):
        trainer.update(batches)
    assert _near(trainer.model.encode(batch).numpy()).mean() < 0.9 * before


def test_a_sequence_alone_has_no_error_and_counts_for_nothing(
    near: TermOptions, tmp_path: pathlib.Path
) -> None:
    batches = _read(tmp_path, batch_size=1)
    trainer = _trainer(near)
    sums = trainer.update(batches)
    [term] = [term for term in trainer.terms if term.compares_sequences]
    assert (sums[term.key], sums[f"{term.key}_count"]) == (0.0, 0.0)
    assert all(np.isfinite(weight).all() for weight in trainer.model.get_weights())


def test_it_is_part_of_the_training_and_of_no_evaluation(
    near: TermOptions, tmp_path: pathlib.Path
) -> None:
    trainer, batches = _trainer(near), _read(tmp_path)
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: batches,
        eval_batches=lambda: batches,
        options=OPTIONS,
        checkpoints=Checkpoints(tmp_path / "checkpoints", "x"),
        on_epoch=lambda epoch: None,
    )
    assert [{*epoch.further["near"]} for epoch in history] == [{"error"}] * 3
    assert [[term["name"] for term in epoch.terms] for epoch in history] == [["normalised_mse"]] * 3
    [batch] = batches
    outputs = Outputs(batch.values, {}, {}, tf.ones([len(LENGTHS), 3]))
    term = terms.of_sequences(near)
    assert term.sums_by_sequence(batch, outputs) == term.evaluated(batch, outputs) == {}


def test_no_rule_can_name_it(near: TermOptions) -> None:
    columns = Columns.from_schema(schemas.load("gestures"))
    rules = Rules(rules=(Rule(metric="term/near/error", at_most=1.0),))
    [line] = find_unknown_names(rules, columns, [], terms.measured([near]))
    assert line.startswith("rules.0.metric: expected one of ")
    assert line.endswith("received 'term/near/error'")


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (
            "gradient_accumulation_steps = 2",
            "terms: 'near' compares the sequences of a whole batch; expected "
            "train.gradient_accumulation_steps = 1, received 2",
        ),
        (
            "strategy = 'multi_worker'",
            "terms: 'near' compares the sequences of a whole batch; expected "
            "train.strategy = 'one', received 'multi_worker'",
        ),
        ("", ""),
    ],
)
def test_a_configuration_that_would_cut_its_batches_is_refused_with_its_name(
    near: TermOptions, tmp_path: pathlib.Path, train: str, message: str
) -> None:
    text = 'name = "x"\nschema = "gestures"\nworkdir = "w"\n[input]\ntrain = "data/*.jsonl"\n'
    file = tmp_path / "c.toml"
    file.write_text(
        f'{text}[train]\n{train}\n[[terms]]\nname = "near"\ntype = "apart"\nweight = 0.5\n'
    )
    if not message:
        assert load(file).terms == (near,)
        return
    with pytest.raises(ConfigError, match=rf"{message}$"):
        load(file)
