"""A whole run whose workers do not see its work directory, as on another machine."""

import contextlib
import pathlib
import subprocess
from collections.abc import Callable

import pytest
from engines import pools
from flink import objects
from store import gs, s3

STORES = {
    "s3": (s3.served, f"s3://{s3.BUCKET}"),
    "gs": (gs.served, f"gs://{s3.BUCKET}"),
}
_HIDE = 'mount -t tmpfs -o ro none "$0" && exec "$@"'


def _hiding(folder: pathlib.Path) -> tuple[str, ...]:
    """What starts a command for which a folder is empty and cannot be written to."""
    return "unshare", "--map-root-user", "--mount", "sh", "-c", _HIDE, str(folder)


@pytest.mark.skipif(not gs.SERVER.exists(), reason="`make test-store` installs the servers")
@pytest.mark.parametrize(("serve", "store"), STORES.values(), ids=STORES)
def test_workers_share_nothing_but_the_store(
    serve: Callable[[pathlib.Path], contextlib.AbstractContextManager[object]],
    store: str,
    tmp_path: pathlib.Path,
    tmp_path_factory: pytest.TempPathFactory,
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
            run = objects.check_run(tmp_path, "elsewhere", "PortableRunner", external, serve, store)
            said = [*run]
        except SystemExit as failed:
            pytest.fail(str(failed))
    assert "elsewhere: transformed records: the same" in said
