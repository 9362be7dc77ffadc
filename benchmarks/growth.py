"""What the whole pipeline costs as its data grows, stage by stage: `make bench-growth`.

    python -m benchmarks.growth [--sizes 1000,10000,100000] [--epochs 2] [--plot growth.png]

For each size the demo's data are written and run from raw files to a pushed encoder, in a fresh
work directory. Of each stage: wall seconds, as the run reports them; how many times the seconds of
the training's updates alone those are; the most memory that the run's processes held together while
it was at work, sampled; and what its artifacts take on disk. Between the stages stand the imports,
`start`. One epoch more or less changes `train` alone.

`--workers 1,2,4` runs instead what comes before the training, or `--until` a stage, on so many
worker processes in turn. Of each Beam part: wall seconds; CPU seconds of all processes; which share
of these the part took for the smallest size, where data hardly count: the engine's start; and the
most memory of the run's own process and of one worker.

`--commands` times instead how long each command that runs nothing takes to answer.
"""

import argparse
import json
import math
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
_RAGLINE = (sys.executable, "-m", "ragline")
_STAGE = re.compile(r"\[ *\d+/\d+\] (\w+)")
_SECONDS = re.compile(r"\s+\w+, ([\d.]+) s$")
_PARTS = ("ingest", "statistics", "transform")
_COMMANDS = {
    "--help": ("--help",),
    "--version": ("--version",),
    "run --help": ("run", "--help"),
    "run, a bad configuration": ("run", "none.toml"),
    "synth, 10 sequences": ("synth", "--sequences", "10", "--output"),
}


@dataclass
class Cost:
    """Of one stage.

    Attributes:
      seconds: wall time.
      cpu: seconds of all processes.
      memory: bytes of all processes together, the most that was seen.
      own: bytes of the run's own process.
      worker: bytes of the largest of its other processes.
      disk: bytes of its artifacts.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    own: int = 0
    worker: int = 0
    disk: int = 0


@dataclass
class Run:
    """Of one size; the stages in the order in which they ran.

    Attributes:
      code: exit code.
      wall: seconds of all.
      updates: seconds of the training's updates alone; NaN if it did not end.
      stages: name -> its cost.
    """

    code: int
    wall: float
    updates: float
    stages: dict[str, Cost] = field(default_factory=dict)


def write(sequences: int, folder: pathlib.Path) -> str:
    """Writes the demo's data, where they are not yet there; the pattern of their files."""
    if not folder.exists():
        part = folder.with_suffix(".part")
        subprocess.run(
            [*_RAGLINE, "synth", "--output", str(part), "--sequences", str(sequences)],
            check=True, capture_output=True, cwd=ROOT,
        )  # fmt: skip
        part.rename(folder)
    return f"{folder}/*.jsonl"


def run(data: str, epochs: int, workdir: pathlib.Path, *settings: str) -> Run:
    """The whole pipeline on such files."""
    every = (f"input.train={data}", f"workdir={workdir}", f"train.epochs={epochs}", *settings)
    stages = {"start": Cost()}
    started = time.perf_counter()
    code = _command(["run", "examples/gestures.toml", *_set(every)], stages)
    wall = time.perf_counter() - started
    for name, cost in stages.items():
        cost.disk = _size(workdir / "artifacts" / name)
    return Run(code=code, wall=wall, updates=_updates(workdir), stages=stages)


def _set(settings: Iterable[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _command(words: list[str], stages: dict[str, Cost], until: str = "") -> int:
    """Runs a command, until a stage begins; fills in what stages take, and returns its exit code.

    What comes before the first stage is `start`.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [*_RAGLINE, *words], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    current, done = ["start"], threading.Event()
    watch = threading.Thread(
        target=_watch, args=(psutil.Process(process.pid), stages, current, done)
    )
    watch.start()
    for line in process.stderr or ():
        if match := _STAGE.match(line):
            if current[0] == "start":
                stages["start"].seconds = time.perf_counter() - started
            stages.setdefault(match[1], Cost())
            current[0] = match[1]
            if match[1] == until:
                process.terminate()
                break
        elif match := _SECONDS.match(line):
            stages[current[0]].seconds = float(match[1])
    code = process.wait()
    done.set()
    watch.join()
    return code


def _updates(workdir: pathlib.Path) -> float:
    for file in workdir.glob("runs/*/summary.json"):
        if training := json.loads(file.read_text(encoding="utf-8"))["train"]:
            return float(sum(epoch["seconds"] for epoch in training["history"][1:]))
    return math.nan


def _watch(
    top: psutil.Process, stages: dict[str, Cost], current: list[str], done: threading.Event
) -> None:
    spent: dict[int, float] = {}
    while not done.wait(0.2):
        cost = stages[current[0]]
        held = []
        try:
            for process in (top, *top.children(recursive=True)):
                with process.oneshot():
                    held.append(process.memory_info().rss)
                    times = process.cpu_times()
                cost.cpu += times.user + times.system - spent.get(process.pid, 0.0)
                spent[process.pid] = times.user + times.system
        except psutil.NoSuchProcess:
            continue
        cost.memory = max(cost.memory, sum(held))
        cost.own = max(cost.own, held[0])
        cost.worker = max(cost.worker, *held[1:], 0)


def _size(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def rows(sequences: int, made: Run) -> list[str]:
    """Of the table: one a stage that took time, and their sum."""
    lines_of_stages = [
        f"| {sequences:,} | {name} | {cost.seconds:.1f} | {cost.seconds / made.updates:.2f} "
        f"| {cost.memory / 1e6:,.0f} "
        f"| {cost.disk / 1e6:,.1f} |"
        for name, cost in made.stages.items()
        if cost.seconds >= 0.1
    ]
    memory = max(cost.memory for cost in made.stages.values())
    disk = sum(cost.disk for cost in made.stages.values())
    total = f"| {sequences:,} | **all**, exit code {made.code} | {made.wall:.1f} "
    total += f"| {made.wall / made.updates:.2f} "
    return [*lines_of_stages, f"{total}| {memory / 1e6:,.0f} | {disk / 1e6:,.1f} |"]


def on_workers(
    sizes: list[int], workers: list[int], until: str, folder: pathlib.Path
) -> Iterator[str]:
    """Rows of the table of Beam parts: for each number of workers, the sizes in order."""
    data = {size: write(size, folder / f"gestures-{size}") for size in sizes}
    for number in workers:
        options = ["--direct_running_mode=multi_processing", f"--direct_num_workers={number}"]
        beam = f"beam.options={json.dumps(options)}"
        starts: dict[str, float] = {}
        for size in sizes:
            read, stages = f"input.train={data[size]}", {"start": Cost()}
            with tempfile.TemporaryDirectory(dir=folder) as made:
                settings = _set([read, beam, f"workdir={made}/run"])
                _command(["run", "examples/gestures.toml", *settings], stages, until)
            for part in _PARTS:
                if part == until or (cost := stages.get(part)) is None:
                    continue
                start = starts.setdefault(part, cost.cpu)
                yield (
                    f"| {number} | {size:,} | {part} | {cost.seconds:.1f} | {cost.cpu:.0f} "
                    f"| {start / cost.cpu:.0%} | {cost.own / 1e6:,.0f} "
                    f"| {cost.worker / 1e6:,.0f} |"
                )


def plot(runs: dict[int, Run], file: pathlib.Path) -> None:
    """Seconds, memory and disk of each stage over the number of sequences."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = {"seconds": ("seconds", 1.0), "memory": ("memory, GB", 1e9), "disk": ("disk, MB", 1e6)}
    shown = {}
    for place, (name, (title, unit)) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(1, 3, place)
        for number, stage in enumerate(next(iter(runs.values())).stages):
            costs = [getattr(made.stages[stage], name) / unit for made in runs.values()]
            # What was over before it was looked at, or writes next to nothing, is no line.
            if min(costs) > 0.2:
                line = axes.plot(list(runs), costs, marker="o", color=f"C{number}", label=stage)
                shown[stage] = line[0]
        axes.set(xscale="log", xlabel="sequences", title=title)
        if name == "memory":
            axes.set_ylim(bottom=0.0)
        else:
            axes.set_yscale("log")
    figure.legend(handles=shown.values(), loc="outside right center")
    figure.savefig(file)


def commands(repeats: int) -> list[str]:
    """Seconds until each command has answered, and the exit code."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, words in _COMMANDS.items():
            full = [*_RAGLINE, *words, *([folder] if words[-1] == "--output" else [])]
            taken = []
            for _ in range(repeats):
                started = time.perf_counter()
                done = subprocess.run(full, capture_output=True, check=False, cwd=ROOT)
                taken.append(time.perf_counter() - started)
            lines.append(f"| {name} | {statistics.median(taken):.2f} | {done.returncode} |")
    return lines


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="with commas between")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--plot", type=pathlib.Path, help="a picture to write; needs matplotlib")
    parser.add_argument("--workers", help="numbers of processes for the Beam parts")
    parser.add_argument("--until", default="train", help="with --workers: the first stage left out")
    parser.add_argument("--folder", type=pathlib.Path, help="for runs, and data, which stay in it: "
                        "12 GB for a million sequences")  # fmt: skip
    parser.add_argument("--commands", action="store_true", help="start-up times instead")
    parser.add_argument("--repeats", type=int, default=5, help="of each command")
    options = parser.parse_args()
    if options.commands:
        print("| command | seconds | exit code |\n|---|---:|---:|")
        print("\n".join(commands(options.repeats)))
        return
    sizes = sorted(map(int, options.sizes.split(",")))
    if options.workers:
        workers = [*map(int, options.workers.split(","))]
        print("| workers | sequences | part | wall, s | CPU, s | start | run, MB | a worker, MB |")
        print("|---:|---:|---|---:|---:|---:|---:|---:|")
        with tempfile.TemporaryDirectory() as made:
            folder = options.folder or pathlib.Path(made)
            for row in on_workers(sizes, workers, options.until, folder):
                print(row, flush=True)
        return
    print("| sequences | stage | wall, s | / updates | peak, MB | disk, MB |")
    print("|---:|---|---:|---:|---:|---:|")
    runs = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            data = write(size, pathlib.Path(folder, "data"))
            runs[size] = run(data, options.epochs, pathlib.Path(folder, "run"))
        print("\n".join(rows(size, runs[size])), flush=True)
    if options.plot:
        plot(runs, options.plot)


if __name__ == "__main__":
    main()
