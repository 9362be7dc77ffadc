"""Put the probes of labels into the table that is judged, and say where a baseline is better.

It is no reason not to bless, because a label may be nothing that the embedding is for; it is always
a sentence. What counts is the balanced accuracy of logistic regression: where 97% have one label,
every accuracy is 0.97.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ragline.components.contract.signatures import MODEL
from ragline.components.evaluate.verdict.rules import (
    PCA,
    PROBE_MEASURES,
    PROBED,
    STATISTICS,
    probe_metric,
)

MEASURE = PROBE_MEASURES["balanced_accuracy"]
# Differences below are what another seed changes.
MARGIN = 0.02
_NAMES = {PCA: "a PCA", STATISTICS: "statistics"}


def sentences(embedding: Mapping[str, Any]) -> Iterator[str]:
    """Name each label that a baseline predicts better than the embedding does.

    Args:
      embedding: metrics of the embedding; see `baseline_scores.compute`.
    """
    for column, probe in embedding.get("probes", {}).items():
        best = max(_NAMES, key=lambda name: probe[name][MEASURE])
        ours, theirs = probe[MODEL][MEASURE], probe[best][MEASURE]
        if theirs - ours > MARGIN:
            yield (
                f"{column} is predicted from the embedding with a balanced accuracy of "
                f"{ours:.3g}, from {_NAMES[best]} of as many numbers with {theirs:.3g}"
            )


def metrics(embedding: Mapping[str, Any]) -> dict[str, dict[str, dict[str, float | None]]]:
    """Return predictor -> metric -> {value, count} of each label, for the model and what is beside.

    Args:
      embedding: metrics of the embedding; see `baseline_scores.compute`.
    """
    probes: Mapping[str, Any] = embedding.get("probes", {})
    return {
        predictor: {
            probe_metric(column, measure): {
                "value": probe[predictor][score],
                "count": probe["labelled"],
            }
            for column, probe in probes.items()
            for measure, score in PROBE_MEASURES.items()
        }
        for predictor in (MODEL, *PROBED)
    }
