"""Two workers on loopback, forked from a process that has imported TensorFlow and begun nothing.

What they say goes to logs of their names.
"""

import json
import multiprocessing
import os
import pathlib
import socket
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess

import tensorflow as tf

from ragline.components.train.loop import training_worker


def start(folder: pathlib.Path, name: str, do: Callable, *given: object) -> BaseProcess:
    def logged() -> None:
        with (folder / f"{name}.log").open("a") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        sys.exit(do(*given))

    process = multiprocessing.get_context("fork").Process(target=logged)
    process.start()
    return process


def start_both(
    folder: pathlib.Path, name: str, train: Callable[[int, tf.distribute.Strategy], object]
) -> list[BaseProcess]:
    """Starts `NAME-0`, the chief, and `NAME-1`, each of which trains as the one of its number."""
    free = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{one.getsockname()[1]}" for one in free]
    for one in free:
        one.close()

    def work(index: int) -> int:
        task = {"type": "worker", "index": index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
        return training_worker.take_part(lambda strategy: train(index, strategy))

    return [start(folder, f"{name}-{index}", work, index) for index in range(2)]


def ended(processes: list[BaseProcess]) -> list[int]:
    for process in processes:
        process.join()
    return [process.exitcode for process in processes]
