"""Trains on one device, on two logical CPU devices, and on two workers; prints the updates as JSON.

In a process of its own, since the number of logical devices is set before TensorFlow begins, and
the workers are forked before that.

The control, if the argument is `control`, is a mean a replica, averaged.

What is trained is one plain gradient step in two parts: average = sequence, missing values, two
heads, of which one has its labels on the first replica alone, and two categories, of which one is
missing on the second.
"""

import json
import pathlib
import sys
import tempfile
from importlib.metadata import EntryPoint

import keras
import numpy as np
import replica_means
import samples
import tensorflow as tf
import two_workers

from ragline.components.contract.errors import UsageError
from ragline.components.runtime import cores
from ragline.components.train import terms
from ragline.components.train.loop import trainer as trainer_module
from ragline.components.train.options import TermOptions, TrainOptions
from ragline.components.train.terms.interface import SequenceTerm

SIZE = {"units": 6, "embedding_size": 4, "linear_steps": 0}
OPTIONS = TrainOptions(**SIZE, clip_norm=1e9, gradient_accumulation_steps=2, average="sequence")
HEADS = (samples.KIND, samples.SCORE)
SEQUENCES = 7  # 4 on the first replica, 3 on the second.


def dataset(folder: str) -> tf.data.Dataset:
    """One batch."""
    lengths = np.random.default_rng(0).integers(1, 30, SEQUENCES)
    made = samples.with_token_ids(0, samples.make(0, lengths, missing=True))
    for row, sample in enumerate(made):
        sample.labels.pop("kind", None)
        if row < 2:
            sample.labels["kind"] = b"b"
        if row >= (SEQUENCES + 1) // 2:
            sample.token_ids["activity"][:] = -1
    return samples.read(
        samples.write(f"{folder}/shard", [samples.record(sample) for sample in made]),
        missing=True,
        batch_size=SEQUENCES,
        average=OPTIONS.average,
        heads=HEADS,
        categories=[vocabulary.name for vocabulary in samples.VOCABULARIES],
    )


def train(strategy: tf.distribute.Strategy, shards: int = 1) -> dict:
    """The sums of the update, and by how much the weights changed."""
    cores.batch_shards = lambda device: shards
    trainer = trainer_module.Trainer(
        features=samples.F,
        options=OPTIONS,
        strategy=strategy,
        heads=HEADS,
        vocabularies=samples.VOCABULARIES,
    )
    trainer.optimizer = keras.optimizers.SGD(1.0)
    before = trainer.model.get_weights()
    with tempfile.TemporaryDirectory() as folder:
        sums = trainer.update(dataset(folder))
    changes = [a - b for a, b in zip(trainer.model.get_weights(), before, strict=True)]
    return {
        "replicas": strategy.num_replicas_in_sync,
        "sums": sums,
        "fused": [layer.is_fused for layer in (*trainer.model.encoder, *trainer.model.decoder)],
        "change": np.concatenate([change.ravel() for change in changes]).tolist(),
    }


def by_two_workers() -> dict:
    """What the chief of two workers on loopback says.

    TensorFlow takes a worker for lost that stands still for 10 seconds, as on a machine that is too
    busy: they are started again then.
    """
    with tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder, "result.json")

        def of(index: int, strategy: tf.distribute.Strategy) -> None:
            trained = train(strategy)
            if not index:
                result.write_text(json.dumps(trained))

        for attempt in range(3):
            workers = two_workers.start_both(pathlib.Path(folder), f"{attempt}", of)
            if two_workers.ended(workers) == [0, 0]:
                return json.loads(result.read_text())
        logs = [log.read_text() for log in sorted(pathlib.Path(folder).glob("*.log"))]
        raise RuntimeError("\n".join(logs))


class Compares(SequenceTerm):
    """A term that several replicas cannot share."""

    compares_sequences = True

    def errors(self, batch, outputs):
        return tf.reduce_sum(outputs.embedding, axis=1)


def refusal(strategy: tf.distribute.Strategy) -> str:
    """What is said of a term that compares the sequences of a batch."""
    entry = EntryPoint("compares", "__main__:Compares", terms.TERMS.group)
    terms.TERMS.__dict__["_entry_points"] = {entry.name: entry}
    try:
        trainer_module.Trainer(
            features=samples.F,
            options=TrainOptions(**SIZE, strategy="mirrored"),
            strategy=strategy,
            terms=[TermOptions(name="near", type=entry.name)],
        )
    except UsageError as error:
        return str(error)
    return "none"


if __name__ == "__main__":
    workers = by_two_workers()
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    one, two = trainer_module.strategy_of("one"), trainer_module.strategy_of("mirrored")
    done = {"one": train(one), "two": train(two, shards=2), "workers": workers}
    if "control" in sys.argv:
        with replica_means.used_by(trainer_module):
            done["control"] = train(two)
    refusals = {"one": refusal(one), "two": refusal(two)}
    print(json.dumps(done | {"refusals": refusals}))
