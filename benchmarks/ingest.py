"""How fast ingest is beside the fastest plain loop, and what memory it takes: `make bench-ingest`.

    python -m benchmarks.ingest [--formats parquet,jsonl] [--sizes 10000] [--repeats 3]

For each format and number of sequences (12 features, about 60 steps; `ingest_data`), the same file
is read by four sides in turn, again and again, each in a process of its own that lives as long:

    floor       `ingest_floor`: no Beam, no checks but that values are finite, one core
    tensorflow  the same loop with tf.io.TFRecordWriter, zlib's default level
    one         the component on one core
    two         the component with Beam's multi_processing and two workers

What is counted: from the call to the last byte in its place, the account included; not the imports
of the process, which a run of the pipeline pays once, but with `two` those of Beam's workers. A
first run on 200 sequences is not counted. `floor`, `tensorflow` and `one` are pinned to one core.

Rates and the ratio to the floor go by CPU seconds, of all processes, for a machine that others use
too; the gain of two workers by the wall clock of runs that follow each other. All are medians.
Memory is the peak of a process and its workers together, by the kernel's own high-water marks.
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from importlib import metadata
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDES = ("floor", "tensorflow", "one", "two")
FORMATS = {
    "parquet": ".parquet",
    "jsonl": ".jsonl",
    "csv": ".csv",
    "parquet-long": ".parquet",
    "ts": ".ts",
    "npz": ".npz",
    "tfrecord": ".tfrecord",
    "sequence_example": ".tfrecord",
    "xes": ".xes",
}
SIZES = (10_000, 100_000, 1_000_000)
# Files of the others are too large, or read whole by the floor.
_OF_A_MILLION = ("parquet", "jsonl")
_REPEATS = {10_000: 5, 100_000: 3, 1_000_000: 1}
_WARM_UP = 200
_PACKAGES = ("apache-beam", "pyarrow", "orjson", "isal", "numpy", "tensorflow", "tfx-bsl")
_HEADER = (
    "format", "sequences", "file", "shards", "floor", "TFRecordWriter", "ingest", "values",
    "ingest / floor", "two cores", "peak: floor", "one", "two",
)  # fmt: skip

Taken = dict[str, float]


class Side:
    """A process that runs one side, and the most memory that it and its workers held."""

    def __init__(self, side: str, format_name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ingest_side", side, format_name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
        )
        self.name = f"{side} of {format_name}"
        self.peak = 0

    def run(self, source: pathlib.Path, target: pathlib.Path) -> Taken:
        """One run."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process has no pipes")
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(done,))
        watch.start()
        try:
            stdin.write(json.dumps([str(source), str(target)]) + "\n")
            stdin.flush()
            answer = stdout.readline()
        finally:
            done.set()
            watch.join()
        shutil.rmtree(target, ignore_errors=True)
        if not answer:
            raise RuntimeError(f"{self.name}: the process ended with {self._process.wait()}")
        taken: Taken = json.loads(answer)
        return taken

    def close(self) -> None:
        """Lets the process end."""
        self._process.communicate()

    def _watch(self, done: threading.Event) -> None:
        while not done.wait(0.2):
            self.peak = max(self.peak, sum(map(_high_water, _tree(self._process.pid))))


def _tree(top: int) -> list[int]:
    """A process and all below it."""
    found = [top]
    for pid in found:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
        except OSError:  # It has ended.
            continue
    return found


def _high_water(pid: int) -> int:
    """The most bytes that a process held."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(x.split()[1]) << 10 for x in status.splitlines() if x.startswith("VmHWM"))


def measure(
    format_name: str, sequences: int, repeats: int, folder: pathlib.Path
) -> dict[str, dict[str, Any]]:
    """Side -> its runs, its peak and the size of the file."""
    suffix = FORMATS[format_name]
    files = [folder / f"{count}{suffix}" for count in (_WARM_UP, sequences)]
    writer = Side("data", format_name)
    for file in files:
        values = int(writer.run(file, folder / "none")["values"])
    writer.close()
    runs: dict[str, list[Taken]] = {side: [] for side in SIDES}
    sides = {side: Side(side, format_name) for side in SIDES}
    try:
        for side in SIDES:
            sides[side].run(files[0], folder / side)
        for _ in range(repeats):
            for side in SIDES:
                runs[side].append(sides[side].run(files[1], folder / side))
    finally:
        for each in sides.values():
            each.close()
    size = files[1].stat().st_size
    for file in files:
        file.unlink()
    return {
        side: {"runs": runs[side], "peak": sides[side].peak, "file": size, "values": values}
        for side in SIDES
    }


def row(format_name: str, sequences: int, found: dict[str, dict[str, Any]]) -> str:
    """A row of the table."""
    cpu = {side: [run["cpu"] for run in found[side]["runs"]] for side in SIDES}
    wall = {side: [run["wall"] for run in found[side]["runs"]] for side in SIDES}

    def rate(side: str) -> str:
        return f"{sequences / statistics.median(cpu[side]):,.0f}"

    def ratio(above: list[float], below: list[float]) -> str:
        return f"{statistics.median(a / b for a, b in zip(above, below, strict=True)):.2f}"

    shards = found["one"]["runs"][0]["bytes"]
    cells = (
        format_name,
        f"{sequences:,}",
        f"{found['one']['file'] / 1e6:,.0f}",
        f"{shards / 1e6:,.0f}",
        rate("floor"),
        rate("tensorflow"),
        rate("one"),
        f"{found['one']['values'] / statistics.median(cpu['one']) / 1e6:,.1f}",
        ratio(cpu["floor"], cpu["one"]),
        ratio(wall["one"], wall["two"]),
        *(f"{found[side]['peak'] / 1e6:,.0f}" for side in ("floor", "one", "two")),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formats", default=",".join(FORMATS), help="with commas between")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of sequences")
    parser.add_argument("--repeats", type=int, help="of each pair; 5, 3 and 1 by default")
    parser.add_argument("--all-at-a-million", action="store_true", help="also formats but these: "
                        + ", ".join(_OF_A_MILLION))  # fmt: skip
    parser.add_argument("--folder", help="for the files: 20 GB for a million JSON Lines")
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    if unknown := set(formats) - FORMATS.keys():
        parser.error(f"--formats: expected {', '.join(FORMATS)}, received {', '.join(unknown)}")
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    print(f"{cores} cores, Python {platform.python_version()}, {versions}\n")
    print(f"| {' | '.join(_HEADER)} |")
    print(f"|---|{'---:|' * (len(_HEADER) - 1)}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for format_name in formats:
            for sequences in map(int, arguments.sizes.split(",")):
                if (
                    sequences >= SIZES[-1]
                    and format_name not in _OF_A_MILLION
                    and not arguments.all_at_a_million
                ):
                    continue
                repeats = arguments.repeats or _REPEATS.get(sequences, 1)
                found = measure(format_name, sequences, repeats, pathlib.Path(folder))
                print(row(format_name, sequences, found), flush=True)


if __name__ == "__main__":
    main()
