"""Beam's job server ends with its job, also where its temporary folder is gone by then."""

import shutil
import socket
import subprocess
import sys

from apache_beam.runners.portability import job_server

from ragline.components.runtime.cluster_runners import JobServer


class Embedded(job_server.SubprocessJobServer):
    """Beam's own job server in Python, in a process as that of Flink is."""

    def subprocess_cmd_and_endpoint(self) -> tuple[list[str], str]:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        module = "apache_beam.runners.portability.local_job_service_main"
        return [sys.executable, "-m", module, "--job_port", str(port)], f"localhost:{port}"


def test_a_job_server_is_stopped_whatever_became_of_its_folder() -> None:
    server = Embedded()
    wrapped = JobServer(server)
    wrapped.start()
    assert server._server._process.poll() is None
    process: subprocess.Popen[bytes] = server._server._process
    shutil.rmtree(server._local_temp_root)
    wrapped.stop()
    wrapped.stop()
    assert process.wait(30) is not None
