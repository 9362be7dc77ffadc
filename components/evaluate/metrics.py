"""A TFMA metric that is one sum over another: `Ratio`. Every masked mean is one.

The model's `evaluate` signature returns float64 sums a sequence (`components.signatures`). One
private combiner adds them all up, once a slice; each Ratio divides two of the totals, at the end.
Adding up sums, instead of averaging averages, is what makes a metric independent of batches and of
their order.
"""

from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis.metrics import metric_types

from components.masking import masked_mean_of

# TFMA leaves out of its results what begins with an underscore.
_TOTALS = metric_types.MetricKey(name="_ragline_totals")

Totals = dict[str, float]


class Ratio(metric_types.Metric):
    """Sum of `numerator` over the slice / sum of `denominator`; without the latter, the sum."""

    def __init__(
        self, name: str, numerator: str, denominator: str | None = None, source: str = ""
    ) -> None:
        """Names the sums.

        Args:
          name: of the metric.
          numerator: a sum that the `evaluate` signature returns.
          denominator: another one; None reports the numerator's total, a count.
          source: digest of our source, so that the Evaluator's cache sees an edited module.
        """
        super().__init__(
            _computations, name=name, numerator=numerator, denominator=denominator, source=source
        )

    @property
    def compute_confidence_interval(self) -> bool:
        """Not for totals: a jackknife drops a share of the data, and with it of the total."""
        return self.kwargs["denominator"] is not None


def _computations(
    name: str, numerator: str, denominator: str | None, source: str
) -> metric_types.MetricComputations:
    del source
    key = metric_types.MetricKey(name=name)

    def result(
        metrics: dict[metric_types.MetricKey, Any],
    ) -> dict[metric_types.MetricKey, float]:
        totals = metrics[_TOTALS]
        if denominator is None:
            return {key: totals[numerator]}
        return {key: masked_mean_of(totals[numerator], totals[denominator])}

    return [
        metric_types.MetricComputation(keys=[_TOTALS], preprocessors=None, combiner=AddTotals()),
        metric_types.DerivedMetricComputation(keys=[key], result=result),
    ]


class AddTotals(beam.CombineFn):
    """Adds up the sums of many sequences, name by name, in float64."""

    def create_accumulator(self) -> Totals:
        """Of no sequence: {}."""
        return {}

    def add_input(self, accumulator: Totals, element: Any) -> Totals:
        """Adds one sequence.

        Args:
          accumulator: name -> total so far.
          element: TFMA's StandardMetricInputs; its prediction is name -> float64 scalar.
        """
        for name, value in element.prediction.items():
            accumulator[name] = accumulator.get(name, 0.0) + np.asarray(value, np.float64).item()
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Totals]) -> Totals:
        """Adds totals to totals; its inputs stay as they are."""
        merged: Totals = {}
        for accumulator in accumulators:
            for name, total in accumulator.items():
                merged[name] = merged.get(name, 0.0) + total
        return merged

    def extract_output(self, accumulator: Totals) -> dict[metric_types.MetricKey, Totals]:
        """The totals under the private key that every Ratio looks up."""
        return {_TOTALS: accumulator}
