"""A newcomer with a folder of CSVs: init, plan, run, report, encode and export, without an edit."""

import json
import math
import pathlib
import random
import subprocess
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from browser import CHROMIUM, started
from commands import ROOT, ragline

WEARERS, RECORDINGS = 40, 5
MODES = ("fall", "rise")
# Whatever of TensorFlow's, TFX's or Beam's chatter reaches the terminal has one of these in it.
CHATTER = ("warning", "tensorflow", "deprecated", "absl", "cuda", "apache_beam", "tfx")


def _ragline(
    folder: pathlib.Path, *arguments: str, anew: bool = False
) -> subprocess.CompletedProcess[str]:
    env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    return ragline(*arguments, anew=anew, cwd=folder, env=env)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    """Circles and lines; the temperature is missing now and then; one row is broken.

    The mode is a word a step, which says whether `ax` rises.
    """
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / "data").mkdir()
    draw = random.Random(0)
    for part in range(4):
        lines = ["wearer,recording,t,ax,ay,temperature,mode,kind"]
        for wearer in range(part, WEARERS, 4):
            for recording in range(RECORDINGS):
                phase, size = draw.uniform(0, 6), draw.uniform(0.5, 2)
                for step in range(draw.randint(3, 30)):
                    ax = size * math.sin(step / 3 + phase) + draw.gauss(0, 0.05)
                    ay = size * math.cos(step / 3 + phase) * (recording % 2) + draw.gauss(0, 0.05)
                    warm = "" if draw.random() < 0.05 else f"{36 + draw.gauss(0, 0.2):.2f}"
                    mode = MODES[math.cos(step / 3 + phase) > 0]
                    kind = ("line", "circle")[recording % 2]
                    cells = f"{step / 50},{ax:.4f},{ay:.4f},{warm},{mode},{kind}"
                    lines.append(f"w{wearer},{recording},{cells}")
        (folder / "data" / f"{part}.csv").write_text("\n".join(lines) + "\n")
    with (folder / "data" / "3.csv").open("a") as file:
        file.write("w99,0,0.0,oops,0.1,36.0,rise,line\n")
    return folder


@pytest.fixture(scope="module")
def init(folder) -> subprocess.CompletedProcess[str]:
    return _ragline(folder, "init", "--input", "data/*.csv", anew=True)


@pytest.fixture(scope="module")
def run(folder, init) -> subprocess.CompletedProcess[str]:
    assert init.returncode == 0, init.stderr
    quick = ("--set", "train.epochs=2", "--set", "train.units=16")
    return _ragline(folder, "run", "ragline.toml", *quick, "--json")


@pytest.fixture(scope="module")
def summary(run) -> dict[str, Any]:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def run_folder(folder, summary) -> pathlib.Path:
    return folder / "ragline-run" / "runs" / summary["run_id"]


def test_init_says_what_it_guessed_and_why(folder, init):
    assert init.returncode == 0
    assert "features: ax, ay, temperature\n" in init.stderr
    assert "categories: mode\n" in init.stderr
    assert "feature 'ax': 1 of " in init.stderr and "such as 'oops'" in init.stderr
    assert "'recording' starts again in each 'wearer'" in init.stderr
    assert {path.name for path in folder.glob("ragline.*")} == {"ragline.toml"}


def test_plan_foresees_the_run(folder, init, summary):
    done = _ragline(folder, "plan", "ragline.toml", "--json")
    assert done.returncode == 0, done.stderr
    planned_run = json.loads(done.stdout)
    assert (
        planned_run["records"]["read"] == summary["input"]["sequences"] == WEARERS * RECORDINGS + 1
    )
    assert planned_run["records"]["reasons"] == summary["input"]["reasons"] == {"number_format": 1}
    assert planned_run["sequences"] == summary["splits"]
    assert planned_run["training"]["steps"] == summary["input"]["steps"]
    assert planned_run["training"]["batches"] == summary["train"]["batches"]
    by_length = {split: 0 for split in summary["splits"]}
    for split, counted in summary["data"]["lengths"].items():
        by_length[split] = sum(counted.values())
    assert by_length == summary["splits"]
    missing, planned = (
        {row["name"]: row["missing"] for row in rows}
        for rows in (summary["data"]["features"], planned_run["features"])
    )
    assert missing == pytest.approx(planned)
    assert planned_run["categories"]["mode"].keys() == {*MODES}


def test_words_are_scored_beside_the_numbers_and_their_encoder_states_them(summary):
    overall = summary["metrics"]["overall"]
    steps = summary["input"]["by_split"]["eval"]["steps"]
    assert overall["category/mode/accuracy"]["count"] == steps
    assert overall["category/mode/cross_entropy"]["count"] == steps
    assert 0.5 < overall["category/mode/accuracy"]["value"] <= 1.0
    facts = pathlib.Path(summary["pushed"]["path"], "assets.extra", "encoder.json")
    assert [each["name"] for each in json.loads(facts.read_text())["categories"]] == ["mode"]


def test_the_terminal_shows_stages_the_verdict_and_a_table(run, summary, run_folder):
    lines = run.stderr.splitlines()
    assert lines[0].startswith("run ")
    assert "[ 2/11] ingest" in lines
    assert "blessed" in lines
    assert any(line.split()[:2] == ["eval", f"{summary['splits']['eval']:,}"] for line in lines)
    assert f"report   {run_folder}/report.html" in lines
    assert f"curves   {summary['tensorboard']['command']}" in lines
    progress = [line for line in lines if "ragline-run" not in line]
    assert not [line for line in progress if any(word in line.lower() for word in CHATTER)]


def test_every_stage_has_its_memory(summary):
    assert all(stage["peak_bytes"] > 50e6 for stage in summary["stages"].values())


def test_tensorboard_has_scalars_and_the_projector(summary):
    logs = pathlib.Path(summary["tensorboard"]["folder"])
    assert list(logs.glob("events.out.tfevents.*"))
    tensors = (logs / "tensors.tsv").read_text().splitlines()
    heading, *names = (logs / "metadata.tsv").read_text().splitlines()
    assert len(tensors) == len(names) == summary["splits"]["eval"]
    assert heading.split("\t") == ["sequence_id", "length", "mse", "kind"]
    assert len(tensors[0].split("\t")) == 32


def test_the_samples_agree_with_the_evaluation(summary, run_folder):
    samples = json.loads((run_folder / "reconstruction_samples.json").read_text())
    assert len(samples["sequences"]["mse"]) == summary["splits"]["eval"]
    buckets = summary["metrics"]
    counted = sum(
        metrics["sequences"]["value"]
        for name, metrics in buckets.items()
        if name.startswith("length_bucket=")
    )
    assert counted == len(samples["sequences"]["length"])
    drawn = {sample["which"]: sample for sample in samples["reconstructions"]}
    assert [*drawn][:2] == ["worst", "worst_2"] and {"median", "best"} < drawn.keys()
    worst = drawn["worst"]
    assert worst["mse"] == max(error for error in samples["sequences"]["mse"] if error is not None)
    assert all(len(c["values"]) == worst["length"] for c in worst["features"].values())
    missing = samples["positions"]["missing"]
    assert missing.keys() == {feature["name"] for feature in summary["data"]["features"]}
    assert len(samples["neighbours"]["index"]) == counted


def test_report_writes_the_same_page_anew(folder, run_folder):
    page = run_folder / "report.html"
    before = page.read_text()
    page.unlink()
    done = _ragline(folder, "report", "ragline-run")
    assert (done.returncode, done.stderr) == (0, "")
    assert pathlib.Path(folder, done.stdout.strip()).read_text() == before


def test_the_encoder_encodes_files_and_is_exported(folder, summary):
    """What is embedded is what was read; the file for onnxruntime gives the same embeddings."""
    asked = ("--input", "data/*.csv", "--output", "embeddings", "--json")
    loose = ("--set", "quarantine.max_share=0.5")
    done = _ragline(folder, "encode", "ragline.toml", *asked, *loose, anew=True)
    assert done.returncode == 0, done.stderr
    assert "[ 1/1] encode" in done.stderr.splitlines()
    report = json.loads(done.stdout)
    assert report["sequences"] == sum(summary["splits"].values())
    assert (report["read"], report["quarantined"]) == (WEARERS * RECORDINGS + 1, 1)
    rows = pq.read_table(folder / "embeddings")
    assert rows.num_rows == len(set(rows["sequence_id"].to_pylist())) == report["sequences"]
    assert set(rows["model_version"].to_pylist()) == {"1"}
    pushed = pathlib.Path(summary["pushed"]["path"])
    file = folder / "encoder.onnx"
    done = _ragline(folder, "export", str(pushed), "--format", "onnx", "--output", str(file))
    assert done.returncode == 0, done.stderr
    row = max(rows.to_pylist(), key=lambda row: row["length"])
    length = np.array([row["length"]], np.int64)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, row["length"], 3)).astype(np.float32)
    inputs = {"values": values, "length": length, "mode": rng.choice(MODES, [1, row["length"]])}
    fed = inputs | {"mode": inputs["mode"].astype(object)}
    [embedding] = onnxruntime.InferenceSession(file).run(["embedding"], fed)
    served = tf.saved_model.load(str(pushed)).signatures["encode"]
    expected = served(**{key: tf.constant(each) for key, each in inputs.items()})["embedding"]
    np.testing.assert_allclose(embedding, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_the_page_of_a_real_run_draws_and_asks_for_nothing(run_folder):
    page = run_folder / "report.html"
    with started() as browser:
        browser.open(page)
        drawn = "p => p.querySelectorAll('.main-svg').length"
        plots = browser.value(f"Array.from(document.querySelectorAll('.plot'), {drawn})")
        assert len(plots) >= 10 and all(plots)
        assert browser.complaints() == []
        [script] = run_folder.parents[1].glob("plotly-*.min.js")
        assert browser.requests() == [page.as_uri(), script.as_uri()]
