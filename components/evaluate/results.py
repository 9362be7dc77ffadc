"""TFMA's evaluation -> plain tables."""

from typing import Any

import tensorflow_model_analysis as tfma

from components.evaluate.config import METRICS, RATIOS

OVERALL = "overall"

# slice -> metric -> {value, lower, upper, count}
Table = dict[str, dict[str, dict[str, float | None]]]


def load(evaluation: str) -> Table:
    """Reads the metrics of every slice.

    Args:
      evaluation: uri of the evaluation artifact.

    Returns:
      slice (`overall`, or `length_bucket=8-15`) -> metric -> `value`; `lower` and `upper`, the 95%
      interval over sequences, None where there is none; `count`, what the value was divided by,
      None for a total.
    """
    slices: Table = {}
    for key, metrics in tfma.load_eval_result(evaluation).slicing_metrics:
        name = ",".join(f"{column}={_text(value)}" for column, value in key) or OVERALL
        # The model's output name, and a sub key: neither is used here, so both are "". Beside our
        # metrics there can be an "__ERROR__": a slice too small for an interval.
        found = metrics[""][""]
        slices[name] = {metric: _numbers(found[metric]) for metric in METRICS}
        for ratio in RATIOS:
            slices[name][ratio.name]["count"] = slices[name][ratio.denominator]["value"]
    return {name: slices[name] for name in sorted(slices, key=_order)}


def _numbers(value: dict[str, Any]) -> dict[str, float | None]:
    if "boundedValue" in value:
        bounded = value["boundedValue"]
        return {
            "value": float(bounded["value"]),
            "lower": float(bounded["lowerBound"]),
            "upper": float(bounded["upperBound"]),
            "count": None,
        }
    return {"value": float(value["doubleValue"]), "lower": None, "upper": None, "count": None}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _order(name: str) -> tuple[str, int]:
    """Overall first, then by column, length buckets by their lower bound."""
    if name == OVERALL:
        return ("", 0)
    column, _, bucket = name.partition("=")
    return (column, int(bucket.split("-")[0]))
