"""The embedding of sequences with the states of a part of their steps in memory, part by part.

BlockLSTM puts out seven numbers a unit and step, 2.6 kB a step at 64 units with what is beside
them, of which the embedding needs those of the last valid step. A layer that reads backwards needs
all steps at once.
"""

import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model import fused_lstm
from ragline.components.train.model.architecture import MaskedAutoencoder

# So many that a loop over parts costs nothing; of 64 units, they take 2.6 MB a sequence.
PART_STEPS = 1_024


def encode(model: MaskedAutoencoder, batch: SequenceBatch) -> tf.Tensor:
    """Return the embedding, float32 [B, E]: what `model.encode` says."""
    plain = type(model).encode is MaskedAutoencoder.encode and not model.backward
    if not plain or not all(map(fused_lstm.resumes, model.encoder)):
        return model.encode(batch)
    rows, steps = tf.unstack(tf.shape(batch.values)[:2])
    length = tf.cast(batch.length, tf.int32)

    def part(
        begin: tf.Tensor, last: tf.Tensor, states: list[fused_lstm.State]
    ) -> tuple[tf.Tensor, tf.Tensor, list[fused_lstm.State]]:
        end = tf.minimum(begin + PART_STEPS, steps)
        outputs = model.to_read(batch.part(begin, end))
        after = []
        for layer, state in zip(model.encoder, states, strict=True):
            outputs, state_after = fused_lstm.resume(layer, outputs, state)
            after.append(state_after)
        place = length - 1 - begin
        ends_here = (place >= 0) & (place < end - begin)
        ends = tf.gather(outputs, tf.where(ends_here, place, 0), batch_dims=1)
        return end, tf.where(ends_here[:, tf.newaxis], ends, last), after

    _, last, _ = tf.while_loop(
        lambda begin, *_: begin < steps,
        part,
        (
            tf.constant(0),
            tf.zeros([rows, model.encoder[-1].units]),
            [fused_lstm.start(layer, rows) for layer in model.encoder],
        ),
        parallel_iterations=1,
    )
    embedding = model.code(last)
    return embedding if model.linear is None else embedding + model.linear.encode(batch)
