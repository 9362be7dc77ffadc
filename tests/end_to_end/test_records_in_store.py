"""Runs whose records are in a store of objects: what they make, and what is left on the disk."""

import json
import os
import pathlib
import re
from typing import Any

import memory_store
import numpy as np
import pytest
from commands import ROOT, Started, finish
from conftest import write_jsonl

from ragline.pipeline.cache.artifact_manifests import _WRITTEN

RECORDS = "beam://bucket/gestures"
STORED = ("--set", f"records={RECORDS}")
# A change that the stages from ingest to train do not see is answered by TFX's cache.
RUNS = {
    "disk": ("disk",),
    "store": ("store", *STORED),
    "again": ("store", *STORED),
    "drift": ("store", *STORED, "--set", "drift.max_shift=2.0"),
}
WRITE_RECORDS = {"ingest": "examples", "transform": "transformed_examples"}
# Of sums that Beam adds up in the order of the moment.
ROUNDING = 1e-12


def _run_all(top: pathlib.Path) -> int:
    """Runs one after the other in a process, whose memory is the store, and notes what is in it."""
    from ragline.components.runtime import cores
    from ragline.pipeline.cli.main import main

    cores.batch_shards = lambda device: 1
    codes, summaries = {}, {}
    for name, (workdir, *words) in RUNS.items():
        codes[name] = main(
            [
                *("run", "examples/gestures.toml", "--workdir", str(top / workdir)),
                *("--set", f"input.train={top}/data/*.jsonl", "--set", "train.units=4"),
                *("--set", "train.epochs=2", *words),
            ]
        )
        ended = {*top.glob("*/runs/*/summary.json")}
        [summaries[name]] = ended.difference(summaries.values())
    read = {name: json.loads(file.read_text()) for name, file in summaries.items()}
    noted = {"codes": codes, "summaries": read, "objects": sorted(memory_store.OBJECTS)}
    noted["written"] = memory_store.WRITTEN
    (top / "noted.json").write_text(json.dumps(noted))
    return 0


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory, gestures: list[dict[str, Any]]) -> pathlib.Path:
    folder: pathlib.Path = tmp_path_factory.mktemp("records")
    write_jsonl(folder / "data" / "a.jsonl", gestures[:200])
    write_jsonl(folder / "data" / "b.jsonl", gestures[200:])
    (folder / "tmp").mkdir()
    done = finish(Started(_run_all, folder, env=os.environ | {"TMPDIR": str(folder / "tmp")}))
    assert done.returncode == 0, done.stderr
    return folder


def _figures(value: Any, above: str = "") -> dict[str, Any]:
    """Every figure of a summary's tables, by its path."""
    if not isinstance(value, dict | list):
        return {above: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {
        path: figure
        for key, inner in items
        if "second" not in str(key)
        for path, figure in _figures(inner, f"{above}.{key}").items()
    }


@pytest.mark.full
def test_a_run_is_that_of_a_disk_and_keeps_no_record_there(top: pathlib.Path) -> None:
    noted = json.loads((top / "noted.json").read_text())
    assert noted["codes"] == dict.fromkeys(RUNS, 0)
    on_disk, in_store, again, drift = (noted["summaries"][name] for name in RUNS)
    for table in ("metrics", "baselines", "train", "data"):
        expected, received = _figures(on_disk[table]), _figures(in_store[table])
        assert len(expected) > 5
        for path, figure in expected.items():
            if isinstance(figure, float):
                assert received.pop(path) == pytest.approx(figure, rel=ROUNDING, abs=ROUNDING), path
            else:
                assert received.pop(path) == figure, path
        assert not received
    models = [
        np.load(top / place / "serving" / "1" / "assets.extra" / "weights.npz")
        for place in ("disk", "store")
    ]
    weights = [[model[name] for name in model.files] for model in models]
    assert len(weights[0]) > 5
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)

    outputs = [in_store["stages"][stage]["outputs"][name] for stage, name in WRITE_RECORDS.items()]
    assert outputs == [
        f"{RECORDS}/{stage}/{name}/{in_store['run_id']}" for stage, name in WRITE_RECORDS.items()
    ]
    # Of a run that is killed, the next one removes what has such a name.
    runs = [summary["run_id"] for summary in noted["summaries"].values()]
    named = re.compile(rf"{RECORDS}/\w+/\w+/({'|'.join(runs)})/(.+)")
    for name in noted["written"]:
        match = named.fullmatch(name)
        assert match and _WRITTEN.fullmatch(match[2]), name
    assert len(noted["written"]) > 20
    folders = {name.rpartition("/")[0] for name in noted["objects"]}
    assert folders == {f"{uri}/Split-{split}" for uri in outputs for split in ("train", "eval")}
    for stage, name in WRITE_RECORDS.items():
        assert (top / "disk" / "artifacts" / stage / name).is_dir()
        assert not (top / "store" / "artifacts" / stage / name).exists()
    assert not list((top / "store").rglob("*.begun"))

    assert {stage["state"] for stage in again["stages"].values()} == {"cached"}
    states = {name: stage["state"] for name, stage in drift["stages"].items()}
    assert states["gate"] == "ran"
    assert [states[name] for name in (*WRITE_RECORDS, "train")] == ["cached"] * 3


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")  # Of protobuf, in TFX.
def test_records_and_what_is_staged_get_a_place_in_the_store_which_the_cache_sees(
    tmp_path: pathlib.Path,
) -> None:
    from ragline.pipeline.config import load, read_contract
    from ragline.pipeline.runs import runner, tfx_run

    (tmp_path / "a.jsonl").write_text("{}\n")
    config = load(ROOT / "examples" / "gestures.toml", [f"input.train={tmp_path}/a.jsonl"])
    pipeline = runner.pipeline_of(config, read_contract(config), tmp_path)
    of_beam = {
        "ingest": ["examples", "staging"],
        "statistics": ["staging"],
        "transform": ["transformed_examples", "staging"],
        "evaluate": ["staging"],
    }
    for records, written in ((None, {}), (f"{RECORDS}/", of_beam)):
        compiled = tfx_run.compile_pipeline(pipeline, "r-1", "v", records)
        nodes = {node.pipeline_node.node_info.id: node.pipeline_node for node in compiled.nodes}
        in_store = {stage: tfx_run._in_store(node, "r-1") for stage, node in nodes.items()}
        assert {stage: uris for stage, uris in in_store.items() if uris} == {
            stage: [f"{RECORDS}/{stage}/{place}/r-1" for place in places]
            for stage, places in written.items()
        }
        seen = {stage for stage, node in nodes.items() if "records" in node.parameters.parameters}
        assert seen == written.keys()
