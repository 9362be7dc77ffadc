"""Cut a batch by rows: for replicas, for the parts of an update, for the shards of a core."""

import tensorflow as tf

from ragline.components.train.data.sequence_batch import SequenceBatch


def split_rows(batches: tf.data.Dataset, context: tf.distribute.InputContext) -> tf.data.Dataset:
    """Split each batch into the rows of every replica of this process, one after the other.

    All processes read all batches: a replica's rows are padded as the global batch is.
    """
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return batches
    local_replicas = replicas // context.num_input_pipelines
    first = context.input_pipeline_id * local_replicas
    places = tf.data.Dataset.range(first, first + local_replicas, output_type=tf.int32)
    return batches.flat_map(lambda batch: places.map(lambda place: rows(batch, place, replicas)))


def rows(batch: SequenceBatch, part: tf.Tensor | int, parts: int) -> SequenceBatch:
    """Return one of `parts` parts of a batch, cut by rows; some are empty if it has fewer rows."""
    number = tf.shape(batch.values)[0]
    start, stop = number * part // parts, number * (part + 1) // parts
    return tf.nest.map_structure(lambda tensor: tensor[start:stop], batch)
