"""One command, from raw files to a pushed encoder; every number beside the oracle's."""

import json
import subprocess
import sys

import numpy as np
import oracle
import pytest
import tensorflow as tf
from conftest import ROOT, ragline

import schemas
from components.ingest.splits import split_of
from components.push import probes
from components.push.component import check_in_clean_process
from components.push.sequences import Probe
from components.sequence import length_bucket
from pipeline.synth import FEATURES

STAGES = [
    "schema", "ingest", "statistics", "anomalies", "gate", "transform", "train", "evaluate",
    "verdict", "push",
]  # fmt: skip
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
    """The pushed model's own weights, in its order, without the state of random generators."""
    path = gestures_run.serving[0] / "variables" / "variables"
    reader = tf.train.load_checkpoint(str(path))
    names = [name for name in reader.get_variable_to_shape_map() if name.startswith("variables/")]
    in_order = sorted(names, key=lambda name: int(name.split("/")[1]))
    tensors = [reader.get_tensor(name) for name in in_order]
    return [tensor.astype(np.float64) for tensor in tensors if tensor.dtype == np.float32]


def _metric(run, name: str, slice_name: str = "overall") -> float:
    return run.summary["metrics"][slice_name][name]["value"]


def test_the_run_is_done_and_every_stage_ran(gestures_run):
    assert gestures_run.exit_code == 0, gestures_run.stderr
    assert gestures_run.summary["status"] == "done"
    assert list(gestures_run.summary["stages"]) == STAGES
    assert {stage["state"] for stage in gestures_run.summary["stages"].values()} == {"ran"}
    assert gestures_run.summary["verdict"]["blessed"] is True


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
        own_mean = [
            np.broadcast_to(
                [z[seen[:, f], f].mean() if seen[:, f].any() else 0.0 for f in range(z.shape[1])],
                z.shape,
            )
            for z, seen in zip(values, observed, strict=True)
        ]
        predictions = {
            "training_mean": [np.zeros_like(z) for z in values],
            "sequence_mean": own_mean,
        }
        for name, outputs in predictions.items():
            expected = oracle.mean_squared_error(values, outputs, observed)
            found = gestures_run.summary["baselines"][name][split]["masked_mse"]
            assert found == pytest.approx(expected, rel=1e-6)
    assert _metric(gestures_run, "values") == sum(seen.sum() for seen in observed)


def test_the_masked_mse_equals_the_oracle(gestures_run, splits, standardised, weights):
    """Recomputed from raw values and the pushed weights: z-scores, LSTMs, mean, all in NumPy."""
    for split in ("train", "eval"):
        outputs = [oracle.reconstruct(values, weights) for values in standardised[split]]
        observed = [np.isfinite(values) for values in splits[split]]
        expected = oracle.mean_squared_error(standardised[split], outputs, observed)
        found = gestures_run.summary["baselines"]["model"][split]["masked_mse"]
        assert found == pytest.approx(expected, rel=1e-6)
    assert _metric(gestures_run, "masked_mse") == pytest.approx(expected, rel=1e-6)
    assert gestures_run.summary["train"]["masked_mse"] == pytest.approx(expected, rel=1e-5)


def test_every_slice_holds_its_own_sequences(gestures_run, splits, standardised, weights):
    by_bucket = {}
    for raw, values in zip(splits["eval"], standardised["eval"], strict=True):
        by_bucket.setdefault(length_bucket(len(raw)), []).append((raw, values))
    slices = {
        name.removeprefix("length_bucket="): name
        for name in gestures_run.summary["metrics"]
        if name != "overall"
    }
    assert set(slices) == set(by_bucket)
    for bucket, pairs in by_bucket.items():
        values = [z for _, z in pairs]
        expected = oracle.mean_squared_error(
            values,
            [oracle.reconstruct(z, weights) for z in values],
            [np.isfinite(raw) for raw, _ in pairs],
        )
        assert _metric(gestures_run, "sequences", slices[bucket]) == len(pairs)
        assert _metric(gestures_run, "masked_mse", slices[bucket]) == pytest.approx(
            expected, rel=1e-6
        )


def test_intervals_enclose_their_value_and_totals_have_none(gestures_run):
    overall = gestures_run.summary["metrics"]["overall"]
    for name in ("masked_mse", "masked_mae", "training_mean_masked_mse"):
        assert overall[name]["lower"] < overall[name]["value"] < overall[name]["upper"]
    assert overall["steps"]["lower"] is None


def test_the_embedding_equals_the_oracle(gestures_run, splits, standardised, weights):
    model = tf.saved_model.load(str(gestures_run.serving[0]))
    for raw, values in list(zip(splits["eval"], standardised["eval"], strict=True))[:20]:
        answer = model.signatures["score"](
            values=tf.constant(raw[np.newaxis]), length=tf.constant([len(raw)], tf.int64)
        )
        expected = oracle.encode(values, weights)
        np.testing.assert_allclose(answer["embedding"].numpy()[0], expected, atol=2e-6)
        error = oracle.mean_squared_error(
            [values], [oracle.reconstruct(values, weights)], [np.isfinite(raw)]
        )
        assert answer["reconstruction_error"].numpy()[0] == pytest.approx(error, rel=1e-5)


def test_the_encoder_loads_with_tensorflow_alone(gestures_run):
    """In a fresh process that imports neither ragline nor tensorflow_transform."""
    code = f"""
import sys
import tensorflow as tf
model = tf.saved_model.load({str(gestures_run.serving[0])!r})
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
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd="/"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(SIGNATURES)


@pytest.mark.parametrize("run", ["gestures_run", "vowels_run"])
def test_the_padding_contract_holds_on_the_pushed_encoder(run, request):
    pushed = request.getfixturevalue(run).serving[0]
    features = json.loads((pushed / "assets.extra" / "encoder.json").read_text())["features"]
    names = tuple(feature["name"] for feature in features)
    rng = np.random.default_rng(0)
    sequences = [
        Probe(values=rng.normal(size=(t, len(names))).astype(np.float32)) for t in (1, 2, 5, 17, 60)
    ]
    checked = check_in_clean_process(pushed, probes.choose(sequences), names)
    assert checked == {"violations": [], "embedding_size": 32}


def test_a_wrong_length_is_an_error_and_no_clip(gestures_run):
    encode = tf.saved_model.load(str(gestures_run.serving[0])).signatures["encode"]
    values = tf.zeros([2, 5, len(FEATURES)])
    for length, message in ([5, 6], "at most T"), ([5, 0], "at least 1"), ([5], "one for each"):
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            encode(values=values, length=tf.constant(length, tf.int64))


def test_what_stands_beside_the_encoder(gestures_run):
    facts = json.loads((gestures_run.serving[0] / "assets.extra" / "encoder.json").read_text())
    assert [feature["name"] for feature in facts["features"]] == list(FEATURES)
    assert facts["features"][0]["unit"] == "m/s^2"
    assert facts["embedding_size"] == 32
    assert facts["metrics"]["masked_mse"]["value"] == _metric(gestures_run, "masked_mse")
    assert facts["versions"]["tensorflow"] == tf.__version__
    assert len(facts["training_data"]["fingerprint"]) == 64


def test_the_work_directory_holds_what_it_should(gestures_run):
    folder = gestures_run.workdir / "runs" / gestures_run.summary["run_id"]
    assert {path.name for path in folder.iterdir()} == {
        "config.toml", "log.txt", "report.html", "summary.json",
    }  # fmt: skip
    assert json.loads((folder / "summary.json").read_text()) == gestures_run.summary
    assert [path.name for path in gestures_run.serving] == ["1"]
    assert not list(gestures_run.workdir.rglob("*.tmp"))
    assert str(folder / "report.html") in gestures_run.stderr
    assert "Traceback" not in gestures_run.stderr


def test_nothing_but_our_progress_reaches_the_terminal(gestures_run):
    for noise in ("WARNING", "Warning", "INFO", "absl", "E0000", "W0000", "oneDNN"):
        assert noise not in gestures_run.stderr


def test_a_second_run_is_all_cached_and_pushes_nothing_new(gestures_run):
    again = ragline(gestures_run.workdir, *gestures_run.arguments)
    assert again.exit_code == 0
    assert {
        name: stage["state"] for name, stage in again.summary["stages"].items()
    } == dict.fromkeys(STAGES, "cached")
    assert [path.name for path in again.serving] == ["1"]
    assert again.summary["pushed"] == gestures_run.summary["pushed"]
    assert again.summary["metrics"] == gestures_run.summary["metrics"]


def test_a_candidate_that_knows_nothing_is_not_blessed(gestures_run):
    """What the changed option does not touch is cached, and what is served is left alone."""
    run = ragline(
        gestures_run.workdir,
        *gestures_run.arguments,
        *("--set", "train.learning_rate=50.0", "--set", "train.epochs=1"),
    )
    assert run.exit_code == 4
    assert run.summary["status"] == "not_blessed"
    assert run.summary["verdict"]["blessed"] is False
    [reason] = run.summary["verdict"]["reasons"]
    assert "is not below the training mean's" in reason
    assert reason in run.stderr
    assert run.summary["pushed"] is None
    states = {name: stage["state"] for name, stage in run.summary["stages"].items()}
    assert states["transform"] == "cached"
    assert states["train"] == "ran"
    assert [path.name for path in run.serving] == ["1"]


def test_the_textbook_model_is_blessed_by_its_metrics_and_stopped_by_the_contract(gestures_run):
    run = ragline(
        gestures_run.workdir,
        *gestures_run.arguments,
        *("--set", "train.padding=keras", "--set", "train.epochs=3"),
    )
    assert run.exit_code == 4
    assert run.summary["metrics"]["overall"]["masked_mse"]["value"] < 0.95
    [reason] = run.summary["verdict"]["reasons"]
    assert reason.startswith("padding contract: missing_step: encode.embedding")
    assert run.summary["pushed"] is None
    assert [path.name for path in run.serving] == ["1"]
    assert not list((run.workdir / "serving").glob(".*"))


def test_anomalies_stop_the_run_before_training(gestures_run, tmp_path):
    """A label that the schema does not know, in a schema edited to know fewer."""
    schema = tmp_path / "strict.pbtxt"
    schema.write_text(schemas.locate("gestures").read_text().replace('value: "shake"', ""))
    run = ragline(gestures_run.workdir, *gestures_run.arguments, "--set", f"schema={schema}")
    assert run.exit_code == 3
    assert run.summary["status"] == "bad_data"
    assert list(run.summary["stages"])[-1] == "gate"
    assert run.summary["stages"]["gate"]["state"] == "failed"
    assert any("feature 'label'" in reason for reason in run.summary["verdict"]["reasons"])
    assert "Traceback" not in run.stderr
    assert run.summary["train"] is None
    assert [path.name for path in run.serving] == ["1"]


def test_too_many_rejected_records_stop_the_run(gestures_run, tmp_path):
    run = ragline(
        tmp_path / "work",
        *gestures_run.arguments,
        *("--set", "input.max_quarantine_share=0.0"),
    )
    assert run.exit_code == 3
    assert list(run.summary["stages"]) == ["schema", "ingest"]
    assert "1 of 401 records were rejected" in run.stderr
    assert "data/a.jsonl, line 201" in run.stderr
    [quarantine] = (tmp_path / "work" / "quarantine").rglob("rejected.jsonl")
    assert str(quarantine) in run.stderr
    assert run.serving == []


def test_the_official_split_of_japanese_vowels(vowels_run):
    assert vowels_run.exit_code == 0, vowels_run.stderr
    found = vowels_run.summary["input"]
    assert found["by_split"] == {
        "train": {"sequences": 270, "steps": 4274},
        "eval": {"sequences": 370, "steps": 5687},
    }
    assert found["quarantined"] == 0
    baselines = vowels_run.summary["baselines"]
    # 0.5458 and 0.5364 would mean that padding was counted.
    assert baselines["training_mean"]["train"]["masked_mse"] == pytest.approx(1.0, abs=1e-6)
    assert baselines["training_mean"]["eval"]["masked_mse"] == pytest.approx(1.0121, abs=5e-5)
    assert baselines["sequence_mean"]["train"]["masked_mse"] == pytest.approx(0.4606, abs=5e-5)
    assert baselines["sequence_mean"]["eval"]["masked_mse"] == pytest.approx(0.4643, abs=5e-5)


def test_compare_tells_the_strategies_apart(vowels_run):
    """On the run's own work directory, so that only training and evaluation are new."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pipeline", "compare", *vowels_run.arguments, "--json"),
            *("--workdir", str(vowels_run.workdir), "--set", "train.epochs=1"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    rows = {row["padding"]: row for row in json.loads(done.stdout)}
    assert list(rows) == ["crop", "equal_length", "remask", "keras"]
    for name in ("crop", "equal_length", "remask"):
        assert rows[name]["loss_share"] == rows[name]["gradient_share"] == 0.0
        assert rows[name]["reported_loss"] == pytest.approx(rows[name]["train_mse"], rel=1e-6)
    assert rows["remask"]["train_mse"] == pytest.approx(rows["crop"]["train_mse"], rel=1e-5)
    assert rows["equal_length"]["padding_waste"] == rows["equal_length"]["bias"] == 0.0
    assert rows["keras"]["loss_share"] > 0.01
    assert rows["keras"]["gradient_share"] > 0.01
    assert rows["keras"]["reported_loss"] != pytest.approx(rows["keras"]["train_mse"], rel=0.01)
    assert [path.name for path in vowels_run.serving] == ["1"]


def test_ragline_check_passes_on_the_pushed_encoder(gestures_run, splits):
    """On probes made from what encoder.json states: the moments of the eval split, and no data."""
    pushed = gestures_run.serving[0]
    facts = json.loads((pushed / "assets.extra" / "encoder.json").read_text())
    rows = np.concatenate(splits["eval"]).astype(np.float64)
    for name, expected in ("mean", np.nanmean(rows, axis=0)), ("std", np.nanstd(rows, axis=0)):
        stated = [feature[name] for feature in facts["features"]]
        assert stated == pytest.approx(list(expected), rel=1e-9, abs=1e-12)
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "check", pushed, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    checked = json.loads(done.stdout)
    assert checked["violations"] == []
    assert checked["signatures_checked"] == SIGNATURES
    assert checked["clauses_checked"] == [
        "finite", "content", "extra", "alone", "zero_step", "missing_step", "signature", "empty",
        "session",
    ]  # fmt: skip
    assert checked["probes"].endswith("noise with the means and stds of encoder.json")
