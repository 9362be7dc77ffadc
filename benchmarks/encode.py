"""`python -m benchmarks.encode`: sequences a second of `ragline encode`, beside a loop by hand.

Each side is a process of its own, from its start to its last file, so imports and the loading of
the model count. They take turns, and the median of each counts; seconds of the processor are shown
beside those of the clock, since a machine that does other things, too, distorts them less. The data
are those of `ragline synth`; that the embeddings are the same is checked, too.
"""

import argparse
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import pyarrow.parquet as pq

_SIDES = ("ragline encode", "loop, sorted by length", "loop, as in the file")
_SAME = 1e-5


def main() -> None:
    """Prints a table (Markdown)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoder", type=pathlib.Path, help="by default one is trained first")
    parser.add_argument("--sequences", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        encoder = (options.encoder or _trained(folder)).resolve()
        _ragline("synth", "--output", folder / "data", "--sequences", options.sequences)
        seconds: dict[str, list[tuple[float, float]]] = {side: [] for side in _SIDES}
        for turn in range(options.repeats):
            outputs = []
            for side in _SIDES:
                output = folder / f"{side.replace(' ', '-')}-{turn}.parquet"
                started, used = time.perf_counter(), _processor()
                _run(side, encoder, folder / "data" / "*.jsonl", output)
                seconds[side].append((time.perf_counter() - started, _processor() - used))
                outputs.append(output)
            _check_same(outputs)
    _print(seconds, options.sequences)


def _trained(folder: pathlib.Path) -> pathlib.Path:
    _ragline("synth", "--output", folder / "training")
    _ragline(
        "run", "examples/gestures.toml", "--workdir", folder / "work",
        "--set", f"input.train={folder}/training/*.jsonl", "--set", "train.epochs=2",
    )  # fmt: skip
    return folder / "work" / "serving" / "1"


def _run(side: str, encoder: pathlib.Path, data: pathlib.Path, output: pathlib.Path) -> None:
    if side == "ragline encode":
        _ragline("encode", encoder, "--input", data, "--output", output)
    else:
        order = "length" if "length" in side else "file"
        _python("-m", "benchmarks.encode_loop", encoder, data, output, order)


def _ragline(*arguments: object) -> None:
    _python("-m", "ragline", *arguments)


def _python(*arguments: object) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], check=True, stderr=subprocess.DEVNULL)


def _processor() -> float:
    """Seconds of the processor that processes which have ended have used."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _check_same(outputs: list[pathlib.Path]) -> None:
    expected: dict[str, list[float]] = {}
    for output in outputs:
        table = pq.read_table(output, columns=["sequence_id", "embedding"])
        ids = table["sequence_id"].to_pylist()
        embeddings = dict(zip(ids, table["embedding"].to_pylist(), strict=True))
        expected = expected or embeddings
        if expected.keys() != embeddings.keys():
            raise SystemExit(f"{output.name}: other sequences than {outputs[0].name}")
        order = sorted(embeddings)
        first, second = (
            np.array([each[name] for name in order]) for each in (expected, embeddings)
        )
        if not (figure := np.abs(first - second).max()) <= _SAME:
            raise SystemExit(f"{output.name}: the embeddings differ by {figure}")


def _print(seconds: dict[str, list[tuple[float, float]]], sequences: int) -> None:
    medians = {side: tuple(map(statistics.median, zip(*of, strict=True)))
               for side, of in seconds.items()}  # fmt: skip
    first = medians[_SIDES[0]]
    print(
        "| side | sequences | seconds | sequences/s | processor seconds | `ragline encode`: times "
        "as fast | by processor |"
    )
    print("|---|---|---|---|---|---|---|")
    for side, (clock, processor) in medians.items():
        print(
            f"| {side} | {sequences:,} | {clock:.1f} | {sequences / clock:,.0f} | {processor:.1f} "
            f"| {clock / first[0]:.2f} | {processor / first[1]:.2f} |"
        )


if __name__ == "__main__":
    main()
