"""`SequenceEncoder` on frames and arrays; training is left to a run, what is around it is real."""

import dataclasses
import gc
import pickle

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reports
import sklearn
from python.drawn import BLESSED, Drawn, summary
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import ragline
from ragline.pipeline.bulk import encode_files
from ragline.pipeline.python import estimator as estimators
from ragline.pipeline.python import training
from ragline.pipeline.runs.runner import Outcome

RANDOM = np.random.default_rng(0)
LENGTHS = RANDOM.integers(1, 30, 60)
IDS = [f"walk {place}" for place in RANDOM.permutation(60)]
WORDS = np.array(["slow", "fast", "?", "NaN", None], object)


def _frame() -> pd.DataFrame:
    """Sixty walks; rows of all of them are mixed, and so are the times."""
    parts = [
        pd.DataFrame(
            {
                "walk": name,
                "t": pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(steps), unit="min"),
                "ax": RANDOM.normal(size=steps).cumsum(),
                "pace": WORDS[RANDOM.integers(len(WORDS), size=steps)],
                "ay": np.where(RANDOM.random(steps) < 0.1, np.nan, RANDOM.normal(5, 2, steps)),
                "kind": ("line", "circle")[place % 2],
                "person": f"p{place % 20}",
            }
        )
        for place, (name, steps) in enumerate(zip(IDS, LENGTHS, strict=True))
    ]
    return pd.concat(parts).sample(frac=1.0, random_state=0).reset_index(drop=True)


FRAME = _frame()
ORDER = [*dict.fromkeys(FRAME.walk)]
ROLES = {"id": "walk", "time": "t", "entity": "person", "label": "kind"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("estimator") / "work"


@pytest.fixture(scope="module")
def fitted(folder) -> Drawn:
    return Drawn(**ROLES, workdir=folder).fit(FRAME)


@pytest.fixture(scope="module")
def embedding(fitted) -> np.ndarray:
    return fitted.transform(FRAME)


def test_it_learns_numbers_and_words_by_their_type(fitted):
    columns = fitted.encoder_.facts.columns
    assert columns.names == ("ax", "ay")
    assert [feature.allow_missing for feature in columns.features] == [False, True]
    assert [(category.name, category.kind) for category in columns.categories] == [
        ("pace", "bytes")
    ]
    assert fitted.n_features_in_ == 3
    assert fitted.feature_names_in_.tolist() == ["ax", "ay", "pace"]
    assert (fitted.verdict_, fitted.summary_["run_id"]) == (BLESSED, "r")


def test_it_equals_ragline_encode_on_the_same_data(fitted, embedding, tmp_path):
    FRAME.to_parquet(tmp_path / "new.parquet")
    files = str(tmp_path / "new.parquet")
    request = encode_files.read_request(fitted.encoder_.facts.path, files, errors=True)
    account = encode_files.encode(request, tmp_path / "out")
    assert (account["read"], account["encoded"]) == (60, 60)
    table = pq.read_table(tmp_path / "out").to_pandas().set_index("sequence_id").loc[ORDER]
    np.testing.assert_allclose(embedding, np.stack(table.embedding), rtol=0, atol=1e-6)
    errors = fitted.score_samples(FRAME)
    np.testing.assert_allclose(errors, table.reconstruction_error, rtol=1e-6, atol=1e-6)


def test_columns_are_matched_by_name_and_those_that_were_not_learnt_are_not_needed(
    fitted, embedding
):
    some = FRAME[["pace", "ay", "t", "ax", "walk"]]
    np.testing.assert_array_equal(fitted.transform(some), embedding)
    np.testing.assert_array_equal(fitted.transform(pa.Table.from_pandas(FRAME)), embedding)
    by_id = {name: rows.sort_values("t") for name, rows in FRAME.groupby("walk", sort=False)}
    parts = {name: by_id[name][["ay", "ax", "pace", "t"]] for name in ORDER}
    np.testing.assert_array_equal(fitted.transform(parts), embedding)
    arrays = [by_id[name][["ax", "ay"]].to_numpy() for name in ORDER]
    words = {"pace": [by_id[name].pace.tolist() for name in ORDER]}
    direct = fitted.encoder_
    np.testing.assert_array_equal(direct.encode(arrays, words=words), embedding)
    np.testing.assert_array_equal(direct.encode(some, id="walk", time="t"), embedding)
    for wrong, message in (
        (FRAME.drop(columns="ay"), "it lacks 'ay'"),
        (FRAME.assign(az=1.0), "it has 'az', which is none of them"),
    ):
        with pytest.raises(ragline.InputError, match=message):
            fitted.transform(wrong)
    with pytest.raises(ragline.InputError, match="it has 'kind', 'person', which is none of them"):
        direct.encode(FRAME, id="walk", time="t")


def test_a_frame_of_embeddings_has_the_ids(fitted, embedding):
    other = clone(fitted).set_output(transform="pandas")
    vars(other).update(
        {k: v for k, v in vars(fitted).items() if k.endswith("_") or k == "_columns"}
    )
    frame = other.transform(FRAME)
    assert (frame.index.tolist(), frame.index.name) == (ORDER, "walk")
    assert frame.columns.tolist() == fitted.get_feature_names_out().tolist()
    np.testing.assert_array_equal(frame.to_numpy(), embedding)
    with sklearn.config_context(transform_output="pandas"):
        pd.testing.assert_frame_equal(fitted.transform(FRAME), frame)
    with sklearn.config_context(transform_output="polars"):
        assert fitted.transform(FRAME).columns == frame.columns.tolist()


def test_it_is_pickled_with_its_encoder(fitted, embedding, folder, tmp_path):
    data = pickle.dumps(fitted)
    moved = folder.rename(tmp_path / "elsewhere")
    try:
        loaded = pickle.loads(data)
    finally:
        moved.rename(folder)
    np.testing.assert_array_equal(loaded.transform(FRAME), embedding)
    assert repr(loaded.encoder_) == "<Encoder 1: 2 features, 1 categories -> E = 3>"
    again = pickle.loads(pickle.dumps(loaded))
    np.testing.assert_array_equal(again.transform(FRAME), embedding)


def test_a_clone_has_its_arguments_alone(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    assert other.set_params(embedding_size=8).embedding_size == 8
    for call in (other.transform, other.score_samples, lambda _: other.get_feature_names_out()):
        with pytest.raises(NotFittedError):
            call(FRAME)


def test_it_is_a_step_of_a_pipeline():
    arrays = [RANDOM.normal(size=(steps, 2)) for steps in LENGTHS]
    labels = [place % 2 for place in range(60)]
    steps = make_pipeline(Drawn(), LogisticRegression()).fit(arrays, labels)
    assert steps.predict(arrays[:5]).shape == (5,)
    encoder = steps[0]
    assert not hasattr(encoder, "feature_names_in_") and encoder.n_features_in_ == 2
    padded = np.zeros((60, 30, 2))
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    embedding = encoder.transform(arrays)
    np.testing.assert_array_equal(encoder.transform(padded, lengths=LENGTHS), embedding)
    named = dict(zip(IDS, arrays, strict=True))
    np.testing.assert_array_equal(encoder.transform(named), embedding)


def test_a_temporary_folder_lasts_as_long_as_the_encoder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    class Kept(Drawn):
        def _run(self, config):
            outcome = Outcome(summary=summary(exit_code=4, verdict=REFUSED), folder=config.parent)
            assert [*tmp_path.iterdir()] == [config.parent]
            return outcome

    with pytest.raises(ragline.NotBlessedError):
        Kept().fit([np.zeros((3, 1))])
    gc.collect()
    assert not [*tmp_path.iterdir()]


REFUSED = BLESSED | {"blessed": False, "reasons": ["masked_mse 2 is above 1", "and more"]}


def test_a_model_that_is_not_blessed_is_an_error_with_the_sentences(folder, fitted, monkeypatch):
    refused = Outcome(summary=summary(exit_code=4, verdict=REFUSED), folder=folder)
    monkeypatch.setattr(Drawn, "_run", lambda self, config: refused)
    with pytest.raises(ragline.NotBlessedError) as error:
        fitted.fit(FRAME)
    assert str(error.value).startswith("not blessed: masked_mse 2 is above 1\nand more\n")
    assert fitted.verdict_ == BLESSED, "what was fitted before stays"


def _asked(monkeypatch, tmp_path, frame=FRAME, **parameters) -> dict:
    """What a fit asks of `ragline.run`."""
    requested: dict = {}

    def run(config, **arguments):
        requested.update(arguments, config=config.read_text())
        raise ragline.RunFailedError("enough")

    monkeypatch.setattr(estimators.calls, "run", run)
    with pytest.raises(ragline.RunFailedError, match="enough"):
        ragline.SequenceEncoder(**ROLES, workdir=tmp_path / "new", **parameters).fit(frame)
    return requested


def test_parameters_are_keys_of_the_configuration(monkeypatch, tmp_path):
    requested = _asked(monkeypatch, tmp_path, embedding_size=8, options={"train.encoder": "gru"})
    assert requested["overrides"] == [
        "input.missing_text=[]",
        "quarantine.max_share=0.0",
        "train.embedding_size=8",
        "train.seed=0",
        'train.encoder="gru"',
    ]
    assert (requested["force_bless"], requested["progress"]) == ("", True)
    assert 'entity = "person"' in requested["config"] and 'order_by = "t"' in requested["config"]
    assert "eval_share = 0.7" not in requested["config"]
    requested = _asked(monkeypatch, tmp_path, require_blessed=False, progress=False)
    assert requested["force_bless"] == "SequenceEncoder(require_blessed=False)"
    assert not requested["progress"]


def test_features_with_giants_are_transformed_as_init_would(monkeypatch, tmp_path):
    frame = pd.concat([FRAME, FRAME.assign(walk=FRAME.walk + " again")])
    frame["ay"] = np.random.default_rng(0).lognormal(sigma=2.5, size=len(frame))
    requested = _asked(monkeypatch, tmp_path, frame=frame)
    assert 'ay = { type = "number", transform = "signed_log"' in requested["config"]
    assert requested["config"].count("transform =") == 1
    requested = _asked(
        monkeypatch, tmp_path, frame=frame, transforms={"ax": "signed_log", "ay": "none"}
    )
    assert 'ax = { type = "number", transform = "signed_log"' in requested["config"]
    assert requested["config"].count('transform = "signed_log"') == 1


@pytest.mark.parametrize(
    "parameters, message",
    [
        ({"transforms": {"person": "log"}}, "transforms: expected features, 'ax', .* 'person'"),
        ({"transforms": {"ax": "ln"}}, "'ax': expected none, log, signed_log, received 'ln'"),
        ({"options": {"input.group_by": ["x"]}}, r"of \[input\] only .* received 'input.group_by'"),
        ({"options": {"workdir": "x"}}, "options: expected keys of docs/config.md"),
        ({"entity": "nobody"}, "entity: expected a column 'nobody', received"),
        ({"label": "nothing"}, "label: expected a column 'nothing'"),
        ({"label": "ax"}, "column 'ax': expected one value in sequence 'walk"),
        ({"features": ["az"]}, "X: expected the columns 'az'; it lacks 'az'"),
        ({"categories": ["ax"]}, "column 'ax': expected .* integers of a category, received doub"),
        ({"categories": ["pace"]}, "expected a column of numbers, received none"),
        ({"time": None}, "column 't': expected numbers.*received timestamp"),
    ],
)
def test_what_cannot_be_learnt_is_refused_in_a_sentence(parameters, message):
    with pytest.raises(ragline.UsageError, match=message):
        ragline.SequenceEncoder(**(ROLES | parameters)).fit(FRAME)


def test_labels_are_given_by_column_or_by_sequence(monkeypatch, tmp_path):
    arrays = [np.zeros((2, 1)), np.ones((3, 1))]
    estimator = ragline.SequenceEncoder()
    with pytest.raises(ragline.InputError, match="y: expected a label for each of 2 sequences"):
        estimator.fit(arrays, ["a"])
    with pytest.raises(ragline.InputError, match="y: expected none beside label, received both"):
        ragline.SequenceEncoder(**ROLES).fit(FRAME, np.zeros(60))
    label, steps = estimator._with_label(estimators.tables.read(arrays), ["a", np.nan])
    assert (label, steps.columns["label"].to_pylist()) == ("label", ["a", "a", None, None, None])


def test_a_folder_with_other_files_is_not_written_to(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ragline.UsageError, match=r"workdir: .* received one with 'mine\.txt'"):
        ragline.SequenceEncoder(workdir=tmp_path).fit([np.zeros((3, 1))])
    with pytest.raises(ragline.UsageError, match="expected a folder, received a file"):
        ragline.SequenceEncoder(workdir=tmp_path / "mine.txt").fit([np.zeros((3, 1))])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_two_fits_do_not_share_a_folder(tmp_path):
    with estimators.workdirs.lock(tmp_path), pytest.raises(ragline.BusyError):
        ragline.SequenceEncoder(workdir=tmp_path).fit([np.zeros((3, 1))])


@pytest.mark.parametrize(
    "times, unit",
    [([0, 1e6], "s"), ([1.7e12, 1.8e12], "ms"), ([1.7e15], "us"), ([-1.7e18], "ns")],
)
def test_the_unit_of_times_is_one_in_which_they_fit(times, unit):
    assert training._unit(pa.chunked_array([pa.array(times, pa.float64())])) == unit


def test_a_sequence_that_a_run_would_cut_into_windows_is_refused(fitted, monkeypatch):
    facts = fitted.encoder_.facts
    stated = facts.input.options | {"steps": facts.input.options["steps"] | {"max_length": 28}}
    shorter = dataclasses.replace(facts, input=dataclasses.replace(facts.input, options=stated))
    monkeypatch.setattr(fitted.encoder_, "facts", shorter)
    with pytest.raises(ragline.InputError, match="expected at most 28 steps, received 29"):
        fitted.transform(FRAME)


def test_the_report_shows_itself(fitted):
    summarised = summary(
        verdict=REFUSED | {"reasons": ["a < b"]},
        baselines={"model": {"eval": {"masked_mse": 0.5, "normalised_mse": None}}},
    )
    report = estimators.Report(summary=summarised, samples=None, config=None)
    assert repr(report) == "<Report of run r: not blessed>"
    shown = report._repr_html_()
    assert "<li>a &lt; b</li>" in shown and "<td>0.5</td><td>-</td>" in shown


def test_the_report_of_a_run_is_saved_as_a_page(tmp_path):
    summarised = reports.summary()
    (tmp_path / "config.toml").write_text('name = "walks"\n')
    report = estimators.Report.read(summarised, tmp_path)
    report.save(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and "walks" in page
    assert pickle.loads(pickle.dumps(report)) == report
