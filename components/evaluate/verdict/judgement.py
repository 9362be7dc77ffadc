"""Judge from its metrics whether a candidate is blessed, in sentences.

Always on, whatever is configured:

1. Every embedding and every reconstruction of the eval split is finite: a share of exactly 1. (A
   mean would hide the rest: TFMA blessed a model that answered NaN on nine examples of ten.)
2. The masked MSE is below that of predicting the training mean.
3. The objective, by which the training chose its epoch, is below 1: `objective.py`.
4. The eval split has at least `min_eval` sequences.
5. The normalised MSE is not worse than the newest blessed model's, by more than
   `most_worse_than_newest`. Standardised units move with the training data; the normalised MSE does
   not, and is the only metric by which two models are compared. The first model has none to compare
   with; the newest blessed model is not compared with itself.

Then come the rules of `rules.py`. With `train.sample_steps`, all that is compared is of the same
sample of the eval split, and a sentence says so. Terms that ended no better than they started, or
than a baseline, and labels that a baseline predicts better (`label_probes.py`), are named in any
case, without being a reason not to bless. A person may force a blessing over all rules but the
first: a model that answers NaN is of no use to anybody. The padding contract, which the push
checks, cannot be forced either.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ragline.components.contract import relative
from ragline.components.contract.signatures import MODEL, N_FINITE, N_SEQUENCES, TRAINING_MEAN
from ragline.components.evaluate.metrics import formulas, named, slices
from ragline.components.evaluate.metrics.formulas import FINITE_SHARE, MASKED_MSE, NORMALISED_MSE
from ragline.components.evaluate.verdict import label_probes, objective
from ragline.components.evaluate.verdict.rules import NEWEST, PCA, Rule, Rules

Numbers = Mapping[str, float | None]
# predictor -> slice -> metric -> {value, lower, upper, count}
Table = Mapping[str, Mapping[str, Mapping[str, Numbers]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Holds whether a candidate may be pushed, and why.

    Attributes:
      blessed: whether every rule holds, or a person forced the blessing.
      reasons: a sentence for each rule that does not hold or, if all hold, for each rule; then one
        for each rule that was not judged, one on the sample that was read, if it was not all, and
        one for each term of the objective that ended badly.
      forced: why a person blessed it over rules that do not hold; None if nobody did.
      new_signature: what it takes and gives that the served one does not, and why a person wants
        that; None if it is the same.
    """

    blessed: bool
    reasons: tuple[str, ...]
    forced: str | None = None
    new_signature: str | None = None


class _Outcome(NamedTuple):
    """Holds the outcome of one rule on one slice; `holds` is None if it was not judged."""

    holds: bool | None
    sentence: str
    may_be_forced: bool = True


def judge(
    table: Table,
    baseline_model: Mapping[str, Any],
    rules: Rules,
    force_bless_reason: str | None = None,
    new_signature: str | None = None,
    training: objective.Training | None = None,
    embedding: Mapping[str, Any] | None = None,
) -> Judgement:
    """Apply the rules that are always on, and those that are configured.

    Args:
      table: predictor -> slice -> metric -> {value, ...}.
      baseline_model: `state`, `version` and `why`; see `baseline_scores.compute`.
      rules: the configured rules.
      force_bless_reason: why to bless the candidate in any case; None to judge by the rules.
      new_signature: the sentence on a changed signature; None if it is that of what is served.
      training: see `objective.training_facts`; None leaves the objective unjudged.
      embedding: metrics of the embedding; see `baseline_scores.compute`.
    """
    judgement = _judge(table, baseline_model, rules, force_bless_reason, training)
    if training is not None:
        overall, pca = (table[name][slices.OVERALL] for name in (MODEL, PCA))
        sampled = [training["sampled"]] if training.get("sampled") else []
        badly_ended = objective.sentences(overall, pca, training)
        reasons = (*judgement.reasons, *sampled, *badly_ended)
        judgement = dataclasses.replace(judgement, reasons=reasons)
    weak_labels = label_probes.sentences(embedding or {})
    judgement = dataclasses.replace(judgement, reasons=(*judgement.reasons, *weak_labels))
    if new_signature is None:
        return judgement
    reasons = (*judgement.reasons, new_signature)
    return dataclasses.replace(judgement, reasons=reasons, new_signature=new_signature)


def _judge(
    table: Table,
    baseline_model: Mapping[str, Any],
    rules: Rules,
    force_bless_reason: str | None,
    training: objective.Training | None,
) -> Judgement:
    outcomes = [*_fixed_rules(table, baseline_model, rules)]
    if training is not None and training["terms"]:
        outcomes.append(_Outcome(*objective.judge(table[MODEL][slices.OVERALL], training)))
    for rule in rules.rules:
        outcomes += _apply(rule, table, baseline_model)
    broken = [outcome for outcome in outcomes if outcome.holds is False]
    not_judged = tuple(outcome.sentence for outcome in outcomes if outcome.holds is None)
    if not broken:
        held = tuple(outcome.sentence for outcome in outcomes if outcome.holds)
        unneeded = (
            (f'nothing had to be forced ("{force_bless_reason}")',) if force_bless_reason else ()
        )
        return Judgement(blessed=True, reasons=(*held, *not_judged, *unneeded))
    sentences = tuple(outcome.sentence for outcome in broken)
    if force_bless_reason is None:
        return Judgement(blessed=False, reasons=(*sentences, *not_judged))
    if not all(outcome.may_be_forced for outcome in broken):
        refused = (
            f'cannot be forced ("{force_bless_reason}"): a model must answer with finite numbers'
        )
        return Judgement(blessed=False, reasons=(*sentences, *not_judged, refused))
    return Judgement(
        blessed=True,
        reasons=(f'blessed by force: "{force_bless_reason}"', *sentences, *not_judged),
        forced=force_bless_reason,
    )


def _fixed_rules(
    table: Table, baseline_model: Mapping[str, Any], rules: Rules
) -> Iterator[_Outcome]:
    overall = table[MODEL][slices.OVERALL]
    finite, sequences = (_value(overall[name]) for name in (N_FINITE, N_SEQUENCES))
    if _value(overall[FINITE_SHARE]) == 1.0:
        yield _Outcome(
            True, f"all {_counted(sequences)} have a finite embedding and reconstruction"
        )
    else:
        yield _Outcome(
            False,
            f"{sequences - finite:,.0f} of {_counted(sequences)} have an embedding or a "
            "reconstruction that is not finite",
            may_be_forced=False,
        )
    error = _value(overall[MASKED_MSE])
    mean = _value(table[TRAINING_MEAN][slices.OVERALL][MASKED_MSE])
    below = error < mean
    ours, theirs = _format_pair(error, mean)
    yield _Outcome(
        below,
        f"{MASKED_MSE} {ours} is {'' if below else 'not '}below the training mean's {theirs}",
    )
    if sequences < rules.min_eval:
        yield _Outcome(
            False,
            f"the eval split has {_counted(sequences)}, fewer than the {rules.min_eval:,} of "
            "min_eval",
        )
    worse = rules.most_worse_than_newest
    rule = Rule(metric=NORMALISED_MSE, against=NEWEST, at_most=1.0 + worse, min_sequences=1)
    yield from _apply(rule, table, baseline_model)


def _apply(rule: Rule, table: Table, baseline_model: Mapping[str, Any]) -> Iterator[_Outcome]:
    if rule.against == NEWEST and NEWEST not in table:
        yield _Outcome(None, _why_not_compared(baseline_model))
        return
    metrics_by_slice = table[MODEL]
    names = [rule.slice]
    if rule.slice.endswith("=*"):
        names = [
            name
            for name in metrics_by_slice
            if slices.column_of(name) == slices.column_of(rule.slice)
        ]
    for name in names:
        if name not in metrics_by_slice:
            yield _Outcome(False, f"no sequence of the eval split has {name}")
            continue
        sequences = _value(metrics_by_slice[name][N_SEQUENCES])
        if sequences < rule.min_sequences:
            yield _Outcome(
                None,
                f"{rule.metric} on {name} is not judged: {_counted(sequences)}, fewer than "
                f"{rule.min_sequences:,}",
            )
            continue
        yield from _judge_slice(rule, name, table)


def _judge_slice(rule: Rule, name: str, table: Table) -> Iterator[_Outcome]:
    where = "" if name == slices.OVERALL else f" on {name}"
    numbers, other = table[MODEL][name].get(rule.metric, {}), None
    if rule.against is not None:
        numbers, other = _values_to_compare(rule, name, table)
    value = _value(numbers, rule.bound)
    metric = rule.metric if rule.bound == "value" else f"the {rule.bound} bound of {rule.metric}"
    if math.isnan(value) or (other is not None and math.isnan(other)):
        missing = metric if math.isnan(value) else f"{rule.metric} of {_name_of(rule.against)}"
        yield _Outcome(False, f"{missing}{where} is not there to be judged")
        return
    for limit, direction, sign in ((rule.at_most, "above", 1.0), (rule.at_least, "below", -1.0)):
        if limit is None:
            continue
        if other is None:
            compared = value
            number, against = _format_pair(value, limit)
        else:
            compared = value - other if rule.by == "difference" else _ratio(value, other)
            number, theirs = _format_pair(value, other)
            margin = f"+ {limit:g}" if rule.by == "difference" else f"times {limit:g}"
            against = f"{_name_of(rule.against)}'s {theirs} {margin}"
        held = sign * compared <= sign * limit
        sentence = f"{metric} {number}{where} is {'not ' if held else ''}{direction} {against}"
        yield _Outcome(held, sentence)


def _values_to_compare(rule: Rule, name: str, table: Table) -> tuple[Numbers, float]:
    """Return the model's metric and the other's; of another model, over the features of both."""
    numbers = table[MODEL][name].get(rule.metric, {})
    other = table[str(rule.against)].get(name, {})
    if rule.against != NEWEST:
        return numbers, _value(other.get(rule.metric, {}))
    prefix = relative.of_feature(NORMALISED_MSE, "")
    theirs = {
        key.removeprefix(prefix): _value(n) for key, n in other.items() if key.startswith(prefix)
    }
    ours = formulas.normalised_by_feature({key: _value(n) for key, n in table[MODEL][name].items()})
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return {}, math.nan
    if ours.keys() == theirs.keys():
        return numbers, _value(other.get(rule.metric, {}))
    return {"value": _mean([ours[f] for f in common])}, _mean([theirs[f] for f in common])


def _why_not_compared(baseline_model: Mapping[str, Any]) -> str:
    if baseline_model["state"] == "first":
        return "this is the first model: there is no blessed one to compare it with"
    which = f"version {baseline_model['version']}, the newest blessed model"
    if baseline_model["state"] == "same":
        return f"this is {which}, itself: there is nothing to compare"
    return f"{which}, cannot be compared with: {baseline_model['why']}"


def _counted(sequences: float) -> str:
    return f"{sequences:,.0f} sequence{'' if sequences == 1 else 's'}"


def _name_of(predictor: str | None) -> str:
    return "the newest blessed model" if predictor == NEWEST else f"the {predictor}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _ratio(value: float, other: float) -> float:
    return value / other if other else math.copysign(math.inf, value) if value else 1.0


def _value(numbers: Numbers, bound: str = "value") -> float:
    value = numbers.get(bound)
    return math.nan if value is None else value


def _format_pair(value: float, other: float) -> tuple[str, str]:
    """Format two numbers with few digits, so that they look equal only if they are."""
    for digits in (4, 6, 9):
        pair = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if pair[0] != pair[1]:
            return pair
    approximate = f"{other:.4g}"
    return approximate if value == other else f"{approximate} ({value - other:+.0e})", approximate


def join_scores(table: Table, scores: Mapping[str, Any]) -> Table:
    """Add the other baselines, the metrics of the embedding and the probes of labels to the table.

    Args:
      table: metrics of the model and of the baselines that its own sums hold.
      scores: see `baseline_scores.compute`.
    """
    model_slices = table[MODEL].keys()
    others = {
        predictor: {name: metrics for name, metrics in by_slice.items() if name in model_slices}
        for predictor, by_slice in scores["baselines"].items()
    }
    measured = scores["embedding"]
    embedding: dict[str, Numbers] = {}
    for name, metric in named.of_embedding().items():
        values = measured if metric.between_models else measured.get(MODEL, {})
        embedding[name] = {"value": values.get(metric.label), "count": measured["sequences"]}
    joined: dict[str, dict[str, Mapping[str, Numbers]]] = {
        name: dict(by_slice) for name, by_slice in {**table, **others}.items()
    }
    for predictor, probes in label_probes.metrics(measured).items():
        added = {**probes, **(embedding if predictor == MODEL else {})}
        by_slice = joined.setdefault(predictor, {})
        by_slice[slices.OVERALL] = {**by_slice.get(slices.OVERALL, {}), **added}
    return joined


def to_dict(
    judgement: Judgement, left_out: Sequence[str], table: Table, scores: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `verdict.json`.

    Args:
      judgement: the judgement.
      left_out: sentences on the slices that were left out.
      table: the table that was judged.
      scores: see `baseline_scores.compute`.
    """
    prefix = relative.of_feature(formulas.VARIANCE, "")
    overall = table[MODEL][slices.OVERALL]
    return {
        "blessed": judgement.blessed,
        "forced": judgement.forced,
        "new_signature": judgement.new_signature,
        "reasons": [*judgement.reasons, *left_out, *_unobserved(overall)],
        "metrics": table[MODEL],
        "baselines": {name: by_slice for name, by_slice in table.items() if name != MODEL},
        "baseline_model": scores["baseline_model"],
        "embedding": scores["embedding"],
        "constant_features": [
            name.removeprefix(prefix)
            for name, numbers in overall.items()
            if name.startswith(prefix) and numbers["value"] == 0.0 and numbers["count"] != 0
        ],
    }


def _unobserved(overall: Mapping[str, Numbers]) -> list[str]:
    """Return a sentence on each feature of which no value counts."""
    prefix = relative.of_feature(formulas.VARIANCE, "")
    return [
        f"{name.removeprefix(prefix)!r} has no part in the metrics: train or eval has no value of "
        "it, and what train never saw cannot be standardised"
        for name, numbers in overall.items()
        if name.startswith(prefix) and numbers["count"] == 0
    ]
