"""Define the rules of a verdict, as a person writes them in `schemas/<name>.verdict.toml`.

    min_eval = 100                  # sequences of the eval split, at least
    most_worse_than_newest = 0.05   # normalised_mse, at most 5% above the newest blessed model's

    [[rules]]
    metric = "masked_mse"
    slice = "length_bucket=*"       # each length bucket; without it, the whole eval split
    at_most = 0.9
    bound = "upper"                 # of the 95% interval; without it, the value
    min_sequences = 50              # smaller slices are not judged, and the verdict says so

    [[rules]]
    metric = "normalised_mse"
    against = "pca"                 # a baseline, or `newest`, the newest blessed model
    at_most = 1.0                   # of their ratio or, with `by = "difference"`, difference

    [[rules]]
    metric = "probe/label/auc"      # how well `label` is predicted from the embedding
    against = "statistics"
    at_least = 1.0

The rules that are always on are in `judgement.py`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import BASELINES
from ragline.components.evaluate.metrics import formulas, named, slices
from ragline.components.evaluate.metrics.formulas import FEWEST
from ragline.components.evaluate.metrics.interface import Head

PCA, UNTRAINED, NEWEST = "pca", "untrained", "newest"
STATISTICS = "statistics"  # Reconstructs nothing: labels are predicted from it.
OTHERS = (*BASELINES, PCA, STATISTICS, UNTRAINED, NEWEST)
# What labels are predicted from, beside the embedding; and how well, by which score of a probe.
PROBED = (PCA, STATISTICS, UNTRAINED)
PROBE_MEASURES = {
    "accuracy": "logistic_regression",
    "balanced_accuracy": "logistic_regression_balanced",
    "auc": "auc",
    "nearest_neighbour": "nearest_neighbour",
}
_PROBE = "probe/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Holds one of the `[[rules]]`: a metric of the model, and where it must lie.

    Attributes:
      metric: name of the metric, as in a run's summary.
      slice: `overall`, `column=value`, or `column=*` for each value of a column.
      at_most: upper bound of the metric.
      at_least: lower bound of the metric.
      against: another predictor to compare with: `training_mean`, `sequence_mean`, `last_value`,
        `pca`, `untrained` or `newest` (the newest blessed model), of a label's probe `pca`,
        `statistics` or `untrained`; the bounds are then on `by`.
      by: `ratio` of the model's metric to the other's, or `difference`, the model's less the
        other's.
      bound: number of the model that is compared: the `value`, or the `lower` or `upper` bound of
        its 95% interval.
      min_sequences: smallest slice that is judged, in sequences.
    """

    metric: str
    slice: str = slices.OVERALL
    at_most: float | None = None
    at_least: float | None = None
    against: str | None = None
    by: Literal["ratio", "difference"] = "ratio"
    bound: Literal["value", "lower", "upper"] = "value"
    min_sequences: int = FEWEST

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = []
        if self.at_most is None and self.at_least is None:
            mistakes.append("at_most: expected at_most or at_least, received neither")
        if self.against is not None and self.against not in OTHERS:
            mistakes.append(
                f"against: expected one of {', '.join(OTHERS)}, received {self.against!r}"
            )
        if self.against is None and self.by != "ratio":
            mistakes.append("by: expected against with it, received none")
        comparable = named.between_models()
        if self.against == NEWEST and self.metric not in comparable:
            mistakes.append(
                f"metric: expected {' or '.join(map(repr, comparable))} against the newest blessed "
                f"model, received {self.metric!r}: its standardised units are those of its own "
                "training data, so that other metrics of two models cannot be compared"
            )
        elif self.metric.startswith(_PROBE):
            if self.against is not None and self.against not in PROBED:
                mistakes.append(
                    f"against: expected one of {', '.join(PROBED)} with {self.metric}, received "
                    f"{self.against!r}"
                )
        elif self.against == STATISTICS:
            mistakes.append(
                f"metric: expected probe/<label>/<measure> against {STATISTICS}, which reconstruct "
                f"nothing, received {self.metric!r}"
            )
        elif self.against is not None and self.metric not in named.reconstruction():
            mistakes.append(
                f"metric: expected one of {', '.join(named.reconstruction())} with against, "
                f"received {self.metric!r}"
            )
        if self.against is not None and self.by == "ratio" and named.may_be_negative(self.metric):
            mistakes.append(
                f"by: expected 'difference' with {self.metric}, which may be 0 or below, "
                "received 'ratio'"
            )
        if self.min_sequences < 1:
            mistakes.append(f"min_sequences: expected at least 1, received {self.min_sequences}")
        if mistakes:
            raise ValueError("\n".join(mistakes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Holds a whole verdict file.

    Attributes:
      min_eval: fewest sequences of the eval split; below the default of 30 there are no intervals.
      most_worse_than_newest: share by which the normalised MSE may be above that of the newest
        blessed model; 0.05 lets pass what another seed changes and stops what a user would notice.
      rules: further rules.
    """

    min_eval: int = FEWEST
    most_worse_than_newest: float = 0.05
    rules: tuple[Rule, ...] = ()

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        mistakes = []
        if self.min_eval < 1:
            mistakes.append(f"min_eval: expected at least 1, received {self.min_eval}")
        if not 0.0 <= self.most_worse_than_newest < float("inf"):
            mistakes.append(
                "most_worse_than_newest: expected a share of at least 0, received "
                f"{self.most_worse_than_newest}"
            )
        if mistakes:
            raise ValueError("\n".join(mistakes))


def probe_metric(column: str, measure: str) -> str:
    """Return the name of a measure of a label's probe, such as `probe/label/auc`."""
    return f"{_PROBE}{column}/{measure}"


def find_unknown_names(
    rules: Rules, columns: Columns, heads: Collection[Head], terms: Collection[str] = ()
) -> Iterator[str]:
    """Return a sentence for each metric and slice of the rules that a run does not have.

    TFMA drops a slicing column that it does not know, silently, and its threshold with it.
    """
    categories = [category.name for category in columns.categories]
    known_metrics = formulas.model_metrics(columns.names, tuple(heads), categories, tuple(terms))
    of_embedding = (
        *named.of_embedding(),
        *(probe_metric(label, measure) for label in columns.labels for measure in PROBE_MEASURES),
    )
    metrics = (*known_metrics, *of_embedding)
    slice_columns = slices.columns_of(columns)
    for index, rule in enumerate(rules.rules):
        if rule.metric not in metrics:
            yield (
                f"rules.{index}.metric: expected one of {', '.join(metrics)}, "
                f"received {rule.metric!r}"
            )
        column, value = slices.parts_of(rule.slice)
        if rule.slice != slices.OVERALL and not (column in slice_columns and value):
            expected = ", ".join(f"{name}=..." for name in slice_columns)
            yield (
                f"rules.{index}.slice: expected {slices.OVERALL} or one of {expected}, "
                f"received {rule.slice!r}"
            )
        elif rule.metric in of_embedding and rule.slice != slices.OVERALL:
            yield (
                f"rules.{index}.slice: expected {slices.OVERALL}, the only slice of "
                f"{rule.metric}, received {rule.slice!r}"
            )
