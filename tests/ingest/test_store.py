"""Ingest from a store of objects into one: nothing of it on the disk, and the same bytes."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import apache_beam as beam
import memory_store
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.value_provider import RuntimeValueProvider
from conftest import write_jsonl

from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.files import places
from ragline.components.files.storage import Staged, manifest, write_json
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.ingest.output import sources
from ragline.components.ingest.run import run
from ragline.components.ingest.source import patterns, units
from ragline.pipeline.demo.synth import FEATURES

IN_PROCESS = "ragline.components.runtime.local_runner.LocalRunner"
ROWS = InputOptions(train="in/rows.csv", group_by=("gesture",), order_by="at")


@pytest.fixture(autouse=True)
def _empty_store() -> None:
    memory_store.clear()


def _ingest(top: str, options: InputOptions, runner: str = "FnApiRunner") -> dict[str, Any]:
    return run(
        beam.Pipeline(runner),
        options=dataclasses.replace(options, train=f"{top}/{options.train}"),
        quarantine_options=QuarantineOptions(max_share=0.5),
        columns=Columns.from_schema(schemas.load("gestures")),
        folders={split: f"{top}/out/{split}" for split in SPLITS},
        quarantine=f"{top}/out/rejected.jsonl",
        source_file=f"{top}/sources.parquet",
        staging=f"{top}/staging",
    )


def _rows(records: list[dict[str, Any]]) -> str:
    lines = ["gesture,at," + ",".join(FEATURES)]
    for record in records:
        for at, step in enumerate(zip(*(record["features"][f] for f in FEATURES), strict=True)):
            values = ",".join("" if value is None else repr(value) for value in step)
            lines.append(f"{record['sequence_id']},{at},{values}")
    return "\n".join(lines) + "\n"


@pytest.fixture
def both(
    tmp_path: pathlib.Path, gestures: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> tuple[str, str]:
    """The same input in a folder of the disk and in the store, and units of some records."""
    monkeypatch.setattr(units, "UNIT_BYTES", 30_000)
    bad = {"sequence_id": "bad", "features": {name: [] for name in FEATURES}}
    write_jsonl(tmp_path / "in" / "a.jsonl", gestures[:20])
    write_jsonl(tmp_path / "in" / "b.jsonl", [*gestures[20:40], bad, gestures[0]])
    (tmp_path / "in" / "rows.csv").write_text(_rows(gestures[:10]))
    for file in (tmp_path / "in").iterdir():
        memory_store.OBJECTS[f"mem://bucket/in/{file.name}"] = file.read_bytes()
    return str(tmp_path), "mem://bucket"


@pytest.mark.parametrize(
    ("options", "runner"),
    [
        (InputOptions(train="in/*.jsonl"), IN_PROCESS),
        (ROWS, IN_PROCESS),
        (ROWS, "FnApiRunner"),
    ],
    ids=["records", "rows", "rows-by-engine"],
)
def test_a_store_holds_what_a_disk_does(
    both: tuple[str, str], options: InputOptions, runner: str
) -> None:
    disk, store = both
    expected, received = (_ingest(top, options, runner) for top in both)
    assert _without_places(received, store) == _without_places(expected, disk)
    on_disk, in_store = (manifest(f"{top}/out") for top in both)
    rejected = "rejected.jsonl"
    assert in_store.keys() == on_disk.keys() and len(in_store) > 2
    for shards in (in_store, on_disk):
        shards.pop(rejected, None)
    assert in_store == on_disk, "shard by shard, the same bytes"
    on_disk, in_store = (_sources(top) for top in both)
    assert in_store == on_disk and len(in_store) >= 10
    assert not places.inside(f"{store}/staging"), "the staging is gone"
    assert not list(pathlib.Path.cwd().glob("mem:*")), "a URI was taken for a path"
    assert not list(places.inside(f"{store}/out", "**.tmp"))
    if received["quarantined"]:
        lines = places.read(f"{store}/out/{rejected}").decode().splitlines()
        assert {json.loads(line)["code"] for line in lines} == {"empty", "duplicate_id"}


def _sources(top: str) -> dict[str, tuple[str, int]]:
    """Sequence id -> its file, without the top, and its line."""
    lines = places.read(f"{top}/in/a.jsonl").splitlines()
    ids = [json.loads(line)["sequence_id"] for line in lines]
    source_of = sources.read(f"{top}/sources.parquet", ids)
    return {name: (path.replace(top, ""), line) for name, (path, line) in source_of.items()}


def _without_places(account: Mapping[str, Any], top: str) -> Any:
    return json.loads(json.dumps(account).replace(top, ""))


def test_a_store_without_the_input_says_so() -> None:
    with pytest.raises(
        BadDataError, match=r"mem://bucket/none/x\.jsonl: expected at least one file"
    ):
        _ingest("mem://bucket", InputOptions(train="none/x.jsonl"))


@pytest.mark.parametrize("pattern", ["*.jsonl", "a.jsonl"])
def test_input_is_matched_before_there_is_a_pipeline(
    pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which sets the options that a store wants; no other test of this process may have."""
    monkeypatch.setattr(FileSystems, "_pipeline_options", None)
    monkeypatch.setattr(RuntimeValueProvider, "runtime_options", None)
    memory_store.OBJECTS["mem://bucket/in/a.jsonl"] = b"{}\n"
    matched = patterns.match(f"mem://bucket/in/{pattern}")
    assert matched.paths == ("mem://bucket/in/a.jsonl",)


def test_what_fails_before_it_is_whole_is_not_in_the_store() -> None:
    with pytest.raises(KeyError), Staged("mem://bucket/x") as staged:
        staged.write_text("half")
        raise KeyError
    assert not memory_store.OBJECTS and not staged.exists()
    with Staged("mem://bucket/x") as staged:
        staged.write_text("all of it")
    assert places.read("mem://bucket/x") == b"all of it" and not staged.exists()


def test_a_copy_that_breaks_off_leaves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(source: Any, target: Any, _: int) -> None:
        target.write(source.read(2))
        raise ConnectionError("the line is dead")

    (tmp_path / "x").write_text("all of it")
    monkeypatch.setattr(places.shutil, "copyfileobj", breaks)
    with pytest.raises(ConnectionError):
        places.upload(tmp_path / "x", "mem://bucket/x")
    assert memory_store.WRITTEN and not memory_store.OBJECTS


@pytest.mark.parametrize("kind", ["disk", "store"])
def test_places_are_alike(kind: str, tmp_path: pathlib.Path) -> None:
    top = str(tmp_path) if kind == "disk" else "mem://bucket"
    assert places.inside(top) == [] and not places.exists(f"{top}/a/b.json")
    with pytest.raises(FileNotFoundError):
        places.open(f"{top}/a/b.json")
    places.make_folder(f"{top}/a")
    write_json(f"{top}/a/b.json", {"c": 1})
    write_json(f"{top}/a/d/e.json", {})
    with places.create(f"{top}/f") as file:
        file.write(b"12345")
    assert places.inside(top) == [f"{top}/a/b.json", f"{top}/a/d/e.json", f"{top}/f"]
    assert places.inside(top, "*") == [f"{top}/f"]
    assert places.inside(f"{top}/a", "b.*") == [f"{top}/a/b.json"]
    assert (places.size(f"{top}/f"), places.read(f"{top}/f")) == (5, b"12345")
    assert manifest(top).keys() == {"a/b.json", "a/d/e.json", "f"}
    with places.fetched(f"{top}/a") as folder:
        assert pathlib.Path(folder, "d", "e.json").read_text() == "{}\n"
    places.remove(f"{top}/f")
    places.remove(f"{top}/f")
    places.remove_folder(f"{top}/a")
    assert places.inside(top) == []
