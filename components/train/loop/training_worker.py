"""Run one process of a training of several; the job comes on stdin.

    python -m ragline.components.train.loop.training_worker

It tells its epochs on stdout, and ends with 0 once training is over. It ends at once when its stdin
is closed: whoever started it is gone then, however it ended.
"""

import contextlib
import json
import logging
import os
import sys
import threading
from collections.abc import Callable

import tensorflow as tf

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
    """Trains with the other workers of TF_CONFIG, in a process that has done nothing else.

    Args:
      train: what is done on the strategy, by all of them.

    Returns:
      The exit code: 0, or 1 if another worker was lost, or would not do the same.
    """
    waiting = threading.Timer(_PATIENCE, _give_up)
    waiting.daemon = True
    waiting.start()
    try:
        strategy = strategy_of("multi_worker")
        waiting.cancel()
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


def _tell_on_stdout() -> None:
    told = logging.StreamHandler(sys.stdout)
    told.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("ragline")
    log.setLevel(logging.INFO)
    log.addHandler(told)
    log.propagate = False


if __name__ == "__main__":
    from ragline.components.train.data.records import Task
    from ragline.components.train.loop import training  # Late: it imports TensorFlow Transform.

    _tell_on_stdout()
    cores.prepare()
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
