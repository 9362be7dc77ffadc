"""An encoder, a decoder and a term of others, as docs/extending.md shows them, are as ragline's."""

import dataclasses
import pathlib
import re
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf
from ingest.test_plug_in import BLOCKS, entry_points_of, install
from train import samples, test_encoder_operations, test_encoders
from train.samples import SCORE, F

from ragline.components.contract.errors import UsageError
from ragline.components.evaluate.metrics import METRICS, named
from ragline.components.evaluate.metrics.interface import Parts
from ragline.components.train import decoders, encoders, terms
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.objective import trivial_baselines
from ragline.components.train.options import HeadOptions, TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

ROOT = pathlib.Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "extending.md").read_text("utf-8").partition("\n## A term\n")[2]
[TERMS] = re.findall(r"^```toml\n(\[project.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)[:1]
REGISTRIES = (encoders.ENCODERS, decoders.DECODERS, terms.TERMS, METRICS)


def _forget() -> None:
    for registry in REGISTRIES:
        registry.__dict__.pop("_entry_points", None)
    for module in ("averages", "medians", "places"):
        sys.modules.pop(module, None)


@pytest.fixture(autouse=True)
def installed(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pathlib.Path]:
    """The packages, installed; the folder of distributions."""
    monkeypatch.syspath_prepend(tmp_path)
    entry = "[ragline.encoders]\naverages = averages:Averages\n"
    install(tmp_path, "averages", {"averages.py": BLOCKS["averages"]}, entry)
    install(tmp_path, "medians", {"medians.py": BLOCKS["medians"]}, entry_points_of(TERMS))
    entry = "[ragline.decoders]\nplaces = places:Places\n"
    install(tmp_path, "places", {"places.py": BLOCKS["places"]}, entry)
    _forget()
    yield tmp_path
    _forget()


def test_the_encoder_passes_the_tests_of_ragline_s_own(tmp_path: pathlib.Path) -> None:
    pair = ("averages", "repeat")
    contract = test_encoders.test_neither_padding_nor_company_changes_an_answer
    for portable in (False, True):
        contract.hypothesis.inner_test(pair, portable, 1, [3, 1, 17], np.nan, 9)
    for precision in ("float32", "bfloat16"):
        test_encoders.test_the_gradient_of_the_padding_is_exactly_zero(pair, precision)
    for test in (
        test_encoders.test_a_step_of_zeros_counts_like_any_other,
        test_encoders.test_every_step_has_a_part_in_the_embedding,
        test_encoders.test_the_exported_model_takes_the_weights_and_gives_the_same,
        test_encoders.test_dropout_draws_no_other_numbers_with_more_padding,
        test_encoders.test_an_empty_batch_has_an_empty_answer,
        test_encoders.test_categories_are_read,
    ):
        test("averages")
    test_encoders.test_it_states_its_size("averages", {})
    test_encoder_operations.test_onnxruntime_reads_what_the_encoder_reads(
        "averages", {"layers": 1, "units": 8}
    )


def test_the_decoder_passes_the_tests_of_ragline_s_own(tmp_path: pathlib.Path) -> None:
    pair = ("lstm", "places")
    contract = test_encoders.test_neither_padding_nor_company_changes_an_answer
    for portable in (False, True):
        contract.hypothesis.inner_test(pair, portable, 1, [3, 1, 17], np.nan, 9)
    for precision in ("float32", "bfloat16"):
        test_encoders.test_the_gradient_of_the_padding_is_exactly_zero(pair, precision)
    made = samples.make(4, [3, 5, 2, 8])
    batches = samples.read(samples.write(tmp_path / "shard", list(map(samples.record, made))))
    trainer = Trainer(
        features=F,
        options=TrainOptions(decoder="places", units=16, embedding_size=3, linear_steps=0),
        strategy=tf.distribute.get_strategy(),
    )
    losses = [mean_of(trainer.update(batches), LOSS) for _ in range(40)]
    assert losses[-1] < 0.8 * losses[0]


def test_the_tests_see_an_encoder_that_reads_its_padding(installed: pathlib.Path) -> None:
    """The negative control: a mean over all steps."""
    module = installed / "averages.py"
    faulty = BLOCKS["averages"].replace(
        "masking.select(batch.valid, drop(dense(steps)))", "drop(dense(steps))"
    )
    module.write_text(faulty.replace('"averaged"', '"faulty"'))
    sys.modules.pop("averages", None)
    test_encoders._built.cache_clear()
    test_encoders._compiled.cache_clear()
    contract = test_encoders.test_neither_padding_nor_company_changes_an_answer
    with pytest.raises(AssertionError):
        contract.hypothesis.inner_test(("averages", "repeat"), False, 1, [3, 1, 17], 0.0, 9)


def test_a_name_that_nothing_has_is_refused_with_both(installed: pathlib.Path) -> None:
    with pytest.raises(ValueError, match=r"encoder: expected .* or 'averages', received 'mean'"):
        TrainOptions(encoder="mean")
    with pytest.raises(ValueError, match=r"type: expected .*, 'regression' or 'median', received"):
        HeadOptions(name="x", column="x", type="mean")
    (installed / "averages.py").unlink()
    with pytest.raises(UsageError, match="encoder 'averages' of averages: expected to import"):
        TrainOptions(encoder="averages")


def test_the_term_is_trained_evaluated_and_measured(tmp_path: pathlib.Path) -> None:
    head = dataclasses.replace(SCORE, type="median")
    made = samples.make(4, [3, 5, 2, 8, 1, 6, 4, 4])
    path = samples.write(tmp_path / "shard", [samples.record(sample) for sample in made])
    batches = samples.read(path, heads=[head], batch_size=3)
    trainer = Trainer(
        features=F,
        options=TrainOptions(units=4, embedding_size=3, linear_steps=4),
        strategy=tf.distribute.get_strategy(),
        heads=[head],
    )
    trainer.update(batches)
    labelled = [sample for sample in made if "score" in sample.labels]
    scores = np.array([sample.labels["score"] for sample in labelled])
    embedding = trainer.model.encode(samples.batch([sample.values for sample in labelled]))
    expected = np.abs(trainer.model.heads[0](embedding).numpy()[:, 0] - scores)
    term = trainer.terms[1]
    assert (term.weight, term.metric) == (0.5, "head/score/mae")
    assert mean_of(trainer.evaluate(batches), term.key) == pytest.approx(expected.mean(), rel=1e-5)
    baselines = trivial_baselines.measure(batches, lambda: batches, trainer.terms)
    error = np.abs(scores - np.median(scores)).mean()
    assert baselines.errors["head/score/mae"] == pytest.approx(error, rel=1e-6)


def test_the_metric_of_the_term_stands_in_a_run_s_summary() -> None:
    parts = Parts(features=["a"], heads=[("score", "median"), ("other", "regression")])
    named.check(parts)
    names = {each.name for each in named.of_model(parts)}
    assert "head/score/mae" in names and "head/other/mse" in names
    assert "head/score/mse" not in names
