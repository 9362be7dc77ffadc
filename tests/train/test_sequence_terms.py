"""A term of `[[terms]]`, as docs/extending.md shows it: trained, measured, and beside an oracle."""

import dataclasses
import pathlib
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from ingest.test_plug_in import BLOCKS, install
from push import clean_exports
from train import samples
from train.samples import SCORE, F, Sample

from ragline import schemas
from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import EVALUATE, EXAMPLES, N_SEQUENCES
from ragline.components.evaluate.metrics import formulas, named, totals
from ragline.components.evaluate.metrics.interface import Parts
from ragline.components.train import terms
from ragline.components.train.export import export_model
from ragline.components.train.loop import fit_loop, training
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import architecture
from ragline.components.train.objective.trivial_baselines import measure
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions
from ragline.components.train.terms.interface import Outputs, SequenceTerm
from ragline.pipeline.config import ConfigError, load

LAG = 2
LENGTHS = (9, 1, 4, 17, 2, 12, 3, 5)
OPTIONS = TrainOptions(units=4, embedding_size=3, linear_steps=4, epochs=1, patience=1)
CONFIG = """
name = "x"
schema = "gestures"
workdir = "w"
[input]
train = "data/*.jsonl"
[[terms]]
name = "pace"
"""


@pytest.fixture(autouse=True)
def pace(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TermOptions]:
    """The page's package, installed, and a table that has it."""

    def forget() -> None:
        terms.TERMS.__dict__.pop("_entry_points", None)
        sys.modules.pop("changes", None)

    monkeypatch.syspath_prepend(tmp_path)
    entry = "[ragline.terms]\nchanges = changes:Changes\n"
    install(tmp_path, "changes", {"changes.py": BLOCKS["changes"]}, entry)
    forget()
    yield TermOptions(name="pace", type="changes", weight=0.5, options={"lag": LAG})
    forget()


def _changes(values: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """The changes over `LAG` steps of values that are both observed, one after another."""
    pairs = observed[LAG:] & observed[:-LAG]
    values = values.astype(np.float64)
    return (values[LAG:] - values[:-LAG])[pairs]


def _squares(made: list[Sample], outputs: list[np.ndarray]) -> np.ndarray:
    """The squared errors of all changes."""
    return np.concatenate(
        [
            np.square(_changes(y, one.observed) - _changes(one.values, one.observed))
            for y, one in zip(outputs, made, strict=True)
        ]
    )


def _trainer(term: TermOptions, **options: object) -> Trainer:
    return Trainer(
        features=F,
        options=dataclasses.replace(OPTIONS, **options),
        strategy=tf.distribute.get_strategy(),
        heads=[SCORE],
        terms=[term],
    )


def _read(folder: pathlib.Path, made: list[Sample], batch_size: int = 256) -> tf.data.Dataset:
    path = samples.write(folder / "shard", [samples.record(sample) for sample in made])
    return samples.read(path, missing=True, heads=[SCORE], batch_size=batch_size)


def _outputs(trainer: Trainer, made: list[Sample], folder: pathlib.Path) -> list[np.ndarray]:
    [batch] = _read(folder, made)
    values = trainer.model(batch).numpy()
    return [row[: len(one.values)] for row, one in zip(values, made, strict=True)]


def test_the_training_loop_learns_measures_and_judges_it(
    pace: TermOptions, tmp_path: pathlib.Path
) -> None:
    made = samples.make(1, LENGTHS, missing=True)
    trainer = _trainer(pace)
    lines: list[str] = []
    history = fit_loop.fit(
        trainer,
        train_batches=lambda epoch: _read(tmp_path, made, 3),
        eval_batches=lambda: _read(tmp_path, made, 4),
        options=OPTIONS,
        checkpoints=Checkpoints(tmp_path / "checkpoints", "x"),
        on_epoch=lambda epoch: lines.append(training.describe(epoch, 1)),
    )
    best = fit_loop.best_epoch(history)
    error = _squares(made, _outputs(trainer, made, tmp_path)).mean()
    trivial = _squares(made, [np.zeros_like(one.values) for one in made]).mean()
    assert best.further["pace"]["eval_error"] == pytest.approx(error, rel=1e-5)
    [term] = [term for term in best.terms if term["name"] == "term/pace/error"]
    assert term["weight"] == 0.5
    assert term["value"] == best.further["pace"]["eval_error"]
    assert term["baseline"] == pytest.approx(trivial, rel=1e-6)
    ratios = [each["value"] / each["baseline"] for each in best.terms]
    weights = [each["weight"] for each in best.terms]
    assert weights == [1.0, SCORE.weight, 0.5]
    assert best.objective == pytest.approx(np.average(ratios, weights=weights), rel=1e-12)
    assert all("term/pace/error" in line for line in lines)


def test_its_part_in_an_update_depends_only_on_the_sequences(
    pace: TermOptions, tmp_path: pathlib.Path
) -> None:
    """Accumulated, with NaN in the padding. Its weight is so large that all else is rounding."""
    term = dataclasses.replace(pace, weight=1e6)
    batches = _read(tmp_path, samples.make(2, LENGTHS, missing=True))
    plain, other = (_trainer(term, gradient_accumulation_steps=parts) for parts in (1, 3))
    plain.update(batches)
    other.update(samples.filled(batches, np.nan, extra=5))
    for one, another in zip(plain.model.get_weights(), other.model.get_weights(), strict=True):
        np.testing.assert_allclose(another, one, rtol=2e-4, atol=2e-5)


def test_what_stands_in_the_padding_or_for_a_missing_value_has_a_gradient_of_0(
    pace: TermOptions, tmp_path: pathlib.Path
) -> None:
    [batch] = samples.filled(
        _read(tmp_path, samples.make(3, LENGTHS, missing=True)), np.nan, extra=2
    )
    term = terms.of_sequences(pace)
    counted = (batch.sample_weight > 0).numpy()
    values = tf.Variable(np.where(counted, 0.5, np.nan).astype(np.float32))
    with tf.GradientTape() as tape:
        total = term.total(batch, Outputs(values, {}, {}, tf.zeros([len(LENGTHS), 3])))
    slope = tf.convert_to_tensor(tape.gradient(total, values)).numpy()
    assert np.isfinite(total.numpy()) and total > 0
    assert np.abs(slope[counted]).max() > 0
    assert not slope[~counted].any() and np.isfinite(slope).all()


def test_without_a_baseline_it_has_no_part_in_the_choice(
    pace: TermOptions, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = _trainer(pace)
    [term] = [term for term in trainer.terms if isinstance(term, SequenceTerm)]
    monkeypatch.delattr(type(term), "baseline")
    batches = _read(tmp_path, samples.make(1, LENGTHS, missing=True))
    assert {*measure(batches, lambda: batches, trainer.terms).errors} == {
        "normalised_mse",
        "head/score/mse",
    }


def test_the_exported_model_returns_its_sums_and_the_evaluation_its_metric(
    pace: TermOptions, tmp_path: pathlib.Path
) -> None:
    schema = schemas.load("gestures")
    columns = Columns.from_schema(schema)
    model = architecture.build(features=len(columns.names), options=OPTIONS, portable=True)
    folder = tmp_path / "model"
    export_model.export(
        model,
        transform_output=clean_exports.transform_output("gestures", tmp_path / "transform"),
        schema=schema,
        columns=columns,
        heads=(),
        vocabularies=(),
        weights={folder: model.get_weights()},
        further=[pace],
    )
    rng = np.random.default_rng(5)
    records = []
    for length in LENGTHS:
        example = tf.train.Example()
        for name in columns.names:
            example.features.feature[name].float_list.value.extend(rng.normal(size=length))
        records.append(example.SerializeToString())
    loaded = tf.saved_model.load(str(folder))
    evaluate = loaded.signatures[EVALUATE]
    sums = {name: x.numpy() for name, x in evaluate(**{EXAMPLES: tf.constant(records)}).items()}
    alone = [evaluate(**{EXAMPLES: tf.constant([record])}) for record in records]
    for name in ("term_pace_total", "term_pace_count"):
        every = np.concatenate([each[name].numpy() for each in alone])
        np.testing.assert_allclose(sums[name], every, rtol=1e-5)
    pairs = [max(length - LAG, 0) * len(columns.names) for length in LENGTHS]
    assert sums["term_pace_count"].tolist() == pairs
    ids = [str(row).encode() for row in range(len(LENGTHS))]
    by_group = totals.sum_by_group(sums, ids, range(len(LENGTHS)))
    estimates = formulas.model_estimates(by_group, columns.names, (), (), ["pace"])
    assert estimates["term/pace/error"].value == pytest.approx(
        sums["term_pace_total"].sum() / sum(pairs), rel=1e-12
    )
    assert estimates["term/pace/error"].value > 0
    assert estimates[N_SEQUENCES].value == len(LENGTHS)


def test_a_term_may_be_called_like_a_sum_of_each_feature() -> None:
    parts = Parts(features=["a"], terms=["x_squared", "y"])
    named.check(parts)
    [metric] = [each for each in named.of_model(parts) if each.name == "term/x_squared/error"]
    sums = dict(zip(metric.sums, (np.array([3.0]), np.array([2.0])), strict=True))
    assert metric.finish({name: total.sum() for name, total in sums.items()})[0] == 1.5


def _load(folder: pathlib.Path, table: str):
    (folder / "c.toml").write_text(CONFIG + table, encoding="utf-8")
    return load(folder / "c.toml")


def test_a_configuration_has_it_by_its_type(pace: TermOptions, tmp_path: pathlib.Path) -> None:
    text = 'type = "changes"\nweight = 0.5\noptions = { lag = 2 }\n'
    assert _load(tmp_path, text).terms == (pace,)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('type = "chnges"', r"terms.0.type: expected 'slices' or 'changes', received 'chnges'"),
        (
            'type = "regression"',
            r"terms.0.type: expected 'slices' or 'changes', received 'regression'",
        ),
        (
            'type = "changes"\noptions = { lag = 0 }',
            r"terms.0.options.lag: expected an integer of at least 1, received 0",
        ),
        ('type = "changes"\noptions = { lags = 1 }', r"terms.0.options.lags: expected lag"),
        ('type = "changes"\nweight = 0.0', r"terms.0.weight: expected a positive number"),
        (
            'type = "changes"\n[[terms]]\nname = "pace"\ntype = "changes"',
            r"terms: expected each name once, received pace, pace",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(
    tmp_path: pathlib.Path, table: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        _load(tmp_path, table)


def test_it_is_no_type_of_a_head() -> None:
    with pytest.raises(ValueError, match=r"type: expected 'classification' or 'regression', rec"):
        HeadOptions(name="x", column="x", type="changes")


def test_without_a_package_the_error_says_which_types_there_are(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "changes-1.0.dist-info" / "entry_points.txt").write_text("")
    terms.TERMS.__dict__.pop("_entry_points", None)
    with pytest.raises(ConfigError, match="type: expected 'slices', received 'changes'"):
        _load(tmp_path, 'type = "changes"')
