"""How well the embedding of the default model reconstructs, beside a PCA of as many numbers.

    python -m benchmarks.reconstruction [--data vowels] [--sizes 8,32] [--seeds 0] [--models pca]

`make bench-reconstruction` runs all of it. Each row is a model trained with `TrainOptions()` as
they are, but for what its name says, on the official split of Japanese Vowels or on 2,000 sequences
of `ragline synth`, split by a hash of the wearer:

    mean        each feature's training mean: no embedding at all
    pca         sequences resampled to 16 steps (components/evaluate/baselines/pca_baseline.py)
    drawn       the default model before training
    start       where its training starts: the linear path alone
    recurrent   `linear_steps = 0`
    gru         likewise, with another encoder and as many units as make about as many parameters
    tcn         likewise
    transformer likewise
    frozen      the linear path stays as it starts; only the recurrence learns
    unaveraged  `averaging = 0`
    default     both learn
    small       `preset = "small"`, beside the default of as many numbers
    large       `preset = "large"`, likewise

Errors are the masked MSE of all values of a split, standardised by the training split. The epoch
that is kept is the one with the lowest error on the test split, as in a run of the pipeline whose
eval split that is; `last` is the error of the last epoch, which nothing was chosen by. `lr` and
`1-nn` are accuracies on the test split of logistic regression and of the nearest neighbour, on
standardised embeddings, fitted on the training split.

`--cpu-seconds 60` compares at equal time: each training makes as many passes as fit into so many
CPU seconds of this process (all its threads, evaluations included), by what two passes cost.

Each finished training is a line of JSON in the file --output, and is not done again.
"""

import argparse
import dataclasses
import json
import pathlib
import platform
import statistics
import tempfile
import time
from importlib import metadata
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from ragline import schemas
from ragline.components.contract.columns import LENGTH, OBSERVED, SPLITS, VALUES, Columns
from ragline.components.evaluate.baselines import embedding_probes, pca_baseline
from ragline.components.ingest.records.splits import split_of
from ragline.components.runtime import cores
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.records import Records
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.options import PRESETS, TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS
from ragline.pipeline.demo import synth

ROOT = pathlib.Path(__file__).resolve().parent.parent
VOWELS = ROOT.parent / "shared" / "data" / "japanese_vowels"
MODELS = (
    "mean", "pca", "drawn", "start",
    "recurrent", "gru", "tcn", "transformer", "frozen", "unaveraged", "default", "small", "large",
)  # fmt: skip
# What their options are beside those of the default model.
_OPTIONS = {
    "recurrent": {"linear_steps": 0},
    "gru": {"linear_steps": 0, "encoder": "gru", "units": 75},
    "tcn": {"linear_steps": 0, "encoder": "tcn", "units": 45},
    "transformer": {"linear_steps": 0, "encoder": "transformer", "units": 48},
    "unaveraged": {"averaging": 0.0},
}
# These have no draw.
_ONCE = ("mean", "pca")
_COLUMNS = (
    "train", "test", "last", "lr", "1-nn",
    "epochs", "passes", "seconds", "cpu seconds", "an epoch", "parameters",
)  # fmt: skip
_PACKAGES = ("tensorflow", "keras", "scikit-learn", "numpy")

Row = dict[str, Any]


class Split(NamedTuple):
    """Sequences of one split: values [T, F] each, NaN where missing, and their labels."""

    values: list[np.ndarray]
    labels: list[str | None]


def vowels() -> tuple[Split, Split]:
    """The official split of Japanese Vowels, read as the .ts file has it."""
    splits = []
    for name in ("TRAIN", "TEST"):
        text = (VOWELS / f"JapaneseVowels_{name}.ts").read_text(encoding="utf-8")
        lines = [line.split(":") for line in text.partition("@data\n")[2].splitlines()]
        values = [np.array([c.split(",") for c in columns], float).T for *columns, _ in lines]
        splits.append(Split(values, [label for *_, label in lines]))
    return splits[0], splits[1]


def gestures() -> tuple[Split, Split]:
    """The demo data, by wearer."""
    features = Columns.from_schema(schemas.load("gestures")).names
    parts = {name: Split([], []) for name in SPLITS}
    for record in synth.gestures(sequences=2000, seed=0):
        part = parts[split_of(record["entity_id"], 0.2)]
        columns = [np.array(record["features"][name], float) for name in features]
        part.values.append(np.stack(columns, axis=1))
        part.labels.append(record.get("label"))
    train, test = SPLITS
    return parts[train], parts[test]


DATA = {"vowels": vowels, "gestures": gestures}


def standardised(train: Split, test: Split) -> tuple[Split, Split]:
    """z-scores by the training split; a constant feature becomes 0."""
    rows = np.concatenate(train.values)
    mean, deviation = np.nanmean(rows, axis=0), np.nanstd(rows, axis=0)
    deviation[deviation == 0.0] = np.inf
    return (
        train._replace(values=[(sequence - mean) / deviation for sequence in train.values]),
        test._replace(values=[(sequence - mean) / deviation for sequence in test.values]),
    )


def stored(path: pathlib.Path, values: list[np.ndarray]) -> Records:
    """Writes a split as Transform would."""
    spec = {
        VALUES: tf.io.RaggedFeature(tf.float32, value_key=VALUES),
        LENGTH: tf.io.FixedLenFeature([], tf.int64),
    }
    if any(np.isnan(sequence).any() for sequence in values):
        spec[OBSERVED] = tf.io.RaggedFeature(tf.int64, value_key=OBSERVED)
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for sequence in values:
            example = tf.train.Example()
            column = example.features.feature
            column[LENGTH].int64_list.value.append(len(sequence))
            column[VALUES].float_list.value.extend(np.nan_to_num(sequence).ravel())
            column[OBSERVED].int64_list.value.extend((~np.isnan(sequence)).ravel().astype(int))
            writer.write(example.SerializeToString())
    lengths = np.array([len(sequence) for sequence in values])
    return Records(files=(str(path),), lengths=lengths, spec=spec, features=values[0].shape[1])


def _error(values: list[np.ndarray], outputs: list[np.ndarray]) -> float:
    squares = [np.square(y - x) for x, y in zip(values, outputs, strict=True)]
    return float(np.nansum(np.concatenate(squares)) / sum((~np.isnan(s)).sum() for s in squares))


def _use(embeddings: tuple[np.ndarray, np.ndarray], splits: tuple[Split, Split]) -> Row:
    """`lr` and `1-nn`."""
    labels = [label for split in splits for label in split.labels]
    number = len(splits[0].values)
    sequences = embedding_probes.Sequences(
        entities=[str(row) for row in range(len(labels))],
        lengths=np.array([len(sequence) for split in splits for sequence in split.values]),
        labels={"label": labels},
        is_train=np.arange(len(labels)) < number,
    )
    probes = embedding_probes.probes(
        {"embedding": np.concatenate(embeddings)}, sequences, given_split=True
    )
    accuracies = probes["label"]["embedding"]
    return {"lr": accuracies["logistic_regression"], "1-nn": accuracies["nearest_neighbour"]}


def plain(model: str, size: int, splits: tuple[Split, Split]) -> Row:
    """The row of `mean` or `pca`."""
    values = [split.values for split in splits]
    started = time.perf_counter()
    if model == "mean":
        errors = [_error(each, [np.zeros_like(sequence) for sequence in each]) for each in values]
        return {"train": errors[0], "test": errors[1], "last": errors[1]}
    fitted = pca_baseline.fit(values[0], size)
    seconds = time.perf_counter() - started
    errors = [_error(each, pca_baseline.reconstruct(fitted, each)) for each in values]
    grids = [
        np.stack([pca_baseline.resample(x, pca_baseline.STEPS).ravel() for x in each])
        for each in values
    ]
    use = _use((fitted.transform(grids[0]), fitted.transform(grids[1])), splits)
    return {"train": errors[0], "test": errors[1], "last": errors[1], **use, "seconds": seconds}


def passes_in(cpu_seconds: float, options: TrainOptions, records: list[Records]) -> int:
    """How many passes of a training fit into so many CPU seconds, by the second and the third."""
    ends = []
    with tempfile.TemporaryDirectory() as temporary:
        fit_loop.train(
            Trainer(
                features=records[0].features,
                options=options,
                strategy=tf.distribute.get_strategy(),
            ),
            *records,
            options=dataclasses.replace(options, epochs=3, patience=3),
            checkpoints=Checkpoints(pathlib.Path(temporary), "x"),
            on_epoch=lambda epoch: ends.append(time.process_time()),
        )
    return max(1, round(cpu_seconds / ((ends[3] - ends[1]) / 2)))


def trained(
    model: str,
    size: int,
    seed: int,
    splits: tuple[Split, Split],
    folder: pathlib.Path,
    cpu_seconds: float,
) -> Row:
    """The row of a model of ours."""
    options = TrainOptions(
        **PRESETS.get(model, {}) | {"embedding_size": size, "seed": seed} | _OPTIONS.get(model, {})
    )
    train, test = (
        stored(folder / name, each.values) for name, each in zip(SPLITS, splits, strict=True)
    )
    if cpu_seconds:
        passes = passes_in(cpu_seconds, options, [train, test])
        options = dataclasses.replace(options, epochs=passes, patience=passes)
    ends: list[float] = []
    started = time.perf_counter()
    trainer = Trainer(
        features=train.features, options=options, strategy=tf.distribute.get_strategy()
    )
    history = []
    if model == "frozen":
        trainer.model.linear.trainable = False
        trainer.optimizer = keras.optimizers.Adam(options.learning_rate)
    if model == "start":
        trainer.model.start(train.for_training(options), seed)
    elif model != "drawn":
        history = fit_loop.train(
            trainer,
            train,
            test,
            options=options,
            checkpoints=Checkpoints(folder / "checkpoints", "x"),
            on_epoch=lambda epoch: ends.append(time.process_time()),
        )
    seconds = time.perf_counter() - started
    # In the order of the records.
    every = [
        input_pipeline.batches(
            records.serialised,
            input_pipeline.parser(spec=records.spec, features=records.features),
            plan=batching.plan_unsorted(256),
        )
        for records in (train, test)
    ]
    embeddings = tuple(
        np.concatenate([trainer.model.encode(b).numpy() for b in batches]) for batches in every
    )
    errors = [mean_of(trainer.evaluate(batches), LOSS) for batches in every]
    return {
        "train": errors[0],
        "test": errors[1],
        "last": history[-1].masked_mse if history else errors[1],
        **_use((embeddings[0], embeddings[1]), splits),
        "epochs": fit_loop.best_epoch(history).epoch if history else 0,
        "passes": len(history) - 1 if history else 0,
        "seconds": seconds,
        "cpu seconds": ends[-1] - ends[0] if ends else None,
        "an epoch": statistics.median(epoch.seconds for epoch in history[1:]) if history else None,
        "parameters": trainer.model.count_params(),
    }


def table(rows: list[Row]) -> str:
    """The means over seeds, as Markdown, with the range over seeds of the test error."""
    lines = [
        f"| data | numbers | model | seeds | {' | '.join(_COLUMNS)} |",
        f"|---|---:|---|---:|{'---:|' * len(_COLUMNS)}",
    ]
    groups: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["data"], row["size"], row["model"]), []).append(row)
    for key in sorted(groups, key=lambda k: (list(DATA).index(k[0]), k[1], MODELS.index(k[2]))):
        cells = [_cell(column, [row.get(column) for row in groups[key]]) for column in _COLUMNS]
        lines.append(f"| {' | '.join(map(str, key))} | {len(groups[key])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(column: str, values: list[float | None]) -> str:
    there = [value for value in values if value is not None]
    if not there:
        return ""
    digits = {
        "epochs": 1, "passes": 0, "seconds": 0, "cpu seconds": 0,
        "lr": 3, "1-nn": 3, "an epoch": 2, "parameters": 0,
    }.get(column, 4)  # fmt: skip
    cell = f"{statistics.mean(there):.{digits}f}"
    if column == "test" and len(there) > 1:
        cell += f" ({min(there):.4f} to {max(there):.4f})"
    return cell


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--sizes", default="8,16,32,64")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--cpu-seconds", type=float, default=0.0)
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("reconstruction.jsonl"))
    arguments = parser.parse_args()
    cores.prepare()
    rows: list[Row] = []
    if arguments.output.exists():
        rows = [json.loads(line) for line in arguments.output.read_text().splitlines()]
    rows = [row for row in rows if row.get("limit", 0.0) == arguments.cpu_seconds]
    done = {(row["data"], row["size"], row["seed"], row["model"]) for row in rows}
    for data in arguments.data.split(","):
        splits = standardised(*DATA[data]())
        for seed in map(int, arguments.seeds.split(",")):
            for size in map(int, arguments.sizes.split(",")):
                for model in arguments.models.split(","):
                    if (data, size, seed, model) in done or (model in _ONCE and seed):
                        continue
                    if size != PRESETS.get(model, {}).get("embedding_size", size):
                        continue
                    with tempfile.TemporaryDirectory() as temporary:
                        scores = (
                            plain(model, size, splits)
                            if model in _ONCE
                            else trained(
                                model,
                                size,
                                seed,
                                splits,
                                pathlib.Path(temporary),
                                arguments.cpu_seconds,
                            )
                        )
                    row = {"data": data, "size": size, "seed": seed, "model": model}
                    rows.append(row | {"limit": arguments.cpu_seconds} | scores)
                    with arguments.output.open("a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES)
    print(f"{time.strftime('%Y-%m-%d')}, Python {platform.python_version()}, {versions}\n")
    print(table(rows))


if __name__ == "__main__":
    main()
