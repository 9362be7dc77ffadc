"""One training, whole: from a job, which any process can be given, to the weights of its end."""

import functools
import json
import logging
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_transform as tft

import schemas
from components.artifacts import LOGS_FOLDER
from components.sequence import SPLITS, Columns
from components.storage import digest_of, sha256
from components.train import batching, categories, input, loop
from components.train.checkpoint import Checkpoints
from components.train.options import HeadOptions, TrainOptions
from components.train.trainer import Trainer, leads

_log = logging.getLogger("ragline.train")


def job_of(fn_args: Any) -> dict[str, Any]:
    """What `run_fn` is given, of it what a training needs, as JSON.

    Returns:
      `files`, split -> patterns of its shards; `schema` and `transform_output`, paths; `model_run`,
      the folder of what is told about it; `config`, see `run_fn`.
    """
    return {
        "files": dict(zip(SPLITS, (fn_args.train_files, fn_args.eval_files), strict=True)),
        "schema": fn_args.schema_path,
        "transform_output": fn_args.transform_output,
        "model_run": fn_args.model_run_dir,
        "config": fn_args.custom_config,
    }


class Training:
    """The data of a job, its batches, and the model's shape.

    Attributes:
      options: of the training.
      heads: supervised outputs on the code.
      schema: of the data.
      columns: what it says.
      files: split -> shards of transformed records.
      transform_output: Transform's.
      parsing: how a record is read.
      build: what `model.build` takes beside the options.
      plan: which sequences share a batch.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        """Reads the schema, Transform's output, and the lengths of all sequences."""
        self._config = job["config"]
        self.options = TrainOptions(**self._config["options"])
        self.heads = tuple(
            HeadOptions(**{**head, "classes": tuple(head["classes"])})
            for head in self._config["heads"]
        )
        self.schema = schemas.load(job["schema"])
        self.columns = Columns.from_schema(self.schema)
        self.files = {split: _shards(job["files"][split]) for split in SPLITS}
        self.transform_output = tft.TFTransformOutput(job["transform_output"])
        self._model_run = pathlib.Path(job["model_run"])
        self._lengths = {split: input.read_lengths(self.files[split]) for split in SPLITS}
        self.vocabularies = categories.vocabularies_of(self.transform_output, self.columns)
        self.parsing = {
            "spec": self.transform_output.transformed_feature_spec(),
            "features": len(self.columns.features),
            "categories": tuple(vocabulary.name for vocabulary in self.vocabularies),
        }
        self.build = {
            "features": len(self.columns.features),
            "heads": self.heads,
            "vocabularies": self.vocabularies,
            "steps": int(max(found.max() for found in self._lengths.values())),
        }
        self.plan = batching.of_training(self.options, self._lengths["train"], self._features)

    @property
    def _features(self) -> int:
        return len(self.columns.features)

    @functools.cached_property
    def logs(self) -> tf.summary.SummaryWriter:
        """Where the curves are written."""
        return tf.summary.create_file_writer(str(self._model_run / LOGS_FOLDER))

    def train_batches(self, shuffle_seed: int | None = None) -> tf.data.Dataset:
        """The training split, as it is trained on."""
        return input.batches(
            self.files["train"],
            plan=self.plan,
            average=self.options.average,
            fixed_steps=batching.fixed_steps(self.options, self._lengths["train"]),
            shuffle_seed=shuffle_seed,
            heads=self.heads,
            **self.parsing,
        )

    def all_batches(self, split: str) -> tf.data.Dataset:
        """For metrics: every strategy of padding is scored on the same batches."""
        plan = self._plan_of_metrics(split)
        return input.batches(self.files[split], plan=plan, heads=self.heads, **self.parsing)

    def fit(self, strategy: tf.distribute.Strategy) -> tuple[Trainer, list[loop.Epoch]]:
        """Trains to the end, from the last checkpoint on; the best epoch's weights are left."""
        trainer = Trainer(options=self.options, strategy=strategy, **self.build)
        trainer.model.start(self.train_batches(), self.options.seed)
        history = loop.fit(
            trainer,
            train_batches=lambda epoch: self.train_batches(self.options.seed + epoch),
            eval_batches=lambda: self.all_batches("eval"),
            options=self.options,
            checkpoints=Checkpoints(
                pathlib.Path(self._config["checkpoints"]), self._fingerprint(), keep=leads(strategy)
            ),
            on_epoch=self._reporter() if leads(strategy) else lambda epoch: None,
            batches_an_epoch=self._batches_an_epoch(),
        )
        return trainer, history

    def _reporter(self) -> Callable[[loop.Epoch], None]:
        """Tells of each epoch: a line in the terminal, and the curves of TensorBoard."""
        logs = self.logs

        def report(epoch: loop.Epoch) -> None:
            _log.info(
                "epoch %d/%d  loss %.4f  eval %.4f  %.1f s",
                epoch.epoch, self.options.epochs, epoch.loss, epoch.masked_mse, epoch.seconds,
            )  # fmt: skip
            with logs.as_default(step=epoch.epoch):
                tf.summary.scalar("loss/train", epoch.loss)
                tf.summary.scalar("masked_mse/eval", epoch.masked_mse)
                for term, metrics in (*epoch.heads.items(), *epoch.categories.items()):
                    for name, value in metrics.items():
                        tf.summary.scalar(f"{term}/{name}", value)
                tf.summary.scalar("steps_per_second", epoch.steps / epoch.seconds)
            logs.flush()

        return report

    def _plan_of_metrics(self, split: str) -> batching.Plan:
        return batching.of_similar_length(
            self._lengths[split], self.options.batch_size, self._features
        )

    def _batches_an_epoch(self) -> int:
        plans = {"train": self.plan, "eval": self._plan_of_metrics("eval")}
        return sum(
            batching.epoch_of(plan, self._lengths[split]).batches for split, plan in plans.items()
        )

    def _fingerprint(self) -> str:
        """Names everything that decides the weights."""
        return digest_of(
            [
                json.dumps([self._config["options"], self._config["heads"]], sort_keys=True),
                self._config["source"],
                tf.__version__,
                keras.__version__,
                *self.columns.names,
                *(category.name for category in self.columns.categories),
                *(f"{split} {sha256(file)}" for split in SPLITS for file in self.files[split]),
            ]
        )


def _shards(patterns: list[str]) -> list[str]:
    return sorted(file for pattern in patterns for file in tf.io.gfile.glob(pattern))
