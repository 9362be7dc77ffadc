"""Which metrics, over which slices: the EvalConfig of TFX's Evaluator."""

import json
from typing import NamedTuple

from tensorflow_model_analysis.proto import config_pb2

from components.sequence import LENGTH_BUCKET
from components.signatures import (
    ABSOLUTE,
    BASELINES,
    COUNTS,
    EVALUATE,
    MODEL,
    N_FINITE,
    N_SEQUENCES,
    N_VALUES,
    SQUARED,
    error_sum,
)


class RatioSpec(NamedTuple):
    """A metric by its two sums."""

    name: str
    numerator: str
    denominator: str


MASKED_MSE = "masked_mse"
MASKED_MAE = "masked_mae"
FINITE_SHARE = "finite_share"
_ERRORS = {MASKED_MSE: SQUARED, MASKED_MAE: ABSOLUTE}


def baseline_metric(baseline: str, metric: str) -> str:
    """The name of a baseline's metric, such as `training_mean_masked_mse`."""
    return f"{baseline}_{metric}"


RATIOS = (
    *(RatioSpec(name, error_sum(MODEL, error), N_VALUES) for name, error in _ERRORS.items()),
    *(
        RatioSpec(baseline_metric(baseline, name), error_sum(baseline, error), N_VALUES)
        for baseline in BASELINES
        for name, error in _ERRORS.items()
    ),
    RatioSpec(FINITE_SHARE, N_FINITE, N_SEQUENCES),
)
METRICS = (*(ratio.name for ratio in RATIOS), *COUNTS)


def eval_config(source: str) -> config_pb2.EvalConfig:
    """The metrics, overall and by length bucket, with jackknife intervals over sequences.

    There are no thresholds here: whether a candidate is blessed is for `verdict` to say.

    Args:
      source: digest of our source, for the Evaluator's cache.
    """
    metrics = [
        {"name": ratio.name, "numerator": ratio.numerator, "denominator": ratio.denominator}
        for ratio in RATIOS
    ] + [{"name": count, "numerator": count} for count in COUNTS]
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(signature_name=EVALUATE)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            config_pb2.SlicingSpec(feature_keys=[LENGTH_BUCKET]),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(
                        class_name="Ratio",
                        module="components.evaluate.metrics",
                        config=json.dumps({**metric, "source": source}),
                    )
                    for metric in metrics
                ]
            )
        ],
        options=config_pb2.Options(
            compute_confidence_intervals={"value": True},
            confidence_intervals=config_pb2.ConfidenceIntervalOptions(
                method=config_pb2.ConfidenceIntervalOptions.JACKKNIFE
            ),
        ),
    )
