"""Compute the masked metrics as one TFMA metric: sums are added up once a slice, then divided.

The model's `evaluate` signature returns float64 sums a sequence (contract/signatures.py). One
private combiner adds them all up, group by group (`totals.py`), with what metrics make of them
(`named.py`); `formulas.py` makes every metric and its interval of the totals. Adding up sums,
instead of averaging averages, is what makes a metric independent of batches and of their order.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
from tensorflow_model_analysis import constants
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.proto import metrics_for_slice_pb2

from ragline.components.contract.columns import SEQUENCE_ID
from ragline.components.contract.signatures import BASELINES, COUNTS, is_of_each_feature
from ragline.components.evaluate.metrics import formulas, named, totals
from ragline.components.evaluate.metrics.formulas import Estimate
from ragline.components.evaluate.metrics.interface import Head, Parts
from ragline.components.evaluate.metrics.named import Measured
from ragline.components.evaluate.metrics.totals import Totals

# TFMA leaves metrics out of its results whose names begin with an underscore.
_TOTALS = metric_types.MetricKey(name="_ragline_totals")
_COUNT = "count/"  # No metric begins so, whatever a feature is called.


class MaskedMetrics(metric_types.Metric):
    """Computes every registered metric, of the model and of the baselines in its sums."""

    def __init__(
        self,
        features: Sequence[str],
        heads: Sequence[Head],
        categories: Sequence[str],
        terms: Sequence[str] = (),
        source: str = "",
    ) -> None:
        """Set the names of the model's features, heads, categories and further terms.

        Args:
          features: names of the F features, in order.
          heads: heads of the model, each its name and type.
          categories: names of the categories.
          terms: names of the `[[terms]]`.
          source: digest of ragline's source, so that the Evaluator's cache sees an edited module.
        """
        super().__init__(
            _computations,
            features=features,
            heads=heads,
            categories=categories,
            terms=terms,
            source=source,
        )


def key_of(predictor: str, metric: str) -> str:
    """Return a metric's name in TFMA's results; for a baseline, `baseline/metric`."""
    return f"{predictor}/{metric}" if predictor in BASELINES else metric


def count_of(key: str) -> str:
    """Return the name of a metric's count in TFMA's results."""
    return f"{_COUNT}{key}"


def is_count(key: str) -> bool:
    """Tell whether a name in TFMA's results is that of a count."""
    return key.startswith(_COUNT)


def _computations(
    features: Sequence[str],
    heads: Sequence[Head],
    categories: Sequence[str],
    terms: Sequence[str],
    source: str,
) -> metric_types.MetricComputations:
    del source

    def result(
        metrics: dict[metric_types.MetricKey, Any],
    ) -> dict[metric_types.MetricKey, Any]:
        return {
            metric_types.MetricKey(name=name): value
            for name, value in _write_metrics(metrics[_TOTALS], parts).items()
        }

    parts = Parts(features=features, heads=heads, categories=categories, terms=terms)
    measured = named.of_evaluation(parts)
    keys = [name for each in measured for key in (_key(each),) for name in (key, count_of(key))]
    return [
        metric_types.MetricComputation(
            keys=[_TOTALS],
            preprocessors=[
                metric_types.StandardMetricInputsPreprocessor(
                    include_filter={constants.FEATURES_KEY: {SEQUENCE_ID: {}}}
                )
            ],
            combiner=AddTotals([each for each in measured if not each.metric.is_of_sums]),
        ),
        metric_types.DerivedMetricComputation(
            keys=[metric_types.MetricKey(name=name) for name in (*keys, *COUNTS)], result=result
        ),
    ]


def _key(measured: Measured) -> str:
    return key_of(measured.of.predictor, measured.name)


def _write_metrics(group_totals: Totals, parts: Parts) -> dict[str, Any]:
    """Return every metric and its count, as TFMA writes them."""
    metrics: dict[str, Any] = {}
    estimates = formulas.model_estimates(
        group_totals, parts.features, parts.heads, parts.categories, parts.terms
    )
    for name, estimate in estimates.items():
        metrics |= _write_metric(name, estimate)
    for baseline in BASELINES:
        for name, estimate in formulas.baseline_estimates(group_totals, baseline).items():
            metrics |= _write_metric(key_of(baseline, name), estimate)
    return metrics


def _write_metric(key: str, estimate: Estimate) -> dict[str, Any]:
    value: Any = estimate.value
    if estimate.lower is not None and estimate.upper is not None:
        value = metrics_for_slice_pb2.BoundedValue(
            value={"value": estimate.value},
            lower_bound={"value": estimate.lower},
            upper_bound={"value": estimate.upper},
        )
    count = {} if estimate.count is None else {count_of(key): estimate.count}
    return {key: value} | count


class AddTotals(beam.CombineFn):
    """Adds up the sums of many sequences, name by name and group by group, in float64."""

    def __init__(self, measured: Collection[Measured] = ()) -> None:
        """Set the metrics that add up functions of the sums."""
        self._measured = measured

    def create_accumulator(self) -> Totals:
        """Return the totals of no sequence: {}."""
        return {}

    def add_input(self, accumulator: Totals, element: Any) -> Totals:
        """Add the sums of a batch of sequences; the inputs are not changed.

        Args:
          accumulator: name -> total so far, float64 [GROUPS, ...].
          element: TFMA's StandardMetricInputs of N sequences (see `tfma_extractors.py`); its
            prediction is name -> [N, ...], its features hold the sequences' ids, [N].
        """
        ids = element.features[SEQUENCE_ID]
        sums = {
            # TFMA passes a scalar as an array of one value.
            name: np.reshape(
                value, (len(ids), -1) if is_of_each_feature(name) else len(ids)
            ).astype(np.float64)
            for name, value in element.prediction.items()
        }
        sums = named.with_each_sequence(sums, self._measured)
        return totals.merge([accumulator, totals.sum_by_group(sums, ids, range(len(ids)))])

    def merge_accumulators(self, accumulators: Iterable[Totals]) -> Totals:
        """Merge totals; the inputs are not changed."""
        return totals.merge(accumulators)

    def extract_output(self, accumulator: Totals) -> dict[metric_types.MetricKey, Totals]:
        """Return the totals, under the private key that the metrics are derived from."""
        return {_TOTALS: accumulator}
