"""Encode long sequences part by part, with the states of one part of their steps in memory.

BlockLSTM puts out seven numbers a unit and step, 2.6 kB a step at 64 units with what is beside
them, of which the embedding needs those of the last valid step. An encoder that needs all steps at
once, as one that reads backwards does, has no state to resume from.
"""

from typing import Any

import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.model.architecture import MaskedAutoencoder

# So many that a loop over parts costs nothing; of 64 units, they take 2.6 MB a sequence.
PART_STEPS = 1_024


def encode(model: MaskedAutoencoder, batch: SequenceBatch) -> tf.Tensor:
    """Return the embedding, float32 [B, E]: what `model.encode` says."""
    rows, steps = tf.unstack(tf.shape(batch.values)[:2])
    reader, layers = model.reader, model.encoder
    is_plain = type(model).encode is MaskedAutoencoder.encode
    if not is_plain or (start := reader.start(layers, rows)) is None:
        return model.encode(batch)
    length = tf.cast(batch.length, tf.int32)

    def part(begin: tf.Tensor, last: tf.Tensor, state: Any) -> tuple[tf.Tensor, tf.Tensor, Any]:
        end = tf.minimum(begin + PART_STEPS, steps)
        outputs, after = reader.resume(layers, model.to_read(batch.part(begin, end)), state)
        place = length - 1 - begin
        ends_here = (place >= 0) & (place < end - begin)
        ends = tf.gather(outputs, tf.where(ends_here, place, 0), batch_dims=1)
        return end, tf.where(ends_here[:, tf.newaxis], ends, last), after

    _, last, _ = tf.while_loop(
        lambda begin, *_: begin < steps,
        part,
        (tf.constant(0), tf.zeros([rows, reader.outputs(model.options)]), start),
        parallel_iterations=1,
    )
    return model.to_embedding(last, batch)
