"""What TFX hands to a training or a search, unpacked once: options, columns, and the records."""

import dataclasses
import json
from collections.abc import Mapping
from collections.abc import Sequence as Collection
from importlib import metadata
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.files import places
from ragline.components.files.storage import digest_of, sha256
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.objective import categories
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TrainOptions

# Those of a custom_config that outlive an execution.
FOLDERS = ("checkpoints", "trials")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Transformed records, and the batches that training and metrics read of them.

    Attributes:
      files: gzipped TFRecord shards.
      lengths: int64 [N], in the order of the files.
      spec: of the records, as Transform states it.
      features: F.
      heads: whose labels are read.
      categories: whose codes are read, by name.
      serialised: the records as they were written, kept in memory where all are planned together.
    """

    files: tuple[str, ...]
    lengths: np.ndarray
    spec: Mapping[str, Any]
    features: int
    heads: tuple[HeadOptions, ...] = ()
    categories: tuple[str, ...] = ()
    serialised: tf.data.Dataset = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        keep = batching.is_one_pool(self.lengths, self.features)
        object.__setattr__(self, "serialised", input_pipeline.read(self.files, keep=keep))

    def plan(self, options: TrainOptions) -> batching.Plan:
        """Which sequences share a batch in training."""
        return batching.of_training(options, self.lengths, self.features)

    def for_training(
        self, options: TrainOptions, shuffle_seed: int | None = None
    ) -> tf.data.Dataset:
        """Batches as the strategy has them; without a seed, in the order of the files."""
        return self._batches(
            plan=self.plan(options),
            average=options.average,
            fixed_steps=batching.fixed_steps(options, self.lengths),
            shuffle_seed=shuffle_seed,
        )

    def for_metrics(self, options: TrainOptions) -> tf.data.Dataset:
        """Batches that are the same for every strategy."""
        return self._batches(plan=self._similar(options))

    def batches_to_train(self, options: TrainOptions) -> int:
        """The number of batches of an epoch's updates."""
        return batching.epoch_of(self.plan(options), self.lengths).batches

    def batches_to_score(self, options: TrainOptions) -> int:
        """The number of batches of a pass for metrics."""
        return batching.epoch_of(self._similar(options), self.lengths).batches

    def _similar(self, options: TrainOptions) -> batching.Plan:
        return batching.of_similar_length(self.lengths, options.batch_size, self.features)

    def _batches(self, **how: Any) -> tf.data.Dataset:
        return input_pipeline.batches(
            self.serialised,
            spec=self.spec,
            features=self.features,
            heads=self.heads,
            categories=self.categories,
            **how,
        )


def job_of(fn_args: Any) -> dict[str, Any]:
    """What TFX hands to a Trainer or a Tuner, of it what a training needs, as plain data.

    Args:
      fn_args: `custom_config` holds `options` and `heads` (TrainOptions and HeadOptions as
        dictionaries) and `source`, a digest of the code; `hyperparameters`, what a Tuner found
        best, or None.

    Returns:
      `files`, split -> patterns of its shards; `schema` and `transform_output`, paths; `config`,
      what `custom_config` holds, with what was found best among its options.
    """
    config = _placed(fn_args.custom_config, fn_args.transform_graph_path)
    tuned = (fn_args.hyperparameters or {}).get("values", {})
    return {
        "files": dict(zip(SPLITS, (fn_args.train_files, fn_args.eval_files), strict=True)),
        "schema": fn_args.schema_path,
        "transform_output": fn_args.transform_graph_path,
        "config": {**config, "options": config["options"] | tuned},
    }


def _placed(config: Mapping[str, Any], artifact: str) -> dict[str, Any]:
    """A custom_config with its folders, stated from the work directory, where they are now."""
    folders = {name: config[name] for name in FOLDERS if name in config}
    return {
        **config,
        **{name: places.in_workdir_of(artifact, path) for name, path in folders.items()},
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be learned, and from what.

    Attributes:
      options: of the training; what a search found best is in them.
      heads: supervised outputs on the code.
      source: digest of the code.
      schema: of the raw records.
      columns: what the schema says.
      transform_output: Transform's graph.
      vocabularies: of the categories.
      splits: split -> its records.
    """

    options: TrainOptions
    heads: tuple[HeadOptions, ...]
    source: str
    schema: schema_pb2.Schema
    columns: Columns
    transform_output: tft.TFTransformOutput
    vocabularies: tuple[Vocabulary, ...]
    splits: Mapping[str, Records]

    @classmethod
    def of(cls, job: Mapping[str, Any]) -> "Task":
        """Unpacks a job; see `job_of`."""
        config = job["config"]
        heads = tuple(
            HeadOptions(**{**head, "classes": tuple(head["classes"])}) for head in config["heads"]
        )
        schema = schemas.load(job["schema"])
        columns = Columns.from_schema(schema)
        transform_output = tft.TFTransformOutput(job["transform_output"])
        vocabularies = categories.vocabularies_of(transform_output, columns)

        def records(patterns: Collection[str]) -> Records:
            files = _shards(patterns)
            return Records(
                files=files,
                lengths=input_pipeline.read_lengths(files),
                spec=transform_output.transformed_feature_spec(),
                features=len(columns.features),
                heads=heads,
                categories=tuple(vocabulary.name for vocabulary in vocabularies),
            )

        return cls(
            options=TrainOptions(**config["options"]),
            heads=heads,
            source=config["source"],
            schema=schema,
            columns=columns,
            transform_output=transform_output,
            vocabularies=vocabularies,
            splits={name: records(job["files"][name]) for name in SPLITS},
        )

    @property
    def model(self) -> dict[str, Any]:
        """The arguments of `model.build` beside the options."""
        return {
            "features": len(self.columns.features),
            "heads": self.heads,
            "vocabularies": self.vocabularies,
            "steps": int(max(records.lengths.max() for records in self.splits.values())),
        }

    def fingerprint(self, *more: str) -> str:
        """Names everything that decides the weights, and whatever more there is."""
        options, heads = dataclasses.asdict(self.options), map(dataclasses.asdict, self.heads)
        return digest_of(
            [
                json.dumps([options, list(heads)], sort_keys=True),
                self.source,
                tf.__version__,
                keras.__version__,
                metadata.version("numba"),
                *self.columns.names,
                *(category.name for category in self.columns.categories),
                *(
                    f"{split} {sha256(file)}"
                    for split, records in self.splits.items()
                    for file in records.files
                ),
                *more,
            ]
        )


def _shards(patterns: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern)))
