"""Compute masked metrics from sums, through TFMA.

interface.py        what a metric is
reconstruction.py   errors of the values, and shares of them
supervised.py       heads, categories and further terms
embeddings.py       the embedding itself
named.py            the metrics of a model by their names, and what they add up
totals.py           sums of many sequences, by group (pure)
formulas.py         totals -> metrics with their intervals (pure)
slices.py           by which columns, and which of their values (pure)
masked_metrics.py   all of them as one TFMA metric
tfma_extractors.py  batches of sequences and their slices, for TFMA
eval_config.py      TFMA's EvalConfig
tfma_results.py     TFMA's evaluation -> plain tables
"""

from typing import TYPE_CHECKING

from ragline.components.contract.registry import Registry

if TYPE_CHECKING:
    from ragline.components.evaluate.metrics.interface import NamedMetric

METRICS: "Registry[type[NamedMetric]]" = Registry(
    "metric",
    "ragline.metrics",
    __name__,
    {
        "masked_mse": "reconstruction:MaskedMse",
        "masked_mae": "reconstruction:MaskedMae",
        "masked_rmse": "reconstruction:MaskedRmse",
        "normalised_mse": "reconstruction:NormalisedMse",
        "explained_variance": "reconstruction:ExplainedVariance",
        "finite_share": "reconstruction:FiniteShare",
        "feature_mse": "reconstruction:FeatureMse",
        "feature_variance": "reconstruction:FeatureVariance",
        "head_loss": "supervised:HeadLoss",
        "head_accuracy": "supervised:HeadAccuracy",
        "head_mse": "supervised:HeadMse",
        "category_cross_entropy": "supervised:CategoryCrossEntropy",
        "category_accuracy": "supervised:CategoryAccuracy",
        "term_error": "supervised:TermError",
        "effective_rank": "embeddings:EffectiveRank",
        "length_r2": "embeddings:LengthR2",
        "neighbours_kept": "embeddings:NeighboursKept",
    },
)
