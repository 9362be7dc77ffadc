"""Share a step among the cores of a CPU: each batch is computed as two shards of rows, in parallel.

A recurrent layer is a long row of small operations, each of which has to wait for the one before:
more threads hardly help it. Two halves of a batch do not wait for each other; the graph's executor
runs them on two cores, and the threads within an operation are halved. docs/performance.md has what
this is worth.
"""

import ctypes
import os

import tensorflow as tf

_BATCH_SHARDS = 2
# Names and largest values of mallopt(3), in bytes.
_M_TRIM_THRESHOLD, _KEPT = -1, 2**31 - 1
_M_MMAP_THRESHOLD, _LARGEST = -3, 2**25


def batch_shards() -> int:
    """Return the number of shards a batch is computed in: 1 on a single core, and on a GPU."""
    alone = len(os.sched_getaffinity(0)) < _BATCH_SHARDS or tf.config.list_physical_devices("GPU")
    return 1 if alone else _BATCH_SHARDS


def prepare() -> None:
    """Set how this process uses its cores and its memory, before TensorFlow's first operation.

    Each operation gets its shard's share of the cores, unless the user has set it. And memory that
    is freed stays with the process: otherwise a step's arrays are new pages each time, which the
    kernel clears with a lock that both shards wait for.
    """
    cores_per_shard = len(os.sched_getaffinity(0)) // batch_shards()
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, cores_per_shard)))
    # Only glibc has it.
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
