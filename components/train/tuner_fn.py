"""Define `tuner_fn`, which TFX's Tuner calls by its name. TFX reloads this module: no class."""

import dataclasses
import pathlib
from typing import Any

import tensorflow as tf
from tfx.components.tuner.component import TunerFnResult

from ragline.components.contract.columns import ENTITY_ID, SPLITS
from ragline.components.runtime import progress
from ragline.components.train.data import input_pipeline, split_samples
from ragline.components.train.data.records import Records, Task, training_job
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer, strategy_of
from ragline.components.train.options import TuneOptions
from ragline.components.train.tuning import search_space
from ragline.components.train.tuning.search import Search, Values

_ENTITY = {ENTITY_ID: tf.io.FixedLenFeature([], tf.string)}


def tuner_fn(fn_args: Any) -> TunerFnResult:
    """Return a search whose every trial trains as `run_fn` does, on a part of the training split.

    Args:
      fn_args: TFX's, as `records.training_job` takes them; `custom_config` also holds `tune`
        (TuneOptions as a dictionary) and `trials`, a folder that outlives the execution.
    """
    folder = pathlib.Path(fn_args.working_dir)
    folder.mkdir(parents=True, exist_ok=True)
    with split_samples.sampled(training_job(fn_args), fn_args.working_dir) as job:
        task, config = Task.from_job(job), job["config"]
        tune = TuneOptions(**config["tune"])
        fingerprint = task.fingerprint(str(tune.held_out))
        records, held_out = divide(task.splits[SPLITS[0]], tune.held_out, folder)
    batches = records.batches_to_train(task.options) + held_out.batches_to_score(task.options)
    batches_a_trial = batches * (task.options.epochs + 1)
    # The training itself may use several machines; trials use this one.
    several_machines = task.options.strategy == "multi_worker"
    strategy = strategy_of("auto" if several_machines else task.options.strategy)

    def error_of(number: int, values: Values) -> float:
        progress.expect(tune.trials * batches_a_trial, "batches", number * batches_a_trial)
        options = dataclasses.replace(task.options, **values)
        trainer = Trainer(options=options, strategy=strategy, terms=task.terms, **task.model)
        history = fit_loop.train(
            trainer,
            records,
            held_out,
            options=options,
            checkpoints=Checkpoints(folder / "checkpoints", f"trial-{number}"),
        )
        return fit_loop.best_epoch(history).objective

    trials_folder = pathlib.Path(config["trials"])
    trials_folder.mkdir(parents=True, exist_ok=True)
    search = Search(
        options=task.options,
        trials=tune.trials,
        error_of=error_of,
        known_errors_file=trials_folder / f"{fingerprint}.json",
        directory=folder,
    )
    return TunerFnResult(tuner=search, fit_kwargs={})


def divide(train: Records, share: float, folder: pathlib.Path) -> tuple[Records, Records]:
    """Copy a split's records into two shards: to train on, and held out.

    Raises:
      BadDataError: see `search_space.held_out`.
    """
    stored = input_pipeline.read(train.files).batch(1024)
    entities = [
        entity
        for batch in stored
        for entity in tf.io.parse_example(batch, _ENTITY)[ENTITY_ID].numpy()
    ]
    is_held_out = search_space.held_out(entities, share)
    paths = [str(folder / f"{name}.gz") for name in ("train", "held_out")]
    with (
        tf.io.TFRecordWriter(paths[0], "GZIP") as train_writer,
        tf.io.TFRecordWriter(paths[1], "GZIP") as held_out_writer,
    ):
        for record, held_out in zip(stored.unbatch(), is_held_out, strict=True):
            (held_out_writer if held_out else train_writer).write(record.numpy())
    kept_records, held_out_records = (
        dataclasses.replace(train, files=(path,), lengths=train.lengths[is_held_out == held_out])
        for path, held_out in zip(paths, (False, True), strict=True)
    )
    return kept_records, held_out_records
