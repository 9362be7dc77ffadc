"""How fast ingest is beside the fastest plain loop, and what memory it takes: `make bench-ingest`.

    python -m benchmarks.ingest [--formats parquet,jsonl] [--sizes 10000] [--repeats 3]

For each format and number of sequences (12 features, about 60 steps; `ingestion/data.py`), the same
file is read by three sides in turn, each in a process of its own that lives as long as the format:

    floor  `ingestion/floor.py`: no Beam, no checks but that values are finite, one core
    one    the component on one core
    two    the component with Beam's multi_processing and two workers

What is counted: from the call to the last byte in its place, the account included; not the imports
of the process, which a run of the pipeline pays once, but with `two` those of Beam's workers, which
start with each job. A first run on 200 sequences of `floor` and `one` is not counted; both are
pinned to one core.

Rates and the ratio to the floor go by CPU seconds, of all processes, for a machine that others use
too; the gain of two workers by the wall clock of runs that follow each other. All are medians.
Memory is the peak of a process and its workers together, by the kernel's own high-water marks,
over the row and those of fewer sequences above it.
"""

import argparse
import contextlib
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
from collections.abc import Iterator
from importlib import metadata

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIDES = ("floor", "one", "two")
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
# A run of a larger file is long enough to need no second.
_REPEATS = {10_000: 3}
_WARM_UP = 200
_PACKAGES = ("apache-beam", "pyarrow", "orjson", "isal", "numpy", "tensorflow", "tfx-bsl")
_HEADER = (
    "format", "sequences", "file, MB", "shards, MB", "floor, sequences/s", "ingest, sequences/s",
    "ingest, million values/s", "ingest / floor", "one core / two", "peak, MB: floor", "one", "two",
)  # fmt: skip

Taken = dict[str, float]


class Side:
    """A process that runs one side, and the most memory that it and its workers held."""

    def __init__(self, side: str, format_name: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.ingestion.side", side, format_name],
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

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        """Lets the process end."""
        self._process.communicate()

    def _watch(self, done: threading.Event) -> None:
        over = False
        while not over:
            over = done.wait(0.2)
            self.peak = max(self.peak, sum(map(_high_water, _tree(self._process.pid))))


def _tree(top: int) -> list[int]:
    """A process and all below it."""
    pids = [top]
    for pid in pids:
        try:
            for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
        except OSError:  # It has ended.
            continue
    return pids


def _high_water(pid: int) -> int:
    """The most bytes that a process held."""
    try:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return sum(int(x.split()[1]) << 10 for x in status.splitlines() if x.startswith("VmHWM"))


def measure(
    format_name: str, sizes: list[int], repeats: int | None, folder: pathlib.Path
) -> Iterator[str]:
    """The rows of one format, fewer sequences first; a file is gone when its row is made."""
    with contextlib.ExitStack() as stack:
        names = ("data", *SIDES)
        sides = {name: stack.enter_context(Side(name, format_name)) for name in names}

        def write(sequences: int) -> tuple[pathlib.Path, int]:
            file = folder / f"{sequences}{FORMATS[format_name]}"
            return file, int(sides["data"].run(file, folder / "none")["values"])

        small, _ = write(_WARM_UP)
        for side in ("floor", "one"):
            sides[side].run(small, folder / side)
        small.unlink()
        for sequences in sorted(sizes):
            file, values = write(sequences)
            runs: dict[str, list[Taken]] = {side: [] for side in SIDES}
            for _ in range(repeats or _REPEATS.get(sequences, 1)):
                for side in SIDES:
                    runs[side].append(sides[side].run(file, folder / side))
            peaks = [sides[side].peak for side in SIDES]
            size = file.stat().st_size
            file.unlink()
            yield row(format_name, sequences, values, size, runs, peaks)


def row(
    format_name: str,
    sequences: int,
    values: int,
    size: int,
    runs: dict[str, list[Taken]],
    peaks: list[int],
) -> str:
    """A row of the table; sizes and peaks are bytes."""

    def median(side: str) -> float:
        return statistics.median(run["cpu"] for run in runs[side])

    def ratio(above: str, below: str, clock: str) -> str:
        pairs = zip(runs[above], runs[below], strict=True)
        return f"{statistics.median(a[clock] / b[clock] for a, b in pairs):.2f}"

    cells = (
        format_name,
        f"{sequences:,}",
        f"{size / 1e6:,.0f}",
        f"{runs['one'][0]['bytes'] / 1e6:,.0f}",
        f"{sequences / median('floor'):,.0f}",
        f"{sequences / median('one'):,.0f}",
        f"{values / median('one') / 1e6:,.1f}",
        ratio("floor", "one", "cpu"),
        ratio("one", "two", "wall"),
        *(f"{peak / 1e6:,.0f}" for peak in peaks),
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--formats", default=",".join(FORMATS), help="with commas between")
    parser.add_argument("--sizes", help="numbers of sequences; by default 10000,100000, and of "
                        f"{' and '.join(_OF_A_MILLION)} 1000000")  # fmt: skip
    parser.add_argument("--repeats", type=int, help="of each row; by default 3 of 10,000, else 1")
    parser.add_argument("--folder", help="for the files: 8 GB for a million JSON Lines")
    arguments = parser.parse_args()
    formats = arguments.formats.split(",")
    sizes = [int(size) for size in arguments.sizes.split(",")] if arguments.sizes else []
    if unknown := set(formats) - FORMATS.keys():
        parser.error(f"--formats: expected {', '.join(FORMATS)}, received {', '.join(unknown)}")
    cores = len(os.sched_getaffinity(0))
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    print(f"{cores} cores, Python {platform.python_version()}, {versions}\n")
    print(f"| {' | '.join(_HEADER)} |")
    print(f"|---|{'---:|' * (len(_HEADER) - 1)}")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for format_name in formats:
            chosen = sizes or [n for n in SIZES if n < SIZES[-1] or format_name in _OF_A_MILLION]
            for line in measure(format_name, chosen, arguments.repeats, pathlib.Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
