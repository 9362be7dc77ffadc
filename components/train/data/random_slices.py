"""Cut a random slice of each sequence of a batch.

    length of a slice = max(1, round(share * length)), share uniform in LEAST to MOST
    its first step    = uniform among those from which it fits

The draws are of a seed, and have no T in their shape, so that padding changes none.
"""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.train.data.sequence_batch import SequenceBatch

# Of a sequence's length.
LEAST, MOST = 0.4, 0.9


def cut(batch: SequenceBatch, seed: tf.Tensor) -> SequenceBatch:
    """Return a contiguous slice of each sequence, with the labels of the whole.

    Args:
      batch: the sequences; anything may stand in the padding of its values.
      seed: int [2]; the same seed cuts the same slices of a batch.

    Returns:
      The slices, padded by 0 to the longest of them.
    """
    shape = tf.concat([[2], tf.shape(batch.length)], axis=0)
    of_length, of_place = tf.unstack(tf.random.stateless_uniform(shape, seed, dtype=tf.float64))
    share = LEAST + (MOST - LEAST) * of_length
    steps = tf.round(share * tf.cast(batch.length, tf.float64))
    length = tf.maximum(tf.cast(steps, batch.length.dtype), 1)
    places = tf.cast(batch.length - length + 1, tf.float64)
    first = tf.cast(tf.floor(of_place * places), batch.length.dtype)
    t = tf.range(tf.reduce_max(length))
    valid = t < length[:, tf.newaxis]
    step = masking.select(valid, first[:, tf.newaxis] + t)

    def cut_of(values: tf.Tensor) -> tf.Tensor:
        return masking.select(valid, tf.gather(values, step, batch_dims=1))

    return batch._replace(
        values=cut_of(batch.values),
        length=length,
        sample_weight=cut_of(batch.sample_weight),
        token_ids={name: cut_of(ids) for name, ids in batch.token_ids.items()},
        token_weight={name: cut_of(weight) for name, weight in batch.token_weight.items()},
    )
