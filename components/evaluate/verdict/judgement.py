"""Metrics -> blessed or not, in sentences.

Always on, whatever is configured:

1. Every embedding and every reconstruction of the eval split is finite: a share of exactly 1. (A
   mean would hide the rest: TFMA blessed a model that answered NaN on nine examples of ten.)
2. The masked MSE is below the one of the training mean, that is, of knowing nothing.
3. The eval split has at least `min_eval` sequences.
4. The normalised MSE is not worse than the newest blessed model's, by more than
   `most_worse_than_newest`. Standardised units move with the training data; the normalised MSE does
   not, and is the only metric by which two models are compared. The first model of all is said to
   be the first; a model that is the newest blessed one itself is not compared with itself.

Then come the rules of `rules.py`. A person may force a blessing over all of them but the first: a
model that answers NaN is of no use to anybody. Nor is the padding contract, which the push checks,
ever forced.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from ragline.components.contract.signatures import MODEL, N_FINITE, N_SEQUENCES, TRAINING_MEAN
from ragline.components.evaluate.metrics import formulas, slices
from ragline.components.evaluate.metrics.formulas import FINITE_SHARE, MASKED_MSE, NORMALISED_MSE
from ragline.components.evaluate.verdict.rules import EMBEDDING_METRICS, NEWEST, Rule, Rules

Numbers = Mapping[str, float | None]
# predictor -> slice -> metric -> {value, lower, upper, count}
Table = Mapping[str, Mapping[str, Mapping[str, Numbers]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a candidate may be pushed.

    Attributes:
      blessed: every rule holds, or those that do not were forced.
      reasons: the rules that do not hold, one sentence each, or, if all hold, what held; then what
        was not judged, and why.
      forced: why a person blessed it over rules that do not hold; None if nobody did.
      new_signature: what it takes and gives that the served one does not, and why a person wants
        that; None if it is the same.
    """

    blessed: bool
    reasons: tuple[str, ...]
    forced: str | None = None
    new_signature: str | None = None


class _Finding(NamedTuple):
    """What one rule says of one slice; `holds` is None if there was nothing to judge."""

    holds: bool | None
    sentence: str
    may_be_forced: bool = True


def judge(
    table: Table,
    newest: Mapping[str, Any],
    rules: Rules,
    force: str | None = None,
    new_signature: str | None = None,
) -> Verdict:
    """Applies the rules that are always on, and those that are configured.

    Args:
      table: predictor -> slice -> metric -> {value, ...}.
      newest: `state`, `version` and `why`: see `baselines.compute`.
      rules: as configured.
      force: why to bless the candidate in any case; None not to.
      new_signature: the sentence on a changed signature; None if it is that of what is served.
    """
    judged = _judge(table, newest, rules, force)
    if new_signature is None:
        return judged
    reasons = (*judged.reasons, new_signature)
    return dataclasses.replace(judged, reasons=reasons, new_signature=new_signature)


def _judge(table: Table, newest: Mapping[str, Any], rules: Rules, force: str | None) -> Verdict:
    findings = [*_always(table, newest, rules)]
    for rule in rules.rules:
        findings += _apply(rule, table, newest)
    broken = [finding for finding in findings if finding.holds is False]
    told = tuple(f.sentence for f in findings if f.holds is None)
    if not broken:
        held = tuple(f.sentence for f in findings if f.holds)
        unneeded = (f'nothing had to be forced ("{force}")',) if force else ()
        return Verdict(blessed=True, reasons=(*held, *told, *unneeded))
    sentences = tuple(finding.sentence for finding in broken)
    if force is None:
        return Verdict(blessed=False, reasons=(*sentences, *told))
    if not all(finding.may_be_forced for finding in broken):
        refused = f'cannot be forced ("{force}"): a model must answer with finite numbers'
        return Verdict(blessed=False, reasons=(*sentences, *told, refused))
    return Verdict(
        blessed=True, reasons=(f'blessed by force: "{force}"', *sentences, *told), forced=force
    )


def _always(table: Table, newest: Mapping[str, Any], rules: Rules) -> Iterator[_Finding]:
    overall = table[MODEL][slices.OVERALL]
    finite, sequences = (_value(overall[name]) for name in (N_FINITE, N_SEQUENCES))
    if _value(overall[FINITE_SHARE]) == 1.0:
        yield _Finding(
            True, f"all {_counted(sequences)} have a finite embedding and reconstruction"
        )
    else:
        yield _Finding(
            False,
            f"{sequences - finite:,.0f} of {_counted(sequences)} have an embedding or a "
            "reconstruction that is not finite",
            may_be_forced=False,
        )
    error = _value(overall[MASKED_MSE])
    mean = _value(table[TRAINING_MEAN][slices.OVERALL][MASKED_MSE])
    below = error < mean
    told, against = _apart(error, mean)
    yield _Finding(
        below,
        f"{MASKED_MSE} {told} is {'' if below else 'not '}below the training mean's {against}",
    )
    if sequences < rules.min_eval:
        yield _Finding(
            False,
            f"the eval split has {_counted(sequences)}, fewer than the {rules.min_eval:,} of "
            "min_eval",
        )
    worse = rules.most_worse_than_newest
    rule = Rule(metric=NORMALISED_MSE, against=NEWEST, at_most=1.0 + worse, min_sequences=1)
    yield from _apply(rule, table, newest)


def _apply(rule: Rule, table: Table, newest: Mapping[str, Any]) -> Iterator[_Finding]:
    if rule.against == NEWEST and NEWEST not in table:
        yield _Finding(None, _not_compared(newest))
        return
    found = table[MODEL]
    names = [rule.slice]
    if rule.slice.endswith("=*"):
        names = [name for name in found if slices.column_of(name) == slices.column_of(rule.slice)]
    for name in names:
        if name not in found:
            yield _Finding(False, f"no sequence of the eval split has {name}")
            continue
        sequences = _value(found[name][N_SEQUENCES])
        if sequences < rule.min_sequences:
            yield _Finding(
                None,
                f"{rule.metric} on {name} is not judged: {_counted(sequences)}, fewer than "
                f"{rule.min_sequences:,}",
            )
            continue
        yield from _judge_slice(rule, name, table)


def _judge_slice(rule: Rule, name: str, table: Table) -> Iterator[_Finding]:
    where = "" if name == slices.OVERALL else f" on {name}"
    numbers, other = table[MODEL][name].get(rule.metric, {}), None
    if rule.against is not None:
        numbers, other = _both(rule, name, table)
    value = _value(numbers, rule.bound)
    named = rule.metric if rule.bound == "value" else f"the {rule.bound} bound of {rule.metric}"
    if math.isnan(value) or (other is not None and math.isnan(other)):
        missing = named if math.isnan(value) else f"{rule.metric} of {_named(rule.against)}"
        yield _Finding(False, f"{missing}{where} is not there to be judged")
        return
    for limit, word, sign in ((rule.at_most, "above", 1.0), (rule.at_least, "below", -1.0)):
        if limit is None:
            continue
        if other is None:
            compared = value
            told, against = _apart(value, limit)
        else:
            compared = value - other if rule.by == "difference" else _ratio(value, other)
            told, theirs = _apart(value, other)
            how = f"+ {limit:g}" if rule.by == "difference" else f"times {limit:g}"
            against = f"{_named(rule.against)}'s {theirs} {how}"
        held = sign * compared <= sign * limit
        sentence = f"{named} {told}{where} is {'not ' if held else ''}{word} {against}"
        yield _Finding(held, sentence)


def _both(rule: Rule, name: str, table: Table) -> tuple[Numbers, float]:
    """The model's metric and the other's; against another model, over the features of both."""
    numbers = table[MODEL][name].get(rule.metric, {})
    other = table[str(rule.against)].get(name, {})
    if rule.against != NEWEST:
        return numbers, _value(other.get(rule.metric, {}))
    prefix = formulas.of_feature(NORMALISED_MSE, "")
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


def _not_compared(newest: Mapping[str, Any]) -> str:
    if newest["state"] == "first":
        return "this is the first model: there is no blessed one to compare it with"
    which = f"version {newest['version']}, the newest blessed model"
    if newest["state"] == "same":
        return f"this is {which}, itself: there is nothing to compare"
    return f"{which}, cannot be compared with: {newest['why']}"


def _counted(sequences: float) -> str:
    return f"{sequences:,.0f} sequence{'' if sequences == 1 else 's'}"


def _named(predictor: str | None) -> str:
    return "the newest blessed model" if predictor == NEWEST else f"the {predictor}"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _ratio(value: float, other: float) -> float:
    return value / other if other else math.copysign(math.inf, value) if value else 1.0


def _value(numbers: Numbers, bound: str = "value") -> float:
    value = numbers.get(bound)
    return math.nan if value is None else value


def _apart(value: float, other: float) -> tuple[str, str]:
    """Two numbers as a person reads them, so that they look equal only if they are."""
    for digits in (4, 6, 9):
        told = f"{value:.{digits}g}", f"{other:.{digits}g}"
        if told[0] != told[1]:
            return told
    about = f"{other:.4g}"
    return about if value == other else f"{about} ({value - other:+.0e})", about


def joined(table: Table, beside: Mapping[str, Any]) -> Table:
    """The Evaluator's table with the other baselines, and with what is known of the embedding.

    Args:
      table: of the model and of the baselines that its own sums hold.
      beside: see `baselines.compute`.
    """
    kept = table[MODEL].keys()
    others = {
        predictor: {name: metrics for name, metrics in by_slice.items() if name in kept}
        for predictor, by_slice in beside["baselines"].items()
    }
    found = beside["embedding"]
    values = {**found.get(MODEL, {}), "neighbours_kept": found.get("neighbours_kept")}
    embedding: dict[str, Numbers] = {
        metric: {"value": values.get(metric.partition("/")[2]), "count": found["sequences"]}
        for metric in EMBEDDING_METRICS
    }
    overall = {slices.OVERALL: {**table[MODEL][slices.OVERALL], **embedding}}
    return {**table, MODEL: {**table[MODEL], **overall}, **others}


def to_dict(
    verdict: Verdict, left_out: Sequence[str], table: Table, beside: Mapping[str, Any]
) -> dict[str, Any]:
    """What `verdict.json` holds.

    Args:
      verdict: as judged.
      left_out: sentences on the slices that were left out.
      table: as it was judged.
      beside: see `baselines.compute`.
    """
    prefix = formulas.of_feature(formulas.VARIANCE, "")
    overall = table[MODEL][slices.OVERALL]
    return {
        "blessed": verdict.blessed,
        "forced": verdict.forced,
        "new_signature": verdict.new_signature,
        "reasons": [*verdict.reasons, *left_out, *_unobserved(overall)],
        "metrics": table[MODEL],
        "baselines": {name: found for name, found in table.items() if name != MODEL},
        "newest": beside["newest"],
        "embedding": beside["embedding"],
        "constant_features": [
            name.removeprefix(prefix)
            for name, numbers in overall.items()
            if name.startswith(prefix) and numbers["value"] == 0.0 and numbers["count"] != 0
        ],
    }


def _unobserved(overall: Mapping[str, Numbers]) -> list[str]:
    """A sentence on each feature of which no value counts."""
    prefix = formulas.of_feature(formulas.VARIANCE, "")
    return [
        f"{name.removeprefix(prefix)!r} has no part in the metrics: train or eval has no value of "
        "it, and what train never saw cannot be standardised"
        for name, numbers in overall.items()
        if name.startswith(prefix) and numbers["count"] == 0
    ]
