"""Encode sequences of very different lengths group by group, to bound the memory of a request.

Padded to the longest, 500 sequences of which one has 5,000 steps take 4 GB in a recurrent layer's
states. Sorted by length, and cut into groups of so many padded steps as `most_steps` says, they
take as much as one group. A single sequence of more steps is read part by part (long_sequences.py).
"""

from collections.abc import Callable

import tensorflow as tf

# Of a group's states. What a graph takes beside them grows with the request.
_BYTES = 1 << 25
_FEWEST_STEPS = 1_024


def most_steps(numbers: int) -> int:
    """Return the padded steps of a group whose states take some 32 MiB.

    Args:
      numbers: numbers of a step that are held at once; see `Encoder.numbers_a_step`.
    """
    return max(_FEWEST_STEPS, _BYTES // (4 * numbers))


def by_length(
    length: tf.Tensor, most: int, size: int, encode: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Return a function's answer for each sequence, float32 [B, size], computed group by group.

    Args:
      length: int64 [B].
      most: padded steps of a group of more than one sequence.
      size: E.
      encode: places of sequences, int32 [n] -> float32 [n, E].
    """
    order = tf.argsort(length, stable=True)
    ordered = tf.gather(length, order)

    def group(begin: tf.Tensor, done: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        ahead = ordered[begin:]
        padded = ahead * tf.range(1, tf.size(ahead, tf.int64) + 1)
        fitting = tf.reduce_sum(tf.cast(padded <= most, tf.int32))
        end = begin + tf.maximum(fitting, 1)
        return end, tf.concat([done, encode(order[begin:end])], axis=0)

    _, done = tf.while_loop(
        lambda begin, _: begin < tf.size(length),
        group,
        (tf.constant(0), tf.zeros([0, size])),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, size])),
        parallel_iterations=1,
    )
    return tf.gather(done, tf.argsort(order))
