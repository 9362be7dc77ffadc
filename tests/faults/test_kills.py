"""kill -9 at a random moment of a random stage; the next run ends as if nothing had been.

`make test-full` does 20 of them; `make test` one, in training, of a true command line.
"""

import pathlib
import random
from typing import Any

import numpy as np
import pytest
from faults import runs
from ml_metadata.proto import metadata_store_pb2

from ragline.pipeline.cache import lineage

_LONG = ["train", "push", "ingest", "transform", "evaluate"]
_SHORT = ["schema", "statistics", "anomalies", "gate", "baselines", "verdict"]
_PLAN = [*_LONG, *_SHORT, *_LONG, *_LONG[:4]]
_NUMBERS = [0, *(pytest.param(number, marks=pytest.mark.full) for number in range(1, 20))]


@pytest.mark.parametrize("number", _NUMBERS)
def test_the_next_run_ends_as_an_undisturbed_one(undisturbed, number):
    stage = _PLAN[number]
    moment = 0.6 * random.Random(number).random()
    workdir = undisturbed.restore(stage)
    exit_code, said = runs.disturb(
        workdir,
        stage,
        runs.kill_group if number % 2 else runs.kill,
        after=moment * undisturbed.seconds[stage],
        anew=number == 0,
    )
    assert exit_code == -9, said

    again = runs.finish(workdir)

    context = f"killed {moment:.2f} through {stage}:\n{said}\nthen:\n{again.stderr}"
    assert again.returncode == 0, context
    ended = runs.states(said)
    now = runs.states(again.stderr)
    assert {name: now[name] for name in ended} == dict.fromkeys(ended, "cached"), context
    if "train" not in ended:
        kept = runs.epochs(said)
        lost = set(runs.epochs(again.stderr)) & set(kept)
        assert not lost, context
    _assert_in_order(workdir)
    assert runs.raw_data(workdir) == undisturbed.raw
    assert runs.transformed_data(workdir) == undisturbed.transformed
    # As golden inputs are held: of an embedding's largest number where that is above 1.
    bound = 1e-6 * max(1.0, np.abs(undisturbed.embeddings).max())
    np.testing.assert_allclose(
        runs.embeddings(workdir), undisturbed.embeddings, rtol=0, atol=bound, err_msg=context
    )


def _assert_in_order(workdir: pathlib.Path) -> None:
    """No execution is open, no folder without an owner, no file under a temporary name."""
    store = lineage.connect(workdir / "metadata.sqlite")
    assert not [e for e in store.get_executions() if _is_open(e)]
    live = metadata_store_pb2.Artifact.LIVE
    owned = {artifact.uri for artifact in store.get_artifacts() if artifact.state == live}
    on_disk = {str(path) for path in (workdir / "artifacts").glob("*/*/*")}
    assert {path for path in on_disk if "/.system/" not in path} == owned
    assert not [path for path in (workdir / "artifacts").glob("*/.system/**/*") if path.is_file()]
    assert not list(workdir.rglob("*.tmp"))
    assert not [path for path in (workdir / "serving").iterdir() if path.name.startswith(".")]


def _is_open(execution: Any) -> bool:
    states = metadata_store_pb2.Execution
    return execution.last_known_state in (states.NEW, states.RUNNING)
