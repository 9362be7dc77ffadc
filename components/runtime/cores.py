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


def device_of(variable: tf.Variable) -> str:
    """Return the type of the device that holds a variable, `CPU`, `GPU` or `TPU`.

    A strategy places it, or `tf.device`: what else the machine has does not matter.
    """
    return str(tf.DeviceSpec.from_string(variable.device).device_type)


def batch_shards(device: str) -> int:
    """Return the number of shards a batch is computed in: 1 on a single core, or beside a CPU.

    Args:
      device: the type of the device that holds the weights; see `device_of`.
    """
    return 1 if len(os.sched_getaffinity(0)) < _BATCH_SHARDS or device != "CPU" else _BATCH_SHARDS


def prepare() -> None:
    """Set how this process uses its cores and its memory, before TensorFlow's first operation.

    Each operation gets its shard's share of the cores, unless the user has set it. And memory that
    is freed stays with the process: otherwise a step's arrays are new pages each time, which the
    kernel clears with a lock that both shards wait for.
    """
    cores_per_shard = len(os.sched_getaffinity(0)) // _BATCH_SHARDS
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, cores_per_shard)))
    # Only glibc has it.
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_TRIM_THRESHOLD, _KEPT)
        mallopt(_M_MMAP_THRESHOLD, _LARGEST)
