"""Define the errors `squared`, `absolute`, `huber` and `log_cosh`."""

import math
from typing import TYPE_CHECKING

from ragline.components.train.errors.interface import ErrorOfValue

if TYPE_CHECKING:
    import tensorflow as tf


class Squared(ErrorOfValue):
    """Squares differences."""

    how = "d^2"

    def of(self, difference: "tf.Tensor") -> "tf.Tensor":
        """Return d^2."""
        import tensorflow as tf

        return tf.square(difference)


class Absolute(ErrorOfValue):
    """Takes differences without their sign."""

    how = "|d|"

    def of(self, difference: "tf.Tensor") -> "tf.Tensor":
        """Return |d|."""
        import tensorflow as tf

        return tf.abs(difference)


class Huber(ErrorOfValue):
    """Squares small differences alone: Huber 1964, with delta 1."""

    how = "d^2 / 2 up to 1, |d| - 1/2 beyond"

    def of(self, difference: "tf.Tensor") -> "tf.Tensor":
        """Return d^2 / 2 up to 1, |d| - 1/2 beyond."""
        import tensorflow as tf

        size = tf.abs(difference)
        return tf.where(size <= 1.0, 0.5 * tf.square(difference), size - 0.5)


class LogCosh(ErrorOfValue):
    """Takes the logarithm of cosh d, in two forms, each where the other fails.

    Near 0, log(1 + 2 sinh^2(d / 2)), which overflows far off; there, |d| + log(1 + exp(-2 |d|)) -
    log 2, of which nothing but rounding is left near 0.
    """

    how = "log cosh d"

    def of(self, difference: "tf.Tensor") -> "tf.Tensor":
        """Return log cosh d."""
        import tensorflow as tf

        size = tf.abs(difference)
        near = tf.math.log1p(2.0 * tf.square(tf.sinh(0.5 * tf.minimum(size, 1.0))))
        far = size + tf.math.softplus(-2.0 * size) - math.log(2.0)
        return tf.where(size < 1.0, near, far)
