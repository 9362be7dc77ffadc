"""One encoder in each runtime, in memory: ragline, onnxruntime, OpenVINO and PyTorch.

    python -m benchmarks.runtimes [--units 32,64,128,256] [--threads 1,2]

The encoder is an LSTM of H units and a dense map of its last valid state; a pass standardises the
raw values of 4,096 sequences of 8 features (`benchmarks/training/data.py`), pads, and embeds them.
All sides have the same weights, and give the same embeddings, which is checked. `ragline` is the
fast form that `ragline encode` computes in, `bfloat16` the same with `--bfloat16`; the others are
loops by hand, sorted by length, in batches of 64, over the same LSTM without lengths.

Each side is a process of its own, bound to as many cores as it has threads, the same for all. They
take turns; a figure is the median, and a ratio the median of the turns' ratios. Beside other work
the seconds of the clock mean little, and less where threads wait for each other, so that sequences
a second of the processor are shown, too.
"""

import argparse
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile

import numpy as np

from benchmarks.encoding import case as cases
from benchmarks.train import ROOT, TORCH_PYTHON
from benchmarks.training.data import LENGTHS
from ragline.components.runtime import blas
from ragline.components.serving.fast.fast_encoder import BFLOAT16_TOLERANCE, TOLERANCE

OWN, OTHERS = "ragline", ("bfloat16", "onnxruntime", "openvino", "torch")
_SAME = {"bfloat16": BFLOAT16_TOLERANCE}
_HEADER = (
    "lengths", "H", "threads", *(f"{n}" for n in (OWN, *OTHERS)), *(f"/ {n}" for n in OTHERS),
    *(f"CPU, {n}" for n in (OWN, *OTHERS)), *(f"CPU, / {n}" for n in OTHERS),
)  # fmt: skip


class Side:
    """A process that embeds the sequences of a case."""

    def __init__(self, name: str, python: str, file: pathlib.Path, threads: int) -> None:
        self.embedding = file.with_name(f"{name}.npy")
        module = "torch_side" if name == "torch" else "sides"
        cores = sorted(os.sched_getaffinity(0))[:threads]
        command = (python, "-m", f"benchmarks.encoding.{module}", name, file, self.embedding)
        self._process = subprocess.Popen(
            [*map(str, command), str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )  # fmt: skip
        if self._process.stdout is None or self._process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{name}: the process ended with {self._process.wait()}")

    def turn(self, seconds: float) -> dict[str, float]:
        """Let it embed for so long."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process has no pipes")
        stdin.write(f"{seconds}\n")
        stdin.flush()
        answer: dict[str, float] = json.loads(stdout.readline())
        return answer

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def compare(file: pathlib.Path, threads: int, options: argparse.Namespace) -> list[str]:
    """Return the cells of a row, from the sides' figures on."""
    names = (OWN, *(n for n in OTHERS if n != "torch" or pathlib.Path(options.torch).exists()))
    sides = {
        name: Side(name, options.torch if name == "torch" else sys.executable, file, threads)
        for name in names
    }
    expected = np.load(sides[OWN].embedding)
    for name, side in sides.items():
        if not (figure := np.abs(np.load(side.embedding) - expected).max()) <= _SAME.get(
            name, TOLERANCE
        ):
            raise SystemExit(f"{name}: the embeddings differ by {figure}")
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(options.turns):
        for name, side in sides.items():
            taken[name].append(side.turn(options.seconds))
    for side in sides.values():
        side.close()
    cells = []
    for clock in ("wall", "cpu"):
        rates = {name: [turn["work"] / turn[clock] for turn in of] for name, of in taken.items()}
        cells += [
            f"{statistics.median(rates[name]):,.0f}" if name in rates else "-"
            for name in (OWN, *OTHERS)
        ]
        for name in OTHERS:
            pairs = zip(rates[OWN], rates.get(name, ()), strict=False)
            ratios = [own / other for own, other in pairs]
            cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
    return cells


def main() -> None:
    """Print a table in Markdown: sequences a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", default="32,64,128,256", help="with commas between")
    parser.add_argument("--lengths", default="log-normal", help="with commas between")
    parser.add_argument("--threads", default="1,2", help="with commas between")
    parser.add_argument("--sequences", type=int, default=4_096)
    parser.add_argument("--turns", type=int, default=5, help="of each side in each case")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn, at least")
    parser.add_argument("--torch", default=str(TORCH_PYTHON), help="a Python that has PyTorch")
    options = parser.parse_args()
    lengths = options.lengths.split(",")
    if unknown := set(lengths) - LENGTHS.keys():
        parser.error(f"--lengths: expected {', '.join(LENGTHS)}, received {', '.join(unknown)}")
    kernel = blas.kernel()
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}; OpenBLAS's kernel {kernel.name}"
        f"{f'; {kernel.warning}' if kernel.warning else ''}\n"
    )
    print(f"| {' | '.join(_HEADER)} |")
    print(f"|---|{'---:|' * (len(_HEADER) - 1)}", flush=True)
    units, threads = (map(int, text.split(",")) for text in (options.units, options.threads))
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "case.npz")
        for distribution, size, number in itertools.product(lengths, units, threads):
            np.savez(file, **cases.make(size, distribution, options.sequences)._asdict())
            row = compare(file, number, options)
            print(f"| {' | '.join([distribution, str(size), str(number), *row])} |", flush=True)


if __name__ == "__main__":
    main()
