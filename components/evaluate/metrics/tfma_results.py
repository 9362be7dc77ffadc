"""Read TFMA's evaluation into plain tables."""

from collections.abc import Mapping
from typing import Any

import tensorflow_model_analysis as tfma

from ragline.components.contract.signatures import BASELINES, MODEL
from ragline.components.evaluate.metrics import slices
from ragline.components.evaluate.metrics.masked_metrics import count_of, is_count

# predictor -> slice -> metric -> {value, lower, upper, count}
Numbers = dict[str, float | None]
Table = dict[str, dict[str, dict[str, Numbers]]]


def load(evaluation: str) -> tuple[Table, list[str]]:
    """Read the metrics of every slice, of the model and of the baselines that its sums hold.

    Args:
      evaluation: uri of the evaluation artifact.

    Returns:
      The table, predictor -> slice -> metric -> `value`; `lower` and `upper`, the 95% interval over
      sequences, None where there is none; `count`, the number of values, None for a count itself.
      And sentences on the slices that were left out.
    """
    metrics_by_slice: dict[str, Mapping[str, Any]] = {}
    for key, metrics in tfma.load_eval_result(evaluation).slicing_metrics:
        name = slices.name_of(*key[0]) if key else slices.OVERALL
        # The model's output name, and a sub key: neither is used here, so both are "".
        metrics_by_slice[name] = metrics[""][""]
    kept, sentences = slices.most_common(
        {name: _value(m["sequences"]) for name, m in metrics_by_slice.items()}
    )
    table: Table = {predictor: {} for predictor in (MODEL, *BASELINES)}
    for name in kept:
        for predictor in table:
            table[predictor][name] = {}
        for key, number in metrics_by_slice[name].items():
            if is_count(key):
                continue
            predictor, _, metric = key.partition("/")
            if predictor not in BASELINES:
                predictor, metric = MODEL, key
            table[predictor][name][metric] = _numbers(
                number, metrics_by_slice[name].get(count_of(key))
            )
    return table, sentences


def _numbers(number: Mapping[str, Any], count: Mapping[str, Any] | None) -> Numbers:
    interval = number.get("boundedValue", {})
    return {
        "value": _value(number),
        "lower": interval["lowerBound"] if interval else None,
        "upper": interval["upperBound"] if interval else None,
        "count": None if count is None else _value(count),
    }


def _value(number: Mapping[str, Any]) -> float:
    """Read a number, which TFMA writes as JSON does, or as text: `NaN`, `Infinity`."""
    if "boundedValue" in number:
        return float(number["boundedValue"]["value"])
    return float(number["doubleValue"])
