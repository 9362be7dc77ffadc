"""`ragline run` on a cluster: of long tables, disturbed or not, beside a run in this process."""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from flink.cluster import Cluster, workers

from ragline.pipeline.demo import synth

RAGLINE = pathlib.Path(sys.executable).with_name("ragline")
BAD = "gestures-1.csv"
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
    cells = lines[100].split(",")
    lines[100] = ",".join([*cells[:3], "no number", *cells[4:]])
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


def of_tables(data: pathlib.Path, workdir: pathlib.Path, *options: str) -> list[str]:
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


def busy(cluster: Cluster, folder: pathlib.Path, made: str = "") -> list[int]:
    """Wait until the next job runs in Python workers, and has made a file; return the workers."""
    before = len(cluster.jobs())

    def pids() -> list[int]:
        return [worker for process in cluster.task_managers for worker in workers(process)]

    def runs() -> bool:
        jobs = cluster.jobs()
        if len(jobs) <= before or not jobs[-1]["tasks"]["running"] or not pids():
            return False
        return not made or any(folder.rglob(made))

    cluster.wait_until(runs, "a job runs")
    return pids()


def compare(expected: Run, here: pathlib.Path, received: Run, there: pathlib.Path) -> Iterator[str]:
    """Compare two runs on the same data, and say what is the same.

    Raises:
      SystemExit: something differs.
    """
    for name, digest in (("raw records", _raw), ("quarantine", _quarantine)):
        same = digest(here)
        if digest(there) != same:
            raise SystemExit(f"{name}: others on Flink than in this process")
        yield f"{name}: the same bytes, {len(same)}"
    if by_id(here) != by_id(there):
        raise SystemExit("transformed records: others on Flink than in this process")
    yield "transformed records: the same"
    for key in ("input", "splits", "constant_features"):
        if expected.summary[key] != received.summary[key]:
            raise SystemExit(f"{key}: {received.summary[key]}, expected {expected.summary[key]}")
    yield f"account: the same, {received.summary['input']}"


def alive(workers: Iterable[int]) -> list[int]:
    """Return which of some processes are still there."""
    return [worker for worker in workers if pathlib.Path(f"/proc/{worker}/cmdline").exists()]


def _newest(workdir: pathlib.Path, stage: str, output: str) -> pathlib.Path:
    folders = (workdir / "artifacts" / stage / output).iterdir()
    return max(folders, key=lambda path: int(path.name))


def _raw(workdir: pathlib.Path) -> dict[str, bytes]:
    folder = _newest(workdir, "ingest", "examples")
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob("*/*"))}


def _quarantine(workdir: pathlib.Path) -> list[str]:
    file = max((workdir / "quarantine").glob("*/rejected.jsonl"))  # Of the newest run.
    lines = file.read_text().splitlines()
    assert any(f"{BAD}" in line for line in lines)
    return lines


def embeddings(folder: pathlib.Path) -> pa.Table:
    """Return what `ragline encode` wrote, sorted."""
    return pa.parquet.read_table(folder).sort_by("sequence_id")


def by_id(workdir: pathlib.Path) -> Any:
    """Return the transformed records of a run, by split and sequence."""
    from engines import beam_parts

    return beam_parts.by_id(str(_newest(workdir, "transform", "transformed_examples")))
