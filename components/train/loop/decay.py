"""Set the learning rate of an update: constant, and at the end down to 0."""

import keras
import tensorflow as tf

# Share of the updates in which the learning rate falls; docs/quality.md measures it.
DECAY = 0.3


class FinalDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Keeps the learning rate, and lets it fall linearly to 0 over the last `DECAY` of the updates.

    Attributes:
      learning_rate: the rate at the start.
      updates: number of updates that are planned; 0 for a rate that never falls. It is fixed in the
        graph of the first update.
    """

    def __init__(self, learning_rate: float, updates: int = 0) -> None:
        """Start with a rate that never falls."""
        super().__init__()
        self.learning_rate = learning_rate
        self.updates = updates

    def __call__(self, step: tf.Tensor) -> tf.Tensor:
        """Return the rate of update number `step`, from 0."""
        if not self.updates:
            return tf.constant(self.learning_rate, tf.float32)
        left = 1.0 - tf.cast(step, tf.float32) / self.updates
        return self.learning_rate * tf.clip_by_value(left / DECAY, 0.0, 1.0)
