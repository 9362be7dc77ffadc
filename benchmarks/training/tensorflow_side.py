"""Run TensorFlow's sides of the training benchmark.

    python -m benchmarks.training.tensorflow_side SIDE

data           writes the case that the JSON beside its folder asks for
ragline        the trainer itself, on its own batches; `ragline float32` and `ragline bfloat16` on a
               GPU, where there is one
keras          a plain Keras model and `fit`, on the same batches
keras padded   the same, on random batches padded to the longest sequence of all
"""

import json
import math
import pathlib
import sys
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from benchmarks.training import answers
from benchmarks.training.data import (
    CLIP_NORM,
    FEATURES,
    LEARNING_RATE,
    SEQUENCES,
    batches_of,
    case_of,
    sequences,
    weights_of,
)
from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.runtime import cores
from ragline.components.train.data import batching, input_pipeline
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import STEPS, Trainer
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

BATCH = 64
# Of the batches in a pass, which TensorFlow begins with work of its own, as it does an epoch.
_ROUNDS = 4
_SPEC = {
    VALUES: tf.io.RaggedFeature(tf.float32, value_key=VALUES),
    LENGTH: tf.io.FixedLenFeature([], tf.int64),
}


def _options(units: int, batch: int, precision: str = "float32") -> TrainOptions:
    return TrainOptions(
        units=units,
        precision=precision,
        embedding_size=units,
        linear_steps=0,
        statistics=0.0,
        batch_size=batch,
        learning_rate=LEARNING_RATE,
        clip_norm=CLIP_NORM,
    )


def _read(folder: pathlib.Path, batch: int) -> tf.data.Dataset:
    keras.utils.set_random_seed(0)  # TensorFlow's own seed has a part in a shuffle that has one.
    files = [str(folder / "records.gz")]
    lengths = input_pipeline.read_lengths(files)
    plan = batching.plan_similar_length(lengths, batch, FEATURES)
    records = input_pipeline.read(files, keep=batching.is_one_pool(lengths, FEATURES))
    parse = input_pipeline.parser(spec=_SPEC, features=FEATURES)
    return input_pipeline.batches(records, parse, plan=plan, shuffle_seed=1)


def _trainer(options: TrainOptions) -> Trainer:
    return Trainer(features=FEATURES, options=options, strategy=tf.distribute.get_strategy())


def write(
    folder: pathlib.Path, units: int, lengths: str, batches: int, batch: int = BATCH
) -> dict[str, float]:
    """Writes a case; its share of padded steps, with batches cut to size and at random."""
    folder.mkdir(parents=True)
    made = sequences(lengths, max(SEQUENCES, 2 * batches * batch))
    with tf.io.TFRecordWriter(str(folder / "records.gz"), "GZIP") as writer:
        for values in made:
            example = tf.train.Example()
            example.features.feature[VALUES].float_list.value.extend(values.ravel().tolist())
            example.features.feature[LENGTH].int64_list.value.append(len(values))
            writer.write(example.SerializeToString())
    arrays, padded, valid = {}, 0, 0
    for number, each in enumerate(_read(folder, batch)):
        padded += each.values.shape[0] * each.values.shape[1]
        valid += int(tf.reduce_sum(each.length))
        if number < batches:
            arrays[f"values_{number}"] = each.values.numpy()
            arrays[f"length_{number}"] = each.length.numpy()
    np.savez(folder / "batches.npz", **arrays)
    start = _trainer(_options(units, batch)).model
    layers = {
        "encoder": start.encoder[0],
        "code": start.projection,
        "decoder": start.decoder[0],
        "reconstruction": start.reconstruction,
    }
    named = {
        f"{name}_{place}": weight
        for name, layer in layers.items()
        for place, weight in enumerate(layer.get_weights())
    }
    np.savez(folder / "weights.npz", **named)
    case = {"units": units, "batches": len(arrays) // 2, "batch": batch}
    (folder / "case.json").write_text(json.dumps(case), encoding="utf-8")
    longest = max(map(len, made))
    return {"waste": 1 - valid / padded, "waste_at_random": 1 - valid / (len(made) * longest)}


class Ragline:
    """`Trainer.update`; the batches are held in memory, as the other sides hold them."""

    def __init__(self, folder: pathlib.Path, precision: str = "float32") -> None:
        case = case_of(folder)
        self._options = _options(case["units"], case["batch"], precision)
        self._trainer = _trainer(self._options)
        self._records = _read(folder, case["batch"])
        self._held = self._records.take(case["batches"]).cache()
        self._folder = folder

    def losses(self) -> list[float]:
        """The curve."""
        number = sum(1 for _ in self._held)
        every = (self._held.skip(place).take(1) for place in range(number))
        return [mean_of(self._trainer.update(one), LOSS) for one in every]

    def passes(self) -> dict[str, Callable[[], int]]:
        """The input read from records is that of all batches, from the shuffle on."""
        held = self._held.repeat(_ROUNDS).prefetch(1)
        return {
            "train": lambda: int(self._trainer.update(held)[STEPS]),
            "input": lambda: int(self._trainer.update(self._records)[STEPS]),
            "encode": self._encoder(),
        }

    def _encoder(self) -> Callable[[], int]:
        """A SavedModel, loaded again."""
        portable = architecture.build(features=FEATURES, options=self._options, portable=True)
        portable.set_weights(self._trainer.model.get_weights())
        archive = keras.export.ExportArchive()
        archive.track(portable)
        signature = [
            tf.TensorSpec([None, None, FEATURES], tf.float32),
            tf.TensorSpec([None], tf.int64),
        ]
        archive.add_endpoint(
            "encode",
            lambda values, length: portable.encode(SequenceBatch.complete(values, length)),
            input_signature=signature,
        )
        archive.write_out(str(self._folder / "model"), verbose=False)
        loaded = tf.saved_model.load(str(self._folder / "model"))
        batches = [tuple(map(tf.constant, batch)) for batch in batches_of(self._folder)]

        def one_pass() -> int:
            return sum(len(loaded.encode(*batch).numpy()) for batch in batches)

        return one_pass


class Plain(keras.Model):
    """What a textbook has, but that the mask is there: Masking, LSTM, repeat, LSTM, Dense."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.masking = keras.layers.Masking()
        self.encoder = keras.layers.LSTM(units)
        self.code = keras.layers.Dense(units)
        self.decoder = keras.layers.LSTM(units, return_sequences=True)
        self.reconstruction = keras.layers.Dense(FEATURES)

    def call(self, values: tf.Tensor) -> tf.Tensor:
        """[B, T, F] -> [B, T, F]."""
        code = self.code(self.encoder(self.masking(values)))
        repeated = tf.repeat(code[:, tf.newaxis], tf.shape(values)[1], axis=1)
        return self.reconstruction(self.decoder(repeated))


class Keras:
    """`fit`, with weights by which Keras's mean is the masked mean of a batch."""

    def __init__(self, folder: pathlib.Path, padded: bool) -> None:
        case = case_of(folder)
        self._batches = [self._weighted(*batch) for batch in self._of(folder, padded, case)]
        self._model = Plain(case["units"])
        self._model(self._batches[0][0][:1, :2])
        for name, weights in weights_of(folder).items():
            getattr(self._model, name).set_weights(weights)
        adam = keras.optimizers.Adam(LEARNING_RATE, global_clipnorm=CLIP_NORM)
        self._model.compile(adam, "mse")
        shapes = ([None, None, FEATURES], [None, None, FEATURES], [None, None])
        self._dataset = tf.data.Dataset.from_generator(
            lambda: iter(self._batches * _ROUNDS),
            output_signature=tuple(tf.TensorSpec(shape, tf.float32) for shape in shapes),
        ).apply(tf.data.experimental.assert_cardinality(len(self._batches) * _ROUNDS))

    @staticmethod
    def _of(
        folder: pathlib.Path, padded: bool, case: dict[str, int]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        batches = batches_of(folder)
        if not padded:
            yield from batches
            return
        rows = [
            row[:n] for values, length in batches for row, n in zip(values, length, strict=True)
        ]
        longest = max(map(len, rows))
        order = np.random.default_rng(0).permutation(len(rows))
        for start in range(0, min(len(rows), BATCH * max(2, case["batches"] // 4)), BATCH):
            chosen = [rows[place] for place in order[start : start + BATCH]]
            values = np.zeros((len(chosen), longest, FEATURES), np.float32)
            for place, row in enumerate(chosen):
                values[place, : len(row)] = row
            yield values, np.array(list(map(len, chosen)))

    @staticmethod
    def _weighted(values: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, ...]:
        valid = np.arange(values.shape[1]) < length[:, np.newaxis]
        return values, values, (valid * (valid.size / valid.sum())).astype(np.float32)

    def losses(self) -> list[float]:
        """The curve."""
        losses = []
        for values, targets, weight in self._batches:
            self._model.reset_metrics()
            loss = self._model.train_on_batch(values, targets, sample_weight=weight)
            losses.append(float(np.ravel(loss)[0]))
        self._model.fit(self._dataset, verbose=0)
        return losses

    def _train(self) -> int:
        self._model.fit(self._dataset, verbose=0)
        valid = sum((weight > 0).sum() for *_, weight in self._batches)
        return math.floor(_ROUNDS * valid)

    def passes(self) -> dict[str, Callable[[], int]]:
        """Training alone."""
        return {"train": self._train}


class _Written:
    """A side that writes cases, told of each by a file beside its folder."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._waste = write(folder, *json.loads(folder.with_suffix(".json").read_text()))

    def losses(self) -> list[float]:
        """The two shares of padded steps."""
        return [*self._waste.values()]

    def passes(self) -> dict[str, Callable[[], int]]:
        """None."""
        return {}


_SIDES = {
    "data": _Written,
    "ragline": Ragline,
    "ragline float32": Ragline,
    "ragline bfloat16": lambda folder: Ragline(folder, "bfloat16"),
    "keras": lambda folder: Keras(folder, padded=False),
    "keras padded": lambda folder: Keras(folder, padded=True),
}

if __name__ == "__main__":
    if sys.argv[1].startswith("ragline"):
        cores.prepare()
    answers.answer(_SIDES[sys.argv[1]])
