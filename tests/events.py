"""Event sequences: an activity (text, at times missing), a code (whole number) and an amount.

The activity of a step decides which may follow, and the code; so a model that learns anything says
more of them than their shares do.
"""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline.components.contract.columns import Columns
from ragline.components.contract.file_names import TRAINING_FILE
from ragline.components.train.options import TrainOptions
from ragline.components.train.run_fn import run_fn
from ragline.components.transform import run
from ragline.components.transform.preprocessing import preprocessing_fn

WORDS = ("activity", "code")
BOOKKEEPING = ("sequence_id", "entity_id", "length", "length_bucket")
# Which follow, and which code each has: codes of the data are names, whatever their numbers are.
NEXT = {
    "register": ("check",),
    "check": ("approve", "refuse"),
    "approve": ("pay",),
    "refuse": ("register", "archive"),
    "pay": ("archive",),
    "archive": ("register",),
}
CODES = {"register": 0, "check": 0, "approve": 40, "refuse": -7, "pay": 40, "archive": 2**40}
_ACTIVITIES = tuple(NEXT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One sequence of T steps: activity, text [T]; code, int64 [T]; amount, float32 [T]."""

    activity: list[str]
    code: np.ndarray
    amount: np.ndarray

    def example(self, name: str = "x") -> bytes:
        """As ingest writes it."""
        example = tf.train.Example()
        feature = example.features.feature
        for key in ("sequence_id", "entity_id", "length_bucket"):
            feature[key].bytes_list.value.append(name.encode())
        feature["length"].int64_list.value.append(len(self.code))
        feature["activity"].bytes_list.value.extend(word.encode() for word in self.activity)
        feature["code"].int64_list.value.extend(self.code.tolist())
        feature["amount"].float_list.value.extend(self.amount.tolist())
        return example.SerializeToString(deterministic=True)


def make(seed: int, lengths: Collection[int], missing: float = 0.1) -> list[Events]:
    """Walks through the activities; that share of them, and of the amounts, is missing."""
    rng = np.random.default_rng(seed)
    made = []
    for length in lengths:
        walk = [_ACTIVITIES[rng.integers(len(_ACTIVITIES))]]
        while len(walk) < length:
            following = NEXT[walk[-1]]
            walk.append(following[rng.integers(len(following))])
        amount = np.array([len(word) for word in walk]) + rng.normal(0.0, 0.1, length)
        amount[rng.random(length) < missing] = np.nan
        made.append(
            Events(
                activity=[word if rng.random() >= missing else "" for word in walk],
                code=np.array([CODES[word] for word in walk], np.int64),
                amount=amount.astype(np.float32),
            )
        )
    return made


def schema() -> schema_pb2.Schema:
    """Of these records: `amount` is the only feature."""
    parsed = text_format.Parse(
        "feature { name: 'amount' type: FLOAT } feature { name: 'activity' type: BYTES }"
        "feature { name: 'code' type: INT }",
        schema_pb2.Schema(),
    )
    shown = parsed.tensor_representation_group[""].tensor_representation
    for feature in parsed.feature:
        ragged = shown[feature.name].ragged_tensor
        ragged.feature_path.step.append(feature.name)
        ragged.row_partition_dtype = schema_pb2.TensorRepresentation.RowPartitionDType.INT64
    for name in BOOKKEEPING:
        kind = schema_pb2.INT if name == "length" else schema_pb2.BYTES
        parsed.feature.add(name=name, type=kind, presence={"min_fraction": 1, "min_count": 1})
        shown[name].dense_tensor.column_name = name
        shown[name].dense_tensor.shape.SetInParent()
    return parsed


def transform(
    folder: pathlib.Path,
    splits: Mapping[str, Collection[Events]],
    max_tokens: int = 100,
    names: Mapping[str, Collection[str]] | None = None,
) -> tft.TFTransformOutput:
    """A real TFT run: statistics and vocabularies of `splits["train"]`; `names`, of the entities.

    Writes the graph to `folder/transform` and the records of each split to `folder/<split>.gz`.
    """
    columns = Columns.from_schema(schema())
    config = {
        "features": list(columns.names),
        "categories": [dataclasses.asdict(category) for category in columns.categories],
        "max_tokens": max_tokens,
        "context": list(columns.context),
        "allow_missing": columns.allow_missing,
    }
    for split, made in splits.items():
        (folder / "raw" / split).mkdir(parents=True)
        raw = str(folder / "raw" / split / "0.gz")
        with tf.io.TFRecordWriter(raw, "GZIP") as writer:
            for record in _examples(made, names and names[split]):
                writer.write(record)
    run.run(
        beam.Pipeline(runner="FnApiRunner"),
        schema=schema(),
        preprocessing_fn=functools.partial(preprocessing_fn, custom_config=config),
        inputs={split: folder / "raw" / split for split in splits},
        outputs={split: folder / "transformed" / split for split in splits},
        graph=str(folder / "transform"),
        staging=folder / "staging",
    )
    for split in splits:
        shards = sorted((folder / "transformed" / split).iterdir())
        (folder / f"{split}.gz").write_bytes(b"".join(map(pathlib.Path.read_bytes, shards)))
    return tft.TFTransformOutput(str(folder / "transform"))


def _examples(made: Collection[Events], names: Collection[str] | None) -> list[bytes]:
    if names is None:
        return [one.example() for one in made]
    return [one.example(name) for one, name in zip(made, names, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What run_fn left: the exported model, and training.json."""

    model: pathlib.Path
    training: dict[str, Any]


def train(
    folder: pathlib.Path,
    splits: Mapping[str, Collection[Events]],
    options: TrainOptions,
    names: Mapping[str, Collection[str]] | None = None,
) -> Trained:
    """Transform, then run_fn as TFX's Trainer calls it; `names` are those of the entities."""
    transform(folder, splits, names=names)
    (folder / "schema.pbtxt").write_text(text_format.MessageToString(schema()))
    (folder / "run").mkdir()
    run_fn(
        SimpleNamespace(
            custom_config={
                "options": dataclasses.asdict(options),
                "heads": [],
                "terms": [],
                "checkpoints": str(folder / "checkpoints"),
                "source": "",
                "input": {"options": {}, "fields": []},
            },
            schema_path=str(folder / "schema.pbtxt"),
            train_files=[str(folder / "train.gz")],
            eval_files=[str(folder / "eval.gz")],
            transform_graph_path=str(folder / "transform"),
            hyperparameters=None,
            serving_model_dir=str(folder / "model"),
            model_run_dir=str(folder / "run"),
        )
    )
    return Trained(
        model=folder / "model", training=json.loads((folder / "run" / TRAINING_FILE).read_text())
    )
