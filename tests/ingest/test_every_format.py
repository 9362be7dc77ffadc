"""The same sequences, written in every format, become the same records, byte for byte."""

import bz2
import dataclasses
import gzip
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from ingest import written
from ingest.random_records import COLUMNS, NUMBERS_ONLY, Sample, samples
from ingest.whole_runs import run

from ragline.components.contract.columns import SPLITS, Columns, length_bucket
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats
from ragline.components.ingest.records.splits import split_of
from ragline.components.ingest.source import beginnings
from ragline.pipeline import config
from ragline.pipeline.onboard import init, plan

SAMPLES = samples(300)
TIMED: dict[str, Any] = {"order_by": "time", "time_unit": "ns"}
GROUPED = TIMED | {"group_by": ["sequence_id"]}


def _zstd(content: bytes) -> bytes:
    return pa.Codec("zstd").compress(content, asbytes=True)


def _shuffled(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of all sequences among each other, later times before earlier ones."""
    return [table[place] for place in np.random.default_rng(0).permutation(len(table))]


ROWS = [row for sample in SAMPLES for row in written.rows(sample)]
NESTED = written.nested_rows(SAMPLES)


def _csv(delimiter: str, compress: Callable[[bytes], bytes] = bytes) -> Callable[..., None]:
    content = compress(written.csv_text(_shuffled(ROWS), delimiter))
    return lambda path: path.write_bytes(content)


def _parquet(table: pa.Table) -> Callable[..., None]:
    return lambda path: written.parquet(path, table)


def _bytes(make: Callable[[], bytes]) -> Callable[..., None]:
    return lambda path: path.write_bytes(make())


FORMATS: dict[str, tuple[Callable[[pathlib.Path], Any], dict[str, Any]]] = {
    "comma.csv": (_csv(","), GROUPED),
    "semicolon.csv.gz": (_csv(";", gzip.compress), GROUPED),
    "tab.tsv.zst": (_csv("\t", _zstd), GROUPED),
    "long.parquet": (_parquet(pa.Table.from_pylist(_shuffled(ROWS))), GROUPED),
    "lists.parquet": (_parquet(written.nested(NESTED)), TIMED),
    "structs.parquet": (_parquet(written.structs(SAMPLES)), TIMED),
    "lines.jsonl": (_bytes(lambda: written.jsonl(map(written.json_record, SAMPLES))), TIMED),
    "flat.jsonl.bz2": (_bytes(lambda: bz2.compress(written.jsonl(NESTED))), TIMED),
    "events.ndjson": (_bytes(lambda: written.jsonl(_shuffled(ROWS))), GROUPED),
    "flat.npz": (lambda path: np.savez_compressed(path, **written.flat_arrays(SAMPLES)), TIMED),
    # Of these two, the name says nothing; the first bytes do.
    "examples": (
        _bytes(lambda: written.framed(written.message_of("tfrecord", s) for s in SAMPLES)),
        TIMED,
    ),
    "sequence-examples": (
        _bytes(lambda: written.framed(written.message_of("sequence_example", s) for s in SAMPLES)),
        TIMED,
    ),
    "records.avro": (_bytes(lambda: written.avro(SAMPLES, codec="deflate")), TIMED),
    "records.avro.gz": (_bytes(lambda: gzip.compress(written.avro(SAMPLES))), TIMED),
    "rows.avro": (_bytes(lambda: written.avro_rows(_shuffled(ROWS))), GROUPED),
    "relations.arff": (_bytes(lambda: written.arff(SAMPLES)), TIMED),
    "rows.arff.bz2": (_bytes(lambda: bz2.compress(written.arff_rows(_shuffled(ROWS)))), GROUPED),
    "log.xes": (
        _bytes(lambda: written.log(*map(written.trace_of, SAMPLES))),
        {"order_by": "time:timestamp"},
    ),
}


def _expected(preview: list[Sample], columns: Columns) -> dict[str, dict[str, bytes]]:
    """Split -> sequence_id -> its record, of what the contract says of it."""
    expected: dict[str, dict[str, bytes]] = {split: {} for split in SPLITS}
    for sample in preview:
        steps = written.message_steps(sample)
        steps["time"] = (sample.time - sample.time[0]).tolist()
        every = written.message_record(sample) | steps
        names = (*columns.names, *(category.name for category in columns.categories))
        kept = {"sequence_id", "entity_id", "length", *names, *columns.context}
        record = {name: every[name] for name in every if name in kept}
        record["length_bucket"] = [length_bucket(sample.length).encode()]
        if columns.has_time:
            record["time"] = steps["time"]
        split = split_of(sample.entity_id, 0.2)
        expected[split][sample.sequence_id] = _serialised(record)
    return expected


def _serialised(record: dict[str, Any]) -> bytes:
    """A tf.train.Example by protobuf alone, its columns in the order of their names.

    Protobuf's own deterministic order puts `length_bucket` before `length`.
    """
    columns = [
        tf.train.Features(feature={name: written.feature(record[name])}).SerializeToString()
        for name in sorted(record)
    ]
    # On the wire, messages of one kind that stand one after another are one message, and an Example
    # with its Features is a list of one text.
    return bytes(tf.train.BytesList(value=[b"".join(columns)]).SerializeToString())


def _read(path: pathlib.Path, columns: Columns, **options: Any) -> dict[str, dict[str, bytes]]:
    place = run(path.parent / "run", schema=columns, train=str(path), **options)
    account = place.read_account()
    assert (account["read"], account["accepted"]) == (300, 300)
    names = place.read_examples()
    return {
        split: dict(zip(names[split], records, strict=True))
        for split, records in place.read_records().items()
    }


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_records(tmp_path: pathlib.Path, name: str) -> None:
    write, options = FORMATS[name]
    write(tmp_path / name)
    assert _read(tmp_path / name, COLUMNS, **options) == _expected(SAMPLES, COLUMNS)


def test_all_formats_are_here(tmp_path: pathlib.Path) -> None:
    # And `ts`, whose files hold features alone: below.
    for name, (write, _) in FORMATS.items():
        write(tmp_path / name)
    guessed = {beginnings.guess(str(tmp_path / name)) for name in FORMATS}
    assert guessed == {*formats.FORMATS} - {"ts"}


def test_arrays_hold_features_and_ids(tmp_path: pathlib.Path) -> None:
    np.savez(tmp_path / "each.npz", **{s.sequence_id: s.values for s in SAMPLES})
    own = [dataclasses.replace(s, entity_id=s.sequence_id) for s in SAMPLES]
    assert _read(tmp_path / "each.npz", NUMBERS_ONLY) == _expected(own, NUMBERS_ONLY)


@pytest.mark.parametrize(("name", "write"), [("f.ts", written.ts), ("f.arff", written.series)])
def test_the_archive_s_formats_hold_features(
    tmp_path: pathlib.Path, name: str, write: Callable[[list[Sample]], bytes]
) -> None:
    content = write(SAMPLES)
    (tmp_path / name).write_bytes(content)
    # An id is the line, after those of the header.
    first = 1 + content.split(b"@data")[0].count(b"\n") + 1
    ids = [f"{name}:{line}" for line in range(first, first + 300)]
    own = [
        dataclasses.replace(s, sequence_id=name, entity_id=name)
        for s, name in zip(SAMPLES, ids, strict=True)
    ]
    assert _read(tmp_path / name, NUMBERS_ONLY) == _expected(own, NUMBERS_ONLY)


def _values_alone() -> dict[str, Any]:
    """Flat arrays in which every number of a step stands in `values`."""
    arrays = written.flat_arrays(SAMPLES)
    return {name: array for name, array in arrays.items() if name != "code"}


def _by_place() -> list[Sample]:
    """Sequences whose columns have no names; one counts the steps, and one is constant."""
    return [
        dataclasses.replace(
            sample,
            values=np.column_stack(
                [sample.values, np.arange(sample.length), np.ones(sample.length)]
            ),
        )
        for sample in SAMPLES
    ]


def _padded_arrays() -> dict[str, Any]:
    longest = max(sample.length for sample in SAMPLES)
    values = [np.pad(s.values, [(0, longest - s.length), (0, 0)]) for s in _by_place()]
    return {"values": np.stack(values), "length": [sample.length for sample in SAMPLES]}


def _counted() -> dict[str, Any]:
    """Flat arrays whose `values` hold a number that counts the steps, and a constant one."""
    arrays = _values_alone()
    del arrays["time"]
    counts = np.concatenate([np.arange(sample.length) for sample in SAMPLES])
    columns = [arrays["values"], counts, np.ones(len(counts))]
    return arrays | {"values": np.column_stack(columns), "own": counts % 3 + 0.5}


SERIES: dict[str, Callable[[pathlib.Path], Any]] = {
    "f.ts": _bytes(lambda: written.ts(SAMPLES)),
    "f.arff": _bytes(lambda: written.series(SAMPLES)),
    "values.npz": lambda path: np.savez(path, **_values_alone()),
    "each.npz": lambda path: np.savez(path, **{s.sequence_id: s.values for s in SAMPLES}),
    "by_place.ts": _bytes(
        lambda: written.ts(_by_place()).replace(b"@dimensions 2", b"@dimensions 4")
    ),
    "by_place.arff": _bytes(lambda: written.series(_by_place())),
    "by_place.npz": lambda path: np.savez(path, **{s.sequence_id: s.values for s in _by_place()}),
    "padded.npz": lambda path: np.savez(path, **_padded_arrays()),
    # Of one column `init` makes the time, and another is constant, so it is left out.
    "counted.npz": lambda path: np.savez(path, **_counted()),
}


@pytest.mark.parametrize("name", [*FORMATS, *SERIES])
def test_init_and_plan_read_it_by_the_same_parser(tmp_path: pathlib.Path, name: str) -> None:
    write = SERIES.get(name) or FORMATS[name][0]
    write(tmp_path / name)
    if name.endswith("examples"):
        with pytest.raises(BadDataError, match=r"unknown_format: .* names no columns"):
            init.write(str(tmp_path / name), tmp_path / "c.toml")
        return
    guessed = init.write(str(tmp_path / name), tmp_path / "c.toml")
    assert guessed.format == beginnings.guess(str(tmp_path / name))
    preview = plan.plan_run(config.load(guessed.config)).preview
    assert (preview.read, preview.accepted, preview.share) == (300, 300, 1.0)
    assert int(preview.lengths.sum()) == sum(sample.length for sample in SAMPLES)
    expected = np.concatenate([sample.values[:, 0] for sample in SAMPLES])
    column = preview.columns[0]
    assert (column.name in ("a", "feature_0"), column.missing) == (True, 0)
    assert (column.low, column.high) == (expected.min(), expected.max())
