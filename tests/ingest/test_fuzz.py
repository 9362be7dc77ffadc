"""Files with changed bytes: read with no record lost, or refused, and nothing else.

10,000 mutants of small files, with fixed seeds; a fifth of them in `make test`. How many records a
mutant has is counted here by other means than the reader's.
"""

import collections
import pathlib
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import commands
import numpy as np
import pytest
from ingest import written
from ingest.random_records import COLUMNS, NUMBERS_ONLY, file_at, samples
from profiles import FULL, sampled

from ragline.components.contract.columns import Columns
from ragline.components.contract.errors import BadDataError
from ragline.components.ingest import formats
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.source import framing

SAMPLES = samples(6)
TIMED = InputOptions(train="x", order_by="time", time_unit="ns")
GROUPED = InputOptions(train="x", order_by="time", time_unit="ns", group_by=("sequence_id",))
# Bytes that mean something to a parser; the others are drawn from all.
TELLING = b",;:\"'{}[]<>/&\\\n\r\t\0 ?.-+eEN019@#\xff\xef\xc3"
PIECE_BYTES = 300
MESSAGES = ("tfrecord", "sequence_example")
MUTANTS_OF_MESSAGES, MUTANTS_IN_A_PROCESS = 450, 40

# The numbers of the records that a mutant has; None where they are not to be known.
Numbers = Collection[int] | None


def mutant(content: bytes, random: np.random.Generator) -> bytes:
    """1 to 3 changes: a byte set, a bit flipped, a run cut out or doubled, an end cut off."""
    data = bytearray(content)
    for _ in range(random.integers(1, 4)):
        at = int(random.integers(0, len(data) + 1))
        run = slice(at, at + int(random.integers(1, 40)))
        match random.integers(0, 6):
            case 0:
                data[at : at + 1] = random.bytes(1)
            case 1:
                data[at:at] = TELLING[(place := random.integers(0, len(TELLING))) : place + 1]
            case 2 if at < len(data):
                data[at] ^= 1 << int(random.integers(0, 8))
            case 3:
                del data[run]
            case 4:
                data[at:at] = data[run]
            case 5:
                del data[at:]
    return bytes(data)


def _lines(content: bytes, blank: bytes, after: int = 0) -> list[int]:
    """The numbers of the lines that are not blank, below some."""
    lines = enumerate(content.split(b"\n"), start=1)
    return [number for number, line in lines if number > after and line.strip(blank)]


def _of_jsonl(content: bytes) -> Numbers:
    return _lines(content, b"\r\n \t")


def _of_csv(content: bytes) -> Numbers:
    # Between quotes, a line end is part of a cell.
    return None if b'"' in content else _lines(content, b"\r\n")[1:]


def _of_ts(content: bytes) -> Numbers:
    lines = [line.decode("utf-8", "replace").strip().lower() for line in content.split(b"\n")]
    return _lines(content, b"\r\n \t", after=1 + lines.index("@data"))


def _of_frames(content: bytes) -> Numbers:
    """As many as frames that make up the file, to the byte."""
    at, count = 0, 0
    while at < len(content):
        at += 16 + int.from_bytes(content[at : at + 8], "little")
        count += 1
    assert at == len(content)
    return range(1, count + 1)


def _of_log(content: bytes) -> Numbers:
    traces = ET.fromstring(content).iter()
    return range(1, 1 + sum(each.tag.rpartition("}")[2] == "trace" for each in traces))


def _of_archive(content: bytes) -> Numbers:
    # Each array has a checksum: an archive that is read through is whole.
    return range(1, len(SAMPLES) + 1)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is changed, how it is read, and what becomes of the mutants."""

    format: str
    content: Callable[[pathlib.Path], bytes]
    numbers: Callable[[bytes], Numbers]
    columns: Columns = COLUMNS
    options: InputOptions = TIMED
    mutants: int = 1000
    outcomes: Collection[str] = frozenset({"read", "refused"})


def _saved(path: pathlib.Path, **arrays: object) -> bytes:
    np.savez(path, **arrays)
    return path.read_bytes()


CASES = {
    "jsonl": Case(
        format="jsonl",
        content=lambda _: written.jsonl(map(written.json_record, SAMPLES)),
        numbers=_of_jsonl,
        mutants=2000,
        # A line says nothing of other lines.
        outcomes={"read"},
    ),
    "csv": Case(
        format="csv",
        content=lambda _: written.csv_text([row for s in SAMPLES for row in written.rows(s)]),
        numbers=_of_csv,
        options=GROUPED,
        mutants=1500,
    ),
    "ts": Case(
        format="ts",
        content=lambda _: written.ts(SAMPLES),
        numbers=_of_ts,
        columns=NUMBERS_ONLY,
        options=InputOptions(train="x"),
        mutants=1500,
    ),
    "flat npz": Case(
        format="npz",
        content=lambda folder: _saved(folder / "x.npz", **written.flat_arrays(SAMPLES)),
        numbers=_of_archive,
    ),
    "npz of arrays": Case(
        format="npz",
        content=lambda folder: _saved(
            folder / "x.npz", **{s.sequence_id: s.values for s in SAMPLES}
        ),
        numbers=_of_archive,
        columns=NUMBERS_ONLY,
        options=InputOptions(train="x"),
    ),
    "tfrecord": Case(
        format="tfrecord",
        content=lambda _: written.framed(written.message_of("tfrecord", s) for s in SAMPLES),
        numbers=_of_frames,
        # Each byte has a checksum.
        outcomes={"refused"},
    ),
    "xes": Case(
        format="xes",
        content=lambda _: written.log(*map(written.trace_of, SAMPLES)),
        numbers=_of_log,
        options=InputOptions(train="x", order_by="time:timestamp"),
    ),
}


def read(path: pathlib.Path, case: Case) -> Iterator[int]:
    """The number of each record, or row, that is kept or rejected.

    Raises:
      BadDataError: the file is refused.
    """
    reader = formats.of(case.format)
    for piece in reader.pieces(file_at(path, case.format), case.columns, case.options, PIECE_BYTES):
        if case.options.group_by:
            for rows in formats.of(case.format).rows(piece, case.columns, case.options):
                yield from sorted([*rows.number.tolist(), *(bad.number for bad in rows.rejected)])
        else:
            for part in reader.read(piece, case.columns, case.options):
                rejected = [bad.number for bad in part.rejected]
                yield from sorted([*part.chunk.number.tolist(), *rejected])


def fuzz(folder: pathlib.Path, name: str, count: int, seed: int = 0) -> collections.Counter[str]:
    """Reads so many mutants: how many were read through, and how many refused.

    Raises:
      AssertionError: a record is lost, or there twice.
    """
    case = CASES[name]
    content, random = case.content(folder), np.random.default_rng(seed)
    path = folder / "mutant"
    outcomes: collections.Counter[str] = collections.Counter()
    for _ in range(count):
        changed = mutant(content, random)
        path.write_bytes(changed)
        try:
            numbers = list(read(path, case))
        except BadDataError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        expected = case.numbers(changed)
        if expected is None:
            expected = sorted(set(numbers))
        assert numbers == list(expected), changed
    return outcomes


@pytest.mark.parametrize("name", CASES)
def test_no_record_of_a_mutant_is_lost(tmp_path: pathlib.Path, name: str) -> None:
    outcomes = fuzz(tmp_path, name, sampled(CASES[name].mutants))
    assert outcomes.keys() <= CASES[name].outcomes
    assert not FULL or outcomes.keys() == CASES[name].outcomes, "a few mutants may all be refused"
    assert outcomes.total() == sampled(CASES[name].mutants)


@pytest.mark.parametrize("name", MESSAGES)
def test_no_message_is_lost(tmp_path: pathlib.Path, name: str) -> None:
    # Past the checksums, which are right: what is decoded is not what was encoded.
    case, random = CASES["tfrecord"], np.random.default_rng(1)
    payloads = [written.message_of(name, sample) for sample in SAMPLES]
    path = tmp_path / "mutant"
    for number in range(sampled(MUTANTS_OF_MESSAGES)):
        place = number % len(payloads)
        changed = [*payloads[:place], mutant(payloads[place], random), *payloads[place + 1 :]]
        path.write_bytes(b"".join(map(framing.frame, changed)))
        numbers = list(read(path, Case(format=name, content=case.content, numbers=case.numbers)))
        assert numbers == [1, 2, 3, 4, 5, 6], changed[place]


def test_ten_thousand_mutants() -> None:
    in_files = sum(case.mutants + MUTANTS_IN_A_PROCESS for case in CASES.values())
    assert in_files + len(MESSAGES) * MUTANTS_OF_MESSAGES >= 10_000


def _fuzz_all(folder: pathlib.Path) -> None:
    for name in CASES:
        print(name, fuzz(folder, name, MUTANTS_IN_A_PROCESS, 2).total())


def test_a_process_that_reads_mutants_ends_well(tmp_path: pathlib.Path) -> None:
    # In a process of its own, in which a signal would be a status below 0.
    done = commands.finish(commands.Started(_fuzz_all, tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{name} {MUTANTS_IN_A_PROCESS}" for name in CASES]
