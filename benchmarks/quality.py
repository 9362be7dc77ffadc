"""What 32 numbers of a sequence are good for: ragline's beside those of PCA and its like.

    python -m benchmarks.quality [--sets vowels,plaid] [--models pca,default] [--seeds 0]

`make bench-quality` runs all of it, some hours. Each row is a model on a set
(benchmarks/embeddings/sets.py), as the mean over seeds:

    pca, statistics, minirocket   benchmarks/embeddings/rivals.py
    untrained      ragline's default model before its training
    default        ragline as `ragline init` and `ragline run` leave it
    recurrent      without the linear path
    bidirectional  read from both ends
    slices         with the term of that name (components/train/terms/slices.py)

`lr`, `1-nn`, `nmi` and `kept` are explained in benchmarks/embeddings/measures.py. `error` is the
normalised MSE of the test split, of ragline's models beside a PCA's of as many numbers; `worst` is
that of the feature that is reconstructed worst. `minutes` are those of the whole run.

Each finished row is a line of JSON in the file --output, and is not measured again.
"""

import argparse
import json
import pathlib
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.embeddings import measures, ours, rivals, sets

# Options of a row beside those that `init` writes.
_OPTIONS: dict[str, tuple[str, ...]] = {
    "default": (),
    "recurrent": ("train.linear_steps=0",),
    "bidirectional": ("train.bidirectional=true",),
    "slices": ('terms=[{name="slices", type="slices", weight=0.1}]',),
}
_UNTRAINED = "untrained"
MODELS = (*rivals.RIVALS, _UNTRAINED, *_OPTIONS)
_ONCE = ("pca", "statistics")  # Without a draw.
_COLUMNS = ("lr", "1-nn", "nmi", "kept", "error", "pca's error", "worst", "minutes")
_PACKAGES = ("tensorflow", "keras", "scikit-learn", "numpy")

Row = dict[str, Any]


def rows_of(name: str, splits: sets.Splits, models: list[str], size: int, seed: int) -> list[Row]:
    """Measure the models on a set with one seed; each trains in a folder that is then removed."""
    raw = rivals.grids(rivals.signals(splits)[1])
    rows = []

    def add(model: str, embeddings: tuple[np.ndarray, np.ndarray], facts: Row) -> None:
        figures = measures.measure(*embeddings, splits, raw)
        rows.append({"set": name, "model": model, "size": size, "seed": seed} | figures | facts)

    for model in (model for model in models if model in rivals.RIVALS):
        started = time.perf_counter()
        embeddings = rivals.embed(model, splits, size, seed)
        add(model, embeddings, {"minutes": (time.perf_counter() - started) / 60})
    trainings = [model for model in models if model in _OPTIONS]
    if _UNTRAINED in models and "default" not in trainings:
        raise SystemExit("untrained: expected default among the models, too: it is the same run")
    for model in trainings:
        with tempfile.TemporaryDirectory() as temporary:
            folder = pathlib.Path(temporary)
            ours.write(splits, folder)
            summary = ours.run(folder, size, seed, _OPTIONS[model])
            add(model, ours.embed(folder, pathlib.Path(summary["pushed"]["path"])), _facts(summary))
            if model == "default" and _UNTRAINED in models:
                add(_UNTRAINED, ours.embed_untrained(folder, splits), {})
    return rows


def _facts(summary: Mapping[str, Any]) -> Row:
    overall, baselines = summary["metrics"]["overall"], summary["baselines"]
    shares = [
        figure["value"] / overall[f"variance/{metric.partition('/')[2]}"]["value"]
        for metric, figure in overall.items()
        if metric.startswith("masked_mse/")
    ]
    return {
        "error": overall["normalised_mse"]["value"],
        "pca's error": baselines["pca"]["eval"]["normalised_mse"] if "pca" in baselines else None,
        "worst": max(shares),
        "minutes": summary["minutes"],
    }


def table(rows: list[Row]) -> str:
    """Return the means over seeds, as Markdown."""
    lines = [
        f"| set | model | seeds | {' | '.join(_COLUMNS)} |",
        f"|---|---|---:|{'---:|' * len(_COLUMNS)}",
    ]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["set"], row["model"]), []).append(row)
    for key in sorted(groups, key=lambda k: (list(sets.SETS).index(k[0]), MODELS.index(k[1]))):
        cells = [_cell([row.get(column) for row in groups[key]]) for column in _COLUMNS]
        lines.append(f"| {' | '.join(key)} | {len(groups[key])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(values: list[float | None]) -> str:
    there = [value for value in values if value is not None]
    return f"{statistics.mean(there):.3f}" if there else ""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(sets.SETS))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("quality.jsonl"))
    arguments = parser.parse_args()
    rows: list[Row] = []
    if arguments.output.exists():
        rows = [json.loads(line) for line in arguments.output.read_text().splitlines()]
    done = {(row["set"], row["model"], row["seed"], row["size"]) for row in rows}
    for name in arguments.sets.split(","):
        splits = sets.SETS[name]()
        for seed in map(int, arguments.seeds.split(",")):
            models = [
                model
                for model in arguments.models.split(",")
                if (name, model, seed, arguments.size) not in done and not (seed and model in _ONCE)
            ]
            for row in rows_of(name, splits, models, arguments.size, seed):
                rows.append(row)
                with arguments.output.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}\n")
    print(table(rows))


if __name__ == "__main__":
    main()
