"""Make TFMA's EvalConfig: which metrics, over which slices."""

import json
from collections.abc import Sequence

from tensorflow_model_analysis.constants import TF_GENERIC
from tensorflow_model_analysis.proto import config_pb2

from ragline.components.contract.signatures import EVALUATE
from ragline.components.evaluate.metrics import named
from ragline.components.evaluate.metrics.interface import Head, Parts


def eval_config(
    *,
    features: Sequence[str],
    heads: Sequence[Head],
    categories: Sequence[str],
    terms: Sequence[str] = (),
    slices: Sequence[str],
    source: str,
) -> config_pb2.EvalConfig:
    """Configure the metrics, overall and by each value of each slicing column.

    There are no thresholds here: `verdict` decides whether a candidate is blessed. Nor are there
    TFMA's own intervals, whose groups of sequences are drawn anew in each run.

    Args:
      features: names of the F features, in order.
      heads: heads of the model, each its name and type.
      categories: names of the categories.
      terms: names of the `[[terms]]`.
      slices: columns to slice by; see `slices.columns_of`.
      source: digest of ragline's source, for the Evaluator's cache.

    Raises:
      UsageError: a metric of another distribution cannot be imported, needs a sum that `evaluate`
        does not return, or has the name of another.
    """
    named.check(Parts(features=features, heads=heads, categories=categories, terms=terms))
    return config_pb2.EvalConfig(
        # Without a type, TFMA tries to load the model by Keras.
        model_specs=[config_pb2.ModelSpec(signature_name=EVALUATE, model_type=TF_GENERIC)],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(config_pb2.SlicingSpec(feature_keys=[column]) for column in slices),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(
                        class_name="MaskedMetrics",
                        module="ragline.components.evaluate.metrics.masked_metrics",
                        config=json.dumps(
                            {
                                "features": list(features),
                                "heads": list(heads),
                                "categories": list(categories),
                                "terms": list(terms),
                                "source": source,
                            }
                        ),
                    )
                ]
            )
        ],
    )
