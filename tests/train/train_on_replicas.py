"""Two epochs on 1 or 2 logical CPU devices, with an uneven last batch; prints the weights as JSON.

A second argument trains the control: each replica divides by its own count, as Keras would.
"""

import json
import sys

import numpy as np
import tensorflow as tf

replicas = int(sys.argv[1])
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0],
    [tf.config.LogicalDeviceConfiguration()] * replicas,
)

from components.train import trainer as trainer_module  # noqa: E402
from components.train.input import Batch  # noqa: E402
from components.train.options import TrainOptions  # noqa: E402

rng = np.random.default_rng(0)
lengths = rng.integers(1, 30, 21)
steps = int(lengths.max())
weight = (np.arange(steps) < lengths[:, np.newaxis]).astype(np.float32)
values = rng.normal(size=(21, steps, 2)).astype(np.float32) * weight[..., np.newaxis]
batch = Batch(values, lengths.astype(np.int64), weight, {}, {})
dataset = tf.data.Dataset.from_tensor_slices(batch).batch(6)  # 6, 6, 6 and 3 sequences.

options = TrainOptions(units=6, embedding_size=4, strategy="mirrored", clip_norm=0.1)
trainer = trainer_module.Trainer(
    features=2, options=options, strategy=trainer_module.strategy_of(options.strategy)
)
if len(sys.argv) > 2:

    class _MeanOfMeans:
        """The count of this replica alone, times the replicas: a mean of means."""

        def __getattr__(self, name):
            return getattr(tf.distribute.get_replica_context(), name)

        def all_reduce(self, op, value):
            context = tf.distribute.get_replica_context()
            if value[0].shape.rank:  # Gradients.
                return context.all_reduce(op, value)
            return [count * context.num_replicas_in_sync for count in value]

    class _Distribute:
        ReduceOp = tf.distribute.ReduceOp
        get_replica_context = staticmethod(_MeanOfMeans)

    class _Control:
        distribute = _Distribute

        def __getattr__(self, name):
            return getattr(tf, name)

    trainer_module.tf = _Control()

loss = [trainer_module.mean_of(trainer.update(dataset), "loss") for _ in range(2)][-1]
weights = np.concatenate([weight.ravel() for weight in trainer.model.get_weights()])
count = trainer._strategy.num_replicas_in_sync
print(json.dumps({"replicas": count, "loss": loss, "weights": weights.tolist()}))
