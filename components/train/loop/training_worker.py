"""Run one of several processes of a training; the job comes on stdin.

    python -m ragline.components.train.loop.training_worker

It reports its epochs on stdout, and ends with 0 once training is over. It ends at once when its
stdin is closed: the process that started it has ended then, in whatever way.
"""

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable

import tensorflow as tf

from ragline.components.files import storage
from ragline.components.runtime import cores
from ragline.components.train.loop.trainer import DisagreeError, strategy_of

_LOST = (
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
)
_PATIENCE = 600  # Seconds for all to start; TensorFlow would wait for an hour.
_log = logging.getLogger("ragline.train")


def take_part(train: Callable[[tf.distribute.Strategy], object]) -> int:
    """Train with the other workers of TF_CONFIG, in a process that has done nothing else.

    Args:
      train: trains on the strategy; the same in every worker.

    Returns:
      The exit code: 0, or 1 if another worker was lost, or would not do the same.
    """
    timeout = threading.Timer(_PATIENCE, _give_up)
    timeout.daemon = True
    timeout.start()
    try:
        strategy = strategy_of("multi_worker")
        timeout.cancel()
        train(strategy)
    except DisagreeError as error:
        _log.error("%s", error)
        return 1
    except _LOST as error:
        print(error, file=sys.stderr)  # It is long, and seldom names the worker.
        _log.error("another worker was lost: %s", type(error).__name__)
        return 1
    return 0


def _give_up() -> None:
    _log.error("expected all workers to be there within %d minutes", _PATIENCE // 60)
    os._exit(1)


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


def _log_to_stdout() -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("ragline")
    log.setLevel(logging.INFO)
    log.addHandler(handler)
    log.propagate = False


if __name__ == "__main__":
    from ragline.components.train.data.records import Task
    from ragline.components.train.loop import training  # Late: it imports TensorFlow Transform.

    _log_to_stdout()
    cores.prepare()
    storage.join_journals()
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    exit_code = take_part(
        lambda strategy: training.fit(
            Task.from_job(job), job, strategy, lambda: training.curves_of(job)
        )
    )
    with contextlib.suppress(OSError):  # Nobody may be there to read it any more.
        sys.stdout.flush()
    os._exit(exit_code)
