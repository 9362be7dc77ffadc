"""Rows are grouped by the engine as by files: the same shards, quarantine and account."""

import json
import pathlib

import pytest
from ingest import whole_runs
from ingest.whole_runs import IN_PROCESS

from ragline.components.contract.columns import SPLITS
from ragline.components.files import storage
from ragline.components.ingest.beam import spill
from ragline.components.ingest.output import shards
from ragline.components.ingest.source import units
from ragline.pipeline.demo.synth import FEATURES

# Any engine but that of `IN_PROCESS`.
ANOTHER = ("--runner=FnApiRunner", "--sdk_container_image=none")


@pytest.fixture
def tables(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Two tables, whose rows of a sequence lie apart, some of them bad.

    One sequence has the id of a window of another.
    """
    monkeypatch.setattr(units, "UNIT_BYTES", 2000)
    for split, numbers in (("train", range(30)), ("eval", range(30, 50))):
        lines = ["gesture,at," + ",".join(FEATURES)]
        for at in range(4):
            for number in numbers:
                name = {7: "6[2:4]", 37: "35[0:2]"}.get(number, number)
                value = "x" if (number, at) in ((3, 2), (40, 1)) else f"{number}.5"
                cells = [value, *(f"{at}.{place}" for place in range(1, len(FEATURES)))]
                lines.append(f"{name},{at},{','.join(cells)}")
        (tmp_path / f"{split}.csv").write_text("\n".join(lines) + "\n")
    return {split: str(tmp_path / f"{split}.csv") for split in SPLITS}


def test_it_is_the_same_byte_for_byte(
    tables: dict[str, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(name: str, arguments: tuple[str, ...]) -> whole_runs.Place:
        return whole_runs.run(
            tmp_path / name,
            max_share=0.5,
            beam_arguments=arguments,
            **tables,
            group_by=("gesture",),
            steps={"max_length": 2},
            order_by="at",
        )

    by_files = run("files", IN_PROCESS)
    monkeypatch.setattr(spill, "write", lambda *_: pytest.fail("a worker wrote a file of rows"))
    by_engine = run("engine", ANOTHER)
    assert len(by_files.bytes["train"]) > 2
    assert by_engine.bytes == by_files.bytes
    assert by_engine.read_quarantine() == by_files.read_quarantine()
    codes = [line["code"] for line in by_engine.read_quarantine()]
    assert set(codes) == {"number_format", "duplicate_id"} and len(codes) == 4
    accounts = [json.dumps(place.read_account()) for place in (by_engine, by_files)]
    assert accounts[0].replace("/engine/", "/files/") == accounts[1]


def test_what_a_lost_worker_left_is_removed(
    tables: dict[str, str], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that tries again leaves the unfinished shard of the first try beside the others."""
    finished = shards.ShardWriter.finish

    def dies_before(writer: shards.ShardWriter) -> shards.Shard:
        storage.Staged(writer._place)
        return finished(writer)

    monkeypatch.setattr(shards.ShardWriter, "finish", dies_before)
    place = whole_runs.run(
        tmp_path / "run", max_share=0.5, **tables, group_by=("gesture",), order_by="at"
    )
    assert {path.suffix for path in place.shards["train"]} == {".gz"}
