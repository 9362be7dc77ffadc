"""A server of Google's storage on loopback: an emulator, in the environment of moto."""

import contextlib
import pathlib
import subprocess
from collections.abc import Iterator

import pytest
from store import s3

SERVER = s3.ROOT / ".venv-moto" / "bin" / "gcp-storage-emulator"


@contextlib.contextmanager
def served(log: pathlib.Path) -> Iterator[None]:
    """Start a server with one bucket, named to Google's library, which is not to look for a key."""
    port = s3.free_port()
    command = [str(SERVER), "start", "--host=127.0.0.1", f"--port={port}", "--in-memory"]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            [*command, f"--default-bucket={s3.BUCKET}"], stdout=out, stderr=out
        ) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            s3.wait_for(port)
            patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
            patch.setenv("NO_GCE_CHECK", "true")
            yield
        finally:
            server.terminate()
