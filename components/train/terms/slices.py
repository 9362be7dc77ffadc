"""Define the term `slices`: slices of a sequence have like embeddings, those of a batch vary.

    error = mean over E of (a - b)^2                                   two slices of one sequence
          + mean over both, and over E, of max(0, 1 - deviation)       each number varies
          + mean over both of sum over i != j of covariance[i, j]^2 / (25 E)      no two vary alike

a and b are the embeddings, [B, E], of two random slices of each sequence
(train/data/random_slices.py), positives of each other as in CoLES (Babaev et al. 2022). Nothing is
a negative: deviation = sqrt(variance + 1e-4) and covariance, over the batch and divided by B - 1,
keep the embeddings apart (Bardes, Ponce and LeCun 2022, "VICReg", whose weights these are: 25, 25
and 1). Both are of the whole batch, so no part of one will do.
"""

from typing import TYPE_CHECKING

from ragline.components.train.terms.interface import Outputs, SequenceTerm

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.data.sequence_batch import SequenceBatch

_OF_COVARIANCE = 1 / 25
_LEAST_VARIANCE = 1e-4


class Slices(SequenceTerm):
    """Learns to tell, from a slice of a sequence, what its other slices are like."""

    compares_sequences = True
    reads_slices = True

    def errors(self, batch: "SequenceBatch", outputs: Outputs) -> "tf.Tensor":
        """Return the error of each sequence's slices, with that of the batch; 0 of one alone."""
        import tensorflow as tf

        first, second = outputs.slices
        apart = tf.reduce_mean(tf.square(first - second), axis=1)
        of_batch = (_of_batch(first) + _of_batch(second)) / 2
        return tf.where(tf.size(batch.length) > 1, apart + of_batch, 0.0)

    def counts(self, batch: "SequenceBatch") -> "tf.Tensor":
        """Return 1 of each sequence; 0 of one that is alone in its batch."""
        import tensorflow as tf

        compared = tf.cast(tf.size(batch.length) > 1, tf.float32)
        return tf.ones_like(batch.length, tf.float32) * compared


def _of_batch(embeddings: "tf.Tensor") -> "tf.Tensor":
    """Return how little embeddings [B, E] vary, and how much their numbers do alike: a scalar."""
    import tensorflow as tf

    others = tf.maximum(tf.cast(tf.shape(embeddings)[0], embeddings.dtype) - 1, 1)
    centred = embeddings - tf.reduce_mean(embeddings, axis=0)
    covariance = tf.matmul(centred, centred, transpose_a=True) / others
    deviation = tf.sqrt(tf.linalg.diag_part(covariance) + _LEAST_VARIANCE)
    shared = tf.square(tf.linalg.set_diag(covariance, tf.zeros_like(deviation)))
    alike = tf.reduce_sum(shared) / embeddings.shape[1]
    return tf.reduce_mean(tf.nn.relu(1 - deviation)) + _OF_COVARIANCE * alike
