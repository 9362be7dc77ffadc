"""Run one training, from a task to its last weights, in any process."""

import logging
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from ragline.components.contract.columns import SPLITS
from ragline.components.contract.file_names import LOGS_FOLDER
from ragline.components.train.data.records import Task
from ragline.components.train.loop import fit_loop
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.loop.trainer import Trainer, is_chief

_log = logging.getLogger("ragline.train")


def curves_of(job: Mapping[str, Any]) -> tf.summary.SummaryWriter:
    """Open the writer of a job's curves, for TensorBoard."""
    return tf.summary.create_file_writer(str(pathlib.Path(job["model_run"]) / LOGS_FOLDER))


def fit(
    task: Task,
    job: Mapping[str, Any],
    strategy: tf.distribute.Strategy,
    curves: Callable[[], tf.summary.SummaryWriter],
) -> tuple[Trainer, list[fit_loop.Epoch]]:
    """Train to the end, from the last checkpoint on; the best epoch's weights are left.

    Args:
      task: what is to be learned.
      job: the job of the task; see `records.training_job`.
      strategy: the devices to train on. Of several processes, the chief alone writes.
      curves: opens the writer of the curves, if this process writes.
    """
    options, train, evaluation = task.options, *(task.splits[split] for split in SPLITS)
    trainer = Trainer(options=options, strategy=strategy, terms=task.terms, **task.model)
    writes = is_chief(strategy)
    history = fit_loop.train(
        trainer,
        train,
        evaluation,
        options=options,
        checkpoints=Checkpoints(
            pathlib.Path(job["config"]["checkpoints"]), task.fingerprint(), keep=writes
        ),
        on_epoch=_epoch_reporter(curves(), options.epochs) if writes else lambda epoch: None,
        batches_an_epoch=train.batches_to_train(options) + evaluation.batches_to_score(options),
    )
    return trainer, history


def describe(epoch: fit_loop.Epoch, epochs: int, start: float | None = None) -> str:
    """Return an epoch as a line: every term of the objective beside its trivial baseline.

    Args:
      epoch: the epoch.
      epochs: the number of epochs, at most.
      start: the objective before the first one, by which and below which the epoch is chosen.
    """
    began = "" if start is None else f", began at {start:.4f}"
    terms = (
        f"{term['name']} {term['value']:.4g} of {term['baseline']:.4g}" for term in epoch.terms
    )
    return "  ".join(
        [
            f"epoch {epoch.epoch}/{epochs}  objective {epoch.objective:.4f}{began}",
            f"loss {epoch.loss:.4f}",
            *terms,
            f"{epoch.seconds:.1f} s",
        ]
    )


def _epoch_reporter(
    curves: tf.summary.SummaryWriter, epochs: int
) -> Callable[[fit_loop.Epoch], None]:
    """Return what reports an epoch: a line in the terminal, and a point of each curve."""
    start: list[float] = []

    def report(epoch: fit_loop.Epoch) -> None:
        _log.info("%s", describe(epoch, epochs, *start))
        if not epoch.epoch:
            start.append(epoch.objective)
        with curves.as_default(step=epoch.epoch):
            tf.summary.scalar("loss/train", epoch.loss)
            tf.summary.scalar("masked_mse/eval", epoch.masked_mse)
            tf.summary.scalar("objective/eval", epoch.objective)
            parts = (epoch.heads, epoch.categories, epoch.further)
            for term, metrics in (item for part in parts for item in part.items()):
                for name, value in metrics.items():
                    tf.summary.scalar(f"{term}/{name}", value)
            tf.summary.scalar("steps_per_second", epoch.steps / epoch.seconds)
        curves.flush()

    return report
