"""`ragline run` on a cluster: of long tables, disturbed or not, beside a run in this process."""

import contextlib
import dataclasses
import functools
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.pipeline.demo import synth

RAGLINE = pathlib.Path(sys.executable).with_name("ragline")
BAD, BAD_LINE = "gestures-1.csv", 101
_STARTED = re.compile(r"\[ *\d+/\d+\] (\w+)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came out of a run.

    Attributes:
      exit_code: of the command.
      said: all that it said on stderr.
      summary: of the run, as `--json` gives it; empty, it failed.
    """

    exit_code: int
    said: str
    summary: Mapping[str, Any]


def write_tables(folder: pathlib.Path, sequences: int) -> None:
    """Write gestures, a row a step: the rows of each lie in two files, of which one is Parquet.

    Rows of many sequences alternate. A row of the second CSV file is bad.
    """
    folder.mkdir()
    columns: dict[str, list[Any]] = {
        name: [] for name in ("gesture", "label", "at", *synth.FEATURES)
    }
    for record in synth.gestures(sequences=sequences, seed=5):
        steps = len(next(iter(record["features"].values())))
        columns["gesture"] += [record["sequence_id"]] * steps
        columns["label"] += [record.get("label")] * steps
        columns["at"] += range(steps)
        for name in synth.FEATURES:
            columns[name] += record["features"][name]
    table = pa.table(columns).sort_by([("at", "ascending")])
    third = table.num_rows // 3
    pa.csv.write_csv(table.slice(0, third), folder / "gestures-0.csv")
    pa.csv.write_csv(table.slice(third, third), folder / BAD)
    pa.parquet.write_table(table.slice(2 * third), folder / "gestures-2.parquet")
    lines = (folder / BAD).read_text().splitlines()
    cells = lines[BAD_LINE - 1].split(",")
    lines[BAD_LINE - 1] = ",".join([*cells[:3], "no number", *cells[4:]])
    (folder / BAD).write_text("\n".join(lines) + "\n")


def ragline(
    *words: str, on_stage: Mapping[str, Callable[[], object]] | None = None, name: str = "run"
) -> Run:
    """Run a command; `on_stage` is what to do once a stage has begun."""
    command = [str(RAGLINE), name, *words, "--json"]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if begun := _STARTED.match(line):
                (on_stage or {}).get(begun.group(1), lambda: None)()
        code = process.wait()
        out.seek(0)
        summary = json.load(out) if code == 0 else {}
    return Run(exit_code=code, said="".join(said), summary=summary)


@functools.cache
def in_process(folder: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path, Run]:
    """Return long tables, and a work directory with a run of them in this process.

    Raises:
      SystemExit: it did not end well.
    """
    data, workdir = folder / "tables", folder / "here"
    write_tables(data, 1_200)  # Long enough to be struck in its midst.
    done = ragline(*of_tables(data, workdir))
    if done.exit_code:
        raise SystemExit(f"expected a run in this process, received:\n{done.said}")
    return data, workdir, done


def of_tables(data: Place, workdir: pathlib.Path, *options: str) -> list[str]:
    """Return the words of a run of what `write_tables` wrote."""
    settings = (
        f"input.train={data}/*",
        'input.group_by=["gesture"]',
        "input.order_by=at",
        "quarantine.max_share=0.1",
        "train.epochs=1",
        "train.units=16",
        "train.embedding_size=8",
    )
    words = [word for setting in (*settings, *options) for word in ("--set", setting)]
    where = ("--workdir", str(workdir), "--force-bless", "a test")
    return ["examples/gestures.toml", *words, *where]


def expect(holds: object, what: str, said: str) -> None:
    """Raise SystemExit, with what was said, if something does not hold."""
    if not holds:
        raise SystemExit(f"expected {what}, received:\n{said}")


def ended(cut_off: Run) -> str:
    """Return what a command said of an engine that it lost."""
    expect(cut_off.exit_code == 1, "exit code 1 after the engine lost what is killed", cut_off.said)
    expect("Traceback" not in cut_off.said, "a sentence", cut_off.said)
    [sentence] = [line.strip() for line in cut_off.said.splitlines() if "the engine of" in line]
    return sentence


def compare(expected: Run, here: pathlib.Path, received: Run, there: pathlib.Path) -> Iterator[str]:
    """Compare two runs on the same data, and say what is the same.

    Raises:
      SystemExit: something differs.
    """
    for name, same, other in (
        ("raw records", _raw(expected), _raw(received)),
        ("quarantine", _quarantine(here), _quarantine(there)),
    ):
        if other != same:
            raise SystemExit(f"{name}: others on the engine than in this process")
        yield f"{name}: the same bytes, {len(same)}"
    if _transformed(expected) != _transformed(received):
        raise SystemExit("transformed records: others on the engine than in this process")
    yield "transformed records: the same"
    for key in ("input", "splits", "constant_features"):
        if expected.summary[key] != received.summary[key]:
            raise SystemExit(f"{key}: {received.summary[key]}, expected {expected.summary[key]}")
    yield f"account: the same, {received.summary['input']}"


def compare_encodings(expected: Run, here: pathlib.Path, received: Run, there: pathlib.Path) -> str:
    """Compare two outputs of `ragline encode` on the same data, and say what is the same.

    Raises:
      SystemExit: something differs.
    """
    for key in ("read", "encoded", "quarantined", "reasons", "policies", "sequences", "steps"):
        if expected.summary[key] != received.summary[key]:
            raise SystemExit(f"{key}: {received.summary[key]}, expected {expected.summary[key]}")
    rejected = [(folder / "_rejected.jsonl").read_text() for folder in (here, there)]
    if rejected[0] != rejected[1]:
        raise SystemExit("rejected records: others on the engine than in this process")
    tables = [pa.parquet.read_table(folder).sort_by("sequence_id") for folder in (here, there)]
    if not tables[0].drop("embedding").equals(tables[1].drop("embedding")):
        raise SystemExit("rows: others on the engine than in this process")
    first, second = (np.stack(table["embedding"].to_numpy()) for table in tables)
    apart = np.abs(first - second).max()
    if not apart <= 1e-6:
        raise SystemExit(f"embeddings: {apart} apart, expected at most 1e-6")
    return f"{len(first)} embeddings, {apart:.0e} apart, {received.summary['quarantined']} rejected"


def _raw(run: Run) -> dict[str, bytes]:
    with _records(run, "ingest", "examples") as folder:
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("*/*"))}


def _transformed(run: Run) -> Any:
    from engines import beam_parts

    with _records(run, "transform", "transformed_examples") as folder:
        return beam_parts.by_id(str(folder))


@contextlib.contextmanager
def _records(run: Run, stage: str, output: str) -> Iterator[pathlib.Path]:
    with places.fetched(run.summary["stages"][stage]["outputs"][output]) as folder:
        yield pathlib.Path(folder)


def _quarantine(workdir: pathlib.Path) -> list[str]:
    """Return the rejected records of the newest run, without the folder of the input."""
    file = max((workdir / "quarantine").glob("*/rejected.jsonl"))
    lines = file.read_text().splitlines()
    origins = [(record["file"], record["line"]) for record in map(json.loads, lines)]
    if not any(file.endswith(BAD) and line == BAD_LINE for file, line in origins):
        raise SystemExit(f"quarantine: expected line {BAD_LINE} of {BAD}, received {origins}")
    return [
        line.replace(f"{file.rpartition('/')[0]}/", "")
        for line, (file, _) in zip(lines, origins, strict=True)
    ]
