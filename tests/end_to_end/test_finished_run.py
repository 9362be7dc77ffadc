"""One command, from raw files to a pushed encoder; every number beside the oracle's."""

import json
import os
import re
import stat

import cut_off
import numpy as np
import oracle
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from commands import ROOT, python
from end_to_end import looks

from ragline.components.contract.columns import length_bucket
from ragline.components.export import write
from ragline.components.ingest.records.splits import split_of
from ragline.components.push.contract import clean_process
from ragline.pipeline.bulk import encode_files
from ragline.pipeline.config import ConfigError
from ragline.pipeline.demo.synth import FEATURES

SIGNATURES = ["encode", "encode_flat", "evaluate", "score", "serving_default"]


@pytest.fixture(scope="module")
def splits(gestures) -> dict[str, list[np.ndarray]]:
    """Raw values [T, F] of each split, NaN where missing, as the test itself reads them."""
    found = {"train": [], "eval": []}
    for record in gestures:
        values = np.array([record["features"][name] for name in FEATURES], np.float32).T
        found[split_of(record["entity_id"], 0.2)].append(values)
    return found


@pytest.fixture(scope="module")
def standardised(splits) -> dict[str, list[np.ndarray]]:
    return {name: oracle.standardise(splits["train"], split) for name, split in splits.items()}


@pytest.fixture(scope="module")
def weights(gestures_run) -> list[np.ndarray]:
    return looks.weights(gestures_run.serving[0])


def test_the_run_is_done_and_every_stage_ran(gestures_run):
    assert gestures_run.exit_code == 0, gestures_run.stderr
    assert gestures_run.summary["status"] == "done"
    assert list(gestures_run.summary["stages"]) == looks.STAGES
    assert {stage["state"] for stage in gestures_run.summary["stages"].values()} == {"ran"}
    assert gestures_run.summary["verdict"]["blessed"] is True


def test_a_run_needs_no_network_and_does_not_try(gestures_run):
    """From raw files to a pushed encoder; Beam's own DirectRunner would look for a download."""
    assert gestures_run.exit_code == 0, gestures_run.stderr
    assert "] push\n" in gestures_run.stderr
    assert cut_off.calls(gestures_run.workdir.parent) == ""


def test_every_record_is_accounted_for(gestures_run, gestures, splits):
    found = gestures_run.summary["input"]
    assert found["sequences"] == 401
    assert found["accepted"] == 400
    assert found["quarantined"] == 1
    assert found["reasons"] == {"missing_column": 1}
    assert found["steps"] == sum(len(record["features"]["ax"]) for record in gestures)
    assert gestures_run.summary["splits"] == {name: len(split) for name, split in splits.items()}
    [line] = (
        (gestures_run.workdir / "quarantine" / gestures_run.summary["run_id"] / "rejected.jsonl")
        .read_text()
        .splitlines()
    )
    rejected = json.loads(line)
    assert (rejected["line"], rejected["file"].endswith("data/a.jsonl")) == (201, True)


def test_the_baselines_equal_the_oracle(gestures_run, splits, standardised):
    """Over valid, observed values; the constant feature counts, and is exactly 0."""
    for split in ("train", "eval"):
        observed = [np.isfinite(values) for values in splits[split]]
        values = standardised[split]
        pairs = list(zip(values, observed, strict=True))
        predictions = {
            "training_mean": [np.zeros_like(z) for z in values],
            "sequence_mean": [oracle.sequence_means(*pair) for pair in pairs],
            "last_value": [oracle.last_values(*pair) for pair in pairs],
        }
        for name, outputs in predictions.items():
            expected = oracle.reconstruction_metrics(values, outputs, observed)
            row = gestures_run.summary["baselines"][name]
            for metric, value in row[split].items():
                assert value == pytest.approx(expected[metric], rel=1e-6, abs=1e-6)
            for metric, value in expected.items() if split == "eval" else ():
                found = row["slices"]["overall"][metric]["value"]
                assert found == pytest.approx(value, rel=1e-6, abs=1e-6)
    assert looks.metric(gestures_run, "values") == sum(seen.sum() for seen in observed)


def test_the_masked_mse_equals_the_oracle(gestures_run, splits, standardised, weights):
    """Recomputed from raw values and the pushed weights: z-scores, LSTMs, mean, all in NumPy."""
    for split in ("train", "eval"):
        observed = [np.isfinite(values) for values in splits[split]]
        outputs = [
            oracle.reconstruct(values, weights, observed=seen)
            for values, seen in zip(standardised[split], observed, strict=True)
        ]
        expected = oracle.mean_squared_error(standardised[split], outputs, observed)
        found = gestures_run.summary["baselines"]["model"][split]["masked_mse"]
        assert found == pytest.approx(expected, rel=1e-6)
    assert looks.metric(gestures_run, "masked_mse") == pytest.approx(expected, rel=1e-6)
    assert gestures_run.summary["train"]["masked_mse"] == pytest.approx(expected, rel=1e-5)
    every = oracle.reconstruction_metrics(standardised["eval"], outputs, observed)
    for metric, value in every.items():
        assert looks.metric(gestures_run, metric) == pytest.approx(value, rel=1e-6, abs=1e-6)
    assert gestures_run.summary["constant_features"] == ["saturation"]


def test_every_slice_holds_its_own_sequences(gestures_run, splits, standardised, weights):
    by_bucket = {}
    for raw, values in zip(splits["eval"], standardised["eval"], strict=True):
        by_bucket.setdefault(length_bucket(len(raw)), []).append((raw, values))
    slices = {
        name.removeprefix("length_bucket="): name
        for name in gestures_run.summary["metrics"]
        if name.startswith("length_bucket=")
    }
    assert set(slices) == set(by_bucket)
    for bucket, pairs in by_bucket.items():
        values = [z for _, z in pairs]
        expected = oracle.mean_squared_error(
            values,
            [oracle.reconstruct(z, weights, observed=np.isfinite(raw)) for raw, z in pairs],
            [np.isfinite(raw) for raw, _ in pairs],
        )
        assert looks.metric(gestures_run, "sequences", slices[bucket]) == len(pairs)
        assert looks.metric(gestures_run, "masked_mse", slices[bucket]) == pytest.approx(
            expected, rel=1e-6
        )


def test_labels_and_baselines_are_sliced_too(gestures_run, gestures):
    labels = [
        record["label"]
        for record in gestures
        if split_of(record["entity_id"], 0.2) == "eval" and "label" in record
    ]
    metrics, baselines = (gestures_run.summary[key] for key in ("metrics", "baselines"))
    for label in set(labels):
        assert looks.metric(gestures_run, "sequences", f"label={label}") == labels.count(label)
    for name in ("training_mean", "sequence_mean", "last_value", "pca", "untrained"):
        assert baselines[name]["slices"].keys() == metrics.keys()
    # The model before training, scored by another road than TFMA's, in the same units.
    untrained, model = (baselines[name]["eval"] for name in ("untrained", "model"))
    assert untrained["masked_mse"] > model["masked_mse"]
    assert untrained["masked_mse"] / (1 - untrained["explained_variance"]) == pytest.approx(
        baselines["training_mean"]["eval"]["masked_mse"], rel=1e-6
    )


def test_what_the_embedding_is_like(gestures_run):
    measured = gestures_run.summary["embedding"]
    assert measured["sequences"] == gestures_run.summary["splits"]["eval"]
    for name in ("model", "untrained"):
        assert measured[name]["size"] == len(measured[name]["variance"]) == 32
        assert 1.0 < measured[name]["effective_rank"] < 32.0
    rank = looks.metric(gestures_run, "embedding/effective_rank")
    assert rank == measured["model"]["effective_rank"]


def test_a_label_is_predicted_from_rivals_of_the_embeddings_size(gestures_run):
    probe = gestures_run.summary["embedding"]["probes"]["label"]
    sizes = {name: probe[name]["size"] for name in probe if isinstance(probe[name], dict)}
    assert sizes == {"model": 32, "pca": 32, "statistics": 32, "untrained": 32, "length": 2}
    for name in sizes:
        assert 0.0 <= probe[name]["logistic_regression_balanced"] <= probe[name]["auc"] <= 1.0
    assert probe["length"]["auc"] < 0.7 < probe["statistics"]["auc"]


def test_features_of_the_pca_average_to_its_normalised_mse(gestures_run):
    pca = gestures_run.summary["baselines"]["pca"]["slices"]["overall"]
    shares = [n["value"] for name, n in pca.items() if name.startswith("normalised_mse/")]
    assert len(shares) == 5, "a constant feature has none"
    assert np.mean(shares) == pytest.approx(pca["normalised_mse"]["value"], rel=1e-9)


def test_the_first_model_is_said_to_be_the_first(gestures_run):
    first = "this is the first model: there is no blessed one to compare it with"
    assert first in gestures_run.summary["verdict"]["reasons"]
    assert first in gestures_run.stderr
    folder = gestures_run.workdir / "runs" / gestures_run.summary["run_id"]
    assert f"verdict: {first}" in (folder / "log.txt").read_text()
    assert first in (folder / "report.html").read_text()


def test_intervals_enclose_their_value_and_totals_have_none(gestures_run):
    overall = gestures_run.summary["metrics"]["overall"]
    mean = gestures_run.summary["baselines"]["training_mean"]["slices"]["overall"]
    for metric in (*(overall[name] for name in ("masked_mse", "masked_mae")), mean["masked_mse"]):
        assert metric["lower"] < metric["value"] < metric["upper"]
    assert overall["steps"]["lower"] is None


def test_the_embedding_equals_the_oracle(gestures_run, splits, standardised, weights):
    model = tf.saved_model.load(str(gestures_run.serving[0]))
    for raw, values in list(zip(splits["eval"], standardised["eval"], strict=True))[:20]:
        answer = model.signatures["score"](
            values=tf.constant(raw[np.newaxis]), length=tf.constant([len(raw)], tf.int64)
        )
        seen = np.isfinite(raw)
        expected = oracle.encode(values, weights, observed=seen)
        np.testing.assert_allclose(answer["embedding"].numpy()[0], expected, rtol=1e-6, atol=1e-6)
        error = oracle.mean_squared_error(
            [values], [oracle.reconstruct(values, weights, observed=seen)], [seen]
        )
        assert answer["reconstruction_error"].numpy()[0] == pytest.approx(error, rel=1e-5)


def test_the_snippet_of_the_readme_runs(finished):
    """On the demo's encoder, or one like it; the shapes are those of its comments."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    path = "demo/run/serving/1"
    snippets = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    [snippet] = [snippet for snippet in snippets if path in snippet]
    found: dict[str, object] = {}
    shapes = 0
    for line in snippet.replace(path, str(finished / "serving" / "1")).splitlines():
        if shown := re.fullmatch(r"(encoder\..*)  # (\[[\d, ]+\])", line):
            assert list(eval(shown[1], found).shape) == json.loads(shown[2])
            shapes += 1
        else:
            exec(line, found)
    assert shapes == 2


def test_the_encoder_loads_with_tensorflow_alone(finished):
    """In a fresh process that imports neither ragline nor tensorflow_transform."""
    code = f"""
import sys
import tensorflow as tf
model = tf.saved_model.load({str(finished / "serving" / "1")!r})
values = tf.random.normal([3, 7, 6], seed=1)
length = tf.constant([7, 1, 4], tf.int64)
flat = tf.boolean_mask(values, tf.sequence_mask(length, 7))
example = tf.train.Example()
for name in {FEATURES!r}:
    example.features.feature[name].float_list.value.extend([0.5, 1.5])
call = model.signatures
answers = [
    call["encode"](values=values, length=length),
    call["encode_flat"](values=flat, row_lengths=length),
    call["score"](values=values, length=length),
    call["serving_default"](examples=tf.constant([example.SerializeToString()])),
]
assert [tuple(answer["embedding"].shape) for answer in answers] == [(3, 32)] * 3 + [(1, 32)]
assert answers[2]["reconstruction_error"].shape == (3,)
foreign = {{"components", "pipeline", "schemas", "tensorflow_transform", "tfx"}} & set(sys.modules)
assert not foreign, foreign
print(sorted(call))
"""
    done = python("-c", code, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(SIGNATURES)


def test_the_padding_contract_holds_on_the_pushed_encoder(finished, tmp_path):
    looks.assert_the_contract_holds(finished / "serving" / "1", tmp_path)


def test_a_wrong_length_is_an_error_and_no_clip(finished):
    encode = tf.saved_model.load(str(finished / "serving" / "1")).signatures["encode"]
    values = tf.zeros([2, 5, len(FEATURES)])
    for length, message in ([5, 6], "at most T"), ([5, 0], "at least 1"), ([5], "one for each"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            encode(values=values, length=tf.constant(length, tf.int64))


def test_what_stands_beside_the_encoder(gestures_run):
    facts = json.loads((gestures_run.serving[0] / "assets.extra" / "encoder.json").read_text())
    assert [feature["name"] for feature in facts["features"]] == list(FEATURES)
    assert facts["features"][0]["unit"] == "m/s^2"
    assert facts["embedding_size"] == 32
    assert facts["metrics"]["masked_mse"]["value"] == looks.metric(gestures_run, "masked_mse")
    assert facts["versions"]["tensorflow"] == tf.__version__
    assert len(facts["training_data"]["fingerprint"]) == 64
    assert facts["pipeline"] == "gestures"
    assert facts["input"]["options"]["steps"]["max_length"] == 4096


def test_what_was_pushed_encodes_files_and_is_exported(gestures_run, tmp_path):
    data = gestures_run.workdir.parent / "data" / "*.jsonl"
    asked = encode_files.read_request(
        "examples/gestures.toml", str(data), folder=str(gestures_run.workdir)
    )
    assert not asked.columns.context, "new files need no labels"
    found = encode_files.encode(asked, tmp_path / "embeddings")
    assert (found["read"], found["encoded"], found["quarantined"]) == (401, 400, 1)
    assert found["model"]["version"] == gestures_run.serving[0].name
    rows = pq.read_table(tmp_path / "embeddings")
    assert found["model"]["runtime"] == "OpenVINO"
    assert rows["embedding"].combine_chunks().flatten().to_numpy().shape == (400 * 32,)
    assert write.onnx(gestures_run.serving[0], tmp_path / "encoder.onnx") <= 1e-5
    with pytest.raises(ConfigError, match=r"expected the columns that .* was trained on, ax, ay"):
        encode_files.read_request(
            "examples/gestures.toml",
            str(data),
            ["schema=japanese_vowels"],
            folder=str(gestures_run.workdir),
        )


def test_the_work_directory_holds_what_it_should(gestures_run):
    folder = gestures_run.workdir / "runs" / gestures_run.summary["run_id"]
    assert {path.name for path in folder.iterdir()} == {
        "config.toml", "reconstruction_samples.json", "log.txt", "report.html", "summary.json",
    }  # fmt: skip
    assert json.loads((folder / "summary.json").read_text()) == gestures_run.summary
    assert [path.name for path in gestures_run.serving] == ["1"]
    assert not list(gestures_run.workdir.rglob("*.tmp"))
    assert str(folder / "report.html") in gestures_run.stderr
    assert "Traceback" not in gestures_run.stderr


def test_what_a_run_writes_is_as_private_as_the_umask_says(gestures_run):
    umask = os.umask(0)
    os.umask(umask)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in gestures_run.workdir.rglob("*")}
    expected = {path: (0o777 if path.is_dir() else 0o666) & ~umask for path in modes}
    assert modes == expected


def test_nothing_but_our_progress_reaches_the_terminal(gestures_run):
    for noise in ("WARNING", "Warning", "INFO", "absl", "E0000", "W0000", "oneDNN"):
        assert noise not in gestures_run.stderr


def test_a_check_passes_on_the_pushed_encoder(gestures_run, splits):
    """On probes made from what encoder.json states: the train split's statistics, and no data."""
    pushed = gestures_run.serving[0]
    facts = json.loads((pushed / "assets.extra" / "encoder.json").read_text())
    rows = np.concatenate(splits["train"]).astype(np.float64)
    for name, expected in ("mean", np.nanmean(rows, axis=0)), ("std", np.nanstd(rows, axis=0)):
        stated = [feature[name] for feature in facts["features"]]
        assert stated == pytest.approx(list(expected), rel=1e-9, abs=1e-12)
    checked = clean_process.check(pushed, None)
    assert checked["violations"] == []
    assert checked["signatures_checked"] == SIGNATURES
    assert checked["clauses_checked"] == [
        "finite", "content", "extra", "alone", "zero_step", "missing_step", "signature", "empty",
        "session", "golden", "weights",
    ]  # fmt: skip
    assert checked["probes"].endswith("noise with the means and stds of encoder.json")
