"""The journal of spans, and a posted training: what is none is told, kept, and made anew."""

import logging
import pathlib

import pytest

from ragline.components.files import state
from ragline.components.ingest.options import InputOptions
from ragline.components.train.loop import multiworker
from ragline.pipeline.config import Config
from ragline.pipeline.runs import spans

GARBAGE = ["", "{}", "[]", "null", "garbage", "[" * 100_000, '[{"span": "x"}]']
SUMMARY = {"input": {"spans": ["6", "7"]}, "run_id": "r", "exit_code": 0, "pushed": {"version": 3}}


@pytest.fixture
def config(tmp_path) -> Config:
    (tmp_path / "data-7.jsonl").write_text("x")
    return Config(
        name="n",
        schema="gestures",
        workdir=str(tmp_path),
        input=InputOptions(train=str(tmp_path / "data-{SPAN}.jsonl"), span=7),
    )


def test_a_run_over_a_span_is_entered(config):
    assert spans.journal(config) == []
    spans.record(config, SUMMARY, "key")
    [entry] = spans.journal(config)
    assert entry == spans.Entry(
        span=7, spans=("6", "7"), key="key", run_id="r", exit_code=0, version=3
    )


@pytest.mark.parametrize("text", GARBAGE)
def test_what_is_no_journal_is_not_believed_and_not_lost(config, tmp_path, caplog, text):
    (tmp_path / "spans.json").write_text(text)
    with caplog.at_level(logging.WARNING):
        assert spans.journal(config) == []
        assert spans.entry_to_skip(config) is None
    assert caplog.messages[0].endswith("; no span counts as done")
    spans.record(config, SUMMARY, "key")
    assert len(spans.journal(config)) == 1
    assert (tmp_path / "spans.json.set-aside-1").read_text() == text


def test_a_file_that_is_touched_shows_in_the_stamps(config, tmp_path):
    before = spans.stamps(config.input)
    assert list(before) == [str(tmp_path / "data-7.jsonl")]
    assert spans.stamps(config.input) == before
    (tmp_path / "data-7.jsonl").write_text("x")
    assert spans.stamps(config.input) != before


@pytest.mark.parametrize("text", GARBAGE)
def test_what_is_no_posted_training_is_not_joined_and_not_removed(tmp_path, text):
    job_file: pathlib.Path = tmp_path / multiworker.JOB_FILE
    job_file.write_text(text)
    assert multiworker._read_job(job_file) == ""
    multiworker._withdraw(job_file)
    assert job_file.read_text() == text
    state.write(job_file, "posted training", {"id": "x"})
    assert multiworker._read_job(job_file) == '{"id": "x"}'
    multiworker._withdraw(job_file)
    assert [path.name for path in tmp_path.iterdir()] == ["training.json.set-aside-1"]
