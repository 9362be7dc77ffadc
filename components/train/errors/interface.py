"""Define what an error is: a function of the difference of an output and its target.

    class Squared(ErrorOfValue):
        how = "d^2"

        def of(self, difference):
            return tf.square(difference)

What does not count is 0 by then (objective/loss.py); its error is left out in any case. TensorFlow
is imported by the methods that use it: the configuration does not need it.
"""

import abc
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import tensorflow as tf


class ErrorOfValue(abc.ABC):
    """Makes the error of a value.

    Attributes:
      how: the error of a difference d, as a formula.
    """

    how: ClassVar[str]

    @abc.abstractmethod
    def of(self, difference: "tf.Tensor") -> "tf.Tensor":
        """Return the errors of differences, elementwise, at least 0 and 0 of 0: float32 [...]."""
