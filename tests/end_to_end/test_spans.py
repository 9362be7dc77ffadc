"""Two spans in a row, by the command; the figures beside those of a plain loop over the files.

`make test` runs the second alone, with an entry in the journal for the first.
"""

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
from profiles import FULL

from ragline.components.contract import exits
from ragline.components.files.storage import read_json
from ragline.components.ingest.records.splits import split_of
from ragline.pipeline.config import load, read_contract
from ragline.pipeline.demo import synth
from ragline.pipeline.runs import spans

SPANS = (1, 2, 3)
RUN = (2, 3) if FULL else (3,)
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
        words = ("examples/gestures.toml", *OPTIONS, "--set", self._train)
        return ragline(*arguments, *words, "--workdir", self.workdir)

    @property
    def _train(self) -> str:
        return f"input.train={self.data}/span-{{SPAN}}/*.jsonl"

    def note(self, span: int) -> None:
        """Notes in the journal that a span was run, as it is now, and not blessed."""
        options = [*OPTIONS[1::2], self._train]
        config = load(ROOT / "examples" / "gestures.toml", options, str(self.workdir))
        [config] = spans.configurations(config, [span])
        summary = {
            "input": {"spans": [str(span - 1), str(span)]},
            "run_id": "noted",
            "exit_code": exits.NOT_BLESSED,
            "pushed": None,
        }
        spans.record(config, summary, spans.key_before(config, read_contract(config)))

    @property
    def journal(self) -> list[dict[str, Any]]:
        return read_json(self.workdir / spans.JOURNAL_FILE)["content"]

    @property
    def by_span(self) -> dict[int, dict[str, Any]]:
        """The newest entry of each."""
        return {entry["span"]: entry for entry in self.journal}

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
    if FULL:
        yield made, made.run("run", "--span", "2..3")
    else:
        done = made.run("run", "--span", "3")
        made.note(2)
        yield made, done
    shutil.rmtree(made.workdir)


def test_each_span_gives_the_figures_of_its_files(series):
    made, done = series
    assert done.returncode in (0, 4), done.stderr
    assert sorted(made.by_span) == [2, 3]
    for entry in map(made.by_span.get, RUN):
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
    first, *later = (made.summary(made.by_span[span]["run_id"]) for span in RUN)
    assert (first["baseline_model"]["state"], first["pushed"]["version"]) == ("first", 1)
    assert [summary["baseline_model"]["state"] for summary in later] == ["compared"] * FULL


def test_asked_for_again_nothing_changes(series):
    """The older span is left alone, the newest comes from the cache."""
    made, before = series
    entries, of_before = made.journal, made.by_span[3]
    served = sorted(os.listdir(made.workdir / "serving"))
    again = made.run("run", "--span", "2..3")
    assert again.returncode == before.returncode
    assert "span 2\ndone before, by run " in again.stderr
    assert made.journal[:2] == entries
    [newest] = made.journal[2:]
    assert newest == of_before | {"run_id": newest["run_id"]}
    of_again, of_first = made.summary(newest["run_id"]), made.summary(of_before["run_id"])
    assert {stage["state"] for stage in of_again["stages"].values()} == {"cached"}
    assert of_again["input"] == of_first["input"]
    kept = of_first["metrics"]["overall"]["embedding/neighbours_kept"]["value"]
    assert (kept is not None) == FULL  # Of the run before it.
    assert of_again["metrics"] == of_first["metrics"]
    assert sorted(os.listdir(made.workdir / "serving")) == served

    listed = made.run("spans")
    assert (listed.returncode, listed.stderr) == (0, "")
    rows = [line.split(" | ") for line in listed.stdout.splitlines()[2:]]
    assert [(row[0], row[1]) for row in rows] == [
        (f"| {entry['span']}", ", ".join(entry["spans"])) for entry in reversed(made.journal)
    ]
    assert [entry["spans"] for entry in made.journal[:2]] == (
        [["1", "2"], ["2", "3"]] if FULL else [["2", "3"], ["1", "2"]]
    )


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
