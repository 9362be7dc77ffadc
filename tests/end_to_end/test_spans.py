"""Two spans in a row, by the command; the figures beside those of a plain loop over the files."""

import json
import os
import pathlib
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import numpy as np
import oracle
import pytest
from commands import ROOT, ragline
from conftest import write_jsonl

from ragline.components.files.storage import read_json
from ragline.components.ingest.records.splits import split_of
from ragline.pipeline.config import load
from ragline.pipeline.demo import synth
from ragline.pipeline.runs import spans

SPANS = (1, 2, 3)
OPTIONS = (
    *("--set", "input.spans=2"),
    *("--set", "train.epochs=1"),
    *("--set", "train.units=16"),
    *("--set", "train.embedding_size=8"),
)


class Series:
    """A folder of data that grows by spans, and a work directory."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.workdir = folder / "work"
        self.data = folder / "data"
        for span in SPANS:
            records = list(synth.gestures(sequences=240, seed=span))
            for record in records:
                record["sequence_id"] = f"{span}-{record['sequence_id']}"
            write_jsonl(self.file(span), records)

    def file(self, span: int) -> pathlib.Path:
        return self.data / f"span-{span}" / "a.jsonl"

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return ragline(
            *(*arguments, "examples/gestures.toml", *OPTIONS, "--workdir", self.workdir),
            *("--set", f"input.train={self.data}/span-{{SPAN}}/*.jsonl"),
        )

    @property
    def journal(self) -> list[dict[str, Any]]:
        return read_json(self.workdir / spans.JOURNAL_FILE)["content"]

    def summary(self, run_id: str) -> dict[str, Any]:
        return read_json(self.workdir / "runs" / run_id / "summary.json")

    def split(self, window: tuple[int, int]) -> dict[str, list[np.ndarray]]:
        """Raw values [T, F] of a window, read by a plain loop: eval of the newest span alone."""
        by_split: dict[str, list[np.ndarray]] = {"train": [], "eval": []}
        for span in window:
            for line in self.file(span).read_text().splitlines():
                record = json.loads(line)
                split = split_of(record["entity_id"], 0.2)
                if split == "train" or span == window[-1]:
                    columns = [record["features"][name] for name in synth.FEATURES]
                    by_split[split].append(np.array(columns, np.float32).T)
        return by_split


@pytest.fixture(scope="module")
def series(tmp_path_factory) -> Iterator[tuple[Series, subprocess.CompletedProcess[str]]]:
    made = Series(tmp_path_factory.mktemp("spans"))
    yield made, made.run("run", "--span", "2..3")
    shutil.rmtree(made.workdir)


def test_each_span_gives_the_figures_of_its_files(series):
    made, done = series
    assert done.returncode in (0, 4), done.stderr
    assert [entry["span"] for entry in made.journal] == [2, 3]
    for entry in made.journal:
        window = (entry["span"] - 1, entry["span"])
        splits, summary = made.split(window), made.summary(entry["run_id"])
        assert entry["spans"] == summary["input"]["spans"] == [str(span) for span in window]
        assert summary["input"]["by_split"] == {
            name: {"sequences": len(split), "steps": sum(map(len, split))}
            for name, split in splits.items()
        }
        observed = [np.isfinite(values) for values in splits["eval"]]
        standardised = oracle.standardise(splits["train"], splits["eval"])
        zeros = [np.zeros_like(values) for values in standardised]
        expected = oracle.mean_squared_error(standardised, zeros, observed)
        mean = summary["baselines"]["training_mean"]["eval"]["masked_mse"]
        assert mean == pytest.approx(expected, rel=1e-6)
        assert (summary["drift"]["span"], summary["drift"]["others"]) == (
            str(window[1]),
            [str(window[0])],
        )
    first, later = (made.summary(entry["run_id"]) for entry in made.journal)
    assert (first["baseline_model"]["state"], first["pushed"]["version"]) == ("first", 1)
    assert later["baseline_model"]["state"] == "compared"


def test_asked_for_again_nothing_changes(series):
    """The older span is left alone, the newest comes from the cache."""
    made, before = series
    entries = made.journal
    served = sorted(os.listdir(made.workdir / "serving"))
    again = made.run("run", "--span", "2..3")
    assert again.returncode == before.returncode
    assert "span 2\ndone before, by run " in again.stderr
    assert made.journal[:2] == entries
    [newest] = made.journal[2:]
    assert newest == entries[1] | {"run_id": newest["run_id"]}
    of_again, of_first = made.summary(newest["run_id"]), made.summary(entries[1]["run_id"])
    assert {stage["state"] for stage in of_again["stages"].values()} == {"cached"}
    assert of_again["input"] == of_first["input"]
    assert of_first["metrics"]["overall"]["embedding/neighbours_kept"]["value"] is not None
    assert of_again["metrics"] == of_first["metrics"]
    assert sorted(os.listdir(made.workdir / "serving")) == served

    listed = made.run("spans")
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = [line.split(" | ") for line in listed.stdout.splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows] == [
        ("| 3", "2, 3"), ("| 3", "2, 3"), ("| 2", "1, 2"),
    ]  # fmt: skip


def test_what_is_wrong_with_a_span_is_told(series):
    made, _ = series
    missing = made.run("run", "--span", "4..6")
    assert missing.returncode == 3
    assert "no_span: " in missing.stderr and "expected span 4, found 1, 2, 3" in missing.stderr
    assert "span 5" not in missing.stderr
    few = made.run("run", "--span", "1")
    assert few.returncode == 3
    assert "expected 2 spans up to 1, found 1, 2, 3" in few.stderr
    for told in (missing.stderr, few.stderr):
        assert "Traceback" not in told


@pytest.mark.parametrize("text", ["", "x", "-1", "1..", "3..2", "1...3", "1-3"])
def test_a_span_is_a_number_or_a_range(text):
    with pytest.raises(ValueError, match="expected a number such as 7"):
        spans.parse(text)


def test_spans_and_dates_are_numbers():
    assert list(spans.parse("7")) == [7]
    assert list(spans.parse("9..11")) == [9, 10, 11]
    assert list(spans.parse_date("1970-01-01")) == [0]
    assert list(spans.parse_date("2026-11-20")) == [20_777]
    for text in ("2026-02-30", "1969-12-31", "yesterday"):
        with pytest.raises(ValueError, match="expected a date"):
            spans.parse_date(text)


def test_an_input_without_spans_has_none_to_name(tmp_path):
    config = load(ROOT / "examples" / "gestures.toml", [f"input.train={tmp_path}/*.jsonl"])
    with pytest.raises(spans.ConfigError, match=r"input.span: expected \{SPAN\}"):
        list(spans.configurations(config, [1]))
