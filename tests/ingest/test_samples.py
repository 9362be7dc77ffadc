"""Samples for `init`: all of what is small, and of what is large ranges from all over it."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ragline.components.ingest import samples
from ragline.components.ingest.formats.parsing import texts
from ragline.components.ingest.samples import csv as csv_samples
from ragline.components.ingest.samples import jsonl as jsonl_samples
from ragline.components.ingest.samples import parquet as parquet_samples
from ragline.components.ingest.samples.sample import ranges, spread
from ragline.components.ingest.source import patterns

ROWS = 40_000


def _csv(path):
    path.write_text("id,t,x\n" + "".join(f"{i // 10},{i},{i / 7:.3f}\n" for i in range(ROWS)))


def _jsonl(path):
    lines = (json.dumps({"t": [i, i + 1], "x": [i / 7, 1.5]}) for i in range(ROWS))
    path.write_text("\n".join(lines) + "\n")


def _parquet(path):
    table = pa.table({"id": np.arange(ROWS) // 10, "t": np.arange(ROWS), "x": np.ones(ROWS)})
    pq.write_table(table, path, row_group_size=ROWS // 20)


@pytest.mark.parametrize(
    ("name", "write", "module", "limit"),
    [
        ("a.csv", _csv, csv_samples, ("SAMPLE_BYTES", 100_000)),
        ("a.jsonl", _jsonl, jsonl_samples, ("SAMPLE_BYTES", 100_000)),
        ("a.parquet", _parquet, parquet_samples, ("_MOST_CELLS", 30_000)),
    ],
)
def test_a_large_file_is_sampled_from_its_beginning_to_its_end(
    tmp_path, monkeypatch, name, write, module, limit
):
    path = tmp_path / name
    write(path)
    whole = samples.take([str(path)])
    assert whole.complete and len(whole.steps["t"]) in (ROWS, 2 * ROWS)
    monkeypatch.setattr(module, *limit)
    monkeypatch.setattr(parquet_samples, "_BATCH", 1000)
    sample = samples.take([str(path)])
    sampled = np.sort(np.asarray(sample.steps["t"].cast(pa.int64())))
    assert not sample.complete
    assert 500 < len(sampled) < ROWS / 2
    assert sampled[0] == 0 and sampled[-1] >= ROWS - 1
    assert np.diff(sampled).max() < ROWS / 4
    assert len(np.unique(sampled)) >= 0.99 * len(sampled) or name == "a.jsonl"


def test_every_file_is_looked_at_and_its_rows_are_counted(tmp_path):
    paths = [str(tmp_path / f"{i:04d}.csv") for i in range(40)]
    for place, path in enumerate(paths):
        with open(path, "w") as file:
            file.write("t,x\n" + f"{place},1.5\n" * (1 + place % 3))
    sample = samples.take(paths)
    assert sample.files == tuple(1 + place % 3 for place in range(40))
    assert (sample.files_in_all, sample.complete) == (40, True)


def test_places_and_ranges_are_spread_evenly():
    assert spread(5, 10) == [0, 1, 2, 3, 4]
    assert spread(101, 3) == [0, 50, 100]
    assert ranges(10, 10) == [(0, 10)]
    places = ranges(1000, 80)
    assert places[0] == (0, 10) and places[-1] == (990, 1000) and len(places) == 8


def test_columns_that_not_all_files_have_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("id,x,y\n1,2,3\n")
    (tmp_path / "b.csv").write_text("id,x\n1,2\n")
    sample = samples.take([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])
    assert [*sample.steps] == ["id", "x"]
    assert "b.csv has no such column" in sample.left_out["y"]


@pytest.mark.parametrize(
    ("decimal", "text", "expected"),
    [
        (",", "1.234.567,5", "1234567.5"),
        (",", "-0,5", "-0.5"),
        (",", "1 234", "1234"),
        (",", "5 %", "5"),
        (",", "1.5", "1.5"),
        (",", "12.34,5", "12.34,5"),
        (".", "1,234.5", "1234.5"),
        (".", "1'234", "1234"),
        (".", "1,5", "1,5"),
        (".", "5%", "5"),
        (".", "oops", "oops"),
        ("strict", "1,234", "1,234"),
    ],
)
def test_numbers_by_their_decimal_mark(decimal, text, expected):
    assert texts.spelt(pa.array([text]), decimal).to_pylist() == [expected]


def test_the_fields_of_a_pattern_are_what_stands_in_the_names(tmp_path):
    names = ("pump_01_7.csv", "pump_02_11.csv", "readme.csv")
    for name in names:
        (tmp_path / name).write_text("x\n1\n")
    matched = patterns.match(f"{tmp_path}/{{machine}}_{{n}}.csv")
    assert {p.rsplit("/", 1)[1]: dict(f) for p, f in matched.fields.items()} == {
        "pump_01_7.csv": {"machine": "pump_01", "n": "7"},
        "pump_02_11.csv": {"machine": "pump_02", "n": "11"},
    }
    assert patterns.fields("a/{machine}/{SPAN}/{machine}_{n}.csv") == ("machine", "n")
    assert patterns.match(f"{tmp_path}/*.csv").fields == {}
