"""Define dense layers whose rows do not depend on each other's number, in an exported graph.

A product of one row is computed in another order than one of many, and a product of many rows may
be cut up by their number: in float32, both move a sum of n numbers by up to

    n 2^-24 sum |x w|, some sqrt(n) 2^-24 of its size

which a linear path of 60 features (n = 1,920) shows: 3e-6. In float64 the sum is moved by 2^-53 in
place of 2^-24, so that its rounding to float32 is the same one, but for a sum that lies within
n 2^-53 of the middle between two float32 numbers: then it is the number beside, 2^-23 of its size
away. That is the one difference that company can make to a sequence here; each other product of an
exported graph has at least `ROWS` rows, as many as make one row like the other (see
`SequenceLayer.run`).
"""

import keras
import tensorflow as tf

# Of a product in float32, the rows are filled up to a multiple of that: no kernel does four rows,
# and no multiple of four, as it does one.
ROWS = 4


class Dense(keras.layers.Dense):
    """Maps rows as `keras.layers.Dense` does without an activation; if exact, by sums in float64.

    Attributes:
      exact: whether it sums in float64.
    """

    def __init__(
        self, inputs: int, units: int, *, exact: bool, name: str, dtype: str = "float32"
    ) -> None:
        """Build the layer.

        Args:
          inputs: of a row.
          units: outputs of a row.
          exact: whether to sum in float64; of a model that is exported.
          name: of the layer.
          dtype: the policy of its precision, if it is not exact.
        """
        super().__init__(units, dtype=dtype, name=name)
        self.exact = exact
        self.build((None, inputs))

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Return the affine map of `inputs`, [..., inputs] -> [..., units]."""
        if not self.exact:
            return super().call(inputs, training=training)
        kernel, bias = (
            tf.cast(tf.convert_to_tensor(one), tf.float64) for one in (self.kernel, self.bias)
        )
        rows = tf.reshape(tf.cast(inputs, tf.float64), [-1, kernel.shape[0]])
        shape = tf.concat([tf.shape(inputs)[:-1], [self.units]], axis=0)
        return tf.reshape(tf.cast(tf.matmul(rows, kernel) + bias, tf.float32), shape)


def padded_rows(rows: tf.Tensor) -> tf.Tensor:
    """Return how many rows are lacking at a multiple of `ROWS`, and at `ROWS` of none."""
    return tf.maximum(rows + -rows % ROWS, ROWS) - rows
