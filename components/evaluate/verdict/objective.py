"""Judge the objective that chose the epoch, and name the terms that ended badly.

The objective is the weighted mean of all terms, each relative to its trivial baseline
(contract/relative.py): 1 is no better than answering the same for every sequence. Its baselines
come from the training, its errors from the Evaluator, which measured the exported model.

A single term may end above its start or its baseline, because the others were worth more; that is
no reason not to bless, and always a sentence.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from ragline.components.contract import relative
from ragline.components.contract.relative import MeasuredTerm
from ragline.components.evaluate.metrics import formulas

_MOST_NAMES = 6

# metric -> {value, ...}
Metrics = Mapping[str, Mapping[str, float | None]]
Training = Mapping[str, Any]


def training_facts(training: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the verdict needs of training.json."""
    names = ("terms", "best_epoch", "epochs", "start_objective", "sampled")
    return {name: training[name] for name in names}


def judge(metrics: Metrics, training: Training) -> tuple[bool, str]:
    """Return whether the objective is below 1, and a sentence on it.

    Args:
      metrics: metrics of the model on the whole eval split.
      training: see `training_facts`.
    """
    terms = [term for term, _ in _terms(metrics, training)]
    value = relative.objective(terms)
    names = ", ".join(f"{term.name} {term.relative:.4g}" for term in terms[:_MOST_NAMES])
    more = f" and {len(terms) - _MOST_NAMES} more" if len(terms) > _MOST_NAMES else ""
    below = value < 1.0
    return below, (
        f"the objective {value:.4g} is {'' if below else 'not '}below 1, that of the trivial "
        f"baselines ({names}{more})"
    )


def sentences(metrics: Metrics, pca: Metrics, training: Training) -> Iterator[str]:
    """Name what ended no better than it started, or than a baseline.

    Args:
      metrics: metrics of the model on the whole eval split.
      pca: those of the PCA.
      training: see `training_facts`.
    """
    if training["best_epoch"] == 0:
        yield (
            f"the start is kept: none of the {training['epochs']} epochs had an objective below "
            f"its {training['start_objective']:.4g}"
        )
    for term, start in _terms(metrics, training):
        if not term.relative < 1.0:
            yield (
                f"{term.name} {term.value:.4g} is not below the trivial baseline's "
                f"{term.baseline:.4g}"
            )
        if training["best_epoch"] and term.value > start:
            yield f"{term.name} {term.value:.4g} is above the {start:.4g} it started from"
        accuracy_name = f"{term.name.rpartition('/')[0]}/accuracy"
        accuracy = _value(metrics, accuracy_name)
        if term.accuracy_of_mode is not None and accuracy < term.accuracy_of_mode:
            yield (
                f"{accuracy_name} {accuracy:.4g} is below the {term.accuracy_of_mode:.4g} of "
                "always giving the most frequent answer"
            )
    ours, theirs = (_value(each, relative.NUMBERS) for each in (metrics, pca))
    if ours > theirs:
        yield f"{relative.NUMBERS} {ours:.4g} is above the pca's {theirs:.4g}"
    yield from _poor_features(metrics)


def _poor_features(metrics: Metrics) -> Iterator[str]:
    values = {name: _value(metrics, name) for name in metrics}
    shares = formulas.normalised_by_feature(values)
    poor = [feature for feature, share in shares.items() if share >= 1.0]
    if poor:
        more = f" and {len(poor) - _MOST_NAMES} more" if len(poor) > _MOST_NAMES else ""
        yield (
            f"reconstructed no better than by their own mean: {', '.join(poor[:_MOST_NAMES])}{more}"
        )


def _terms(metrics: Metrics, training: Training) -> Iterator[tuple[MeasuredTerm, float]]:
    """Return each term as the exported model has it, and the value that it started from."""
    for fields in training["terms"]:
        term = MeasuredTerm(**{name: value for name, value in fields.items() if name != "start"})
        start = math.nan if fields["start"] is None else fields["start"]
        yield dataclasses.replace(term, value=_value(metrics, term.name)), start


def _value(metrics: Metrics, name: str) -> float:
    value = metrics.get(name, {}).get("value")
    return math.nan if value is None else value
