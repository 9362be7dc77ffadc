"""Pools of workers in processes of their own."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence


@contextlib.contextmanager
def started(
    folder: pathlib.Path,
    environment: Mapping[str, str] | None = None,
    confined: Sequence[str] = (),
) -> Iterator[str]:
    """Starts a pool; its HOST:PORT.

    Args:
      folder: where it runs.
      environment: variables of its workers beside PATH and HOME.
      confined: a command that starts another, with fewer rights.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    worker = pathlib.Path(sys.executable).with_name("ragline-worker")
    command = [
        *confined,
        *(sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main"),
        *(f"--service_port={port}", f"--container_executable={worker}"),
    ]
    variables = {"PATH": os.defpath, "HOME": str(folder), **(environment or {})}
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, env=variables, stdout=log, stderr=log) as process,
    ):
        try:
            _wait_for(port, process)
            yield f"localhost:{port}"
        finally:
            process.terminate()


def _wait_for(port: int, process: subprocess.Popen) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(("localhost", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("the pool has ended")
