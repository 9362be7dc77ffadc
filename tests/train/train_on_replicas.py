"""Trains on one device, and on two logical CPU devices; prints what became of the weights as JSON.

The control is a mean a replica, averaged, as in Keras: each replica divides by its own count.

    plain       two epochs with Adam, whose last batch is uneven
    heads       one plain gradient step in two parts: average = sequence, missing values, and two
                heads, of which one has its labels on the first replica alone
    categories  the same step with two categories in place of the heads, of which one is missing on
                the second replica
"""

import json
import sys
import tempfile
from collections.abc import Sequence as Collection
from dataclasses import dataclass

import keras
import numpy as np
import samples
import tensorflow as tf

from components.train import trainer as trainer_module
from components.train.categories import Vocabulary
from components.train.options import HeadOptions, TrainOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained."""

    sequences: int
    batch_size: int
    epochs: int
    options: TrainOptions
    heads: Collection[HeadOptions] = ()
    vocabularies: Collection[Vocabulary] = ()
    optimizer: keras.optimizers.Optimizer | None = None

    def dataset(self, folder: str) -> tf.data.Dataset:
        missing = bool(self.heads)
        made = samples.make(0, np.random.default_rng(0).integers(1, 30, 21), missing=missing)
        for row, sample in enumerate(made):
            sample.labels.pop("kind", None)
            if row < 2:
                sample.labels["kind"] = b"b"
        if self.vocabularies:
            made = samples.with_codes(0, made)
            for sample in made[(self.sequences + 1) // 2 :]:
                sample.codes["activity"][:] = -1
        path = samples.write(
            f"{folder}/shard", [samples.record(sample) for sample in made[: self.sequences]]
        )
        return samples.read(
            path,
            missing=missing,
            batch_size=self.batch_size,
            average=self.options.average,
            heads=self.heads,
            categories=[vocabulary.name for vocabulary in self.vocabularies],
        )


SIZE = {"units": 6, "embedding_size": 4}
# Made when called: an optimizer has variables, with which TensorFlow would start.
CASES = {
    # 6, 6, 6 and 3 sequences.
    "plain": lambda: Case(
        sequences=21, batch_size=6, epochs=2, options=TrainOptions(**SIZE, clip_norm=0.1)
    ),
    # 4 on the first replica, 3 on the second.
    "heads": lambda: Case(
        sequences=7,
        batch_size=7,
        epochs=1,
        options=TrainOptions(**SIZE, clip_norm=1e9, micro_batches=2, average="sequence"),
        heads=(samples.KIND, samples.SCORE),
        optimizer=keras.optimizers.SGD(1.0),
    ),
    "categories": lambda: Case(
        sequences=7,
        batch_size=7,
        epochs=1,
        options=TrainOptions(**SIZE, clip_norm=1e9, micro_batches=2, average="sequence"),
        vocabularies=samples.WORDS,
        optimizer=keras.optimizers.SGD(1.0),
    ),
}


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


def train(case: Case, strategy: tf.distribute.Strategy) -> dict:
    """The sums of the last epoch, and by how much the weights changed."""
    trainer = trainer_module.Trainer(
        features=samples.F,
        options=case.options,
        strategy=strategy,
        heads=case.heads,
        vocabularies=case.vocabularies,
    )
    trainer.optimizer = case.optimizer or trainer.optimizer
    before = trainer.model.get_weights()
    with tempfile.TemporaryDirectory() as folder:
        sums = [trainer.update(case.dataset(folder)) for _ in range(case.epochs)][-1]
    changes = [a - b for a, b in zip(trainer.model.get_weights(), before, strict=True)]
    return {
        "replicas": strategy.num_replicas_in_sync,
        "sums": sums,
        "change": np.concatenate([change.ravel() for change in changes]).tolist(),
    }


if __name__ == "__main__":
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    made = CASES[sys.argv[1]]
    one, two = trainer_module.strategy_of("one"), trainer_module.strategy_of("mirrored")
    done = {"one": train(made(), one), "two": train(made(), two)}
    trainer_module.tf = _Control()
    print(json.dumps(done | {"control": train(made(), two)}))
