"""kill -9 of a worker of `train.strategy = multi_worker`: two machines, both of them this one."""

import json
import os
import pathlib
import signal
import socket
import time

import commands
import numpy as np
import psutil
import pytest
from faults import runs

TOGETHER = ("--set", "train.strategy=multi_worker")


def _cluster(index: int, ports: list[int]) -> str:
    workers = [f"localhost:{port}" for port in ports]
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": workers}, "task": task})


def _free_ports(number: int) -> list[int]:
    bound = [socket.create_server(("localhost", 0)) for _ in range(number)]
    ports = [one.getsockname()[1] for one in bound]
    for one in bound:
        one.close()
    return ports


def _kill_what_trains(worker: commands.Process, workdir: pathlib.Path) -> None:
    while not list(workdir.glob("checkpoints/*/epoch-*.npz")):
        time.sleep(0.01)
    [training] = psutil.Process(worker.pid).children()
    training.kill()


@pytest.mark.full
def test_the_next_run_goes_on_and_the_other_machine_joins_it(undisturbed, monkeypatch):
    workdir = undisturbed.restore("train")
    ports = _free_ports(2)
    monkeypatch.setenv("TF_CONFIG", _cluster(0, ports))
    worker = commands.start(
        *runs.arguments(workdir, *TOGETHER, name="worker"),
        env=os.environ | {"TF_CONFIG": _cluster(1, ports)},
    )
    try:
        exit_code, said = runs.disturb(
            workdir, "train", lambda _: _kill_what_trains(worker, workdir), *TOGETHER
        )
        again = runs.finish(workdir, *TOGETHER)
    finally:
        worker.send_signal(signal.SIGINT)
        _, told = worker.communicate()
    assert exit_code == 1, said
    assert "worker 0 of 2 ended with 1, after: another worker was lost: " in said
    assert "Traceback" not in said
    assert again.returncode == 0, again.stderr
    assert not set(runs.epochs(said)) & set(runs.epochs(again.stderr))
    assert (worker.returncode, told.count("joining a training")) == (130, 2), told
    np.testing.assert_allclose(
        runs.embeddings(workdir), undisturbed.embeddings, rtol=0, atol=1e-5, err_msg=again.stderr
    )
