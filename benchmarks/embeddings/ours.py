"""Train and ask ragline as its users do: `init`, `run` and `encode`, by the command.

A set is written as JSON Lines, one file a split; its `[input]` names both, so that train and test
stay as they are. Everything else is what `init` writes, and what the options of a row say.
"""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.embeddings.sets import Split, Splits
from ragline.components.contract.columns import VALUES
from ragline.components.contract.file_names import UNTRAINED_FOLDER
from ragline.components.contract.signatures import EMBEDDING, ENCODE_FLAT, ROW_LENGTHS
from ragline.components.serving import facts

_SPLITS = ("train", "test")
_BATCH = 64


def write(splits: Splits, folder: pathlib.Path) -> None:
    """Write a set as `train.jsonl` and `test.jsonl`."""
    for name, split in zip(_SPLITS, splits, strict=True):
        with (folder / f"{name}.jsonl").open("w", encoding="utf-8") as file:
            for record in _records(name, split):
                file.write(json.dumps(record) + "\n")


def run(folder: pathlib.Path, size: int, seed: int, options: Sequence[str]) -> Mapping[str, Any]:
    """Run ragline on a set that `write` wrote; return its summary, with `minutes`.

    The verdict is not asked: a model that it refuses is measured like any other.

    Args:
      folder: folder of the set.
      size: size of the embedding.
      seed: seed of the training.
      options: what `--set` takes, such as `train.linear_steps=0`.
    """
    started = time.perf_counter()
    config = folder / "ragline.toml"
    if not config.exists():
        _ragline("init", "--input", str(folder / "train.jsonl"), "--output", str(config))
    settings = (
        f"input.train={folder / 'train.jsonl'}", f"input.eval={folder / 'test.jsonl'}",
        f"train.embedding_size={size}", f"train.seed={seed}", *options,
    )  # fmt: skip
    _ragline(
        *("run", str(config), "--workdir", str(folder / "run"), "--force-bless", "a benchmark"),
        *(part for setting in settings for part in ("--set", setting)),
    )
    summary = max((folder / "run" / "runs").glob("*/summary.json"), key=lambda p: p.parent.name)
    return json.loads(summary.read_text()) | {"minutes": (time.perf_counter() - started) / 60}


def embed(folder: pathlib.Path, model: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of train and test by a model, in the order of the files."""
    train, test = (_encode(folder, model, name) for name in _SPLITS)
    return train, test


def embed_untrained(folder: pathlib.Path, splits: Splits) -> tuple[np.ndarray, np.ndarray]:
    """Return the embeddings of train and test by the newest run's model before its training."""
    import tensorflow as tf  # Late: of all rows, this one alone needs it.

    runs = folder / "run" / "artifacts" / "train" / "model_run"
    model = max(runs.glob(f"*/{UNTRAINED_FOLDER}"), key=lambda path: int(path.parent.name))
    encode = tf.saved_model.load(str(model)).signatures[ENCODE_FLAT]
    pushed = max((folder / "run" / "serving").glob("[0-9]*"), key=lambda path: int(path.name))
    # `init` leaves out a feature that never changes.
    columns = [int(feature.name.removeprefix("x")) for feature in facts.read(pushed).features]

    def of(split: Split) -> np.ndarray:
        parts = []
        for first in range(0, len(split.values), _BATCH):
            rows = slice(first, first + _BATCH)
            values = np.concatenate(split.values[rows])[:, columns].astype(np.float32)
            lengths = np.array([len(sequence) for sequence in split.values[rows]])
            words = {
                category: tf.constant([word for row in every[rows] for word in row])
                for category, every in split.words.items()
            }
            inputs = {VALUES: tf.constant(values), ROW_LENGTHS: tf.constant(lengths)}
            parts.append(encode(**inputs, **words)[EMBEDDING].numpy())
        return np.concatenate(parts)

    train, test = (of(split) for split in splits)
    return train, test


def _encode(folder: pathlib.Path, model: pathlib.Path, name: str) -> np.ndarray:
    output = folder / f"{name}-{time.time_ns()}"
    _ragline(
        "encode", str(model), "--input", str(folder / f"{name}.jsonl"), "--output", str(output)
    )
    table = pq.read_table(output)
    order = np.argsort(table["sequence_id"].to_numpy())
    return np.stack(table[EMBEDDING].to_pylist())[order]


def _records(name: str, split: Split) -> list[dict[str, Any]]:
    return [
        {
            "sequence_id": f"{name}-{row:06d}",
            "features": {
                f"x{index}": [None if np.isnan(value) else float(value) for value in column]
                for index, column in enumerate(values.T)
            }
            | {category: words[row] for category, words in split.words.items()},
            "label": label,
        }
        for row, (values, label) in enumerate(zip(split.values, split.labels, strict=True))
    ]


def _ragline(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ragline", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"ragline {' '.join(arguments)}\n{done.stdout}\n{done.stderr}")
