"""A whole run whose workers do not see its work directory, as on another machine."""

import contextlib
import pathlib
import subprocess

import pytest
from engines import pools
from flink import objects
from store import s3

_HIDE = 'mount -t tmpfs -o ro none "$0" && exec "$@"'


def _hiding(folder: pathlib.Path) -> tuple[str, ...]:
    """What starts a command for which a folder is empty and cannot be written to."""
    return "unshare", "--map-root-user", "--mount", "sh", "-c", _HIDE, str(folder)


@pytest.mark.skipif(not s3.SERVER.exists(), reason="`make test-store` installs moto")
def test_workers_share_nothing_but_the_store(
    tmp_path: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (tmp_path / "seen").touch()
    try:
        hidden = subprocess.run([*_hiding(tmp_path), "ls", tmp_path], capture_output=True)
    except FileNotFoundError:
        pytest.skip("unshare is not there")
    if hidden.returncode:
        pytest.skip(f"no folder can be hidden here: {hidden.stderr.decode().strip()}")
    assert not hidden.stdout
    with contextlib.ExitStack() as stack:

        def external(**variables: str) -> tuple[str, ...]:
            pool = pools.started(tmp_path_factory.mktemp("pool"), variables, _hiding(tmp_path))
            where = f"--environment_config={stack.enter_context(pool)}"
            return "--job_endpoint=embed", "--environment_type=EXTERNAL", where

        try:
            said = [*objects.check_run(tmp_path, "elsewhere", "PortableRunner", external)]
        except SystemExit as failed:
            pytest.fail(str(failed))
    assert "elsewhere: transformed records: the same" in said
