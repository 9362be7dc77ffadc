"""Define the terms of heads: `classification` and `regression`."""

from typing import TYPE_CHECKING

import numpy as np

from ragline.components.contract import relative
from ragline.components.train.terms.interface import Baseline, HeadTerm

if TYPE_CHECKING:
    import tensorflow as tf

    from ragline.components.train.options import HeadOptions


class Classification(HeadTerm):
    """Tells classes apart, by cross-entropy; its baseline is the frequencies in training."""

    label_metric = "loss"
    learns_text = True

    @classmethod
    def mistakes(cls, head: "HeadOptions") -> list[str]:
        """Return the sentences that there are too few classes, or one twice."""
        mistakes = []
        if len(set(head.classes)) < 2:
            mistakes.append(
                f"classes: expected at least 2 different ones, received {list(head.classes)}"
            )
        if len(set(head.classes)) < len(head.classes):
            mistakes.append(f"classes: expected each once, received {list(head.classes)}")
        return mistakes

    @property
    def outputs(self) -> int:
        """Return the number of classes."""
        return len(self.head.classes)

    @property
    def expected(self) -> str:
        """Return the classes: training refuses any other label."""
        return f"one of {', '.join(self.head.classes)}"

    def label(self, values: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Return the places of the labels among the classes, int64, 0 of any other."""
        import tensorflow as tf

        text = values if values.dtype == tf.string else tf.strings.as_string(values)
        matches = tf.equal(text[:, tf.newaxis], tf.constant(self.head.classes))
        place = tf.argmax(tf.cast(matches, tf.int32), axis=1, output_type=tf.int64)
        return place, tf.reduce_any(matches, axis=1)

    def errors(
        self, label: "tf.Tensor", outputs: "tf.Tensor", labelled: "tf.Tensor"
    ) -> "tf.Tensor":
        """Return cross-entropies of logits."""
        import tensorflow as tf

        from ragline.components.contract import masking

        errors = tf.nn.sparse_softmax_cross_entropy_with_logits(
            masking.select(labelled, label), outputs
        )
        return masking.select(labelled, errors)

    def right(self, label: "tf.Tensor", outputs: "tf.Tensor") -> "tf.Tensor":
        """Return where the label has the highest logit."""
        import tensorflow as tf

        return tf.equal(tf.argmax(outputs, axis=1), label)

    def unknown(self, values: set[str]) -> list[str]:
        """Return the values that are no class."""
        return sorted(values - {*self.head.classes})

    def baseline(self, train: np.ndarray, evaluation: np.ndarray) -> Baseline:
        """Return what the frequencies of the classes reach."""
        counts = [np.bincount(labels, minlength=self.outputs) for labels in (train, evaluation)]
        return frequencies(*counts)


class Regression(HeadTerm):
    """Gives a number, by squared error; its baseline is the mean in training."""

    label_metric = "mse"

    def label(self, values: "tf.Tensor") -> "tuple[tf.Tensor, tf.Tensor]":
        """Return the numbers; one that is not finite counts as missing."""
        import tensorflow as tf

        numbers = tf.cast(values, tf.float32)
        return numbers, tf.math.is_finite(numbers)

    def errors(
        self, label: "tf.Tensor", outputs: "tf.Tensor", labelled: "tf.Tensor"
    ) -> "tf.Tensor":
        """Return squared errors."""
        import tensorflow as tf

        from ragline.components.contract import masking

        return tf.square(masking.select(labelled, outputs[:, 0] - label))

    def baseline(self, train: np.ndarray, evaluation: np.ndarray) -> Baseline:
        """Return the mean squared error, on labels of eval, of the mean of the training split's."""
        from ragline.components.contract.relative import masked_mean_of

        train, evaluation = train.astype(np.float64), evaluation.astype(np.float64)
        mean = masked_mean_of(train.sum(), len(train))
        return Baseline(masked_mean_of(np.square(evaluation - mean).sum(), len(evaluation)))


def frequencies(train: np.ndarray, evaluation: np.ndarray) -> Baseline:
    """Return what the frequencies of training reach on eval, of counts of each answer."""
    error = relative.cross_entropy_of_frequencies(train, evaluation)
    return Baseline(error, relative.accuracy_of_mode(train, evaluation) if error > 0 else None)
