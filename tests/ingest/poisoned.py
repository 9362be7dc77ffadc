"""Files of 500 clean sequences in which something is bad, in every format that can hold it."""

import functools
import io
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from ingest import written
from ingest.random_records import COLUMNS, NUMBERS_ONLY, samples

from ragline.components.contract.columns import Columns
from ragline.components.ingest.source import framing

CLEAN = samples(500)
MIDDLE = 250
TIMED: dict[str, Any] = {"order_by": "time", "time_unit": "ns"}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A record that is refused: where it stands, its id if it can be read, and its raw text."""

    file: str
    line: int
    sequence_id: str | None = "poison"
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Input:
    """Files below a folder, and what is poison in them."""

    files: Mapping[str, bytes]
    bad: Sequence[Bad] = ()
    pattern: str = "in/*"
    schema: Columns = COLUMNS
    options: Mapping[str, Any] = field(default_factory=lambda: TIMED)
    links: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: pathlib.Path) -> dict[str, Any]:
        """Writes the files; returns what the configuration says of them."""
        for name, content in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
        for name, target in self.links.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(folder / target)
        return {"train": str(folder / self.pattern), "schema": self.schema, **self.options}


def record(**changes: Any) -> dict[str, Any]:
    """A good sequence of three steps as JSON Lines has it; columns of steps and keys replaced."""
    features = {
        "a": [1.0, 2.0, 3.0],
        "b": [4.0, 5.0, 6.0],
        "word": ["go", "stop", ""],
        "code": [1, 2, 3],
        "time": [10, 11, 12],
    }
    steps = {name: changes.pop(name) for name in features if name in changes}
    return {
        "sequence_id": "poison",
        "entity_id": "poison",
        "features": features | steps,
        "label": "x",
    } | changes


def without(kept: dict[str, Any], feature: str) -> dict[str, Any]:
    features = {name: kept["features"][name] for name in kept["features"] if name != feature}
    return kept | {"features": features}


@functools.cache
def clean_lines() -> list[bytes]:
    return written.jsonl(map(written.json_record, CLEAN)).splitlines()


def jsonl(*poison: dict[str, Any] | bytes, sequence_id: str | None = "poison") -> Input:
    """JSON Lines; the id is that which can still be read."""
    lines = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in poison]
    every = [*clean_lines()[:MIDDLE], *lines, *clean_lines()[MIDDLE:]]
    bad = [
        Bad(
            file="in/x.jsonl",
            line=MIDDLE + place,
            sequence_id=sequence_id,
            text=line.decode("utf-8", "replace"),
        )
        for place, line in enumerate(lines, start=1)
    ]
    return Input(files={"in/x.jsonl": b"\n".join(every) + b"\n"}, bad=bad)


def split_jsonl(poison: dict[str, Any]) -> Input:
    """Two files, the poison in the middle of the second one."""
    half = clean_lines()[MIDDLE:]
    text = json.dumps(poison)
    second = [*half[:100], text.encode(), *half[100:]]
    return Input(
        files={
            "in/x.jsonl": b"\n".join(clean_lines()[:MIDDLE]) + b"\n",
            "in/y.jsonl": b"\n".join(second) + b"\n",
        },
        bad=[Bad(file="in/y.jsonl", line=101, sequence_id=poison["sequence_id"], text=text)],
    )


CELLS = {
    "sequence_id": b"poison", "entity_id": b"poison", "a": b"1", "b": b"2", "word": b"go",
    "code": b"3", "time": b"7", "label": b"x", "age": b"1", "weight": b"1.5",
}  # fmt: skip


def csv(stated: str | None = "poison", /, **cells: bytes) -> Input:
    """A long table with a sequence of two rows, of which the second has these cells."""
    return csv_row(b",".join((CELLS | cells).values()), stated)


def csv_row(row: bytes, sequence_id: str | None = "poison") -> Input:
    """The same, the row as it is."""
    header, *lines = written.csv_text([r for s in CLEAN for r in written.rows(s)]).splitlines()
    middle = sum(sample.length for sample in CLEAN[:MIDDLE])
    first = [b",".join(CELLS.values())] if sequence_id else []
    every = [header, *lines[:middle], *first, row, *lines[middle:]]
    place = every.index(row) + 1
    shown = row.decode("utf-8", "replace")
    return Input(
        files={"in/x.csv": b"\n".join(every) + b"\n"},
        bad=[Bad(file="in/x.csv", line=place, sequence_id=sequence_id, text=shown)],
        options=TIMED | {"group_by": ["sequence_id"]},
    )


def parquet(stated: str | None = "poison", /, **changes: Any) -> Input:
    """Nested rows, one of which has these cells."""
    rows = written.nested_rows(CLEAN)
    bad = rows[0] | {"sequence_id": "poison"} | changes
    file = io.BytesIO()
    pq.write_table(written.nested([*rows[:MIDDLE], bad, *rows[MIDDLE:]]), file)
    return Input(
        files={"in/x.parquet": file.getvalue()},
        bad=[Bad(file="in/x.parquet", line=MIDDLE + 1, sequence_id=stated)],
    )


def messages(kind: str, **steps: Any) -> Input:
    """A TFRecord file, in which one message has these columns."""
    bad = written.message(
        kind,
        written.message_steps(CLEAN[0]) | steps,
        written.message_record(CLEAN[0]) | {"sequence_id": [b"poison"]},
    )
    payloads = [written.message_of(kind, sample) for sample in CLEAN]
    return Input(
        files={"in/x.tfrecord": written.framed([*payloads[:MIDDLE], bad, *payloads[MIDDLE:]])},
        bad=[Bad(file="in/x.tfrecord", line=MIDDLE + 1)],
        options=TIMED | {"format": kind},
    )


def ts(*poison: bytes) -> Input:
    """The archive's format; ids are lines, so that the poison stands last."""
    content = written.ts(CLEAN)
    lines = len(content.splitlines())
    bad = [
        # No id is stated.
        Bad(file="in/x.ts", line=lines + place, sequence_id=None, text=line.decode())
        for place, line in enumerate(poison, start=1)
    ]
    text = content + b"".join(line + b"\n" for line in poison)
    return Input(files={"in/x.ts": text}, bad=bad, schema=NUMBERS_ONLY, options={})


def npz(**poison: np.ndarray) -> Input:
    """An array a sequence."""
    arrays = [(sample.sequence_id, sample.values) for sample in CLEAN]
    every = dict([*arrays[:MIDDLE], *poison.items(), *arrays[MIDDLE:]])
    file = io.BytesIO()
    np.savez(file, **every)
    bad = [Bad(file="in/x.npz", line=MIDDLE + 1, sequence_id=name) for name in poison]
    return Input(files={"in/x.npz": file.getvalue()}, bad=bad, schema=NUMBERS_ONLY, options={})


def only(name: str, content: bytes) -> Input:
    """One file of just that."""
    return Input(files={f"in/{name}": content})


def damaged(damage: Callable[[bytes], bytes]) -> Input:
    """A TFRecord file with other bytes than were written."""
    frames = written.framed(written.message_of("tfrecord", sample) for sample in CLEAN)
    return only("x.tfrecord", damage(frames))


def last_frame(frames: bytes) -> int:
    """Where the last record of a TFRecord file begins."""
    return len(frames) - len(framing.frame(written.message_of("tfrecord", CLEAN[-1])))


def tebibyte() -> bytes:
    """15 bytes: a header, whose checksum is right, and 3 bytes of the 2^40 that it states."""
    length = (1 << 40).to_bytes(8, "little")
    return length + framing.masked_crc(length).to_bytes(4, "little") + b"abc"


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def at(
    *names: str,
    pattern: str = "in/*",
    links: Mapping[str, str] | None = None,
    **options: Any,
) -> Input:
    """The clean file in other places."""
    content = b"\n".join(clean_lines()) + b"\n"
    return Input(
        files=dict.fromkeys(names, content),
        pattern=pattern,
        links=links or {},
        options=TIMED | options,
    )
