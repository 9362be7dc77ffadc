"""Define `run_fn`, which TFX's Trainer calls by its name. TFX reloads this module: no class."""

import dataclasses
import json
import logging
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ragline.components.contract import sampling
from ragline.components.contract.columns import SPLITS
from ragline.components.contract.feature_transforms import NONE
from ragline.components.contract.file_names import (
    LOGS_FOLDER,
    SAMPLES_FILE,
    TRAINING_FILE,
    UNTRAINED_FOLDER,
)
from ragline.components.contract.relative import masked_mean_of
from ragline.components.contract.signatures import ABSOLUTE, MODEL, N_VALUES, SQUARED, error_sum
from ragline.components.files.storage import standard, write_json, write_text
from ragline.components.runtime import blas
from ragline.components.serving import facts
from ragline.components.train.data import input_pipeline, split_samples
from ragline.components.train.data.records import Task, training_job
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.export import (
    export_model,
    golden_inputs,
    model_facts,
    reconstruction_samples,
)
from ragline.components.train.loop import fit_loop, multiworker, training
from ragline.components.train.loop.cluster import read_cluster
from ragline.components.train.loop.trainer import Trainer, strategy_of
from ragline.components.train.model import architecture
from ragline.components.train.objective import categories, loss
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import TrainOptions
from ragline.components.train.padding import padding_diagnostics

_log = logging.getLogger("ragline.train")


def run_fn(fn_args: Any) -> None:
    """Train on the transformed records and write the SavedModel.

    Args:
      fn_args: TFX's, as `records.training_job` takes them; `custom_config` also holds
        `checkpoints`, a folder that outlives the execution, and `input`, the way in which raw files
        were read (`InputFacts` as a dictionary).
    """
    job = training_job(fn_args) | {"model_run": fn_args.model_run_dir}
    with split_samples.sampled(job, fn_args.model_run_dir) as of_samples:
        _train(of_samples, pathlib.Path(fn_args.serving_model_dir))


def _train(job: Mapping[str, Any], directory: pathlib.Path) -> None:
    """Train, and write the model and what is known of it.

    Args:
      job: the job; see `split_samples.sampled`.
      directory: folder of the SavedModel.
    """
    samples = split_samples.samples_of(job)
    sampled = sampling.sentence(samples, sampling.entity_word(job["config"]["input"]["options"]))
    if sampled:
        _log.info("%s", sampled)
    kernel = blas.kernel()
    _log.info("OpenBLAS runs its kernel %s", kernel.name)
    if kernel.warning:
        _log.warning(kernel.warning)
    task = Task.from_job(job)
    model_run = pathlib.Path(job["model_run"])
    curves = training.curves_of(job)
    trainer, history, replicas = _fit(task, job, curves)
    portable = _portable(task.options, **task.model)
    weights = {
        # The initial weights: a baseline for the evaluation.
        model_run / UNTRAINED_FOLDER: portable.get_weights(),
        directory: trainer.model.get_weights(),
    }
    stated = _export(task, job, portable, weights)
    # Of the exported model's weights, by the faster form that training has.
    trained = trainer.model if task.options.precision == "float32" else portable
    summary = {
        **_summary(task, history, replicas),
        **_measured(task, trained),
        "sampled": sampled,
        "samples": job["samples"],
        "openblas": dataclasses.asdict(kernel),
    }
    write_json(model_run / TRAINING_FILE, summary)
    _write_curves(curves, summary)
    _write_samples(task, portable, stated, model_run)


def _export(
    task: Task,
    job: Mapping[str, Any],
    portable: architecture.MaskedAutoencoder,
    weights: Mapping[pathlib.Path, list[np.ndarray]],
) -> facts.ModelFacts:
    """Write a SavedModel for each folder of weights, the last with its facts and golden inputs.

    Returns:
      The facts of the last, whose weights the model has then.
    """
    export_model.export(
        portable,
        weights=weights,
        transform_output=task.transform_output,
        schema=task.schema,
        columns=task.columns,
        heads=task.heads,
        vocabularies=task.vocabularies,
        further=task.terms,
    )
    *_, directory = weights
    stated = model_facts.state(
        portable,
        options=task.options,
        transform_output=task.transform_output,
        columns=task.columns,
        heads=task.heads,
        input_facts=job["config"]["input"],
        samples=split_samples.samples_of(job),
    )
    facts.write(directory, stated)
    golden_inputs.write(
        portable,
        transform_output=task.transform_output,
        columns=task.columns,
        features=stated.features,
        directory=directory,
    )
    return stated


def _measured(task: Task, trained: architecture.MaskedAutoencoder) -> dict[str, Any]:
    """Return the sums over both splits, and what padding does to the loss."""
    records = task.splits[SPLITS[0]].for_training(task.options)
    splits = {split: records.for_metrics(task.options) for split, records in task.splits.items()}
    return {
        "padding_diagnostics": padding_diagnostics.measure_padding(trained, task.options, records),
        "vocabularies": {vocabulary.name: vocabulary.size for vocabulary in task.vocabularies},
        "sums": _sums(trained, task.vocabularies, splits),
    }


def _write_curves(curves: tf.summary.SummaryWriter, summary: Mapping[str, Any]) -> None:
    """Write the errors of the exported model for TensorBoard."""
    with curves.as_default(step=summary["best_epoch"]):
        for split, sums in summary["sums"].items():
            for metric, kind in (("masked_mse", SQUARED), ("masked_mae", ABSOLUTE)):
                mean = masked_mean_of(sums[error_sum(MODEL, kind)], sums[N_VALUES])
                tf.summary.scalar(f"exported/{metric}/{split}", mean)
    curves.flush()


def _write_samples(
    task: Task,
    portable: architecture.MaskedAutoencoder,
    stated: facts.ModelFacts,
    model_run: pathlib.Path,
) -> None:
    """Write some sequences of the eval split, reconstructed, for the report and the projector."""
    evaluation = task.splits[SPLITS[1]]
    parsing = {
        "spec": evaluation.spec,
        "features": evaluation.features,
        "categories": evaluation.categories,
    }
    reconstructed, embeddings = reconstruction_samples.sample_reconstructions(
        portable, evaluation.files, columns=task.columns, parsing=parsing
    )
    reconstructed["transformed"] = {
        feature.name: {key: getattr(feature, key) for key in ("mean", "std", "transform")}
        for feature in stated.features
        if feature.transform != NONE and feature.std > 0
    }
    reconstruction_samples.write_projector(model_run / LOGS_FOLDER, reconstructed, embeddings)
    # Compact: with a number a line, as in the other files, it would be long.
    write_text(
        model_run / SAMPLES_FILE,
        json.dumps(standard(reconstructed), allow_nan=False),
    )


def _fit(
    task: Task, job: Mapping[str, Any], curves: tf.summary.SummaryWriter
) -> tuple[Trainer, list[fit_loop.Epoch], int]:
    """Train in this process, or in several and load their last checkpoint in this one."""
    if task.options.strategy != "multi_worker":
        strategy = strategy_of(task.options.strategy)
        return *training.fit(task, job, strategy, lambda: curves), strategy.num_replicas_in_sync
    cluster = read_cluster(os.environ, is_chief=True)
    multiworker.run_chief(job, cluster, _log.info)
    devices = max(1, len(tf.config.list_logical_devices("GPU")))
    resumed = training.fit(task, job, strategy_of("one"), lambda: curves)
    return *resumed, devices * len(cluster.workers)


def _portable(options: TrainOptions, **build: Any) -> architecture.MaskedAutoencoder:
    """Build the model with its initial weights, in float32 and without cuDNN, for any machine."""
    keras.utils.set_random_seed(options.seed)
    return architecture.build(
        options=dataclasses.replace(options, precision="float32"), portable=True, **build
    )


def _sums(
    autoencoder: architecture.MaskedAutoencoder,
    vocabularies: tuple[Vocabulary, ...],
    splits: Mapping[str, tf.data.Dataset],
) -> dict[str, dict[str, float]]:
    """Return the sums of every metric over each split."""
    spec = splits[SPLITS[0]].element_spec

    @tf.function(input_signature=[spec], autograph=False)
    def sums_of_batch(batch: SequenceBatch) -> dict[str, tf.Tensor]:
        embedding = autoencoder.encode(batch)
        outputs = autoencoder.decode(embedding, batch)
        sums = loss.sums_by_sequence(batch, outputs.values, embedding)
        sums = categories.with_categories(sums, vocabularies, batch, outputs.logits)
        return {name: tf.reduce_sum(by_sequence) for name, by_sequence in sums.items()}

    return {
        split: input_pipeline.sums_over(batches, sums_of_batch) for split, batches in splits.items()
    }


def _summary(task: Task, history: list[fit_loop.Epoch], replicas: int) -> dict[str, Any]:
    """Return what happened in the training, and what its best epoch has."""
    options = task.options
    best = fit_loop.best_epoch(history)
    updates = history[1:]
    steps = sum(epoch.steps for epoch in updates)
    padded = sum(epoch.padded_steps for epoch in updates)
    return {
        "padding": options.padding,
        "error": options.error,
        "average": options.average,
        "epochs": history[-1].epoch,
        "best_epoch": best.epoch,
        "loss": best.loss,
        "masked_mse": best.masked_mse,
        "objective": best.objective,
        "start_objective": history[0].objective,
        "terms": [
            {**term, "start": start["value"]}
            for term, start in zip(best.terms, history[0].terms, strict=True)
        ],
        "heads": best.heads,
        "categories": best.categories,
        "further": best.further,
        "padding_waste": 1.0 - steps / padded,
        "steps_per_second": steps / sum(epoch.seconds for epoch in updates),
        "batches": dataclasses.asdict(task.splits[SPLITS[0]].plan(options)),
        "replicas": replicas,
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "history": [dataclasses.asdict(epoch) for epoch in history],
    }
