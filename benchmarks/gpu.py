"""On a machine with a GPU: the numbers contract there, and training beside PyTorch's cuDNN.

    python -m benchmarks.gpu [--units 64,128,256,512] [--batches 256,1024,4096] [--seconds 0.3]

It takes five minutes and has not been run yet where there is a GPU: no figure of it stands
anywhere. `--device CPU` runs the same on a CPU, as the tests do.

Checked first, for each number of units, in float32 and in bfloat16:

    cuDNN     the recurrent layers are left to Keras, and so to cuDNN (`LSTM.is_fused`)
    padding   NaN in the padding changes no loss and no update, to the last bit
    CPU       with the same weights, embeddings are those of a CPU, to 1e-5 of the largest number;
              in float32 alone, without TF32
    export    a SavedModel exported here holds no cuDNN operation, and a process that sees no GPU
              loads it and gives those embeddings, to 1e-5

Then the table: thousand valid steps a second of `Trainer.update` and of PyTorch's LSTM, each in a
process of its own (`benchmarks/training`), which take turns; medians, the ratio of each turn's, and
the share of the card's peak that the products of matrices come to. Both take TF32 as their
libraries do by default. bfloat16 is Keras's mixed policy, and PyTorch's autocast.
"""

import argparse
import itertools
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from benchmarks import train
from benchmarks.training.data import FEATURES, sequences
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import Trainer
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

PRECISIONS = ("float32", "bfloat16")
CLOSE = 1e-5
# Of the check, of similar length each.
_BATCHES, _ROWS = 4, 64
_TURNS = 3
_HEADER = (
    "H", "batch", "precision", "ragline", "torch", "/ torch", "TFLOP/s", "of the peak",
)  # fmt: skip
_ENCODE = """
import sys, numpy, tensorflow
if tensorflow.config.list_physical_devices("GPU"):
    sys.exit("expected no GPU, received one")
model, batches, embeddings = sys.argv[1:]
loaded = tensorflow.saved_model.load(model)
with numpy.load(batches) as arrays:
    made = loaded.encode(arrays["values"], arrays["length"])
numpy.save(embeddings, made.numpy())
"""


def options_of(units: int, precision: str) -> TrainOptions:
    """Return the options of the model that PyTorch has, too."""
    return TrainOptions(
        units=units,
        embedding_size=units,
        linear_steps=0,
        statistics=0.0,
        precision=precision,
        strategy="one",
    )


def batches_of(fill: float) -> list[SequenceBatch]:
    """Return batches of sequences of similar length, with this in their padding."""
    made = sorted(sequences("log-normal", _BATCHES * _ROWS), key=len)

    def padded(group: list[np.ndarray]) -> SequenceBatch:
        length = np.array(list(map(len, group)), np.int64)
        values = np.full((len(group), length.max(), FEATURES), fill, np.float32)
        for row, one in zip(values, group, strict=True):
            row[: len(one)] = one
        weight = np.arange(length.max()) < length[:, np.newaxis]
        return SequenceBatch(values, length, weight.astype(np.float32))

    return [padded(made[start : start + _ROWS]) for start in range(0, len(made), _ROWS)]


def as_dataset(batches: list[SequenceBatch]) -> tf.data.Dataset:
    """Return batches as `Trainer.update` reads them."""
    shapes = SequenceBatch(
        tf.TensorSpec([None, None, FEATURES], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None, None], tf.float32),
    )
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=shapes)


def check(units: int, precision: str, device: str, folder: pathlib.Path) -> None:
    """Hold a model that is trained on a device against what the page says of it.

    Args:
      units: H.
      precision: one of PRECISIONS.
      device: `GPU` or `CPU`.
      folder: an empty one, for the exported model.

    Raises:
      AssertionError: if one of the four does not hold.
    """
    options = options_of(units, precision)

    def trained(fill: float) -> tuple[float, Trainer]:
        with tf.device(device):
            trainer = Trainer(
                features=FEATURES, options=options, strategy=tf.distribute.get_strategy()
            )
            return mean_of(trainer.update(as_dataset(batches_of(fill))), LOSS), trainer

    loss, trainer = trained(0.0)
    fused = {layer.is_fused for layer in (*trainer.model.encoder, *trainer.model.decoder)}
    if fused != {device == "CPU" and precision == "float32"}:
        raise AssertionError(f"H = {units}, {precision}: the layers' own loops run: {fused}")
    other_loss, other = trained(float("nan"))
    weights = trainer.model.get_weights()
    if loss != other_loss or any(
        (a != b).any() for a, b in zip(weights, other.model.get_weights(), strict=True)
    ):
        raise AssertionError(f"padding has an effect: loss {loss} and {other_loss}")
    batch = batches_of(0.0)[-1]
    if precision == "float32":
        with tf.device("CPU"):
            on_cpu = architecture.build(features=FEATURES, options=options)
            on_cpu.set_weights(weights)
            expected = on_cpu.encode(tensors(batch)).numpy()
        with tf.device(device):
            compare(trainer.model.encode(tensors(batch)).numpy(), expected, "on the CPU")
    portable = architecture.build(
        features=FEATURES, options=options_of(units, "float32"), portable=True
    )
    portable.set_weights(weights)
    expected = portable.encode(tensors(batch)).numpy()
    compare(encoded_without_gpu(portable, batch, folder), expected, "by the SavedModel")


def tensors(batch: SequenceBatch) -> SequenceBatch:
    """Return a batch of arrays as tensors."""
    converted: SequenceBatch = tf.nest.map_structure(tf.constant, batch)
    return converted


def compare(made: np.ndarray, expected: np.ndarray, where: str) -> None:
    """Raise an AssertionError if embeddings are further apart than CLOSE of the largest number."""
    apart = np.abs(made - expected).max() / np.abs(expected).max()
    if not apart <= CLOSE:
        raise AssertionError(f"embeddings {where}: expected within {CLOSE}, received {apart:.1e}")


def encoded_without_gpu(
    model: architecture.MaskedAutoencoder, batch: SequenceBatch, folder: pathlib.Path
) -> np.ndarray:
    """Export a model, and return the embeddings of a process that loads it and sees no GPU."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "encode",
        lambda values, length: model.encode(SequenceBatch.complete(values, length)),
        input_signature=[
            tf.TensorSpec([None, None, FEATURES], tf.float32),
            tf.TensorSpec([None], tf.int64),
        ],
    )
    archive.write_out(str(folder / "model"), verbose=False)
    if b"CudnnRNN" in (folder / "model" / "saved_model.pb").read_bytes():
        raise AssertionError("the exported graph holds an operation of cuDNN")
    np.savez(folder / "batch.npz", values=batch.values, length=batch.length)
    names = ("model", "batch.npz", "embeddings.npy")
    subprocess.run(
        [sys.executable, "-c", _ENCODE, *(str(folder / name) for name in names)],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"},
        check=True,
    )
    made: np.ndarray = np.load(folder / "embeddings.npy")
    return made


def flops_a_step(units: int) -> float:
    """Return those of the matrix products of a valid step, forward and backward, of all layers.

    x K and h R of the encoder; h R of the decoder, whose input is projected once a sequence; the
    last dense layer. Each product has two like it on the way back.
    """
    forward = 2 * 4 * units * (FEATURES + units) + 2 * 4 * units * units + 2 * units * FEATURES
    return 3.0 * forward


def rows_of(
    sides: dict[str, train.Side], case: pathlib.Path, units: int, batch: int, peak: float | None,
    seconds: float,
) -> list[str]:  # fmt: skip
    """Return the rows of a case, one a precision."""
    case.with_suffix(".json").write_text(f'[{units}, "log-normal", 2, {batch}]', encoding="utf-8")
    sides["data"].ask("case", str(case))
    rows = []
    for precision in PRECISIONS:
        names = [name for name in sides if name.endswith(precision)]
        rates: dict[str, list[float]] = {name: [] for name in names}
        for name in names:
            sides[name].ask("case", str(case))
        for _, name in itertools.product(range(_TURNS), names):
            turn = sides[name].ask("train", seconds)
            rates[name].append(turn["work"] / turn["wall"])
        own, *others = rates.values()
        achieved = statistics.median(own) * flops_a_step(units) / 1e12
        cells = [
            f"{statistics.median(own) / 1e3:,.1f}",
            *(f"{statistics.median(other) / 1e3:,.1f}" for other in others or [[0.0]]),
            f"{statistics.median(a / b for a, b in zip(own, *others, strict=True)):.2f}"
            if others
            else "-",
            f"{achieved:.3f}",
            f"{achieved / peak:.1%}" if peak else "-",
        ]
        rows.append(f"| {units} | {batch} | {precision} | {' | '.join(cells)} |")
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what was checked, and a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", default="64,128,256,512", help="with commas between")
    parser.add_argument("--batches", default="256,1024,4096", help="sequences, with commas between")
    parser.add_argument("--seconds", type=float, default=0.3, help="of a turn, at least")
    parser.add_argument("--device", choices=("GPU", "CPU"), default="GPU")
    parser.add_argument("--torch", default=str(train.TORCH_PYTHON), help="a Python with PyTorch")
    parser.add_argument("--peak-tflops", type=float, help="of the card, in float32")
    options = parser.parse_args(arguments)
    devices = tf.config.list_physical_devices(options.device)
    if not devices:
        parser.exit(2, "expected a GPU that TensorFlow can use, received none; see --device\n")
    tf.config.experimental.enable_tensor_float_32_execution(False)
    name = tf.config.experimental.get_device_details(devices[0]).get("device_name", options.device)
    print(f"{name}, TensorFlow {tf.__version__}")
    units = [int(size) for size in options.units.split(",")]
    contestants = ["ragline", *(["torch"] if pathlib.Path(options.torch).exists() else [])]
    environment = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment |= {"CUDA_VISIBLE_DEVICES": ""} if options.device == "CPU" else {}
    sides = {"data": train.Side("data", options.torch)}
    for each, precision in itertools.product(contestants, PRECISIONS):
        side = f"{each} {precision}"
        sides[side] = train.Side(side, options.torch, environment)
    with tempfile.TemporaryDirectory() as top:
        for size, precision in itertools.product(units, PRECISIONS):
            folder = pathlib.Path(top) / f"{size}-{precision}"
            folder.mkdir()
            check(size, precision, options.device, folder)
            print(f"H = {size}, {precision}: cuDNN, padding, CPU and export as expected")
        print(f"\n| {' | '.join(_HEADER)} |\n|{'---:|' * len(_HEADER)}", flush=True)
        for size, batch in itertools.product(units, map(int, options.batches.split(","))):
            case = pathlib.Path(top) / f"{size}-{batch}"
            made = rows_of(sides, case, size, batch, options.peak_tflops, options.seconds)
            print("\n".join(made), flush=True)
    for side in sides.values():
        side.close()


if __name__ == "__main__":
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    main()
