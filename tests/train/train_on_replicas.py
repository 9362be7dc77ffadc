"""Trains on one device, and on two logical CPU devices; prints what became of the weights as JSON.

In a process of its own, since the number of logical devices is set before TensorFlow begins.

The control is a mean a replica, averaged.

    heads       one plain gradient step in two parts: average = sequence, missing values, and two
                heads, of which one has its labels on the first replica alone
    categories  the same step with two categories in place of the heads, of which one is missing on
                the second replica
"""

import json
import tempfile
from collections.abc import Sequence as Collection
from dataclasses import dataclass
from importlib.metadata import EntryPoint

import keras
import numpy as np
import replica_means
import samples
import tensorflow as tf

from ragline.components.contract.errors import UsageError
from ragline.components.train import terms
from ragline.components.train.loop import trainer as trainer_module
from ragline.components.train.objective.categories import Vocabulary
from ragline.components.train.options import HeadOptions, TermOptions, TrainOptions
from ragline.components.train.terms.interface import SequenceTerm


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is trained."""

    sequences: int
    options: TrainOptions
    heads: Collection[HeadOptions] = ()
    vocabularies: Collection[Vocabulary] = ()
    optimizer: keras.optimizers.Optimizer

    def dataset(self, folder: str) -> tf.data.Dataset:
        missing = bool(self.heads)
        made = samples.make(0, np.random.default_rng(0).integers(1, 30, 21), missing=missing)
        for row, sample in enumerate(made):
            sample.labels.pop("kind", None)
            if row < 2:
                sample.labels["kind"] = b"b"
        if self.vocabularies:
            made = samples.with_token_ids(0, made)
            for sample in made[(self.sequences + 1) // 2 :]:
                sample.token_ids["activity"][:] = -1
        path = samples.write(
            f"{folder}/shard", [samples.record(sample) for sample in made[: self.sequences]]
        )
        return samples.read(
            path,
            missing=missing,
            batch_size=self.sequences,
            average=self.options.average,
            heads=self.heads,
            categories=[vocabulary.name for vocabulary in self.vocabularies],
        )


SIZE = {"units": 6, "embedding_size": 4}
# Made when called: an optimizer has variables, with which TensorFlow would start.
CASES = {
    # 4 on the first replica, 3 on the second.
    "heads": lambda: Case(
        sequences=7,
        options=TrainOptions(
            **SIZE, clip_norm=1e9, gradient_accumulation_steps=2, average="sequence"
        ),
        heads=(samples.KIND, samples.SCORE),
        optimizer=keras.optimizers.SGD(1.0),
    ),
    "categories": lambda: Case(
        sequences=7,
        options=TrainOptions(
            **SIZE, clip_norm=1e9, gradient_accumulation_steps=2, average="sequence"
        ),
        vocabularies=samples.VOCABULARIES,
        optimizer=keras.optimizers.SGD(1.0),
    ),
}


def train(case: Case, strategy: tf.distribute.Strategy) -> dict:
    """The sums of the update, and by how much the weights changed."""
    trainer = trainer_module.Trainer(
        features=samples.F,
        options=case.options,
        strategy=strategy,
        heads=case.heads,
        vocabularies=case.vocabularies,
    )
    trainer.optimizer = case.optimizer
    before = trainer.model.get_weights()
    with tempfile.TemporaryDirectory() as folder:
        sums = trainer.update(case.dataset(folder))
    changes = [a - b for a, b in zip(trainer.model.get_weights(), before, strict=True)]
    return {
        "replicas": strategy.num_replicas_in_sync,
        "sums": sums,
        "fused": [layer.is_fused for layer in (*trainer.model.encoder, *trainer.model.decoder)],
        "change": np.concatenate([change.ravel() for change in changes]).tolist(),
    }


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
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    one, two = trainer_module.strategy_of("one"), trainer_module.strategy_of("mirrored")
    done = {}
    for name, made in CASES.items():
        done[name] = {"one": train(made(), one), "two": train(made(), two)}
        with replica_means.used_by(trainer_module):
            done[name]["control"] = train(made(), two)
    refusals = {"one": refusal(one), "two": refusal(two)}
    print(json.dumps(done | {"refusals": refusals}))
