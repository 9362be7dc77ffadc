"""A metric of another package, as docs/extending.md shows it, is measured like ragline's own."""

import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from evaluate.samples import FEATURES, Made, make
from ingest.test_plug_in import entry_points_of, install

from ragline import schemas
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import category_sum, head_sum
from ragline.components.evaluate.baselines import baseline_scores
from ragline.components.evaluate.baselines.raw_records import RawRecords
from ragline.components.evaluate.metrics import (
    METRICS,
    eval_config,
    formulas,
    named,
    tfma_extractors,
    tfma_results,
    totals,
)
from ragline.components.evaluate.metrics.interface import Embedded, Parts
from ragline.components.evaluate.verdict import judgement
from ragline.components.evaluate.verdict.rules import Rules
from ragline.pipeline.config import ConfigError, load, read_contract

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "extending.md").read_text("utf-8").partition("\n## A metric\n")[2]
MODULE, PROJECT, RULE = re.findall(r"^```\w+\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[:3]
CONFIG = 'name = "x"\nschema = "mine.pbtxt"\nworkdir = "w"\n[input]\ntrain = "data/*.jsonl"\n'


def _forget() -> None:
    METRICS.__dict__.pop("_entry_points", None)
    sys.modules.pop("even", None)


@pytest.fixture
def site(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """A folder of installed distributions."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    _forget()
    yield folder
    _forget()


@pytest.fixture
def even(site: pathlib.Path) -> pathlib.Path:
    """The page's package, installed."""
    install(site, "even", {"even.py": MODULE}, entry_points_of(PROJECT))
    return site


def sequence_mse(made: Made, predictor: str) -> float:
    """The mean over sequences of their own errors, of the values that were observed."""
    outputs = made.predictions()[predictor]
    own = [
        np.mean(np.square(output - values)[seen])
        for values, output, seen in zip(made.values, outputs, made.observed, strict=True)
        if seen.any()
    ]
    return float(np.mean(own))


def evaluate(
    made: Made, output: pathlib.Path, options: PipelineOptions | None = None
) -> tfma_results.Table:
    """What TFMA makes of the sums of sequences, as its Evaluator would write it."""
    sums = made.sums()
    config = eval_config.eval_config(
        features=FEATURES, heads=(), categories=(), slices=(), source="x"
    )
    extracts = [
        {
            "features": {"sequence_id": np.array(made.ids, object)[rows]},
            "predictions": {key: value[rows] for key, value in sums.items()},
        }
        for rows in (slice(25), slice(25, None))
    ]
    writers = tfma.default_writers(str(output), eval_shared_model=None, eval_config=config)
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(extracts, reshuffle=False)
            | tfma.ExtractAndEvaluate(
                extractors=[tfma_extractors.slice_extractor([])],
                evaluators=tfma.default_evaluators(eval_config=config),
            )
            | tfma.WriteResults(writers=writers)
        )
    return tfma_results.load(str(output))[0]


def test_it_stands_in_tfma_s_result_of_the_model_and_the_baselines(
    even: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    made = make(3, 60, missing=0.3)
    table = evaluate(made, tmp_path / "evaluation")
    for predictor in ("model", "training_mean", "sequence_mean", "last_value"):
        numbers = table[predictor]["overall"]["sequence_mse"]
        assert numbers["value"] == pytest.approx(sequence_mse(made, predictor), rel=1e-12)
        assert numbers["count"] == sum(seen.any() for seen in made.observed)
        assert numbers["lower"] < numbers["value"] < numbers["upper"]
    assert {*table["model"]["overall"]} == {*formulas.model_metrics(FEATURES, (), ())}


def _rules(folder: pathlib.Path, text: str) -> Rules:
    (folder / "mine.pbtxt").write_text(schemas.locate("gestures").read_text("utf-8"))
    (folder / "mine.verdict.toml").write_text(text)
    (folder / "c.toml").write_text(CONFIG)
    return read_contract(load(folder / "c.toml")).rules


def test_a_rule_names_it(even: pathlib.Path, tmp_path: pathlib.Path) -> None:
    rules = _rules(tmp_path, RULE)
    made = make(3, 60)
    table: Any = evaluate(made, tmp_path / "evaluation")
    records = RawRecords([b""] * 60, made.ids, [""] * 60, np.ones(60), {})
    # A PCA and an untrained model whose answers are those of others.
    for name, predictor in (("pca", "training_mean"), ("untrained", "sequence_mean")):
        totals = baseline_scores.totals_by_slice([records], lambda _: made.sums(), [predictor])
        scores = baseline_scores.reconstruction_by_slice(totals, predictor)
        assert scores["overall"]["sequence_mse"]["value"] == pytest.approx(
            sequence_mse(made, predictor), rel=1e-12
        )
        table[name] = scores
    judged = judgement.judge(table, {"state": "first"}, rules)
    [sentence] = [reason for reason in judged.reasons if reason.startswith("sequence_mse")]
    ours, theirs = sequence_mse(made, "model"), sequence_mse(made, "training_mean")
    assert sentence == f"sequence_mse {ours:.4g} is not above the pca's {theirs:.4g} times 1"


def test_without_it_a_rule_is_refused_with_all_names(
    site: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ConfigError, match=r"expected one of masked_mse, .* 'sequence_mse'"):
        _rules(tmp_path, RULE)


def test_an_unknown_name_is_refused_with_its_own(
    even: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    with pytest.raises(ConfigError, match=r"rules.0.metric: .*, sequence_mse with against"):
        _rules(tmp_path, RULE.replace("sequence_mse", "sequence_mes"))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (('label = "sequence_mse"', 'label = "masked_mae"'), "there is a metric 'masked_mae'"),
        (("N_VALUES\n\n    def", '"weights"\n\n    def'), "metric 'sequence_mse': .*d weights$"),
        (("import (\n    Arrays", "import (\n    Array"), "of even: expected to import even:"),
    ],
)
def test_a_faulty_one_is_refused_before_anything_runs(
    site: pathlib.Path, tmp_path: pathlib.Path, edit: tuple[str, str], message: str
) -> None:
    assert edit[0] in MODULE
    install(site, "even", {"even.py": MODULE.replace(*edit)}, entry_points_of(PROJECT))
    with pytest.raises(UsageError, match=message):
        eval_config.eval_config(features=FEATURES, heads=(), categories=(), slices=(), source="x")


KINDS = """
from ragline.components.evaluate.metrics import interface, reconstruction, supervised


class Finite(reconstruction.FiniteShare):
    label = "finite_too"


class Halved(interface.FeatureMetric):
    label = "halved"
    sums = reconstruction.FeatureMse().sums

    def each(self, sums):
        return sums[0] / 2, sums[1]

    def finish(self, totals):
        return interface.ratio(*totals)


class Root(supervised.HeadMse):
    label = "root"

    def finish(self, totals):
        value, count = super().finish(totals)
        return value**0.5, count


class Wrong(supervised.CategoryAccuracy):
    label = "wrong"

    def each(self, sums):
        return sums[1] - sums[0], sums[1]
"""
ENTRIES = "[ragline.metrics]\n" + "".join(
    f"{name.lower()} = even:{name}\n" for name in ("Finite", "Halved", "Root", "Wrong")
)


def test_each_part_of_a_model_can_have_one(site: pathlib.Path) -> None:
    install(site, "even", {"even.py": KINDS}, ENTRIES)
    made = make(4, 40, missing=0.2)
    rng = np.random.default_rng(0)
    sums = made.sums()
    names = [category_sum("c", what) for what in ("observed", "right", "cross_entropy")]
    names += [head_sum("h", what) for what in ("labelled", "loss")]
    sums |= {name: rng.integers(1, 9, 40).astype(float) for name in names}
    parts = Parts(features=FEATURES, heads=[("h", "regression")], categories=["c"])
    named.check(parts)
    every_sum = named.with_each_sequence(sums, named.of_model(parts))
    values = {
        name: (estimate.value, estimate.count)
        for name, estimate in formulas.model_estimates(
            totals.sum_by_group(every_sum, made.ids, range(40)), FEATURES, parts.heads, ["c"]
        ).items()
    }
    assert values["finite_too"] == values["finite_share"]
    for feature in FEATURES:
        mse, count = values[f"masked_mse/{feature}"]
        assert values[f"halved/{feature}"] == (pytest.approx(mse / 2, rel=1e-12), count)
    mse, count = values["head/h/mse"]
    assert values["head/h/root"] == (pytest.approx(mse**0.5, rel=1e-12), count)
    right, count = values["category/c/accuracy"]
    assert values["category/c/wrong"] == (pytest.approx(1 - right, rel=1e-12), count)
    assert [*values] == [*formulas.model_metrics(FEATURES, parts.heads, ["c"])]


SPREAD = """
from ragline.components.evaluate.metrics.interface import EmbeddingMetric


class Spread(EmbeddingMetric):
    label = "spread"
    meaning = "mean distance from the centre"

    def of(self, embedded):
        return float(abs(embedded.values - embedded.values.mean(axis=0)).mean())
"""


def test_the_embedding_can_have_one(site: pathlib.Path, tmp_path: pathlib.Path) -> None:
    install(site, "even", {"even.py": SPREAD}, "[ragline.metrics]\nspread = even:Spread\n")
    rules = _rules(tmp_path, '[[rules]]\nmetric = "embedding/spread"\nat_most = 1.0\n')
    [metric] = [one for name, one in named.of_embedding().items() if name == "embedding/spread"]
    points = np.array([[3.0, 0.0], [-3.0, 0.0]])
    values = Embedded(values=points, lengths=np.array([1, 2]), entities=["a", "b"])
    assert metric.of(values) == 1.5
    measured = {"sequences": 2, "model": {metric.label: metric.of(values)}}
    model = {"finite_share": {"value": 1.0}, "masked_mse": {"value": 0.5}}
    table: Any = {"model": {"overall": model}}
    table = judgement.join_scores(table, {"baselines": {}, "embedding": measured})
    assert table["model"]["overall"]["embedding/spread"] == {"value": 1.5, "count": 2}
    judged = judgement.judge(_evaluated(table), {"state": "first"}, rules)
    assert "embedding/spread 1.5 is above 1" in judged.reasons


def _evaluated(table: Any) -> Any:
    """A table with what the rules that always hold need."""
    numbers = {"value": 0.5, "lower": 0.4, "upper": 0.6, "count": 90}
    names = (*formulas.model_metrics(FEATURES, (), ()), "sequence_mse")
    own = dict.fromkeys(names, numbers) | {"sequences": {"value": 90.0}}
    own |= table["model"]["overall"]
    return {name: {"overall": own} for name in ("model", "training_mean", "pca", "untrained")}


@pytest.mark.parametrize("label", ["size", "length_r2"])
def test_one_of_the_embedding_has_a_name_of_its_own(site: pathlib.Path, label: str) -> None:
    source = SPREAD.replace('"spread"', repr(label))
    install(site, "even", {"even.py": source}, "[ragline.metrics]\nspread = even:Spread\n")
    with pytest.raises(
        UsageError, match=f"'spread': expected a label of its own, received '{label}"
    ):
        named.check(Parts(features=FEATURES))
