"""The processes that train together, as `tf.distribute` is told of them: the variable TF_CONFIG.

    {"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}

It is the same on every machine but for the index. Worker 0 is the one that `ragline run` starts,
and the only one that writes.
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
    """All workers, and which one this process belongs to.

    Attributes:
      workers: `host:port` each, as the others reach it.
      index: of the one that this is; 0 leads.
    """

    workers: tuple[str, ...]
    index: int


def of_environment(environment: Mapping[str, str], *, leads: bool) -> Cluster:
    """Reads TF_CONFIG.

    Args:
      environment: of the process.
      leads: whether the process is to be worker 0, or one of the others.

    Raises:
      UsageError: it is not there, or is no cluster that this process can be so much of; says what
        was expected and what was received.
    """
    text = environment.get(VARIABLE)
    if not text:
        raise UsageError(f"{VARIABLE}: expected a cluster, such as {_EXAMPLE}, received none")
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{VARIABLE}: expected JSON, such as {_EXAMPLE}: {error}") from error
    cluster, task = _table(found, "cluster"), _table(found, "task")
    workers, index = cluster.get("worker"), task.get("index")
    if set(cluster) != {"worker"} or not _are_addresses(workers):
        raise UsageError(
            f"{VARIABLE}: cluster: expected the one key 'worker' with at least 2 different "
            f"addresses, such as 'host1:2222', received {json.dumps(cluster)}"
        )
    places = range(1) if leads else range(1, len(workers))
    if task.get("type") != "worker" or type(index) is not int or index not in places:
        who = "the worker that `ragline run` starts" if leads else "a worker that joins it"
        raise UsageError(
            f"{VARIABLE}: task: expected type 'worker' and index {' or '.join(map(str, places))}, "
            f"of {who}, received {json.dumps(task)}"
        )
    return Cluster(workers=tuple(workers), index=index)


def _table(found: Any, key: str) -> dict[str, Any]:
    table = found.get(key) if isinstance(found, dict) else None
    if not isinstance(table, dict):
        raise UsageError(f"{VARIABLE}: {key}: expected a table, as in {_EXAMPLE}, received {found}")
    return table


def _are_addresses(found: Any) -> TypeGuard[list[str]]:
    return (
        isinstance(found, list)
        and len(found) > 1
        and all(isinstance(one, str) and _is_address(one) for one in found)
        and len(set(found)) == len(found)
    )


def _is_address(text: str) -> bool:
    matched = _ADDRESS.fullmatch(text)
    return matched is not None and int(matched.group(1)) < 2**16
