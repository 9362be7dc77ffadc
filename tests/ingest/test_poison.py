"""Every kind of bad input, and what becomes of it: a table, and one test of all its rows.

Each row is a file of 500 clean sequences and the poison among them, and a run of the executor. It
is quarantined (that record alone), stops the run, or is kept exactly; and whatever it is, the clean
sequences become the same bytes as without it.
"""

import functools
import gzip
import json
import pathlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from ingest import written
from ingest.poisoned import (
    CLEAN,
    TIMED,
    Bad,
    Input,
    at,
    clean_lines,
    csv,
    csv_row,
    damaged,
    flipped,
    jsonl,
    last_frame,
    messages,
    npz,
    only,
    parquet,
    record,
    split_jsonl,
    tebibyte,
    ts,
    without,
)
from ingest.random_records import NUMBERS_ONLY
from ingest.whole_runs import Place, columns_of, fail, run

from ragline.components.contract.columns import SPLITS
from ragline.components.ingest.source import units

ROOT = pathlib.Path(__file__).parents[2]
NAN, INF = float("nan"), float("inf")
LONG = 10**6


# Fates.


@dataclass(frozen=True)
class Quarantined:
    """Those records, each with its code, and nothing else."""

    code: str
    detail: str = ""


@dataclass(frozen=True)
class Aborted:
    """Exit 3: the code, and what the message says beside the file.

    Where all records were read before it was clear that they will not do, shards were written. They
    are of no account, and TFX removes them.
    """

    code: str
    detail: str = ""
    written: bool = False


@dataclass(frozen=True)
class Kept:
    """As it was written, whole or in pieces: id -> its steps. And how many of what were cut."""

    pieces: Mapping[str, slice] = field(default_factory=lambda: {"poison": slice(None)})
    policies: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    name: str
    input: Callable[[], Input]
    fate: Quarantined | Aborted | Kept
    steps: Mapping[str, Any] = field(default_factory=dict)
    unit_bytes: int = units.UNIT_BYTES


SPELLINGS = ("1,5", "1_000", "\u0663", "0x10", "1e400", "+-1", "", " 1", "1 ", " ")
TOKENS = ("1_000", "\u0663", "0x10", "+-1", ".5")


@functools.cache
def long_record() -> dict[str, Any]:
    """A sequence of 10^6 steps."""
    steps = range(LONG)
    return record(
        a=[step % 1000 for step in steps],
        b=[0] * LONG,
        word=["go"] * LONG,
        code=[step % 7 for step in steps],
        time=list(steps),
    )


def long(policy: str, fate: Quarantined | Kept) -> Row:
    return Row(
        f"10^6 steps, too_long = {policy}",
        lambda: jsonl(long_record()),
        fate,
        steps={"too_long": policy},
    )


def cut(policies: dict[str, int], *starts: int) -> Kept:
    """The long sequence as windows of at most 4,096 steps."""
    spans = {start: min(start + 4096, LONG) for start in starts}
    return Kept(
        pieces={f"poison[{start}:{stop}]": slice(start, stop) for start, stop in spans.items()},
        policies=policies,
    )


ROWS = [
    # Numbers that are none.
    Row("NaN", lambda: jsonl(record(a=[1, NAN, 3])), Quarantined("non_finite", "step 1")),
    Row("Inf", lambda: jsonl(record(b=[1, 2, INF])), Quarantined("non_finite", "received inf")),
    Row("-Inf", lambda: jsonl(record(a=[-INF, 2, 3])), Quarantined("non_finite", "received -inf")),
    Row("1e39", lambda: jsonl(record(b=[1, 1e39, 3])), Quarantined("non_finite", "float32")),
    Row(
        "1e400",
        lambda: jsonl(json.dumps(record(a=["?"] * 3)).replace('"?"', "1e400").encode()),
        Quarantined("non_finite", "received inf"),
    ),
    Row("NaN where it is allowed", lambda: jsonl(record(b=[NAN, None, 6.5])), Kept()),
    Row("1e38", lambda: jsonl(record(a=[1e38, -1e38, 3.4e38])), Kept()),
    Row("1e6 and a little", lambda: jsonl(record(a=[1e6, 1e6 + 0.1, 1e6 - 0.1])), Kept()),
    Row("all zero", lambda: jsonl(record(a=[0.0] * 3, b=[0.0] * 3, code=[0] * 3)), Kept()),
    # Lengths and shapes.
    Row(
        "no step",
        lambda: jsonl(record(a=[], b=[], word=[], code=[], time=[])),
        Quarantined("empty"),
    ),
    Row(
        "length 0 and no step",
        lambda: jsonl(record(a=[], b=[], word=[], code=[], time=[], length=0)),
        Quarantined("empty"),
    ),
    Row(
        "no step in Parquet",
        lambda: parquet(a=[], b=[], word=[], code=[], time=[], length=0),
        Quarantined("empty"),
    ),
    Row("a feature too many", lambda: ts(b"1,2:3,4:5,6"), Quarantined("bad_dim", "received 3")),
    Row("a feature too few", lambda: ts(b"1,2"), Quarantined("bad_dim", "received 1")),
    Row("a column too many", lambda: npz(poison=np.ones((2, 3))), Quarantined("bad_dim")),
    Row("features of other lengths", lambda: jsonl(record(a=[1, 2])), Quarantined("ragged")),
    Row("a row too short", lambda: csv_row(b"poison,poison,1,2"), Quarantined("ragged")),
    Row("a row too long", lambda: csv(weight=b"1.5,2"), Quarantined("ragged")),
    Row("another length", lambda: jsonl(record(length=4)), Quarantined("length_mismatch", "4")),
    Row("length 0", lambda: jsonl(record(length=0)), Quarantined("length_mismatch", "int '0'")),
    Row("length -1", lambda: jsonl(record(length=-1)), Quarantined("length_mismatch", "-1")),
    Row("length -1 in Parquet", lambda: parquet(length=-1), Quarantined("length_mismatch", "-1")),
    long("window", cut({"windows": 245}, *range(0, LONG, 4096))),
    long("head", cut({"truncated_steps": LONG - 4096}, 0)),
    long("tail", cut({"truncated_steps": LONG - 4096}, LONG - 4096)),
    long("reject", Quarantined("too_long", "expected at most 4096 steps, received 1000000")),
    # Ids.
    Row(
        "an id twice",
        lambda: jsonl(record(sequence_id=CLEAN[3].sequence_id), sequence_id=CLEAN[3].sequence_id),
        Quarantined("duplicate_id", "x.jsonl, line 4"),
    ),
    Row(
        "an id in two files",
        lambda: split_jsonl(record(sequence_id=CLEAN[3].sequence_id)),
        Quarantined("duplicate_id", "x.jsonl, line 4"),
    ),
    Row(
        "an id in two units of work",
        lambda: split_jsonl(record(sequence_id=CLEAN[3].sequence_id)),
        Quarantined("duplicate_id", "x.jsonl, line 4"),
        unit_bytes=20_000,
    ),
    # Text and types.
    Row(
        "not UTF-8",
        lambda: jsonl(b'{"sequence_id": "\xff\xfe"}', sequence_id=None),
        Quarantined("encoding"),
    ),
    Row("not UTF-8 in a table", lambda: csv(word=b"\xe9t\xe9"), Quarantined("encoding")),
    Row(
        "a record without a column",
        lambda: jsonl(without(record(), "b")),
        Quarantined("missing_column", "'b'"),
    ),
    Row(
        "a table without a column",
        lambda: Input(
            files={"in/x.csv": b"sequence_id,a,word,code,time\n1,2,go,3,4\n"},
            options=TIMED | {"group_by": ["sequence_id"]},
        ),
        Aborted("missing_column", "'b'"),
    ),
    Row(
        "JSON Lines without a column",
        lambda: only("x.jsonl", written.jsonl([without(record(), "b")] * 20)),
        Aborted("quarantine", "20 x missing_column"),
    ),
    Row("text for numbers", lambda: jsonl(record(a=["1"] * 3)), Quarantined("type", "str")),
    Row("a text among numbers", lambda: jsonl(record(a=[1, "x", 3])), Quarantined("type", "str")),
    Row("a truth among numbers", lambda: jsonl(record(a=[1, True, 3])), Quarantined("type")),
    Row("a list among numbers", lambda: jsonl(record(a=[1, [2], 3])), Quarantined("type", "list")),
    Row("text in a table", lambda: csv(a=b"one"), Quarantined("number_format", "one")),
    Row(
        "text in a message",
        lambda: messages("tfrecord", a=[b"1"] * CLEAN[0].length),
        Quarantined("type", "received a bytes_list"),
    ),
    # Nulls, told apart.
    Row("a null list", lambda: jsonl(record(a=None)), Quarantined("null", "expected a list")),
    Row(
        "a null row",
        lambda: jsonl(b"null", sequence_id=None),
        Quarantined("null", "expected a JSON object"),
    ),
    Row("a null cell", lambda: jsonl(record(a=[1, None, 3])), Quarantined("null", "step 1")),
    Row(
        "a null step",
        lambda: jsonl(b'{"sequence_id": "poison", "steps": [null]}'),
        Quarantined("null", "step 0: expected an object"),
    ),
    Row("a null list in Parquet", lambda: parquet(a=None), Quarantined("null", "expected a list")),
    Row(
        "a null row in Parquet",
        lambda: parquet(None, **dict.fromkeys(written.nested_rows(CLEAN[:1])[0])),
        Quarantined("null", "a row of nulls"),
    ),
    Row(
        "a null cell in Parquet",
        lambda: parquet(a=[None] * CLEAN[0].length),
        Quarantined("null", "step 0"),
    ),
    Row("a null id in a table", lambda: csv(None, sequence_id=b""), Quarantined("null")),
    # Times.
    Row(
        "a time below 0",
        lambda: jsonl(record(time=[-1, 0, 1])),
        Quarantined("negative_time", "step 0"),
        steps={"negative_time": "reject"},
    ),
    Row(
        "times that fall",
        lambda: jsonl(record(time=[5, 7, 6])),
        Quarantined("unsorted_time", "step 2"),
        steps={"unsorted_time": "reject"},
    ),
    Row(
        "a time twice",
        lambda: jsonl(record(time=[5, 6, 6])),
        Quarantined("duplicate_time", "two steps at 6 ns"),
        steps={"duplicate_time": "reject"},
    ),
    Row("a null time", lambda: jsonl(record(time=[1, None, 3])), Quarantined("null", "step 1")),
    Row("a time of 2^63", lambda: jsonl(record(time=[0, 1, 2**63])), Quarantined("int_overflow")),
    Row(
        "times 2^64 apart",
        lambda: jsonl(record(time=[-(2**63) + 1, 0, 2**63 - 1])),
        Quarantined("int_overflow", "from a sequence's first step to its last"),
    ),
    Row("context of 2^63", lambda: jsonl(record(age=2**63)), Quarantined("int_overflow", "age")),
    Row("a code of 2^63", lambda: jsonl(record(code=[1, 2, 2**63])), Quarantined("int_overflow")),
    Row(
        "an epoch in nanoseconds",
        # Of which float64 keeps every 256th.
        lambda: jsonl(record(time=[1_714_564_800_000_000_001 + step for step in (0, 1, 3)])),
        Kept(),
    ),
    # Spellings of numbers.
    *(
        Row(
            f"{cell!r} in a table",
            functools.partial(csv, a=b'"%s"' % cell.encode()),
            Quarantined("number_format", "expected a"),
        )
        for cell in SPELLINGS
    ),
    *(
        Row(
            f"{', '.join(map(repr, cells))} in JSON",
            functools.partial(jsonl, *(record(a=[1.0, cell, 3.0]) for cell in cells)),
            Quarantined("type", "expected numbers, received str"),
        )
        for cells in (SPELLINGS[:5], SPELLINGS[5:])
    ),
    Row(
        f"{', '.join(TOKENS)} in JSON, not quoted",
        lambda: jsonl(
            *(b'{"features": {"a": [%s]}}' % token.encode() for token in TOKENS), sequence_id=None
        ),
        Quarantined("json"),
    ),
    # Broken files.
    Row("cut in a payload", lambda: damaged(lambda b: b[:-9]), Aborted("framing", "record 500")),
    Row(
        "cut in a header",
        lambda: damaged(lambda b: b[: last_frame(b) + 7]),
        Aborted("framing", "record 500"),
    ),
    Row(
        "a flipped bit of data",
        lambda: damaged(lambda b: flipped(b, last_frame(b) + 20)),
        Aborted("framing", "record 500 at byte"),
    ),
    Row(
        "a flipped bit of a length",
        lambda: damaged(lambda b: flipped(b, last_frame(b))),
        Aborted("framing", "the checksum of its length"),
    ),
    Row(
        "15 bytes that claim 1 TiB",
        lambda: only("x.tfrecord", tebibyte()),
        Aborted("framing", f"record 1 at byte 0: states {1 << 40} bytes"),
    ),
    Row(
        "a gzip without its trailer",
        lambda: only("x.jsonl.gz", gzip.compress(b"\n".join(clean_lines()))[:-8]),
        Aborted("unreadable", "Truncated"),
    ),
    Row(
        "half a gzip",
        lambda: only("x.jsonl.gz", gzip.compress(b"\n".join(clean_lines()))[:20_000]),
        Aborted("unreadable", "Truncated"),
    ),
    Row(
        "a zip bomb",
        # Members of a megabyte of spaces, a thousand times smaller.
        lambda: only("x.jsonl.gz", gzip.compress(b" " * (1 << 20)) * 300),
        Aborted("zip_bomb", "at most 200 times as many"),
    ),
    # Too little.
    Row("an empty file", lambda: only("x.jsonl", b""), Aborted("no_data")),
    Row("an empty TFRecord", lambda: only("x.tfrecord", b""), Aborted("no_data")),
    Row("blank lines", lambda: only("x.jsonl", b"\n \n"), Aborted("no_data")),
    Row(
        "one sequence",
        lambda: only("x.jsonl", written.jsonl([record()])),
        Aborted("insufficient_data", "received 1 in all", written=True),
    ),
    # Paths.
    Row("a name with spaces", lambda: at("in/ a b .jsonl"), Kept(pieces={})),
    Row(
        "a name with brackets",
        lambda: at("in/run [1].jsonl", pattern="in/run [1].jsonl"),
        Kept(pieces={}),
    ),
    Row("a name in other letters", lambda: at("grüße/日本.jsonl", pattern="*/*"), Kept(pieces={})),
    Row(
        "a link out of the folder",
        lambda: at("out/x.jsonl", links={"in/y.jsonl": "out/x.jsonl"}),
        Aborted("path_escape", "received a link to"),
    ),
    Row(
        "a link that is allowed",
        lambda: at("out/x.jsonl", links={"in/y.jsonl": "out/x.jsonl"}, allow_outside=True),
        Kept(pieces={}),
    ),
    Row(
        "`..` out of the folder",
        lambda: at("out/x.jsonl", "in/day/y.jsonl", pattern="in/*/../../out/*.jsonl"),
        Aborted("path_escape"),
    ),
    Row(
        "`..` that is allowed",
        lambda: at(
            "out/x.jsonl", "in/day/y.jsonl", pattern="in/*/../../out/*.jsonl", allow_outside=True
        ),
        Kept(pieces={}),
    ),
]


Sequences = dict[str, dict[str, bytes]]


def sequences(place: Place) -> Sequences:
    """Split -> sequence_id -> its record, in the order of the shards."""
    return {
        split: {columns_of(record)["sequence_id"][0].decode(): record for record in records}
        for split, records in place.read_records().items()
    }


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Sequences]:
    """Format -> the sequences of a run without poison; all that hold the columns hold the same."""

    @functools.cache
    def of(name: str) -> Sequences:
        folder = tmp_path_factory.mktemp("clean")
        place = run(folder / "run", **{"ts": ts, "npz": npz}.get(name, jsonl)().write(folder))
        return sequences(place)

    return of


def of_format(given: Input) -> str:
    suffix = pathlib.Path(next(iter(given.files))).suffix[1:]
    return suffix if given.schema is NUMBERS_ONLY else "jsonl"


# A million steps take a second or two each.
_FULL = ("10^6 steps, too_long = head", "10^6 steps, too_long = tail")


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, marks=pytest.mark.full if row.name in _FULL else [], id=row.name)
        for row in ROWS
    ],
)
def test_what_becomes_of_it(
    row: Row,
    clean: Callable[[str], Sequences],
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(units, "UNIT_BYTES", row.unit_bytes)
    given = row.input()
    configured = given.write(tmp_path) | {"steps": dict(row.steps)}
    if isinstance(row.fate, Aborted):
        error = fail(tmp_path, **configured)
        assert error.code == row.fate.code
        message = "\n".join(error.lines)
        assert row.fate.detail in message
        assert str(tmp_path) in message or row.fate.code in ("no_data", "insufficient_data")
        assert any((tmp_path / "run").rglob("examples-*")) == row.fate.written
        return
    place = run(tmp_path / "run", **configured)
    kept, account = sequences(place), place.read_account()
    if isinstance(row.fate, Quarantined):
        check_quarantined(place.read_quarantine(), row.fate, given.bad, tmp_path)
        assert (account["read"], account["accepted"]) == (500 + len(given.bad), 500)
        assert account["reasons"] == {row.fate.code: len(given.bad)}
    else:
        check_kept(kept, row.fate, given.bad)
        assert account["read"] == account["accepted"] == 500 + len(given.bad)
        assert account["policies"] == row.fate.policies
        assert not place.quarantine.exists()
    # In order, too.
    assert [list(of.items()) for of in kept.values()] == [
        list(of.items()) for of in clean(of_format(given)).values()
    ]


def check_quarantined(
    lines: list[dict[str, Any]], fate: Quarantined, bad: Sequence[Bad], folder: pathlib.Path
) -> None:
    """Compares the lines of the quarantine with what was put in."""
    for line, expected in zip(lines, bad, strict=True):
        assert line["code"] == fate.code
        assert fate.detail in line["detail"]
        place = (line["file"], line["line"], line["sequence_id"])
        assert place == (str(folder / expected.file), expected.line, expected.sequence_id)
        assert 0 < len(line["text"]) <= 1000
        if expected.text is not None:
            assert line["text"] == expected.text[:1000]


def check_kept(kept: Sequences, fate: Kept, bad: Sequence[Bad]) -> None:
    """Takes the poison out of what was found, and compares it with what was put in."""
    put_in = json.loads(bad[0].text or "")["features"] if bad else {}
    for sequence_id, steps in fate.pieces.items():
        [split] = [split for split in SPLITS if sequence_id in kept[split]]
        columns = columns_of(kept[split].pop(sequence_id))
        put_in_steps = {name: of[steps] for name, of in put_in.items()}
        for name in ("a", "b"):
            expected = np.array(put_in_steps[name], np.float64).astype(np.float32)
            np.testing.assert_array_equal(np.array(columns[name], np.float32), expected)
        assert columns["word"] == [word.encode() for word in put_in_steps["word"]]
        assert columns["code"] == put_in_steps["code"]
        assert columns["time"] == [time - put_in_steps["time"][0] for time in put_in_steps["time"]]
        assert columns["length"] == [len(put_in_steps["time"])]
        assert columns["entity_id"] == [b"poison"]


def test_a_constant_feature_is_kept_and_told(
    clean: Callable[[str], Sequences], tmp_path: pathlib.Path
) -> None:
    records = [json.loads(line) for line in clean_lines()]
    for each in records:
        each["features"]["b"] = [0.5] * each["length"]
    given = only("x.jsonl", written.jsonl(records))
    place = run(tmp_path / "run", **given.write(tmp_path))
    assert place.read_account()["constant_features"] == ["b"]
    for split, examples in sequences(place).items():
        for sequence_id, expected in clean("jsonl")[split].items():
            columns = columns_of(examples.pop(sequence_id))
            length = columns["length"][0]
            assert columns == columns_of(expected) | {"b": [0.5] * length}
        assert not examples


@pytest.mark.full
def test_a_million_steps_take_less_than_4_gib(tmp_path: pathlib.Path) -> None:
    # In a process of its own, whose peak is not that of other tests.
    given = jsonl(long_record()).write(tmp_path)
    script = """
import pathlib, resource, sys
import apache_beam as beam
from ragline.components.ingest.options import InputOptions, QuarantineOptions
from ragline.components.ingest.run import run
from ingest.random_records import COLUMNS
source, folder = sys.argv[1], pathlib.Path(sys.argv[2])
account = run(
    beam.Pipeline("FnApiRunner"),
    options=InputOptions(train=source, order_by="time", time_unit="ns"),
    quarantine_options=QuarantineOptions(),
    columns=COLUMNS,
    folders={"train": folder / "train", "eval": folder / "eval"},
    quarantine=folder / "rejected.jsonl",
    source_file=folder / "sources.parquet",
    staging=folder / "staging",
)
print(account["policies"]["windows"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, given["train"], str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
    )
    assert done.returncode == 0, done.stderr
    windows, kilobytes = map(int, done.stdout.split())
    assert windows == 245
    assert kilobytes < 4 << 20
