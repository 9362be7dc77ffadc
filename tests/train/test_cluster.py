"""TF_CONFIG: what is a cluster, and what is told of anything else."""

import json

import pytest

from ragline.components.contract.errors import UsageError
from ragline.components.train.loop.cluster import Cluster, read_cluster

TWO = {"worker": ["a:2222", "b.example.org:65535"]}


def _environment(cluster: object, task: object) -> dict[str, str]:
    return {"TF_CONFIG": json.dumps({"cluster": cluster, "task": task})}


@pytest.mark.parametrize(("index", "leads"), [(0, True), (1, False)])
def test_each_worker_knows_its_place(index: int, leads: bool) -> None:
    environment = _environment(TWO, {"type": "worker", "index": index})
    cluster = read_cluster(environment, is_chief=leads)
    assert cluster == Cluster(workers=("a:2222", "b.example.org:65535"), index=index)


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({}, r"expected a cluster, such as \{.*\}, received none"),
        ({"TF_CONFIG": "{"}, r"expected JSON, such as \{.*\}: Expecting property name"),
        ({"TF_CONFIG": "[1]"}, r"cluster: expected a table, as in .*, received \[1\]"),
        ({"TF_CONFIG": json.dumps({"cluster": TWO})}, r"task: expected a table"),
        *(
            (_environment(cluster, {"type": "worker", "index": 0}), "at least 2 different addres")
            for cluster in (
                {},
                {"worker": "a:1"},
                {"worker": ["a:1"]},
                {"worker": ["a:1", "a:1"]},
                {"worker": ["a:1", "b"]},
                {"worker": ["a:1", "b:0"]},
                {"worker": ["a:1", "b:65536"]},
                {"worker": ["a:1", 2]},
                TWO | {"chief": ["c:1"]},
            )
        ),
        *(
            (_environment(TWO, task), r"task: expected type 'worker' and index 0, of the worker")
            for task in (
                {"type": "chief", "index": 0},
                {"type": "worker"},
                {"type": "worker", "index": 1},
                {"type": "worker", "index": False},
                {"type": "worker", "index": "0"},
            )
        ),
    ],
)
def test_anything_else_is_named(environment: dict[str, str], told: str) -> None:
    with pytest.raises(UsageError, match=rf"^TF_CONFIG: .*{told}"):
        read_cluster(environment, is_chief=True)


@pytest.mark.parametrize("index", [0, 3, -1])
def test_one_that_joins_is_none_that_leads(index: int) -> None:
    three = {"worker": [*TWO["worker"], "c:1"]}
    environment = _environment(three, {"type": "worker", "index": index})
    with pytest.raises(UsageError, match=rf"index 1 or 2, of a worker.*received .*{index}"):
        read_cluster(environment, is_chief=False)
