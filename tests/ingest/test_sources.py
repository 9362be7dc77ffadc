"""Tests of the file and the line that ingest keeps of each sequence: a person can open them."""

import csv
import json
import pathlib

import numpy as np
import pytest
from ingest import whole_runs

from ragline.components.contract.columns import Columns, Feature
from ragline.components.contract.file_names import SOURCES_FILE
from ragline.components.ingest.output import sources

X = Columns(features=(Feature(name="x", unit=None, allow_missing=False),), context={})


def _ids(place: whole_runs.Place) -> dict[str, whole_runs.Record]:
    examples = place.read_examples()
    return examples["train"] | examples["eval"]


def test_a_record_stands_in_its_line(tmp_path: pathlib.Path) -> None:
    """Its windows, too; a record that was refused for its id has none."""
    random = np.random.default_rng(0)
    records = [
        {"sequence_id": f"s{number}", "x": random.normal(size=number % 4 + 1).tolist()}
        for number in range(40)
    ]
    for name, lines in {"a": records[:23], "b": [records[7], *records[23:]]}.items():
        text = "".join(f"{json.dumps(line)}\n\n" for line in lines)
        (tmp_path / f"{name}.jsonl").write_text(text)
    place = whole_runs.run(
        tmp_path / "run",
        schema=X,
        max_share=0.1,
        train=f"{tmp_path}/*.jsonl",
        steps={"max_length": 3, "too_long": "window"},
    )
    written = _ids(place)
    source_of = sources.read(f"{place.account.uri}/{SOURCES_FILE}", [*written, "nobody"])
    assert source_of.keys() == written.keys()
    assert len(written) == 50, "ten of four steps are two windows each"
    for name, example in written.items():
        path, line = source_of[name]
        record = json.loads(pathlib.Path(path).read_text().splitlines()[line - 1])
        whole, _, window = name.partition("[")
        assert record["sequence_id"] == whole
        start, stop = map(int, window[:-1].split(":")) if window else (0, len(record["x"]))
        assert example["x"] == np.float32(record["x"][start:stop]).tolist()
    assert source_of["s7[0:3]"][0].endswith("a.jsonl"), "the first of two"


def test_a_sequence_of_a_long_table_stands_where_its_first_row_does(tmp_path: pathlib.Path) -> None:
    random = np.random.default_rng(0)
    rows = [(f"s{number % 20}", random.normal()) for number in range(100)]
    expected = {}
    for name, part in {
        "a": rows[:50],
        "b": [*rows[50:], *((f"t{n}", 0.5) for n in range(9))],
    }.items():
        file = tmp_path / f"{name}.csv"
        with file.open("w") as opened:
            csv.writer(opened).writerows([("id", "x"), *part])
        for number, (sequence_id, _) in enumerate(part, 2):
            expected.setdefault(sequence_id, (str(file), number))
    place = whole_runs.run(tmp_path / "run", schema=X, train=f"{tmp_path}/*.csv", group_by=("id",))
    assert sources.read(f"{place.account.uri}/{SOURCES_FILE}", _ids(place)) == expected


def test_the_account_shows_the_first_rejected_records_of_each_reason(
    tmp_path: pathlib.Path,
) -> None:
    """So a run that takes its data from the cache shows them too; their text is cut."""
    good = [json.dumps({"x": [float(number)]}) for number in range(30)]
    bad = [f"{{'{'n' * 300}" for _ in range(5)] + [json.dumps({"x": []}) for _ in range(2)]
    (tmp_path / "a.jsonl").write_text("\n".join([*good, *bad]))
    place = whole_runs.run(
        tmp_path / "run", schema=X, max_share=0.5, train=str(tmp_path / "a.jsonl")
    )
    rejected = place.read_account()["rejected"]
    assert [(line["code"], line["line"]) for line in rejected] == [
        ("empty", 36), ("empty", 37), ("json", 31), ("json", 32), ("json", 33)
    ]  # fmt: skip
    assert rejected[-1]["text"] == bad[0][:200] + "…"
    every = {line["line"]: line for line in place.read_quarantine()}
    assert len(every) == 7
    for line in rejected:
        assert every[line["line"]] | {"text": line["text"]} == line


@pytest.mark.parametrize("count", [0, 1, 1000])
def test_what_is_written_is_read(tmp_path: pathlib.Path, count: int) -> None:
    """Of several files, gathered; a unit may have none."""
    tables = [
        sources.table_of([f"{name}{n}" for n in range(count)], range(1, count + 1), f"/data/{name}")
        for name in ("a", "b")
    ]
    sources.write(tables, tmp_path / "1")
    sources.write([], tmp_path / "2")
    sources.gather([tmp_path / "1", tmp_path / "2"], tmp_path / "all")
    ids = [f"{name}{n}" for name in ("a", "b") for n in range(count)]
    expected = {name: (f"/data/{name[0]}", int(name[1:]) + 1) for name in ids}
    assert sources.read(tmp_path / "all", [*ids, "c"]) == expected
