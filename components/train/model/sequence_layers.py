"""Run a recurrent layer of Keras over padded sequences, for training and in an exported graph.

No layer is stopped at a length: whoever reads its outputs takes those of the valid steps.
"""

import keras
import tensorflow as tf

from ragline.components.train.model import dense

State = tuple[tf.Tensor, ...]


class SequenceLayer(keras.layers.Layer):
    """Runs as Keras runs it; mixed into a recurrent layer that returns sequences.

    Its `use_cudnn` is `auto` in training, and False of an exported graph, which must be fast
    without a GPU and can hold TensorFlow's own operations alone.
    """

    def run(
        self,
        sequences: tf.Tensor,
        *,
        constant: tf.Tensor | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return the outputs: `layer([constant at each step, sequences])`.

        Args:
          sequences: [B, T, F], finite in the padding; F may be 0 beside a constant.
          constant: [B, E], the same at every step; it is read by the first E rows of the kernel.
          mask: bool [B, T]; with one, the layer repeats its outputs where it is False.

        Returns:
          [B, T, H].
        """
        # Of an exported graph, at least four rows at a time: see `dense.py`.
        rows = tf.shape(sequences)[0]
        if not self.use_cudnn:
            lacking = dense.padded_rows(rows)
            sequences = tf.pad(sequences, [[0, lacking], [0, 0], [0, 0]])
            constant = None if constant is None else tf.pad(constant, [[0, lacking], [0, 0]])
            if mask is not None:
                mask = tf.pad(mask, [[0, lacking], [0, 0]], constant_values=True)
        return self._run(sequences, constant, mask)[:rows]

    @property
    def can_resume(self) -> bool:
        """Return whether `resume` runs it: in float32, in an exported graph."""
        return not self.use_cudnn and self.compute_dtype == "float32"

    def start(self, rows: tf.Tensor) -> State:
        """Return the state before the first step, [B, H] each part."""
        return (tf.zeros([rows, self.units]),)

    def resume(self, sequences: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        """Return the outputs [B, T, H] of steps that follow others, and the state after them.

        Args:
          sequences: [B, T, F], T >= 1.
          state: of `start`, or of the steps before.
        """
        rows = tf.shape(sequences)[0]
        lacking = dense.padded_rows(rows)
        sequences = tf.pad(sequences, [[0, lacking], [0, 0], [0, 0]])
        state = tuple(tf.pad(part, [[0, lacking], [0, 0]]) for part in state)
        outputs, after = self._resume(sequences, state)
        return outputs[:rows], tuple(part[:rows] for part in after)

    def _run(
        self, sequences: tf.Tensor, constant: tf.Tensor | None, mask: tf.Tensor | None
    ) -> tf.Tensor:
        if constant is not None:
            repeated = tf.repeat(constant[:, tf.newaxis], tf.shape(sequences)[1], axis=1)
            sequences = tf.concat([tf.cast(repeated, sequences.dtype), sequences], axis=2)
        return self(sequences, mask=mask)

    def _resume(self, sequences: tf.Tensor, state: State) -> tuple[tf.Tensor, State]:
        outputs = self(sequences, initial_state=list(state))
        return outputs, (outputs[:, -1],)


class GRU(SequenceLayer, keras.layers.GRU):
    """Runs as Keras runs it."""
