"""Whole trainings by `loop.fit`, in processes of their own; their checkpoints tell what they did.

    one      on one device
    mirrored on two logical devices of one process
    means    the same with the control: a mean a replica, averaged
    workers  by two processes on loopback, of which one is killed in the midst of an epoch
             (`killed-*`); then by two others, which go on (`again-*`)

The exit codes are printed as JSON.
"""

import contextlib
import json
import pathlib
import signal
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess

import numpy as np
import replica_means
import samples
import tensorflow as tf
import two_workers

from ragline.components.runtime import cores, progress
from ragline.components.train.loop import fit_loop, trainer
from ragline.components.train.loop.checkpoint import Checkpoints
from ragline.components.train.options import TrainOptions

OPTIONS = TrainOptions(
    units=6, embedding_size=4, clip_norm=0.1, epochs=20, patience=1, learning_rate=0.01
)
# Batches of 6, 6, 6 and 3 sequences, and of 6 and 1.
LENGTHS = {"train": np.arange(21) * 7 % 29 + 1, "eval": np.arange(7) * 5 % 13 + 1}
cores.batch_shards = lambda device: 1  # It halves the traces; train_on_replicas.py has two.
STOPS_AFTER = 14  # An epoch has 6 batches, and there is an epoch 0.


def fit(folder: pathlib.Path, strategy: tf.distribute.Strategy) -> None:
    with tempfile.TemporaryDirectory() as data:

        def batches(split: str) -> tf.data.Dataset:
            made = samples.make(len(split), LENGTHS[split])
            path = samples.write(f"{data}/{split}", [samples.record(one) for one in made])
            return samples.read(path, batch_size=6)

        fit_loop.fit(
            trainer.Trainer(features=samples.F, options=OPTIONS, strategy=strategy),
            train_batches=lambda epoch: batches("train"),
            eval_batches=lambda: batches("eval"),
            options=OPTIONS,
            checkpoints=Checkpoints(folder, "x", keep=trainer.is_chief(strategy)),
            on_epoch=lambda epoch: print("epoch", epoch.epoch, flush=True),
        )


def in_one_process(folder: pathlib.Path) -> None:
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
    )
    fit(folder / "one", trainer.strategy_of("one"))
    two = trainer.strategy_of("mirrored")
    fit(folder / "mirrored", two)
    with replica_means.used_by(trainer):
        fit(folder / "means", two)


class Stop:
    """Waits to be killed, after so many batches."""

    def __init__(self, reached: pathlib.Path) -> None:
        self._reached = reached
        self._left = STOPS_AFTER

    def expect(self, total: float, unit: str, done: float) -> None:
        pass

    def advance(self, number: float) -> None:
        self._left -= 1
        if not self._left:
            self._reached.touch()
            signal.pause()


def start_workers(folder: pathlib.Path, name: str, stops: bool) -> list[BaseProcess]:
    def train(index: int, strategy: tf.distribute.Strategy) -> None:
        with contextlib.ExitStack() as stack:
            if stops and index:
                stack.enter_context(progress.reporting_to(Stop(folder / "stopped")))
            fit(folder / "workers", strategy)

    return two_workers.start_both(folder, name, train)


def main(folder: pathlib.Path) -> dict[str, list[int]]:
    alone = two_workers.start(folder, "alone", in_one_process, folder)
    stopped, codes = folder / "stopped", {}
    # TensorFlow takes a worker for lost that stands still for 10 seconds, as on a machine that is
    # too busy. What was said of one that is killed holds then, too: they are started again.
    for _ in range(3):
        if stopped.exists():
            break
        first, second = start_workers(folder, "killed", stops=True)
        while second.is_alive() and not stopped.exists():
            time.sleep(0.1)
        second.kill()
        codes["killed"] = two_workers.ended([first, second])
    for _ in range(3):
        codes["again"] = two_workers.ended(start_workers(folder, "again", stops=False))
        if codes["again"] == [0, 0]:
            break
    return codes | {"alone": two_workers.ended([alone])}


if __name__ == "__main__":
    print(json.dumps(main(pathlib.Path(sys.argv[1]))))
