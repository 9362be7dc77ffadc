"""Define the metrics of heads (labelled sequences), categories (observed words), further terms."""

from ragline.components.contract.signatures import (
    CROSS_ENTROPY,
    HEAD_LOSS,
    HEAD_RIGHT,
    LABELLED,
    N_OBSERVED,
    N_RIGHT,
    TERM_COUNT,
    TERM_TOTAL,
    category_sum,
    head_sum,
    term_sum,
)
from ragline.components.evaluate.metrics.interface import (
    CategoryMetric,
    HeadMetric,
    Subject,
    TermMetric,
)


class _HeadMean(HeadMetric):
    """Makes the mean of a sum over the labelled sequences of a head."""

    of_head = HEAD_LOSS

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return the head's sum, and its labelled sequences."""
        return head_sum(of.part, self.of_head), head_sum(of.part, LABELLED)


class HeadLoss(_HeadMean):
    """Makes the mean cross-entropy of a classification."""

    label = "loss"
    meaning = "mean cross-entropy of a classification"
    head_types = ("classification",)


class HeadAccuracy(_HeadMean):
    """Makes the share of the labelled sequences that are classified rightly."""

    label = "accuracy"
    meaning = "share of the labelled sequences that a classification has right"
    lower_is_better = False
    bounds = (0.0, 1.0)
    head_types = ("classification",)
    of_head = HEAD_RIGHT


class HeadMse(_HeadMean):
    """Makes the mean squared error of a regression."""

    label = "mse"
    meaning = "mean squared error of a regression"
    head_types = ("regression",)


class _CategoryMean(CategoryMetric):
    """Makes the mean of a sum over the observed words of a category."""

    of_category = CROSS_ENTROPY

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return the category's sum, and its observed words."""
        return category_sum(of.part, self.of_category), category_sum(of.part, N_OBSERVED)


class CategoryCrossEntropy(_CategoryMean):
    """Makes the mean cross-entropy over the observed words, in nats."""

    label = "cross_entropy"
    meaning = "mean cross-entropy over the observed words, in nats"


class CategoryAccuracy(_CategoryMean):
    """Makes the share of the observed words that are reconstructed."""

    label = "accuracy"
    meaning = "share of the observed words that are right"
    lower_is_better = False
    bounds = (0.0, 1.0)
    of_category = N_RIGHT


class TermError(TermMetric):
    """Makes the mean error of one of `[[terms]]`, as the term itself counts."""

    label = "error"
    meaning = "mean error of a term of `[[terms]]`"

    def sums(self, of: Subject) -> tuple[str, ...]:
        """Return the term's sum of errors, and its count."""
        return term_sum(of.part, TERM_TOTAL), term_sum(of.part, TERM_COUNT)
