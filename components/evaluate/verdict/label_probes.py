"""Say where a label is predicted better from a baseline of the embedding's size.

It is no reason not to bless, because a label may be nothing that the embedding is for; it is always
a sentence. What counts is the balanced accuracy of logistic regression: where 97% have one label,
every accuracy is 0.97.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from ragline.components.contract.signatures import MODEL
from ragline.components.evaluate.verdict.rules import PCA, STATISTICS

MEASURE = "logistic_regression_balanced"
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
