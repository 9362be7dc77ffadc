"""Tables in which each file is a sequence: `group_by = ["{FILE}"]`."""

import pathlib
from typing import Any

import pyarrow as pa
import pytest
from ingest import written
from ingest.random_records import COLUMNS, samples
from ingest.whole_runs import Place, run

SAMPLES = samples(40)
TIMED: dict[str, Any] = {"order_by": "time", "time_unit": "ns"}
Rows = list[dict[str, Any]]


def _write(path: pathlib.Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        path.write_bytes(written.csv_text(rows, ","))
    else:
        written.parquet(path, pa.Table.from_pylist(rows))


def _of_files(folder: pathlib.Path, suffix: str, **options: Any) -> Place:
    train = str(folder / "raw" / f"*{suffix}")
    return run(folder / "run", COLUMNS, train=train, **TIMED, **options)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_gives_the_record_that_a_column_of_its_name_gives(tmp_path, suffix):
    in_one: Rows = []
    for place, sample in enumerate(SAMPLES):
        rows = written.rows(sample)
        _write(tmp_path / "raw" / f"run {place}{suffix}", rows)
        in_one += [row | {"run": f"run {place}{suffix}"} for row in rows]
    _write(tmp_path / "one" / f"all{suffix}", in_one)
    by_file = _of_files(tmp_path, suffix, group_by=["{FILE}"], entity="entity_id")
    by_column = run(
        tmp_path / "by_column", COLUMNS, train=str(tmp_path / "one" / f"all{suffix}"),
        group_by=["run"], entity="entity_id", **TIMED,
    )  # fmt: skip
    received, expected = by_file.read_records(), by_column.read_records()
    assert {split: sorted(records) for split, records in received.items()} == {
        split: sorted(records) for split, records in expected.items()
    }
    assert by_file.read_account()["read"] == len(SAMPLES)


def test_a_file_and_a_column_together(tmp_path):
    """The trials are counted anew in each file, which is the entity."""
    for name in "ab":
        rows = [
            row | {"trial": trial}
            for trial, sample in enumerate(SAMPLES[:6])
            for row in written.rows(sample)
        ]
        _write(tmp_path / "raw" / f"{name}.csv", rows)
    place = _of_files(tmp_path, ".csv", group_by=["{FILE}", "trial"], entity="{FILE}")
    examples = {k: v for split in place.read_examples().values() for k, v in split.items()}
    assert set(examples) == {f"{name}.csv/{trial}" for name in "ab" for trial in range(6)}
    assert {example["entity_id"][0] for example in examples.values()} == {b"a.csv", b"b.csv"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_without_a_row_is_quarantined(tmp_path, suffix):
    for place, sample in enumerate(SAMPLES):
        _write(tmp_path / "raw" / f"{place:02d}{suffix}", written.rows(sample))
    empty = tmp_path / "raw" / f"99{suffix}"
    if suffix == ".csv":
        empty.write_bytes(written.csv_text(written.rows(SAMPLES[0]), ",").splitlines(True)[0])
    else:
        written.parquet(empty, pa.Table.from_pylist(written.rows(SAMPLES[0])).slice(0, 0))
    place = _of_files(tmp_path, suffix, group_by=["{FILE}"], max_share=0.1)
    assert (place.read_account()["read"], place.read_account()["accepted"]) == (41, 40)
    [line] = place.read_quarantine()
    assert (line["code"], line["sequence_id"]) == ("empty", f"99{suffix}")


def test_a_broken_row_costs_its_file_and_no_other(tmp_path):
    for place, sample in enumerate(SAMPLES):
        _write(tmp_path / "raw" / f"{place:02d}.csv", written.rows(sample))
    broken = tmp_path / "raw" / "07.csv"
    broken.write_bytes(broken.read_bytes() + b"1,2\n")
    place = _of_files(tmp_path, ".csv", group_by=["{FILE}"], max_share=0.1)
    [line] = place.read_quarantine()
    assert (line["code"], line["sequence_id"]) == ("ragged", "07.csv")
    assert place.read_account()["accepted"] == len(SAMPLES) - 1
