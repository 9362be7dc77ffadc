"""Define the strategy `remask`."""

from typing import TYPE_CHECKING, Any

from ragline.components.train.padding.crop import Crop

if TYPE_CHECKING:
    from ragline.components.train.data.sequence_batch import SequenceBatch
    from ragline.components.train.model.architecture import MaskedAutoencoder


class Remask(Crop):
    """Masks the repeated embedding again; batches are those of `crop`."""

    how = (
        "the repeated embedding is masked again, so the decoder stops at the last valid step and "
        "repeats its output after it; targets are padded by the last valid step; `sample_weight` "
        "removes the bias of that"
    )
    symbol = "RemaskedAutoencoder"

    def build(self, *, steps: int, **arguments: Any) -> "MaskedAutoencoder":
        """Build the model whose decoder is masked."""
        from ragline.components.train.padding.remask_model import RemaskedAutoencoder

        return RemaskedAutoencoder(**arguments)

    def for_loss(self, batch: "SequenceBatch") -> "SequenceBatch":
        """Return a batch whose targets in the padding are the last valid step."""
        import tensorflow as tf

        steps = tf.range(tf.shape(batch.values, tf.int64)[1])
        last = tf.minimum(steps, batch.length[:, tf.newaxis] - 1)
        return batch._replace(values=tf.gather(batch.values, last, batch_dims=1))
