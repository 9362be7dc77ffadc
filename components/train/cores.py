"""How the cores of a CPU share a step: each batch is computed as two strips of rows, side by side.

A recurrent layer is a long row of small operations, each of which has to wait for the one before:
more threads hardly help it. Two halves of a batch do not wait for each other; the graph's executor
runs them on two cores, and the threads within an operation are halved. docs/performance.md has what
this is worth.
"""

import os

import tensorflow as tf

_STRIPS = 2


def strips() -> int:
    """How many strips a batch is computed in: one on a single core, and where there is a GPU."""
    alone = len(os.sched_getaffinity(0)) < _STRIPS or tf.config.list_physical_devices("GPU")
    return 1 if alone else _STRIPS


def leave_threads() -> None:
    """Gives each operation its strip's share of the cores; where it is not set by the user.

    TensorFlow reads it once, at the first operation of a process.
    """
    share = len(os.sched_getaffinity(0)) // strips()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, share)))
