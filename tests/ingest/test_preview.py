"""The sample of `ragline plan` is what a run would read, in every format."""

import collections
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np
import pytest
from ingest import written
from ingest.random_records import COLUMNS, Sample
from ingest.test_every_format import FORMATS, GROUPED, SAMPLES, TIMED

from ragline.components.contract.columns import SPLITS
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest.options import InputOptions, StepOptions
from ragline.components.ingest.preview import sampling
from ragline.components.ingest.preview.preview_result import Preview
from ragline.components.ingest.records.splits import split_of


def _take(folder: pathlib.Path, pattern: str = "*", **options: Any) -> Preview:
    sizes = {name: options.pop(name) for name in ("sample_bytes", "most_files") if name in options}
    return sampling.take(InputOptions(train=f"{folder}/{pattern}", **options), COLUMNS, **sizes)


def _lines(samples: list[Sample]) -> bytes:
    return written.jsonl(map(written.json_record, samples))


@pytest.mark.parametrize("name", FORMATS)
def test_the_whole_of_a_small_input_is_the_sample(tmp_path, name):
    write, options = FORMATS[name]
    write(tmp_path / name)
    preview = _take(tmp_path, **options)
    assert (preview.files, preview.share, preview.reasons) == (1, 1.0, {})
    assert preview.bytes == (tmp_path / name).stat().st_size
    assert preview.read == preview.accepted == len(SAMPLES)
    assert sorted(preview.lengths) == sorted(sample.length for sample in SAMPLES)
    entities = {sample.entity_id for sample in SAMPLES}
    expected = collections.Counter(split_of(entity, 0.2) for entity in entities)
    assert preview.entities == {split: expected[split] for split in SPLITS}
    values = np.concatenate([sample.values for sample in SAMPLES])
    for place, column in enumerate(preview.columns):
        own = values[:, place]
        assert (column.steps, column.missing) == (len(own), np.isnan(own).sum())
        assert column.low == np.nanmin(own)
        assert column.high == np.nanmax(own)
        assert column.mean == pytest.approx(np.nanmean(own), rel=1e-12)
    assert preview.categories["word"] == collections.Counter(
        word for sample in SAMPLES for word in sample.words
    )
    assert preview.context["label"] == collections.Counter(sample.label for sample in SAMPLES)


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", written.csv_text([r for s in SAMPLES for r in written.rows(s)], ","), GROUPED),
        ("a.jsonl", _lines(SAMPLES), TIMED),
    ],
)
def test_of_a_large_file_the_beginning_is_read(tmp_path, name, content, options):
    (tmp_path / name).write_bytes(content)
    preview = _take(tmp_path, sample_bytes=len(content) // 3, **options)
    assert preview.share == pytest.approx(1 / 3, abs=0.01)
    assert not preview.reasons
    assert 0.25 * len(SAMPLES) < len(preview.lengths) < 0.4 * len(SAMPLES)
    # Whole sequences, and none that goes on behind the sample.
    assert preview.lengths.tolist() == [sample.length for sample in SAMPLES[: len(preview.lengths)]]


def test_files_are_taken_from_all_over_the_pattern(tmp_path):
    for place in range(10):
        (tmp_path / f"{place}.jsonl").write_bytes(_lines(SAMPLES[3 * place : 3 * place + 3]))
    preview = _take(tmp_path, most_files=3, **TIMED)
    assert (preview.files, preview.read) == (10, 9)
    assert preview.share == pytest.approx(0.3, abs=0.1)
    chosen = [sample for place in (0, 4, 9) for sample in SAMPLES[3 * place : 3 * place + 3]]
    assert preview.lengths.tolist() == [sample.length for sample in chosen]


def test_a_bad_record_has_its_file_and_its_line(tmp_path):
    bad = written.json_record(SAMPLES[2]) | {"length": 99}
    lines = [*map(written.json_record, SAMPLES[:2]), b"{", bad, written.json_record(SAMPLES[0])]
    (tmp_path / "a.jsonl").write_bytes(written.jsonl(lines))
    preview = _take(tmp_path, **TIMED)
    assert preview.reasons == {"json": 1, "length_mismatch": 1, "duplicate_id": 1}
    assert (preview.read, preview.accepted) == (5, 2)
    file = str(tmp_path / "a.jsonl")
    assert [(one.file, one.line, one.code) for one in preview.bad] == [
        (file, 3, "json"),
        (file, 4, "length_mismatch"),
        (file, 5, "duplicate_id"),
    ]


def test_policies_apply(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(_lines(SAMPLES))
    preview = _take(tmp_path, steps=StepOptions(max_length=4), **TIMED)
    assert preview.policies["windows"] == sum(-(-s.length // 4) for s in SAMPLES if s.length > 4)
    assert preview.lengths.max() == 4
    assert preview.lengths.sum() == sum(sample.length for sample in SAMPLES)


def test_the_record_is_the_one_that_is_written(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(_lines(SAMPLES))
    encoded = _take(tmp_path, **TIMED).encoded
    columns = encoded["columns"]
    first = SAMPLES[0]
    assert columns["sequence_id"]["values"] == [first.sequence_id]
    assert columns["length"] == {"kind": "int64", "number": 1, "values": [first.length]}
    assert columns["a"]["number"] == first.length
    assert columns["a"]["values"] == first.values[:6, 0].tolist()
    assert columns["word"]["values"] == first.words[:6]
    assert columns["time"]["values"] == (first.time - first.time[0])[:6].tolist()


def test_what_stops_a_run_at_once_is_raised(tmp_path):
    with pytest.raises(BadDataError, match="no_input"):
        _take(tmp_path)
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(BadDataError, match="missing_column"):
        _take(tmp_path, group_by=("sequence_id",))
    (tmp_path / "a.csv").write_bytes(json.dumps([1]).encode())
    with pytest.raises(BadDataError, match="no_group_by"):
        _take(tmp_path)


def test_no_record_at_all_is_no_crash(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"{}\n")
    preview = _take(tmp_path, **TIMED)
    assert (preview.read, preview.accepted, preview.encoded) == (1, 0, None)
    assert [column.is_constant for column in preview.columns] == [True, True]
    assert dataclasses.asdict(preview)["lengths"].tolist() == []
