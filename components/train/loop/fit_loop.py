"""Train until the objective on the eval split stops falling; resume after an interruption.

An epoch reports ratios of sums over the whole split, never a mean of batches' means. The objective
that chooses the epoch, and that the verdict judges, holds every term relative to its trivial
baseline: see contract/relative.py.
"""

import dataclasses
import logging
import math
import time
from collections.abc import Callable
from collections.abc import Sequence as Collection
from typing import Any

import numpy as np
import tensorflow as tf

from ragline.components.contract import relative
from ragline.components.contract.relative import MeasuredTerm
from ragline.components.runtime import progress
from ragline.components.train.data import budget
from ragline.components.train.data.records import Records
from ragline.components.train.loop.checkpoint import Checkpoint, Checkpoints
from ragline.components.train.loop.trainer import PADDED_STEPS, STEPS, Trainer
from ragline.components.train.objective import trivial_baselines
from ragline.components.train.objective.trivial_baselines import TrivialBaselines
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import HeadTerm, SequenceTerm, Sums, mean_of
from ragline.components.train.terms.steps import LOSS, CategoryTerm

_log = logging.getLogger("ragline.train")

# Of the training split, how many sequences the start is computed from and epoch 0 measures, at
# most, in expectation. With 16,000 gestures of 80,000 the start's error on others is 0.4% lower
# than with all, and both take 18 CPU seconds in place of 75.
START_SEQUENCES = 20_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """Holds the results of one pass over the training split.

    Attributes:
      epoch: number of the pass, from 1; 0 is the initial model, before its first update.
      loss: masked mean over the training split, each batch by the weights before its update; in
        epoch 0, over at most START_SEQUENCES of it.
      masked_mse: masked mean of squared errors over the eval split, after the last update, by the
        averaged weights (`TrainOptions.averaging`).
      heads: head -> `loss` over the training split's labelled sequences, and `eval_loss` and, of a
        classification, `eval_accuracy` over the eval split's.
      seconds: wall time of the updates alone; in epoch 0, of measuring the loss.
      steps: number of valid steps.
      padded_steps: number of computed steps, padding included.
      categories: category -> `cross_entropy`, a masked mean over the training split, in nats;
        `eval_cross_entropy` and `eval_accuracy` over the eval split.
      further: one of `[[terms]]` -> `error` over the training split and, if it is measured there,
        `eval_error`.
      terms: the objective's terms on the eval split, as dictionaries; see `relative.MeasuredTerm`.
    """

    epoch: int
    loss: float
    masked_mse: float
    heads: dict[str, dict[str, float]]
    seconds: float
    steps: int
    padded_steps: int
    categories: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    further: dict[str, dict[str, float]] = dataclasses.field(default_factory=dict)
    terms: tuple[dict[str, Any], ...] = ()

    @property
    def objective(self) -> float:
        """Return what the training minimises on the eval split; see contract/relative.py."""
        return relative.objective([MeasuredTerm(**term) for term in self.terms])


def train(
    trainer: Trainer,
    records: Records,
    evaluation: Records,
    *,
    options: TrainOptions,
    checkpoints: Checkpoints,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    batches_an_epoch: int = 0,
) -> list[Epoch]:
    """Initialise a model from its training records, and fit it.

    Args:
      trainer: holds the model.
      records: records to train on.
      evaluation: records whose error decides when to stop.
      options: options of the training.
      checkpoints: where each epoch is kept; see `fit`.
      on_epoch: called with each epoch that ran here.
      batches_an_epoch: number of batches of both splits; see `fit`.

    Returns:
      Every epoch; see `fit`.
    """
    options = budget.resolve(options, len(records.lengths))
    trainer.start(records.for_training(options, at_most=START_SEQUENCES))
    trainer.rate.updates = options.epochs * records.batches_to_train(options)
    return fit(
        trainer,
        train_batches=lambda epoch: records.for_training(options, options.seed + epoch),
        start_batches=lambda: records.for_training(options, options.seed, at_most=START_SEQUENCES),
        eval_batches=lambda: evaluation.for_metrics(options),
        options=options,
        checkpoints=checkpoints,
        on_epoch=on_epoch,
        batches_an_epoch=batches_an_epoch,
    )


def fit(
    trainer: Trainer,
    *,
    train_batches: Callable[[int], tf.data.Dataset],
    eval_batches: Callable[[], tf.data.Dataset],
    options: TrainOptions,
    checkpoints: Checkpoints,
    on_epoch: Callable[[Epoch], None],
    start_batches: Callable[[], tf.data.Dataset] | None = None,
    batches_an_epoch: int = 0,
) -> list[Epoch]:
    """Train until the objective stops falling on the eval split; leave the best epoch's weights.

    Args:
      trainer: holds the model; resumed from the newest checkpoint, if there is one.
      train_batches: epoch (from 1) -> its batches.
      eval_batches: the eval split's batches.
      options: epochs and patience; see `budget.resolve`.
      checkpoints: where each epoch is kept.
      on_epoch: called with each epoch that ran here.
      start_batches: of the training split, what epoch 0 measures; None for all of it.
      batches_an_epoch: number of batches of both splits, for the progress; 0 shows no progress.

    Returns:
      Every epoch, from epoch 0 on, those of an interrupted run included.
    """
    history, best_weights = _resume(trainer, checkpoints)
    trainer.agree(f"{checkpoints.fingerprint} after {len(history)} epochs")

    def expect() -> None:
        if batches_an_epoch:
            epochs, done = options.epochs + 1, len(history) * batches_an_epoch
            progress.expect(epochs * batches_an_epoch, "batches", done)

    expect()
    if not history:
        trainer.restart_averages()
    baselines = trivial_baselines.measure(train_batches(0), eval_batches, trainer.terms)
    while len(history) <= options.epochs and not _is_over(history, options.patience):
        number = len(history)
        batches = train_batches(number) if number or start_batches is None else start_batches()
        epoch, weights = _run_epoch(trainer, number, batches, eval_batches, baselines)
        history.append(epoch)
        if not number:
            expect()  # Anew, since epoch 0 may measure a part.
        if best_epoch(history) is epoch:
            best_weights = weights
        checkpoints.save(epoch.epoch, _snapshot(trainer, best_weights, history))
        on_epoch(epoch)
    trainer.model.set_weights(best_weights)
    return history


def best_epoch(history: Collection[Epoch]) -> Epoch:
    """Return the epoch with the lowest objective, the first of equals; its weights are kept."""

    def finite_objective(epoch: Epoch) -> float:
        return epoch.objective if math.isfinite(epoch.objective) else math.inf

    return min(history, key=finite_objective)


def _is_over(history: list[Epoch], patience: int) -> bool:
    """Tell whether no epoch has been better than the best for so long, or the training diverged.

    Patience is counted among the epochs that trained: the first ones may stand above a start at the
    principal components, and the later ones fall below it.
    """
    if len(history) < 2:
        return False
    diverged = not math.isfinite(history[-1].loss)
    return diverged or history[-1].epoch - best_epoch(history[1:]).epoch >= patience


def _run_epoch(
    trainer: Trainer,
    number: int,
    batches: tf.data.Dataset,
    eval_batches: Callable[[], tf.data.Dataset],
    baselines: TrivialBaselines,
) -> tuple[Epoch, list[np.ndarray]]:
    """Run one epoch; return its results, and the weights that it was evaluated with."""
    started = time.perf_counter()
    train = (trainer.update if number else trainer.measure)(batches)
    seconds = time.perf_counter() - started
    with trainer.averaged():
        evaluated, weights = trainer.evaluate(eval_batches()), trainer.model.get_weights()
    epoch = Epoch(
        epoch=number,
        loss=mean_of(train, LOSS),
        masked_mse=mean_of(evaluated, LOSS),
        heads={
            term.head.name: term.results(train, evaluated)
            for term in trainer.terms
            if isinstance(term, HeadTerm)
        },
        seconds=seconds,
        steps=int(train[STEPS]),
        padded_steps=int(train[PADDED_STEPS]),
        categories={
            term.name: term.results(train, evaluated)
            for term in trainer.terms
            if isinstance(term, CategoryTerm)
        },
        further={
            term.term.name: term.results(train, evaluated)
            for term in trainer.terms
            if isinstance(term, SequenceTerm)
        },
        terms=_terms(trainer, evaluated, baselines),
    )
    return epoch, weights


def _terms(
    trainer: Trainer, evaluated: Sums, baselines: TrivialBaselines
) -> tuple[dict[str, Any], ...]:
    """Return the terms of the objective that vary, as dictionaries."""
    bigrams = baselines.bigrams
    measured = [
        MeasuredTerm(
            name=term.metric,
            weight=term.weight,
            value=term.value(evaluated, baselines),
            baseline=baselines.errors[term.metric],
            accuracy_of_mode=baselines.accuracies.get(term.metric),
            bigram=bigrams[term.metric].cross_entropy if term.metric in bigrams else None,
            accuracy_of_bigram=bigrams[term.metric].accuracy if term.metric in bigrams else None,
        )
        for term in trainer.terms
        if term.metric in baselines.errors
    ]
    return tuple(dataclasses.asdict(term) for term in measured)


def _snapshot(trainer: Trainer, best_weights: list[np.ndarray], history: list[Epoch]) -> Checkpoint:
    return Checkpoint(
        weights=_variable_values(trainer),
        averages=[np.asarray(average) for average in trainer.averages],
        best=best_weights,
        optimizer=_variable_values(trainer.optimizer),
        state={"history": [dataclasses.asdict(epoch) for epoch in history]},
    )


def _variable_values(holder: Any) -> list[np.ndarray]:
    return [np.asarray(variable.value) for variable in holder.variables]


def _resume(trainer: Trainer, checkpoints: Checkpoints) -> tuple[list[Epoch], list[np.ndarray]]:
    initial = _snapshot(trainer, trainer.model.get_weights(), [])
    checkpoint = checkpoints.load(like=initial)
    if checkpoint is None:
        return [], initial.best
    for holder, values in (
        (trainer, checkpoint.weights),
        (trainer.optimizer, checkpoint.optimizer),
    ):
        for variable, value in zip(holder.variables, values, strict=True):
            variable.assign(value)
    for average, value in zip(trainer.averages, checkpoint.averages, strict=True):
        average.assign(value)
    history = [
        Epoch(**{**epoch, "terms": tuple(epoch["terms"])}) for epoch in checkpoint.state["history"]
    ]
    _log.info("resumed after epoch %d", history[-1].epoch)
    return history, checkpoint.best
