"""Define the term of statistics: an embedding that tells them by a linear map is of more use."""

from typing import TYPE_CHECKING

from ragline.components.train.terms.interface import Outputs, Term

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch


class StatisticsTerm(Term):
    """Tells each sequence's statistics from its embedding; no epoch is chosen by it."""

    key = metric = "statistics"
    is_judged = False

    def __init__(self, weight: float) -> None:
        """Take `train.statistics`."""
        self.weight = weight

    def count(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return the number of sequences."""
        import tensorflow as tf

        return tf.cast(tf.size(batch.length), tf.float32)

    def total(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the sum over the sequences of the error of their statistics."""
        import tensorflow as tf

        return tf.reduce_sum(outputs.statistics)

    def evaluated(self, batch: "SequenceBatch", outputs: Outputs) -> "dict[str, tf.Tensor]":
        """Return the sum of errors, and the number of sequences."""
        return {self.key: self.total(batch, outputs), f"{self.key}_count": self.count(batch)}
