"""Define what a metric is: what it sums of each sequence, and how the totals become its value.

The model's `evaluate` signature returns sums of each sequence (contract/signatures.py). A metric
names those that it needs; they are added up over the sequences of a slice, and it is made of the
totals, once. A metric of no sum as it stands, but of a function of some, says so in `each`.

    class MaskedMae(ReconstructionMetric):
        label = "masked_mae"

        def sums(self, of):
            return error_sum(of.predictor, ABSOLUTE), N_VALUES

What is no plain quotient of two totals says so in `finish`.

What has a metric, and so under which names it stands in a run's summary, is its base class:

    ReconstructionMetric  the model and each baseline   masked_mse
    ModelMetric           the model                     finite_share
    FeatureMetric         each feature                  masked_mse/<feature>
    HeadMetric            each head of some types       head/<head>/loss
    CategoryMetric        each category                 category/<category>/accuracy
    TermMetric            each of `[[terms]]`           term/<term>/error

An EmbeddingMetric is made of no sums, but of the embeddings of many sequences at once; it is named
embedding/<label>.
"""

import abc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ragline.components.contract.relative import of_category, of_feature, of_head, of_term
from ragline.components.contract.signatures import MODEL

Arrays = tuple[np.ndarray, ...]  # Those of the sums that a metric names, in that order.
Fraction = tuple[np.ndarray, np.ndarray]  # A metric and what was counted.
Head = tuple[str, str]  # The name of a head, and its type.


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Names the parts of a model that have metrics.

    Attributes:
      features: names of the F features, in order.
      heads: the heads.
      categories: names of the categories.
      terms: names of the `[[terms]]`.
    """

    features: Sequence[str] = ()
    heads: Sequence[Head] = ()
    categories: Sequence[str] = ()
    terms: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Says of what a metric is.

    Attributes:
      predictor: the model, or a baseline.
      part: name of the feature, head, category or term; "" for a whole predictor.
      place: the feature's place among the F features; None for anything else.
    """

    predictor: str = MODEL
    part: str = ""
    place: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """Holds the embeddings of N sequences of the eval split.

    Attributes:
      values: [N, E].
      lengths: int [N].
      entities: entity of each, [N].
      newest: [N, E'], those of the newest blessed model; None without one.
    """

    values: np.ndarray
    lengths: np.ndarray
    entities: Sequence[str]
    newest: np.ndarray | None = None


class NamedMetric(abc.ABC):
    """Says how a metric is called, and what it is.

    Attributes:
      label: name, or the part of it that is not its feature's, head's, category's or term's.
      meaning: what it is, a phrase for the table in docs/verdict.md.
      lower_is_better: whether a lower value is better; None if neither is.
      part: what of a model has it, such as `feature`; "" of the whole.
    """

    label: ClassVar[str]
    meaning: ClassVar[str]
    lower_is_better: ClassVar[bool | None] = True
    part: ClassVar[str] = ""

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return its name in a run's summary: the label, if not replaced."""
        return cls.label


class EmbeddingMetric(NamedMetric):
    """Makes a number of the embeddings of many sequences at once; it has no slices or interval.

    Attributes:
      between_models: whether it compares with the newest blessed model, so that the untrained model
        has none.
    """

    between_models: ClassVar[bool] = False

    @abc.abstractmethod
    def of(self, embedded: Embedded) -> float | None:
        """Return its value; None if these embeddings have none."""

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return its name, such as `embedding/effective_rank`."""
        return f"embedding/{cls.label}"


class Metric(NamedMetric):
    """Makes a number, and a count, of sums.

    Attributes:
      bounds: the least and the greatest value it can have, at which its interval is cut off.
    """

    bounds: ClassVar[tuple[float, float]] = (0.0, np.inf)

    @abc.abstractmethod
    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return the names of the sums it is made of, which `evaluate` returns."""

    def each(self, sums: Arrays) -> Arrays:
        """Return what is added up of each of N sequences: the sums themselves, if not replaced.

        Args:
          sums: the sums that `sums` names, each [N], or [N, F] if it is of each feature; a
            FeatureMetric's are [N], of its feature.
        """
        return sums

    def finish(self, totals: Arrays) -> Fraction:
        """Return its value and what was counted, [...], of the totals of what `each` returns.

        That is the first total divided by the second, if not replaced.

        Args:
          totals: those, each [...], or [..., F] if it is of each feature; [] for the value, and
            [G] for what it is without each of G groups, of which its interval is made.
        """
        total, count = totals
        return ratio(total, count)

    @classmethod
    def subjects(cls, parts: Parts) -> Iterator[Subject]:
        """Yield what has the metric: the model, if not replaced."""
        yield Subject()

    @property
    def is_of_sums(self) -> bool:
        """Return whether the sums themselves are added up."""
        return type(self).each is Metric.each


class ReconstructionMetric(Metric):
    """Makes a metric of errors, which the model and each baseline have; rules compare them.

    Attributes:
      between_models: whether those of two models can be compared, whose standardised units are of
        different training data.
    """

    between_models: ClassVar[bool] = False


class ModelMetric(Metric):
    """Makes a metric that only the model has."""


class FeatureMetric(Metric):
    """Makes a metric of each feature; a sum of each feature comes to it as its own, [...]."""

    part = "feature"

    @classmethod
    def subjects(cls, parts: Parts) -> Iterator[Subject]:
        """Yield each feature."""
        for place, feature in enumerate(parts.features):
            yield Subject(part=feature, place=place)

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return the name of a feature's metric, such as `masked_mse/ax`."""
        return of_feature(cls.label, part)


class HeadMetric(Metric):
    """Makes a metric of each head of some types.

    Attributes:
      head_types: types of the heads that have it.
    """

    head_types: ClassVar[tuple[str, ...]]
    part = "head"

    @classmethod
    def subjects(cls, parts: Parts) -> Iterator[Subject]:
        """Yield each head of these types."""
        yield from (Subject(part=name) for name, type_ in parts.heads if type_ in cls.head_types)

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return the name of a head's metric, such as `head/gesture/loss`."""
        return of_head(part, cls.label)


class CategoryMetric(Metric):
    """Makes a metric of each category."""

    part = "category"

    @classmethod
    def subjects(cls, parts: Parts) -> Iterator[Subject]:
        """Yield each category."""
        yield from (Subject(part=name) for name in parts.categories)

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return the name of a category's metric, such as `category/activity/accuracy`."""
        return of_category(part, cls.label)


class TermMetric(Metric):
    """Makes a metric of each of `[[terms]]`."""

    part = "term"

    @classmethod
    def subjects(cls, parts: Parts) -> Iterator[Subject]:
        """Yield each term."""
        yield from (Subject(part=name) for name in parts.terms)

    @classmethod
    def name_of(cls, part: str) -> str:
        """Return the name of a term's metric, such as `term/changes/error`."""
        return of_term(part, cls.label)


def ratio(total: np.ndarray, count: np.ndarray) -> Fraction:
    """Return (total / count, count); 0 where nothing was counted, as `masking.masked_mean` does."""
    total, count = np.asarray(total, np.float64), np.asarray(count, np.float64)
    return np.where(count > 0, total / np.where(count > 0, count, 1.0), 0.0), count
