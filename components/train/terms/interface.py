"""Define what a term is: one summand of the objective, carried as (sum, count).

    objective of an update = sum over the terms of weight * total / count

Sums are of a batch, or of a part of one; what is divided is always the sum of a whole batch, and of
a whole split when an epoch ends. The objective that chooses an epoch holds each term relative to
its trivial baseline: see contract/relative.py.

TensorFlow is imported by the methods that use it: the configuration does not need it.
"""

import abc
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ragline.components.contract import relative
from ragline.components.contract.signatures import (
    HEAD_LOSS,
    HEAD_RIGHT,
    LABELLED,
    TERM_COUNT,
    TERM_TOTAL,
    head_sum,
    legal,
    term_sum,
)

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.options import HeadOptions, TermOptions

# name -> float64: sums over batches, divided only when an epoch ends.
Sums = dict[str, Any]


class Outputs(NamedTuple):
    """Holds what a model puts out for a batch.

    Attributes:
      values: float32 [B, T, F], the reconstruction.
      logits: category -> float32 [B, T, size of its vocabulary].
      heads: head -> float32 [B, outputs].
      embedding: float32 [B, E].
      statistics: float32 [B], the errors of `StatisticsHead`; None of a training without it.
      slices: of two random slices of each sequence the embeddings, float32 [B, E] each; none where
        no term `reads_slices`, and in an evaluation.
    """

    values: "tf.Tensor"
    logits: "dict[str, tf.Tensor]"
    heads: "dict[str, tf.Tensor]"
    embedding: "tf.Tensor"
    statistics: "tf.Tensor | None" = None
    slices: "tuple[tf.Tensor, ...]" = ()


class Baseline(NamedTuple):
    """Holds what a trivial answer reaches on the eval split.

    Attributes:
      error: its error; 0 if nothing varies, so that there is nothing to compare with.
      accuracy: share that the most frequent answer has right; None of a term that counts none.
    """

    error: float
    accuracy: float | None = None


class Term(abc.ABC):
    """Makes one summand of the objective.

    Attributes:
      key: the key of its sum among those of an epoch; that of its count is `<key>_count`.
      weight: its weight in the objective.
      metric: the name of its metric in a run's summary.
      is_judged: whether it has a part in the objective that chooses an epoch.
      compares_sequences: whether the error of a sequence depends on the others of its batch, which
        only a `SequenceTerm` may.
      reads_slices: whether it learns from `Outputs.slices`, in training.
    """

    key: str
    weight: float = 1.0
    metric: str
    is_judged: ClassVar[bool] = True
    compares_sequences: ClassVar[bool] = False
    reads_slices: ClassVar[bool] = False

    @abc.abstractmethod
    def count(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return the sum of weights, which needs no forward pass: float32 scalar."""

    @abc.abstractmethod
    def total(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the weighted sum of errors of the training loss, float32 scalar."""

    @abc.abstractmethod
    def evaluated(self, batch: "SequenceBatch", outputs: Outputs) -> "dict[str, tf.Tensor]":
        """Return the sums of an evaluation: `key`, `<key>_count`, and others of its own."""

    def value(self, sums: Sums, baselines: Any) -> float:
        """Return its error on the eval split, from sums and trivial baselines."""
        return mean_of(sums, self.key)

    def tally(self, before: Any, batch: "SequenceBatch") -> Any:
        """Return what its trivial baseline needs of a split, one more batch included.

        Args:
          before: what it returned of the batch before; None of the first.
          batch: the batch, whose tensors are read at once.
        """
        return None

    def baseline(self, train: Any, evaluation: Any) -> Baseline:
        """Return its trivial baseline, of what `tally` made of both splits."""
        return Baseline(0.0)


class HeadTerm(Term):
    """Learns a label of a sequence from its embedding; one class a `type` of `[[heads]]`.

    Attributes:
      head: the options of the head.
      label_metric: the last part of its metric, `head/<name>/<label_metric>`.
      learns_text: whether its labels may be text.
    """

    label_metric: ClassVar[str]
    learns_text: ClassVar[bool] = False

    def __init__(self, head: "HeadOptions") -> None:
        """Set the head's options, key, weight and metric."""
        self.head = head
        self.key, self.weight = f"{legal(head.name)}_loss", head.weight
        self.metric = relative.of_head(head.name, self.label_metric)

    @classmethod
    def mistakes(cls, head: "HeadOptions") -> list[str]:
        """Return a sentence on each option that does not go with the type: it has no classes."""
        if not head.classes:
            return []
        return [f"classes: a {head.type} has none, received {list(head.classes)}"]

    @property
    def outputs(self) -> int:
        """Return the number of the head's outputs."""
        return 1

    @property
    def expected(self) -> str | None:
        """Return which labels training expects; None if it leaves out those that it cannot use."""
        return None

    @abc.abstractmethod
    def label(self, values: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Return the labels, [N], of a context column's values, and which can be used, bool [N]."""

    @abc.abstractmethod
    def errors(
        self, label: "tf.Tensor", outputs: "tf.Tensor", labelled: "tf.Tensor"
    ) -> "tf.Tensor":
        """Return the error of each labelled sequence, 0 of the others, [B].

        Args:
          label: [B]; anything where it is missing.
          outputs: float32 or float64 [B, outputs].
          labelled: bool [B].
        """

    def right(self, label: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor | None":
        """Return which answers are right, bool [B]; None of a head that only has errors."""
        return None

    def unknown(self, values: set[str]) -> list[str]:
        """Return which labels of a sample, as text, training would refuse; none by default."""
        return []

    def sums(
        self, label: "tf.Tensor", outputs: "tf.Tensor", weight: "tf.Tensor"
    ) -> "tuple[tf.Tensor, tf.Tensor]":
        """Return the two halves of its loss, over the labelled sequences only.

        Args:
          label: [B]; anything where it is missing.
          outputs: float32 [B, outputs].
          weight: float32 [B]; 0 where the label is missing.
        """
        import tensorflow as tf

        errors = self.errors(label, outputs, weight > 0)
        return tf.reduce_sum(weight * errors), tf.reduce_sum(weight)

    def sums_by_sequence(
        self, label: "tf.Tensor", outputs: "tf.Tensor", weight: "tf.Tensor"
    ) -> "dict[str, tf.Tensor]":
        """Return what one sequence adds to its metrics, in float64; 0 where its label is missing.

        Args:
          label: [B]; anything where it is missing.
          outputs: float32 [B, outputs].
          weight: float32 [B]; 1, or 0 where the label is missing.

        Returns:
          name (see contract/signatures.py) -> float64 [B].
        """
        import tensorflow as tf

        labelled, name = weight > 0, self.head.name
        # Before the loss, so that its exponentials and logarithms are of float64, too.
        outputs = tf.cast(outputs, tf.float64)
        label = tf.cast(label, tf.float64) if label.dtype.is_floating else label
        sums = {
            head_sum(name, LABELLED): tf.cast(labelled, tf.float64),
            head_sum(name, HEAD_LOSS): self.errors(label, outputs, labelled),
        }
        right = self.right(label, outputs)
        if right is not None:
            sums[head_sum(name, HEAD_RIGHT)] = tf.cast(right & labelled, tf.float64)
        return sums

    def count(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return the sum of the labels' weights."""
        import tensorflow as tf

        return tf.reduce_sum(batch.label_weight[self.head.name])

    def total(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the sum of errors over the labelled sequences."""
        name = self.head.name
        return self.sums(batch.labels[name], outputs.heads[name], batch.label_weight[name])[0]

    def evaluated(self, batch: "SequenceBatch", outputs: Outputs) -> "dict[str, tf.Tensor]":
        """Return the sums of its loss and, if it has any, of its right answers."""
        import tensorflow as tf

        name = self.head.name
        label, answer, weight = batch.labels[name], outputs.heads[name], batch.label_weight[name]
        total, count = self.sums(label, answer, weight)
        sums = {self.key: total, f"{self.key}_count": count}
        right = self.right(label, answer)
        if right is not None:
            sums[f"{legal(name)}_right"] = tf.reduce_sum(weight * tf.cast(right, tf.float32))
        return sums

    def results(self, train: Sums, evaluated: Sums) -> dict[str, float]:
        """Return the head's losses and, if it has any, the accuracy on eval."""
        results = {"loss": mean_of(train, self.key), "eval_loss": mean_of(evaluated, self.key)}
        right = evaluated.get(f"{legal(self.head.name)}_right")
        if right is not None:
            results["eval_accuracy"] = mean(right, evaluated[f"{self.key}_count"])
        return results

    def tally(self, before: Any, batch: "SequenceBatch") -> Any:
        """Return all labels of a split, those of one more batch included."""
        name = self.head.name
        labels = batch.labels[name].numpy()[batch.label_weight[name].numpy() > 0]
        return labels if before is None else np.concatenate([before, labels])


class SequenceTerm(Term):
    """Makes an error of each sequence, of what a model puts out; one class a type of `[[terms]]`.

    The error of a sequence depends on nothing in its padding, and on no other sequence: sums are of
    the parts that a batch is computed in, and those are other ones on another machine. A class that
    `compares_sequences` is given the batch of each update whole, or is refused; it is part of the
    training loss alone, since its errors on the eval split would be those of other batches, and an
    encoder answers for each sequence by itself.

    Attributes:
      term: its table: name, weight, and the options of its type.
    """

    def __init__(self, term: "TermOptions") -> None:
        """Set the term's table, key, weight and metric."""
        self.term = term
        self.key, self.weight = f"term:{term.name}:error", term.weight
        self.metric = relative.of_term(term.name, "error")

    @classmethod
    def mistakes(cls, term: "TermOptions") -> list[str]:
        """Return a sentence on each option that does not go with the type: it has none."""
        return [f"options.{key}: unknown key; a {term.type} has none" for key in term.options]

    @abc.abstractmethod
    def errors(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the sum of errors of each sequence, at least 0, float32 [B].

        Args:
          batch: the sequences; anything may stand in the padding of its values.
          outputs: what the model puts out for them; 0 in the padding.
        """

    def counts(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return what the sums are divided by, float32 [B]: 1 of each sequence, if not replaced."""
        import tensorflow as tf

        return tf.ones_like(batch.length, tf.float32)

    def count(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return the sum of the counts."""
        import tensorflow as tf

        return tf.reduce_sum(self.counts(batch))

    def total(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the sum of the errors."""
        import tensorflow as tf

        return tf.reduce_sum(self.errors(batch, outputs))

    def evaluated(self, batch: "SequenceBatch", outputs: Outputs) -> "dict[str, tf.Tensor]":
        """Return the sums of the errors and of the counts; none of a class that compares."""
        if self.compares_sequences:
            return {}
        return {self.key: self.total(batch, outputs), f"{self.key}_count": self.count(batch)}

    def sums_by_sequence(self, batch: "SequenceBatch", outputs: Outputs) -> "dict[str, tf.Tensor]":
        """Return what one sequence adds to its metric, name -> float64 [B]; as `evaluated`."""
        if self.compares_sequences:
            return {}
        import tensorflow as tf

        name = self.term.name
        return {
            term_sum(name, TERM_TOTAL): tf.cast(self.errors(batch, outputs), tf.float64),
            term_sum(name, TERM_COUNT): tf.cast(self.counts(batch), tf.float64),
        }

    def results(self, train: Sums, evaluated: Sums) -> dict[str, float]:
        """Return the term's errors in training and, if it is measured, on eval."""
        results = {"error": mean_of(train, self.key)}
        if not self.compares_sequences:
            results["eval_error"] = mean_of(evaluated, self.key)
        return results


def mean_of(sums: Sums, name: str) -> float:
    """Return a masked mean of an epoch: its sum divided by its count, once."""
    return mean(sums[name], sums[f"{name}_count"])


def mean(total: float, count: float) -> float:
    """Divide at the end; see `relative.masked_mean_of`."""
    from ragline.components.contract.relative import masked_mean_of

    return masked_mean_of(total, count)
