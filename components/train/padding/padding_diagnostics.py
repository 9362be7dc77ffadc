"""Measure the share of padding in the loss and in the gradient of a training.

Both are 0 for a strategy that keeps padding out. `plain_loss` is a loss over all steps of the same
outputs: for `remask`, its distance from the masked mean is the bias of counting the repeated last
step. The measurements are of the values; the same weights keep padding out of the categories'
cross-entropies.
"""

import tensorflow as tf

from ragline.components.contract import masking
from ragline.components.contract.relative import masked_mean_of
from ragline.components.train import padding
from ragline.components.train.data.input_pipeline import sums_over
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder
from ragline.components.train.objective import loss
from ragline.components.train.options import TrainOptions

# A share is a share of few batches, too; a pass over all would cost what an evaluation does.
MOST_BATCHES = 256


def measure_padding(
    model: MaskedAutoencoder, options: TrainOptions, batches: tf.data.Dataset
) -> dict[str, float]:
    """Measure padding in the training loss of a trained model, on its first training batches.

    Args:
      model: the trained model.
      options: options of the training.
      batches: a dataset of `SequenceBatch`, padded as in training; MOST_BATCHES of them are read.

    Returns:
      `loss`, the training loss by the current weights; `masked_loss`, the same over valid, observed
      values alone; `plain_loss`, over all steps; `loss_share` and `gradient_share`, the padding's
      share of the loss and of its absolute gradient with respect to the model's outputs.
    """

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def sums_of_batch(batch: SequenceBatch) -> dict[str, tf.Tensor]:
        sums = _sums(model, options, batch)
        return {name: tf.cast(value, tf.float64) for name, value in sums.items()}

    totals = sums_over(batches.take(MOST_BATCHES), sums_of_batch)

    def ratio(numerator: str, denominator: str) -> float:
        return masked_mean_of(totals[numerator], totals[denominator])

    return {
        "loss": ratio("loss", "loss_count"),
        "masked_loss": ratio("masked", "masked_count"),
        "plain_loss": ratio("plain", "plain_count"),
        "loss_share": ratio("padding_loss", "loss"),
        "gradient_share": ratio("padding_gradient", "gradient"),
    }


def _sums(
    model: MaskedAutoencoder, options: TrainOptions, batch: SequenceBatch
) -> dict[str, tf.Tensor]:
    to_count = padding.of(options.padding).for_loss(batch)
    outputs, valid = model(batch), batch.valid

    def sums_of(weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return loss.error_sums(options.error, to_count.values, outputs, weight)

    with tf.GradientTape() as tape:
        tape.watch(outputs)
        total, count = sums_of(to_count.sample_weight)
    gradient = tf.abs(tape.gradient(total, outputs))
    counted = tf.cast(batch.sample_weight > 0, tf.float32)
    masked, masked_count = sums_of(counted)
    # The weight is `counted` on valid steps, and 1 in the padding.
    plain, plain_count = sums_of(1.0 + masking.select(valid, counted - 1.0))
    padding_total, _ = sums_of(masking.select(~valid, to_count.sample_weight))
    return {
        "loss": total,
        "loss_count": count,
        "masked": masked,
        "masked_count": masked_count,
        "plain": plain,
        "plain_count": plain_count,
        "padding_loss": padding_total,
        "padding_gradient": tf.reduce_sum(masking.select(~valid, gradient)),
        "gradient": tf.reduce_sum(gradient),
    }
