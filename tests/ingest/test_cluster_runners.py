"""Beam's job server ends with its job, also where its temporary folder is gone by then."""

import shutil
import socket
import sys

import psutil
from apache_beam.runners.portability import job_server

from ragline.components.runtime.cluster_runners import JobServer

MODULE = "apache_beam.runners.portability.local_job_service_main"


class Embedded(job_server.SubprocessJobServer):
    """Beam's own job server in Python, in a process as that of Flink is."""

    def subprocess_cmd_and_endpoint(self) -> tuple[list[str], str]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        return [sys.executable, "-m", MODULE, "--job_port", str(port)], f"localhost:{port}"


def _servers() -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [process for process in below if MODULE in process.cmdline()]


def test_a_job_server_is_stopped_whatever_became_of_its_folder() -> None:
    server = Embedded()
    wrapped = JobServer(server)
    wrapped.start()
    [process] = _servers()
    shutil.rmtree(server._local_temp_root)
    wrapped.stop()
    wrapped.stop()
    psutil.wait_procs([process], timeout=30)
    assert not _servers()
