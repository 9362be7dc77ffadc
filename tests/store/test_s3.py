"""Ingest, whole runs and encode in a store of objects: an S3 server, by the library of users.

`make test-store` installs the server into an environment of its own; without it, this is skipped.
"""

import dataclasses
import io
import json
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
from apache_beam.utils import retry
from commands import Started, finish
from conftest import write_jsonl
from store import s3

import ragline
from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.files import places, shards
from ragline.components.files.storage import manifest
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.ingest.run import run
from ragline.components.ingest.source import units
from ragline.pipeline.cli.main import main
from ragline.pipeline.demo.synth import FEATURES
from ragline.pipeline.runs import machine_errors

pytestmark = pytest.mark.skipif(not s3.SERVER.exists(), reason="`make test-store` installs moto")

STORE = f"s3://{s3.BUCKET}"
IN_PROCESS = "ragline.components.runtime.local_runner.LocalRunner"
RECORDS = InputOptions(train="in/*.jsonl")
ROWS = InputOptions(train="in/rows.csv", group_by=("gesture",), order_by="at")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Door]:
    with s3.served(tmp_path_factory.mktemp("moto") / "log") as door:
        yield door


@pytest.fixture
def door(opened: s3.Door) -> Iterator[s3.Door]:
    opened.quiet()
    yield opened
    opened.quiet()
    if left := places.inside(STORE):
        places._systems().delete(left)


@pytest.fixture
def top(
    door: s3.Door,
    tmp_path: pathlib.Path,
    gestures: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> pathlib.Path:
    """A folder of input, and the same in the store; units of some records."""
    monkeypatch.setattr(units, "UNIT_BYTES", 60_000)
    bad = {"sequence_id": "bad", "features": {name: [] for name in FEATURES}}
    write_jsonl(tmp_path / "in" / "a.jsonl", gestures[:20])
    write_jsonl(tmp_path / "in" / "b.jsonl", [*gestures[20:40], bad, gestures[0]])
    (tmp_path / "in" / "rows.csv").write_text(rows(gestures[:10]))
    for file in (tmp_path / "in").iterdir():
        places.upload(file, f"{STORE}/in/{file.name}")
    return tmp_path


def rows(records: list[dict[str, Any]]) -> str:
    """A long table of records."""
    lines = ["gesture,at," + ",".join(FEATURES)]
    for record in records:
        for at, step in enumerate(zip(*(record["features"][f] for f in FEATURES), strict=True)):
            values = ",".join("" if value is None else repr(value) for value in step)
            lines.append(f"{record['sequence_id']},{at},{values}")
    return "\n".join(lines) + "\n"


def ingest(top: str, options: InputOptions, pipeline: beam.Pipeline) -> dict[str, Any]:
    """The account of what was read in a folder or a store, which are not named in it."""
    report = run(
        pipeline,
        options=dataclasses.replace(options, train=f"{top}/{options.train}"),
        quarantine_options=QuarantineOptions(max_share=0.5),
        columns=Columns.from_schema(schemas.load("gestures")),
        folders={split: f"{top}/out/{split}" for split in SPLITS},
        quarantine=f"{top}/out/rejected.jsonl",
        source_file=f"{top}/sources.parquet",
        staging=f"{top}/staging",
    )
    return json.loads(json.dumps(report).replace(top, ""))


@pytest.mark.parametrize(
    ("options", "runner"),
    [
        (RECORDS, IN_PROCESS),
        (ROWS, IN_PROCESS),
        (ROWS, "FnApiRunner"),
    ],
    ids=["records", "rows", "rows-by-engine"],
)
def test_it_holds_what_a_disk_does(top: pathlib.Path, options: InputOptions, runner: str) -> None:
    expected, received = (
        ingest(place, options, beam.Pipeline(runner)) for place in (str(top), STORE)
    )
    assert received == expected
    on_disk, in_store = (manifest(f"{place}/out") for place in (str(top), STORE))
    for manifested in (on_disk, in_store):
        manifested.pop("rejected.jsonl", None)  # It names its places.
    assert in_store == on_disk and len(in_store) > 1, "shard by shard, the same bytes"
    assert not places.inside(f"{STORE}/staging")


DISTURBED = {
    "busy": {"busy": 503},
    "too-many": {"busy": 429},
    "slow": {"wait": 0.05},
    "cut": {"cut": True, "every": 2},
}


@pytest.mark.parametrize("how", DISTURBED.values(), ids=DISTURBED)
def test_what_fails_now_and_then_is_tried_again(
    door: s3.Door, top: pathlib.Path, how: dict[str, Any]
) -> None:
    expected = ingest(str(top), ROWS, beam.Pipeline(IN_PROCESS))
    for name, value in how.items():
        setattr(door, name, value)
    received = ingest(STORE, ROWS, beam.Pipeline(IN_PROCESS))
    assert door.disturbed > 3
    door.quiet()
    assert received == expected
    assert manifest(f"{STORE}/out") == manifest(f"{top}/out")


def test_thousands_of_objects_are_listed(door: s3.Door, tmp_path: pathlib.Path) -> None:
    import boto3

    client = boto3.client("s3")
    names = [f"{STORE}/many/{number:05d}" for number in range(2500)]
    for name in names:
        client.put_object(Bucket=s3.BUCKET, Key=name.removeprefix(f"{STORE}/"), Body=b"x")
    assert places.inside(f"{STORE}/many", "*") == names
    places.remove_folder(f"{STORE}/many")
    assert places.inside(f"{STORE}/many") == []


def shards_of(top: str) -> list[str]:
    """The shards of the training split that ingest wrote into a folder or a store."""
    return list(shards.matching([f"{top}/out/train/*"]))


def test_the_trainer_reads_what_a_disk_has_whatever_the_store_does(
    door: s3.Door, top: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in (str(top), STORE):
        ingest(place, RECORDS, beam.Pipeline(IN_PROCESS))
    expected = list(shards.read(shards_of(str(top))).as_numpy_iterator())
    names = shards_of(STORE)
    assert len(names) > 1 and len(expected) > 20
    for number, how in enumerate(DISTURBED.values()):
        (top / f"tmp{number}").mkdir()
        monkeypatch.setattr(shards.tempfile, "tempdir", str(top / f"tmp{number}"))
        door.quiet()
        for name, value in how.items():
            setattr(door, name, value)
        assert list(shards.read(names).as_numpy_iterator()) == expected
        assert door.disturbed
    (top / "tmp").mkdir()
    monkeypatch.setattr(shards.tempfile, "tempdir", str(top / "tmp"))
    monkeypatch.setattr(retry.Clock, "sleep", lambda *_: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    door.quiet()
    door.busy, door.every = 503, 1
    with pytest.raises(tf.errors.OpError) as refused:
        list(shards.read(names))
    sentence = machine_errors.sentence(refused.value)
    assert sentence is not None
    assert sentence.startswith(f"{names[0]}: ") and "503" in sentence and "\n" not in sentence


def _run(top: pathlib.Path, busy: bool, words: tuple[str, ...]) -> int:
    """A run whose records are in the store; if that is busy, Beam does not wait ten minutes."""
    from ragline.components.runtime import cores

    cores.batch_shards = lambda device: 1
    if busy:
        retry.Clock.sleep = lambda *_: None
        os.environ["AWS_MAX_ATTEMPTS"] = "2"
    return main(
        [
            *("run", "examples/gestures.toml", "--workdir", str(top / "work"), "--json"),
            *("--set", f"input.train={top}/data/*.jsonl", "--set", "train.units=4"),
            *("--set", "train.epochs=2", "--set", f"records={STORE}/records", *words),
        ]
    )


def test_a_run_keeps_its_records_there(
    door: s3.Door, tmp_path: pathlib.Path, gestures: list[dict[str, Any]]
) -> None:
    write_jsonl(tmp_path / "data" / "a.jsonl", gestures)

    def finished(
        *words: str, busy: bool = False
    ) -> tuple[subprocess.CompletedProcess[str], dict[str, str]]:
        environment = os.environ | {"TMPDIR": str(tmp_path)}
        done = finish(Started(_run, tmp_path, busy, words, env=environment))
        stages = json.loads(done.stdout)["stages"]
        return done, {name: stage["state"] for name, stage in stages.items()}

    done, states = finished()
    assert done.returncode == 0, done.stderr
    assert set(states.values()) == {"ran"}
    names = places.inside(f"{STORE}/records")
    assert {name.removeprefix(f"{STORE}/records/").split("/")[0] for name in names} == {
        "ingest",
        "transform",
    }
    assert len(names) == 4, "and nothing that Beam writes on its way"
    done, states = finished()
    assert (done.returncode, set(states.values())) == (0, {"cached"}), done.stderr
    done, states = finished("--set", "drift.max_shift=2.0")
    assert done.returncode == 0, done.stderr
    assert [states[name] for name in ("ingest", "gate", "transform", "train")] == [
        "cached",
        "ran",
        "cached",
        "cached",
    ]
    door.busy, door.every = 503, 1
    done, _ = finished("--set", "train.epochs=3", busy=True)
    assert done.returncode == 1
    assert f"{STORE}/records/ingest/" in done.stderr and "SlowDown" in done.stderr
    assert "Traceback" not in done.stderr
    door.quiet()
    assert places.inside(f"{STORE}/records") == names


def test_what_a_killed_run_staged_there_is_removed_by_the_next(
    door: s3.Door, tmp_path: pathlib.Path, gestures: list[dict[str, Any]]
) -> None:
    write_jsonl(tmp_path / "data" / "a.jsonl", gestures)
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    for stage, staged in (("transform", "graph.zip"), ("evaluate", "encoder.zip")):
        killed = Started(_run, tmp_path, False, (), env=environment)
        while not (there := places.inside(f"{STORE}/records/{stage}/staging")):
            assert killed.poll() is None
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert [place.rpartition("/")[2] for place in there] == [staged]
    done = finish(Started(_run, tmp_path, False, (), env=environment))
    assert done.returncode == 0, done.stderr
    states = {name: of["state"] for name, of in json.loads(done.stdout)["stages"].items()}
    assert (states["transform"], states["train"], states["evaluate"]) == ("cached", "cached", "ran")
    names = places.inside(f"{STORE}/records")
    assert len(names) == 4 and all("/Split-" in name for name in names)


def encode(top: str, *words: str) -> int:
    """The exit code of `ragline encode` in a folder or a store."""
    encoder = f"{top}/encoder/serving/1"
    return main(
        ["encode", encoder, "--input", f"{top}/in/*.jsonl", "--output", f"{top}/encoded", *words]
    )


def embeddings(top: str) -> pa.Table:
    """What `ragline encode` wrote into a folder or a store, sorted."""
    parts = [
        pq.read_table(io.BytesIO(places.read(part)))
        for part in places.inside(f"{top}/encoded")
        if part.endswith(".parquet")
    ]
    return pa.concat_tables(parts).sort_by("sequence_id")


def test_encode_reads_all_from_it_and_writes_into_it(
    top: pathlib.Path, encoder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in places.inside(encoder):
        name = pathlib.Path(file).relative_to(encoder)
        places.upload(pathlib.Path(file), f"{STORE}/encoder/serving/1/{name}")
    loose = ("--set", "quarantine.max_share=0.5")
    assert encode(STORE, *loose) == 0, capsys.readouterr().err
    ragline.encode(encoder, input=f"{top}/in/*.jsonl", output=top / "encoded", overrides=loose[1:])
    in_store, on_disk = embeddings(STORE), embeddings(str(top))
    assert in_store.drop(["embedding"]).equals(on_disk.drop(["embedding"]))
    # Units of other sizes are other batches, in which products round in another order.
    vectors = [np.stack(table["embedding"].to_numpy()) for table in (in_store, on_disk)]
    np.testing.assert_allclose(*vectors, atol=1e-6)
    assert not places.inside(f"{STORE}/encoded", "**.tmp")


def test_a_store_that_stays_busy_is_a_sentence(
    door: s3.Door,
    top: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Beam waits longer and longer, ten minutes in all.
    monkeypatch.setattr(retry.Clock, "sleep", lambda *_: None)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    door.busy, door.every = 503, 1
    code = encode(STORE)
    said = capsys.readouterr().err
    assert code == 1
    assert "Traceback" not in said and "503" in said and f"{STORE}/" in said
