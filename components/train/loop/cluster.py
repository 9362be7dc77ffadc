"""Read which processes train together from TF_CONFIG, the environment variable of `tf.distribute`.

    {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}

It is the same on every machine but for the index. Worker 0, the chief, is started by `ragline run`;
it alone writes.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from ragline.components.contract.errors import UsageError

VARIABLE = "TF_CONFIG"
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)
_ADDRESS = re.compile(r"[^\s:/]+:([1-9]\d{0,4})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Holds all workers, and which of them this process is.

    Attributes:
      workers: `host:port` each, as the others reach it.
      index: index of this process; 0 is the chief.
    """

    workers: tuple[str, ...]
    index: int


def read_cluster(environment: Mapping[str, str], *, is_chief: bool) -> Cluster:
    """Read TF_CONFIG.

    Args:
      environment: environment variables of the process.
      is_chief: whether the process must be worker 0, or must be another one.

    Raises:
      UsageError: the variable is not set, or does not name a cluster with such a process.
    """
    text = environment.get(VARIABLE)
    if not text:
        raise UsageError(f"{VARIABLE}: expected a cluster, such as {_EXAMPLE}, received none")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: expected JSON, such as {_EXAMPLE}: {error}") from error
    cluster, task = _table(document, "cluster"), _table(document, "task")
    workers, index = cluster.get("worker"), task.get("index")
    if set(cluster) != {"worker"} or not _are_addresses(workers):
        raise UsageError(
            f"{VARIABLE}: cluster: expected the one key 'worker' with at least 2 different "
            f"addresses, such as 'host1:2222', received {json.dumps(cluster)}"
        )
    indices = range(1) if is_chief else range(1, len(workers))
    if task.get("type") != "worker" or type(index) is not int or index not in indices:
        role = "the worker that `ragline run` starts" if is_chief else "a worker that joins it"
        raise UsageError(
            f"{VARIABLE}: task: expected type 'worker' and index {' or '.join(map(str, indices))}, "
            f"of {role}, received {json.dumps(task)}"
        )
    return Cluster(workers=tuple(workers), index=index)


def _table(document: Any, key: str) -> dict[str, Any]:
    table = document.get(key) if isinstance(document, dict) else None
    if not isinstance(table, dict):
        raise UsageError(
            f"{VARIABLE}: {key}: expected a table, as in {_EXAMPLE}, received {document}"
        )
    return table


def _are_addresses(workers: Any) -> TypeGuard[list[str]]:
    return (
        isinstance(workers, list)
        and len(workers) > 1
        and all(isinstance(worker, str) and _is_address(worker) for worker in workers)
        and len(set(workers)) == len(workers)
    )


def _is_address(text: str) -> bool:
    matched = _ADDRESS.fullmatch(text)
    return matched is not None and int(matched.group(1)) < 2**16
