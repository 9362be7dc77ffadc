"""Unpack what TFX hands to a training or a search: options, columns, and the records."""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from collections.abc import Sequence as Collection
from importlib import metadata
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract.columns import OBSERVED, SPLITS, Columns
from ragline.components.files import places, shards
from ragline.components.files.storage import digest_of, sha256
from ragline.components.train.data import batching, budget, input_pipeline
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.objective import categories
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions

# Records of a pass that counts.
_BATCH = 256
# The least budget of steps of a batch for metrics: a pass over 20,000 gestures takes 5.5 seconds of
# the processor where it takes 8.4 in batches as small as those of training.
_METRIC_STEPS = 2**13
# Keys of a custom_config that name folders which outlive an execution.
FOLDERS = ("checkpoints", "trials")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Reads transformed records as batches, for training and for metrics.

    Attributes:
      files: gzipped TFRecord shards.
      lengths: int64 [N], in the order of the files.
      spec: feature spec of the records, as Transform states it.
      features: F.
      heads: heads whose labels are read.
      categories: names of the categories whose token ids are read.
      serialised: the records, serialised; kept in memory where they are few enough to be planned
        at once.
      parsers: what counts alike, and T of every batch -> the parser of such batches.
    """

    files: tuple[str, ...]
    lengths: np.ndarray
    spec: Mapping[str, Any]
    features: int
    heads: tuple[HeadOptions, ...] = ()
    categories: tuple[str, ...] = ()
    serialised: tf.data.Dataset = dataclasses.field(init=False)
    parsers: dict[tuple[str, int | None], Callable[[tf.Tensor], SequenceBatch]] = dataclasses.field(
        init=False, default_factory=dict
    )

    def __post_init__(self) -> None:
        keep = batching.is_one_pool(self.lengths, self.features)
        object.__setattr__(self, "serialised", input_pipeline.read(self.files, keep=keep))

    def plan(self, options: TrainOptions) -> batching.BatchPlan:
        """Plan the batches of training."""
        return batching.plan_training(options, self.lengths, self.features)

    def for_training(
        self, options: TrainOptions, shuffle_seed: int | None = None, at_most: int | None = None
    ) -> tf.data.Dataset:
        """Read batches for training.

        Args:
          options: padding strategy and batch size.
          shuffle_seed: of the order; None keeps the order of the files.
          at_most: how many sequences are read, in expectation; None for all. Of more, each is
            drawn or not, the same ones in each pass.
        """
        parse = self._parser(options.average, batching.fixed_steps(options, self.lengths))
        records = self.serialised
        if at_most and (one_of := math.ceil(len(self.lengths) / at_most)) > 1:
            records = input_pipeline.drawn(records, one_of, options.seed)
        return input_pipeline.batches(
            records, parse, plan=self.plan(options), shuffle_seed=shuffle_seed
        )

    def for_metrics(self, options: TrainOptions) -> tf.data.Dataset:
        """Read batches for metrics, the same for every padding strategy."""
        return input_pipeline.batches(self.serialised, self._parser(), plan=self._similar(options))

    def batches_to_train(self, options: TrainOptions) -> int:
        """Count the batches of an epoch's updates."""
        return batching.epoch_size(self.plan(options), self.lengths).batches

    def batches_to_score(self, options: TrainOptions) -> int:
        """Count the batches of a pass for metrics."""
        return batching.epoch_size(self._similar(options), self.lengths).batches

    def _similar(self, options: TrainOptions) -> batching.BatchPlan:
        return batching.plan_similar_length(
            self.lengths, options.batch_size, self.features, least_steps=_METRIC_STEPS
        )

    def _parser(
        self, average: str = "value", fixed_steps: int | None = None
    ) -> Callable[[tf.Tensor], SequenceBatch]:
        key = (average, fixed_steps)
        if key not in self.parsers:
            self.parsers[key] = input_pipeline.parser(
                spec=self.spec,
                features=self.features,
                average=average,
                feature_weights=self._feature_weights() if average == "feature" else (),
                heads=self.heads,
                categories=self.categories,
                fixed_steps=fixed_steps,
            )
        return self.parsers[key]

    def _feature_weights(self) -> np.ndarray:
        """Return the weights by which each feature counts alike, by one pass over the records."""
        if OBSERVED not in self.spec:
            return np.ones(self.features)
        parse = self._parser()

        def numbers(records: tf.Tensor) -> dict[str, tf.Tensor]:
            weight = tf.cast(parse(records).sample_weight, tf.float64)
            return {OBSERVED: tf.reduce_sum(weight, axis=[0, 1])}

        return input_pipeline.balanced(
            input_pipeline.sums_over(self.serialised.batch(_BATCH), numbers)[OBSERVED]
        )


def training_job(fn_args: Any) -> dict[str, Any]:
    """Return what a training needs of the arguments of a Trainer or a Tuner, as plain data.

    Args:
      fn_args: TFX's arguments: `custom_config` holds `options`, `heads` and `terms` (TrainOptions,
        HeadOptions and TermOptions as dictionaries) and `source`, a digest of ragline's source;
        `hyperparameters` are a Tuner's best ones, or None.

    Returns:
      `files`, split -> patterns of its shards; `schema` and `transform_output`, paths; `config`,
      what `custom_config` holds, with the Tuner's best hyperparameters among its options.
    """
    config = _placed(fn_args.custom_config, fn_args.transform_graph_path)
    tuned_values = (fn_args.hyperparameters or {}).get("values", {})
    return {
        "files": dict(zip(SPLITS, (fn_args.train_files, fn_args.eval_files), strict=True)),
        "schema": fn_args.schema_path,
        "transform_output": fn_args.transform_graph_path,
        "config": {**config, "options": config["options"] | tuned_values},
    }


def _placed(config: Mapping[str, Any], artifact_path: str) -> dict[str, Any]:
    """Return a custom_config with its folders, stated from the work directory, as they are now."""
    folders = {name: config[name] for name in FOLDERS if name in config}
    return {
        **config,
        **{name: places.in_workdir_of(artifact_path, path) for name, path in folders.items()},
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Holds what is to be learned, and from which records.

    Attributes:
      options: options of the training, with the best hyperparameters of a search, if there was one,
        and with what `budget.resolve` takes from the data.
      heads: supervised outputs on the embedding.
      terms: terms of the objective beside the values, categories and heads.
      source: digest of ragline's source.
      schema: schema of the raw records.
      columns: the columns of the schema.
      transform_output: Transform's graph.
      vocabularies: vocabularies of the categories.
      splits: split -> its records.
    """

    options: TrainOptions
    heads: tuple[HeadOptions, ...]
    terms: tuple[TermOptions, ...]
    source: str
    schema: schema_pb2.Schema
    columns: Columns
    transform_output: tft.TFTransformOutput
    vocabularies: tuple[Vocabulary, ...]
    splits: Mapping[str, Records]

    @classmethod
    def from_job(cls, job: Mapping[str, Any]) -> "Task":
        """Unpack a job; see `training_job`."""
        config = job["config"]
        heads = tuple(
            HeadOptions(**{**head, "classes": tuple(head["classes"])}) for head in config["heads"]
        )
        schema = schemas.load(job["schema"])
        columns = Columns.from_schema(schema)
        transform_output = tft.TFTransformOutput(job["transform_output"])
        vocabularies = categories.vocabularies_of(transform_output, columns)

        def records(patterns: Collection[str]) -> Records:
            files = shards.matching(patterns)
            return Records(
                files=files,
                lengths=input_pipeline.read_lengths(files),
                spec=transform_output.transformed_feature_spec(),
                features=len(columns.features),
                heads=heads,
                categories=tuple(vocabulary.name for vocabulary in vocabularies),
            )

        splits = {name: records(job["files"][name]) for name in SPLITS}
        return cls(
            options=budget.resolve(
                TrainOptions(**config["options"]), len(splits[SPLITS[0]].lengths)
            ),
            heads=heads,
            terms=tuple(TermOptions(**term) for term in config["terms"]),
            source=config["source"],
            schema=schema,
            columns=columns,
            transform_output=transform_output,
            vocabularies=vocabularies,
            splits=splits,
        )

    @property
    def model(self) -> dict[str, Any]:
        """Return the arguments of `architecture.build` beside the options."""
        return {
            "features": len(self.columns.features),
            "heads": self.heads,
            "vocabularies": self.vocabularies,
            "steps": int(max(records.lengths.max() for records in self.splits.values())),
        }

    def fingerprint(self, *further: str) -> str:
        """Return a digest of everything that decides the weights, and of `further` texts."""
        tables = [
            dataclasses.asdict(self.options),
            *map(dataclasses.asdict, self.heads),
            *map(dataclasses.asdict, self.terms),
        ]
        return digest_of(
            [
                json.dumps(tables, sort_keys=True),
                self.source,
                tf.__version__,
                keras.__version__,
                metadata.version("numba"),
                *self.columns.names,
                *(category.name for category in self.columns.categories),
                *(
                    f"{split} {sha256(shards.local(file))}"
                    for split, records in self.splits.items()
                    for file in records.files
                ),
                *further,
            ]
        )
