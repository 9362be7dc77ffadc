"""On a machine with a GPU: the numbers contract there, and training's speed beside the card's.

    python -m benchmarks.gpu [--units 64,128,256] [--peak-tflops 67]

It has not been run yet where there is a GPU, and no figure of it stands anywhere. Checked, for each
size and for float32 and bfloat16: that the recurrent layers are left to Keras, and so to cuDNN
(`LSTM.is_fused`); that what stands in the padding changes no loss and no update, to the last
bit; and that the float32 loss is that of a CPU, to 1e-4. Timed: valid steps a second, and the share
of the card's peak that their products of matrices come to.
"""

import argparse
import statistics
import time

import numpy as np
import tensorflow as tf

from benchmarks.training.data import FEATURES, sequences
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.loop.trainer import STEPS, Trainer
from ragline.components.train.options import TrainOptions
from ragline.components.train.terms.interface import mean_of
from ragline.components.train.terms.steps import LOSS

_BATCH, _SECONDS, _TURNS = 256, 2.0, 5


def batches(fill: float) -> tf.data.Dataset:
    """Four batches of similar length, with this in their padding."""
    made = sorted(sequences("log-normal", 4 * _BATCH), key=len)
    groups = [made[start : start + _BATCH] for start in range(0, len(made), _BATCH)]

    def padded(group: list[np.ndarray]) -> SequenceBatch:
        length = np.array(list(map(len, group)), np.int64)
        values = np.full((len(group), length.max(), FEATURES), fill, np.float32)
        for row, one in zip(values, group, strict=True):
            row[: len(one)] = one
        weight = np.arange(length.max()) < length[:, np.newaxis]
        return SequenceBatch(values, length, weight.astype(np.float32))

    shapes = SequenceBatch(
        tf.TensorSpec([None, None, FEATURES], tf.float32),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None, None], tf.float32),
    )
    return tf.data.Dataset.from_generator(lambda: map(padded, groups), output_signature=shapes)


def trained(options: TrainOptions, fill: float) -> tuple[float, list[np.ndarray], Trainer]:
    """The loss of one pass, the weights after it, and the trainer."""
    trainer = Trainer(features=FEATURES, options=options, strategy=tf.distribute.get_strategy())
    loss = mean_of(trainer.update(batches(fill)), LOSS)
    return loss, trainer.model.get_weights(), trainer


def flops_a_step(units: int) -> float:
    """Of the matrix products of one valid step, forward and backward, of both layers."""
    forward = 2 * 4 * units * (FEATURES + units) + 2 * 4 * units * (2 * units)
    return 3.0 * forward


def check(units: int, precision: str, peak_tflops: float | None) -> str:
    """A row of the table."""
    options = TrainOptions(
        units=units,
        embedding_size=units,
        linear_steps=0,
        statistics=0.0,
        precision=precision,
        strategy="one",
    )
    loss, weights, trainer = trained(options, 0.0)
    if any(layer.is_fused for layer in (*trainer.model.encoder, *trainer.model.decoder)):
        raise AssertionError("expected the layers to be left to cuDNN")
    other_loss, others, _ = trained(options, float("nan"))
    if loss != other_loss or any((a != b).any() for a, b in zip(weights, others, strict=True)):
        raise AssertionError(f"padding has an effect: loss {loss} and {other_loss}")
    with tf.device("CPU"):
        on_cpu, *_ = trained(options, 0.0)
    if precision == "float32" and abs(loss / on_cpu - 1) > 1e-4:
        raise AssertionError(f"loss {loss} on the GPU, {on_cpu} on the CPU")
    rates, held = [], batches(0.0).cache()
    trainer.update(held)
    for _ in range(_TURNS):
        started, steps = time.perf_counter(), 0.0
        while time.perf_counter() - started < _SECONDS:
            steps += trainer.update(held)[STEPS]
        rates.append(steps / (time.perf_counter() - started))
    rate = statistics.median(rates)
    achieved = rate * flops_a_step(units) / 1e12
    share = f"{achieved / peak_tflops:.1%}" if peak_tflops else "-"
    return f"| {units} | {precision} | {rate / 1e3:,.0f} | {achieved:.2f} | {share} |"


def main() -> None:
    """Prints a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", default="64,128,256", help="with commas between")
    parser.add_argument("--peak-tflops", type=float, help="of the card, at the precision used")
    options = parser.parse_args()
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        parser.exit(2, "expected a GPU that TensorFlow can use, found none\n")
    print(tf.config.experimental.get_device_details(gpus[0]).get("device_name"), tf.__version__)
    print("\n| H | precision | thousand valid steps/s | TFLOP/s | of the peak |")
    print("|---:|---|---:|---:|---:|")
    for units in map(int, options.units.split(",")):
        for precision in ("float32", "bfloat16"):
            print(check(units, precision, options.peak_tflops), flush=True)


if __name__ == "__main__":
    main()
