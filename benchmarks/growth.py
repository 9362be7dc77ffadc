"""What the whole pipeline costs as its data grows, stage by stage: `make bench-growth`.

    python -m benchmarks.growth [--sizes 1000,10000,100000] [--epochs 2] [--plot growth.png]

For each size the demo's data are written and run from raw files to a pushed encoder, in a fresh
work directory. Of each stage: wall seconds, as the run reports them; how many times the seconds of
the training's updates alone those are; the most memory that the run's processes held together while
it was at work, sampled; and what its artifacts take on disk. Between the stages stand the imports,
`start`. One epoch more or less changes `train` alone.

`--commands` times instead how long each command that runs nothing takes to answer.
"""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field

import psutil

ROOT = pathlib.Path(__file__).resolve().parent.parent
_RAGLINE = (sys.executable, "-m", "ragline")
_STAGE = re.compile(r"\[ *\d+/\d+\] (\w+)")
_SECONDS = re.compile(r"\s+\w+, ([\d.]+) s$")
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
      memory: bytes, the most that was seen.
      disk: bytes of its artifacts.
    """

    seconds: float = 0.0
    memory: int = 0
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


def run(sequences: int, epochs: int, folder: pathlib.Path) -> Run:
    """The whole pipeline on so many sequences."""
    data, workdir = folder / "data", folder / "run"
    subprocess.run(
        [*_RAGLINE, "synth", "--output", str(data), "--sequences", str(sequences)],
        check=True, capture_output=True, cwd=ROOT,
    )  # fmt: skip
    settings = {
        "input.train": data / "*.jsonl",
        "workdir": workdir,
        "train.epochs": epochs,
    }
    command = [*_RAGLINE, "run", "examples/gestures.toml"]
    command += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    started = time.perf_counter()
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip
    stages, current, done = {"start": Cost()}, ["start"], threading.Event()
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
        elif match := _SECONDS.match(line):
            stages[current[0]].seconds = float(match[1])
    code = process.wait()
    wall = time.perf_counter() - started
    done.set()
    watch.join()
    for name, cost in stages.items():
        cost.disk = _size(workdir / "artifacts" / name)
    return Run(code=code, wall=wall, updates=_updates(workdir), stages=stages)


def _updates(workdir: pathlib.Path) -> float:
    for file in workdir.glob("runs/*/summary.json"):
        if training := json.loads(file.read_text(encoding="utf-8"))["train"]:
            return float(sum(epoch["seconds"] for epoch in training["history"][1:]))
    return math.nan


def _watch(
    top: psutil.Process, stages: dict[str, Cost], current: list[str], done: threading.Event
) -> None:
    while not done.wait(0.2):
        held = 0
        try:
            for process in (top, *top.children(recursive=True)):
                held += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue
        cost = stages[current[0]]
        cost.memory = max(cost.memory, held)


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
            if min(costs) > 0.1:
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
    parser.add_argument("--commands", action="store_true", help="start-up times instead")
    parser.add_argument("--repeats", type=int, default=5, help="of each command")
    options = parser.parse_args()
    if options.commands:
        print("| command | seconds | exit code |\n|---|---:|---:|")
        print("\n".join(commands(options.repeats)))
        return
    print("| sequences | stage | wall, s | / updates | peak, MB | disk, MB |")
    print("|---:|---|---:|---:|---:|---:|")
    runs = {}
    for size in map(int, options.sizes.split(",")):
        folder = pathlib.Path(tempfile.mkdtemp())
        try:
            runs[size] = run(size, options.epochs, folder)
        finally:
            shutil.rmtree(folder)
        print("\n".join(rows(size, runs[size])), flush=True)
    if options.plot:
        plot(runs, options.plot)


if __name__ == "__main__":
    main()
