"""Name the metrics of a model and of a baseline, and tell what each adds up of a sequence.

Of a metric whose sums are added up as they stand, the totals are those of the sums. What another
makes of the sums of a sequence (`Metric.each`) is added up under names of its own, which begin with
`each/`; no sum of `evaluate` does.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import (
    BASELINES,
    COUNTS,
    HEAD_LOSS,
    LABELLED,
    MODEL,
    head_sum,
    is_of_each_feature,
)
from ragline.components.evaluate.metrics import METRICS
from ragline.components.evaluate.metrics.interface import (
    CategoryMetric,
    EmbeddingMetric,
    FeatureMetric,
    Fraction,
    HeadMetric,
    Metric,
    ModelMetric,
    Parts,
    ReconstructionMetric,
    Subject,
    TermMetric,
)

Sums = Mapping[str, np.ndarray]
# What a summary says of an embedding beside its metrics.
_TAKEN = ("sequences", "finite", "probes", "model", "untrained", "size", "variance")
_KINDS = (
    ReconstructionMetric,
    ModelMetric,
    FeatureMetric,
    HeadMetric,
    CategoryMetric,
    TermMetric,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Holds one metric of one subject.

    Attributes:
      name: name in a run's summary; of a baseline, that of the model's metric.
      metric: the metric.
      of: the subject.
    """

    name: str
    metric: Metric
    of: Subject

    @property
    def bounds(self) -> tuple[float, float]:
        """Return between what it must lie."""
        return self.metric.bounds

    @property
    def sums(self) -> tuple[str, ...]:
        """Return the names of the sums it is made of."""
        return self.metric.sums(self.of)

    def each_sequence(self, sums: Sums) -> dict[str, np.ndarray]:
        """Return what it adds up beside the sums themselves: name -> [N] of N sequences."""
        if self.metric.is_of_sums:
            return {}
        values = self.metric.each(tuple(self._own(sums)))
        return {self._total(place): np.asarray(value) for place, value in enumerate(values)}

    def finish(self, totals: Sums) -> Fraction:
        """Return its value and count, [...], of totals [...] and [..., F]."""
        if self.metric.is_of_sums:
            return self.metric.finish(tuple(self._own(totals)))
        own, place = [], 0
        while (name := self._total(place)) in totals:
            own.append(totals[name])
            place += 1
        return self.metric.finish(tuple(own))

    def _own(self, sums: Sums) -> Iterator[np.ndarray]:
        for name in self.sums:
            of_feature = self.of.place is not None and is_of_each_feature(name)
            yield sums[name][..., self.of.place] if of_feature else sums[name]

    def _total(self, place: int) -> str:
        return f"each/{self.of.predictor}/{self.name}/{place}"


def of_model(parts: Parts) -> list[Measured]:
    """Return every metric of a model, kind by kind, and part by part.

    Raises:
      UsageError: a metric of another distribution cannot be imported; two have one name.
    """
    measured: dict[str, Measured] = {}
    for kind in _KINDS:
        of_parts: dict[Subject, list[tuple[str, type[Metric]]]] = {}
        for key, metric in METRICS.items():
            if not (issubclass(metric, Metric) and issubclass(metric, kind)):
                continue
            for of in metric.subjects(parts):
                of_parts.setdefault(of, []).append((key, metric))
        for of, metrics in of_parts.items():
            for key, metric in metrics:
                name = metric.name_of(of.part)
                if name in measured or name in COUNTS:
                    raise UsageError(
                        f"metric {key!r}: expected a label that gives a name of its own, "
                        f"received {metric.label!r}: there is a metric {name!r} already"
                    )
                measured[name] = Measured(name=name, metric=metric(), of=of)
    return [*measured.values()]


def of_baseline(predictor: str) -> list[Measured]:
    """Return every metric of a baseline: those of the reconstruction."""
    return [
        Measured(name=metric.name_of(""), metric=metric(), of=Subject(predictor=predictor))
        for metric in METRICS.values()
        if issubclass(metric, ReconstructionMetric)
    ]


def of_embedding() -> dict[str, EmbeddingMetric]:
    """Return every metric of the embedding itself, by its name.

    Raises:
      UsageError: two have one name, or one has a name that the summary has for something else.
    """
    named: dict[str, EmbeddingMetric] = {}
    for key, metric in METRICS.items():
        if issubclass(metric, EmbeddingMetric):
            name = metric.name_of("")
            if name in named or metric.label in _TAKEN:
                raise UsageError(
                    f"metric {key!r}: expected a label of its own, received {metric.label!r}, "
                    f"which is taken"
                )
            named[name] = metric()
    return named


def of_evaluation(parts: Parts) -> list[Measured]:
    """Return every metric whose sums `evaluate` returns: the model's, and those of BASELINES."""
    return [*of_model(parts), *(each for name in BASELINES for each in of_baseline(name))]


def reconstruction() -> tuple[str, ...]:
    """Return the names of the metrics that the model and each baseline have."""
    return tuple(each.name for each in of_baseline(MODEL))


def between_models() -> tuple[str, ...]:
    """Return the names of the metrics of which those of two models can be compared."""
    return tuple(
        each.name
        for each in of_baseline(MODEL)
        if isinstance(each.metric, ReconstructionMetric) and each.metric.between_models
    )


def may_be_negative(name: str) -> bool:
    """Return whether a metric of the reconstruction may be below 0, which makes no ratios."""
    return any(each.bounds[0] < 0 for each in of_baseline(MODEL) if each.name == name)


def with_each_sequence(sums: Sums, measured: Collection[Measured]) -> dict[str, np.ndarray]:
    """Return the sums of N sequences, with what metrics add up beside them.

    Args:
      sums: name -> [N], or [N, F] of a sum of each feature.
      measured: the metrics.
    """
    return {**sums, **{n: v for each in measured for n, v in each.each_sequence(sums).items()}}


def check(parts: Parts) -> None:
    """Refuse a metric that needs a sum which `evaluate` does not return.

    Raises:
      UsageError: as `of_model`; or there is such a metric.
    """
    own = {METRICS[name] for name in METRICS.own}
    measured = of_evaluation(parts)
    of_embedding()
    # Ragline's own metrics use every sum, save some counts, and a loss of a head of another type.
    of_heads = [head_sum(name, what) for name, _ in parts.heads for what in (LABELLED, HEAD_LOSS)]
    returned = {
        *COUNTS,
        *of_heads,
        *(name for each in measured if type(each.metric) in own for name in each.sums),
    }
    for each in measured:
        if unknown := [name for name in each.sums if name not in returned]:
            raise UsageError(
                f"metric {each.name!r}: expected sums of the model's `evaluate`, "
                f"{', '.join(sorted(returned))}; received {', '.join(unknown)}"
            )
