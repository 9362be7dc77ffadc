"""Arrange a run's summary and samples as the tables of the page. Pure; numbers stay as they are.

A bound or a value that is missing stays None, which the page shows as a dash.
"""

from collections.abc import Mapping
from typing import Any

from ragline.components.contract import relative
from ragline.components.contract.columns import ENTITY_ID, SEQUENCE_ID
from ragline.components.contract.signatures import (
    BASELINES,
    LAST_VALUE,
    MODEL,
    N_SEQUENCES,
    SEQUENCE_MEAN,
    TRAINING_MEAN,
)
from ragline.components.evaluate.metrics.formulas import MASKED_MSE, NORMALISED_MSE, VARIANCE
from ragline.components.evaluate.metrics.slices import OVERALL, parts_of
from ragline.components.evaluate.verdict.rules import NEWEST, PCA, STATISTICS, UNTRAINED
from ragline.pipeline.report.page_formats import is_number
from ragline.pipeline.report.sample_figures import Scale

Row = dict[str, Any]
Numbers = Mapping[str, float | None]
Summary = Mapping[str, Any]

ALL = "All"
_NOTHING: Numbers = {"value": None, "lower": None, "upper": None}
# The last value reads the neighbour of what it predicts; nothing that is stored could.
RIVALS = (MODEL, PCA, SEQUENCE_MEAN, TRAINING_MEAN, UNTRAINED, NEWEST)
PROBED = (MODEL, PCA, STATISTICS, UNTRAINED, "length")


def rivals(summary: Summary) -> dict[str, Row]:
    """Return predictor -> its row, the model first, the last value at the end.

    A row has `kept`, the share of variance that the reconstruction keeps, with its interval;
    `error`, the normalised MSE; `train` and `eval`, metrics by split.
    """
    table = summary["baselines"]
    if not table:
        return {}
    rows = {}
    for name in (*RIVALS, LAST_VALUE):
        if name in table:
            by_slice = summary["metrics"] if name == MODEL else table[name]["slices"]
            error = by_slice.get(OVERALL, {}).get(NORMALISED_MSE, _NOTHING)
            error = {**error, "value": table[name]["eval"].get(NORMALISED_MSE)}
            rows[name] = {**table[name], "error": error, "kept": kept(error)}
    return rows


def kept(error: Numbers) -> Numbers:
    """Return the share of variance that is kept, 1 less the normalised MSE, and its interval."""
    value, lower, upper = (
        1.0 - bound if is_number(bound) else None
        for bound in (error["value"], error["upper"], error["lower"])
    )
    return {"value": value, "lower": lower, "upper": upper}


def supervised(summary: Summary) -> list[Row]:
    """Return a row for each metric of a head, category or term, beside the trivial answer's.

    A row has `part`, `metric`, the metric's `value`, `lower`, `upper` and `count`, `trivial`, and,
    of a category, `bigram`, which tells a token from the one before it.
    """
    overall = (summary["metrics"] or {}).get(OVERALL, {})
    terms: list[Row] = (summary["train"] or {}).get("terms", [])
    rows = []
    for name, numbers in overall.items():
        kind, _, rest = name.partition("/")
        if kind not in ("head", "category", "term"):
            continue
        part, _, metric = rest.rpartition("/")
        of_part = [t for t in terms if t["name"].startswith(f"{kind}/{part}/")]
        keys = ("baseline", "bigram")
        if metric == "accuracy":
            keys = ("accuracy_of_mode", "accuracy_of_bigram")
        else:
            of_part = [term for term in of_part if term["name"] == name]
        trivial, bigram = (of_part[0].get(key) if of_part else None for key in keys)
        row = {"part": f"{kind} {part}", "metric": metric, "trivial": trivial, "bigram": bigram}
        rows.append(row | numbers)
    return rows


def features(summary: Summary) -> list[Row]:
    """Return the normalised MSE of each feature that varies, the worst first.

    A row has `name`, `value`, `lower`, `upper`, and those of `pca` and `newest`.
    """
    overall = (summary["metrics"] or {}).get(OVERALL, {})
    others = {
        name: ((summary["baselines"] or {}).get(name) or {}).get("slices", {}).get(OVERALL, {})
        for name in (PCA, NEWEST)
    }
    prefix = relative.of_feature(VARIANCE, "")
    rows = []
    for key, numbers in overall.items():
        if not key.startswith(prefix) or not is_number(numbers["value"]) or not numbers["value"]:
            continue
        feature = key.removeprefix(prefix)
        error = overall[relative.of_feature(MASKED_MSE, feature)]
        metric = relative.of_feature(NORMALISED_MSE, feature)
        rows.append(
            {
                "name": feature,
                **{bound: _ratio(error[bound], numbers["value"]) for bound in _NOTHING},
                **{name: metrics.get(metric, _NOTHING) for name, metrics in others.items()},
            }
        )
    return sorted(rows, key=lambda row: -row["value"] if is_number(row["value"]) else 0.0)


def scales(summary: Summary, samples: Mapping[str, Any]) -> dict[str, Scale]:
    """Return how each feature that varies was standardised."""
    constant = summary["constant_features"] or ()
    untransformed = {
        row["name"]: Scale(row["mean"], row["std_dev"])
        for row in (summary["data"] or {"features": ()})["features"]
        if row["name"] not in constant
        and is_number(row["mean"])
        and is_number(row["std_dev"])
        and row["std_dev"] > 0
    }
    transformed = samples.get("transformed", {})
    return untransformed | {name: Scale(**scale) for name, scale in transformed.items()}


def against_served(summary: Summary) -> list[Row]:
    """Compare the normalised MSE with the served model's, by slice and by feature.

    A row has `kind`, `name`, `sequences`, `ours`, `theirs`, `ratio` and `outcome`: better or worse
    where the intervals lie apart, else alike; None without intervals.
    """
    served = (summary["baselines"] or {}).get(NEWEST)
    if not served:
        return []
    rows = []
    for name, metrics in summary["metrics"].items():
        theirs = served["slices"].get(name, {}).get(NORMALISED_MSE)
        if theirs is not None and NORMALISED_MSE in metrics:
            column, value = parts_of(name)
            rows.append(
                {
                    "kind": "" if name == OVERALL else column,
                    "name": "all" if name == OVERALL else value,
                    "sequences": metrics[N_SEQUENCES]["value"],
                    **_compared(metrics[NORMALISED_MSE], theirs),
                }
            )
    for row in features(summary):
        if row[NEWEST]["value"] is not None:
            compared = _compared(row, row[NEWEST])
            rows.append({"kind": "feature", "name": row["name"], "sequences": None, **compared})
    return rows


def _compared(ours: Numbers, theirs: Numbers) -> Row:
    return {
        "ours": ours,
        "theirs": theirs,
        "ratio": _ratio(ours["value"], theirs["value"]),
        "outcome": _outcome(ours["lower"], ours["upper"], theirs["lower"], theirs["upper"]),
    }


def _outcome(
    lower: float | None, upper: float | None, their_lower: float | None, their_upper: float | None
) -> str | None:
    if not (is_number(lower) and is_number(upper)):
        return None
    if not (is_number(their_lower) and is_number(their_upper)):
        return None
    if upper < their_lower:
        return "better"
    return "worse" if lower > their_upper else "alike"


def _ratio(value: float | None, other: float | None) -> float | None:
    return value / other if is_number(value) and is_number(other) and other else None


def by_column(summary: Summary) -> dict[str, dict[str, Row]]:
    """Return column -> value, such as `8-15` steps -> the slice's metrics; ALL is last.

    Each slice also has `baselines`, baseline -> its masked MSE there.
    """
    metrics, baselines = summary["metrics"], summary["baselines"]
    tables: dict[str, dict[str, Row]] = {}
    if not metrics or not baselines:
        return tables

    def row(name: str) -> Row:
        errors = {
            baseline: baselines[baseline]["slices"].get(name, {}).get(MASKED_MSE, _NOTHING)["value"]
            for baseline in (*BASELINES, PCA)
            if baseline in baselines and baseline != LAST_VALUE
        }
        return {**metrics[name], "baselines": errors}

    for name in metrics:
        column, value = parts_of(name)
        if name != OVERALL:
            tables.setdefault(column, {})[value] = row(name)
    return {column: rows | {ALL: row(OVERALL)} for column, rows in tables.items()}


def describe_embedding(embedding: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Return the metrics of the embedding; None if it was not measured, as one that is not finite.

    Those of the model and of the untrained model also have `least` and `most` of the variances.
    """
    if not embedding or not embedding["finite"]:
        return None
    description = dict(embedding)
    for name in (MODEL, UNTRAINED):
        variances = [value for value in embedding[name]["variance"] if is_number(value)]
        bounds = {"least": min(variances, default=None), "most": max(variances, default=None)}
        description[name] = {**embedding[name], **bounds}
    return description


def drawn_sequences(samples: Mapping[str, Any] | None) -> list[Row]:
    """Return a row for each sequence that is drawn, the worst first.

    A row has `which`, `sequence_id`, `entity_id`, `length`, `mse`, `times`, the error as a multiple
    of the sample's median, `context`, column -> value, and the `file` and `line` that it came from,
    None where they are not known.
    """
    if not samples:
        return []
    sequences = samples["sequences"]
    errors = sorted(error for error in sequences["mse"] if is_number(error))
    median = errors[len(errors) // 2] if errors else None
    place_of = {name: place for place, name in enumerate(sequences[SEQUENCE_ID])}
    rows = []
    for sample in samples["reconstructions"]:
        place = place_of[sample[SEQUENCE_ID]]
        error = sample["mse"]
        rows.append(
            {
                "which": sample["which"],
                SEQUENCE_ID: sample[SEQUENCE_ID],
                ENTITY_ID: sequences[ENTITY_ID][place],
                "length": sample["length"],
                "mse": error,
                "times": error / median if median and is_number(error) else None,
                "context": {
                    column: values[place] for column, values in sequences["context"].items()
                },
                "file": sample.get("file"),
                "line": sample.get("line"),
            }
        )
    return rows


def worst(samples: Mapping[str, Any] | None) -> list[Row]:
    """Return the rows of `drawn_sequences` that were reconstructed worst, the worst first."""
    return [row for row in drawn_sequences(samples) if row["which"].startswith("worst")]
