"""Ingest, encode and a whole run on an engine, with files and records in a store of objects."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pushed
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from conftest import write_jsonl
from flink import runs
from store import s3, test_s3

from ragline.components.files import places
from ragline.components.files.storage import manifest
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.source import units
from ragline.components.runtime.beam_options import BeamOptions
from ragline.pipeline.demo import synth

RUNNER = "FlinkRunner"
PARTS = ("ingest", "statistics", "transform", "evaluate")


def check(folder: pathlib.Path, options: Callable[..., tuple[str, ...]]) -> Iterator[str]:
    """Compare what is in the store with what is on the disk.

    Args:
      folder: for what is on the disk.
      options: variables of the workers -> `beam.options`.

    Raises:
      AssertionError: something differs.
    """
    records = list(synth.gestures(sequences=60, seed=3))
    bad: dict[str, Any] = {"sequence_id": "bad", "features": {name: [] for name in synth.FEATURES}}
    write_jsonl(folder / "in" / "a.jsonl", records[:30])
    write_jsonl(folder / "in" / "b.jsonl", [*records[30:], bad, records[0]])
    (folder / "in" / "rows.csv").write_text(test_s3.rows(records[:20]))
    encoder = pushed.gestures(folder / "encoder")
    with s3.served(folder / "log") as door, pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "UNIT_BYTES", 60_000)  # Work for both task managers.
        for file in (*(folder / "in").iterdir(), *encoder.rglob("*")):
            if file.is_file():
                places.upload(file, f"{test_s3.STORE}/{file.relative_to(folder)}")
        flink = BeamOptions(runner=RUNNER, options=options(**_variables()))
        for read in (test_s3.RECORDS, test_s3.ROWS):
            yield _ingest(folder, read, flink)
        for how in ("busy", "too-many", "cut"):
            for name, value in test_s3.DISTURBED[how].items():
                setattr(door, name, value)
            same = _ingest(folder, test_s3.ROWS, flink)
            yield f"{same}; {how}: {door.disturbed} requests disturbed"
            assert door.disturbed > 3
            door.quiet()
        loose = ("--set", "quarantine.max_share=0.5")
        engine = ("--set", f"beam.options={list(flink.options)}", "--set", f"beam.runner={RUNNER}")
        assert test_s3.encode(str(folder), *loose) == 0
        assert test_s3.encode(test_s3.STORE, *loose, *engine) == 0
        same = test_s3.embeddings(str(folder))
        assert test_s3.embeddings(test_s3.STORE).equals(same)
        yield f"store: encode: the same {len(same)} embeddings"


def check_run(
    folder: pathlib.Path,
    name: str,
    runner: str,
    options: Callable[..., tuple[str, ...]],
    serve: Callable[[pathlib.Path], contextlib.AbstractContextManager[object]] = s3.served,
    store: str = test_s3.STORE,
) -> Iterator[str]:
    """Run long tables in the store to a pushed encoder, with records there, and compare them.

    Args:
      folder: for work directories, and for a run in this process on the disk.
      name: of the check, for its lines.
      runner: `beam.runner`.
      options: variables of the workers -> `beam.options`.
      serve: starts the server of the store, which logs to a file.
      store: the URI of a bucket.

    Raises:
      SystemExit: something differs from the run in this process.
    """
    data, here, expected = runs.in_process(folder)
    yield f"{name}: a run in this process"
    there, records = folder / name, f"{store}/records"
    with serve(folder / f"{name}.log"):
        for file in data.iterdir():
            places.upload(file, f"{store}/tables/{file.name}")
        beam_options = json.dumps(options(**_variables()))
        settings = (f"beam.runner={runner}", f"beam.options={beam_options}", f"records={records}")
        words = runs.of_tables(f"{store}/tables", there, *settings)
        received = runs.ragline(*words)
        if received.exit_code or not received.summary["pushed"]:
            raise SystemExit(f"expected a pushed encoder, received:\n{received.said}")
        for line in runs.compare(expected, here, received, there):
            yield f"{name}: {line}"
        objects = places.inside(records)
        if left := [place for place in objects if "/Split-" not in place or "temp" in place]:
            raise SystemExit(f"expected shards in the store, received {left}")
        yield f"{name}: pushed; {len(objects)} shards in the store, and nothing else"
        again = runs.ragline(*words)
        states = {part: again.summary["stages"][part]["state"] for part in PARTS}
        if set(states.values()) != {"cached"}:
            raise SystemExit(f"expected all of them from the cache, received {states}")
        yield f"{name}: the same run again: {', '.join(PARTS)} are from the cache"


def _variables() -> dict[str, str]:
    """Return what tells workers where the store is."""
    where = ("AWS_", "STORAGE_EMULATOR_", "NO_GCE_")
    return {name: value for name, value in os.environ.items() if name.startswith(where)}


def _ingest(folder: pathlib.Path, options: InputOptions, flink: BeamOptions) -> str:
    here = test_s3.ingest(str(folder), options, beam.Pipeline(test_s3.IN_PROCESS))
    pipeline = beam.Pipeline(options=PipelineOptions(flink.arguments))
    assert test_s3.ingest(test_s3.STORE, options, pipeline) == here
    on_disk, in_store = (manifest(f"{place}/out") for place in (str(folder), test_s3.STORE))
    for shards in (on_disk, in_store):
        shards.pop("rejected.jsonl", None)  # It names its places.
    assert in_store == on_disk
    return f"store: ingest of {options.train}: the same bytes, {len(on_disk)} shards"
