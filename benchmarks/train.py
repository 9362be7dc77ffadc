"""Training and encoding beside plain Keras and PyTorch, in one run: `make bench`.

    python -m benchmarks.train [--units 32,64,128,256] [--lengths "log-normal,uniform"] [--quick]

The model of each side is LSTM(H) -> Dense(H) -> LSTM(H) of it at every step -> Dense, from
the same weights, on the same sequences of 8 features, with the same Adam and clipping and the same
masked mean of squared errors. Sides:

    ragline        the trainer; batches by a budget of steps, 64 sequences of mean length
    keras padded   Keras's `fit` on random batches of 64, padded to the longest sequence of all
    keras          Keras's `fit` on ragline's batches
    torch          PyTorch on ragline's batches, padded
    torch packed   the same, as packed sequences

Every side is a process of its own that lives through all cases, with its batches in memory. They
take turns, A B C A B C, each for whole passes of some seconds; a figure is the median, a ratio the
median of the turns' ratios. Work is counted in valid steps. PyTorch takes one thread or all cores,
whichever was faster in a first try: beside other work, OpenMP's barriers wait for ever.

`curve` is the largest distance, as a share of the loss, between the losses of `ragline` and of
`keras`, `torch` and `torch packed` over the first pass, before which all stand at the same weights.
`input` is the share of wall time that the steps take when ragline reads, parses and batches the
records as it trains, over the time with batches in memory.
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
from collections.abc import Mapping
from typing import Any

from benchmarks.training.data import LENGTHS
from ragline.components.runtime import blas

ROOT = pathlib.Path(__file__).resolve().parent.parent
TORCH_PYTHON = ROOT / ".venv-torch" / "bin" / "python"
ON_CPU = {"CUDA_VISIBLE_DEVICES": ""}
OWN, OTHERS = "ragline", ("keras padded", "keras", "torch", "torch packed")
# Of one pass, which is some seconds.
_BATCHES = {32: 24, 64: 16, 128: 8, 256: 4}
_UNITS = tuple(_BATCHES)
_HEADER = (
    "lengths", "H", "waste", "ragline", *OTHERS, *(f"/ {name}" for name in OTHERS),
    "/ torch, CPU", "curve", "input", "encode", "encode / torch",
)  # fmt: skip

Turn = dict[str, float]


class Side:
    """A process that answers; see `training/answers.py`."""

    def __init__(
        self, name: str, torch_python: str, environment: Mapping[str, str] = ON_CPU
    ) -> None:
        self.name = name
        kinds = {
            "torch": "padded",
            "torch packed": "packed",
            "torch float32": "padded",
            "torch bfloat16": "bfloat16",
        }
        kind = kinds.get(name)
        command = [sys.executable, "-m", "benchmarks.training.tensorflow_side", name]
        if kind:
            command = [torch_python, "-m", "benchmarks.training.torch_side", kind]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        )

    def ask(self, verb: str, value: object) -> dict[str, Any]:
        """Ask a question, and wait for the answer."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the process has no pipes")
        stdin.write(json.dumps({verb: value}) + "\n")
        stdin.flush()
        answer = stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name}: the process ended with {self._process.wait()}")
        results: dict[str, Any] = json.loads(answer)
        return results

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def compare(sides: dict[str, Side], folder: pathlib.Path, turns: int, seconds: float) -> list[str]:
    """Compare the sides on one case; return the cells of its row, from `waste` on."""
    waste, _ = sides["data"].ask("case", str(folder))["losses"]
    contestants = [name for name in (OWN, *OTHERS) if name in sides]
    curves = {name: sides[name].ask("case", str(folder))["losses"] for name in contestants}
    taken: dict[str, list[Turn]] = {name: [] for name in (*contestants, "input")}
    encoded: dict[str, list[Turn]] = {name: [] for name in (OWN, "torch") if name in sides}
    for _ in range(turns):
        for name in contestants:
            taken[name].append(sides[name].ask("train", seconds))
        taken["input"].append(sides[OWN].ask("input", seconds))
        for name, turns_of_side in encoded.items():
            turns_of_side.append(sides[name].ask("encode", seconds))

    def rate(turns_of_side: list[Turn], clock: str = "wall") -> list[float]:
        return [turn["work"] / turn[clock] for turn in turns_of_side]

    def ratio(above: list[float], below: list[float]) -> str:
        return f"{statistics.median(a / b for a, b in zip(above, below, strict=True)):.2f}"

    def cells(name: str, cell: Any) -> str:
        return cell() if name in sides else "-"

    own = rate(taken[OWN])
    distance = max(
        abs(a / b - 1)
        for name in contestants
        if name not in (OWN, "keras padded")
        for a, b in zip(curves[name], curves[OWN], strict=True)
    )
    return [
        f"{waste:.1%}",
        f"{statistics.median(own) / 1e3:,.1f}",
        *(cells(n, lambda n=n: f"{statistics.median(rate(taken[n])) / 1e3:,.1f}") for n in OTHERS),
        *(cells(n, lambda n=n: ratio(own, rate(taken[n]))) for n in OTHERS),
        cells("torch", lambda: ratio(rate(taken[OWN], "cpu"), rate(taken["torch"], "cpu"))),
        f"{distance:.0e}",
        ratio(rate(taken["input"]), own),
        f"{statistics.median(rate(encoded[OWN])):,.0f}",
        cells("torch", lambda: ratio(rate(encoded[OWN]), rate(encoded["torch"]))),
    ]


def main() -> None:
    """Print a table in Markdown: thousand valid steps a second; encode: sequences a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", default=",".join(map(str, _UNITS)), help="with commas between")
    parser.add_argument("--lengths", default=",".join(LENGTHS), help="with commas between")
    parser.add_argument("--turns", type=int, default=5, help="of each side in each case")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn, at least")
    parser.add_argument("--torch", default=str(TORCH_PYTHON), help="a Python that has PyTorch")
    parser.add_argument("--quick", action="store_true", help="one tiny case, beside Keras alone")
    options = parser.parse_args()
    units = [int(size) for size in options.units.split(",")]
    lengths = options.lengths.split(",")
    if unknown := set(lengths) - LENGTHS.keys():
        parser.error(f"--lengths: expected {', '.join(LENGTHS)}, received {', '.join(unknown)}")
    batches = _BATCHES
    if options.quick:
        units, lengths, batches = [4], ["uniform"], {4: 2}
    has_torch = pathlib.Path(options.torch).exists()
    others = [n for n in OTHERS if has_torch or not n.startswith("torch")]
    names = ["data", OWN, *(["keras"] if options.quick else others)]
    kernel = blas.kernel()
    print(
        f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}; "
        f"{'with' if has_torch else 'without'} PyTorch; OpenBLAS's kernel {kernel.name}"
        f"{f'; {kernel.warning}' if kernel.warning else ''}\n"
    )
    print(f"| {' | '.join(_HEADER)} |")
    print(f"|---|{'---:|' * (len(_HEADER) - 1)}", flush=True)
    sides = {name: Side(name, options.torch) for name in names}
    with tempfile.TemporaryDirectory() as top:
        for number, (distribution, size) in enumerate(itertools.product(lengths, units)):
            folder = pathlib.Path(top) / str(number)
            case = json.dumps([size, distribution, batches.get(size, 4)])
            folder.with_suffix(".json").write_text(case, encoding="utf-8")
            turns, seconds = (1, 0.0) if options.quick else (options.turns, options.seconds)
            row = compare(sides, folder, turns, seconds)
            print(f"| {' | '.join([distribution, str(size), *row])} |", flush=True)
    for side in sides.values():
        side.close()


if __name__ == "__main__":
    main()
