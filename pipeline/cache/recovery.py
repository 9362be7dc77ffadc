"""What an interrupted run left behind is told and removed before the next one starts.

The work directory is held, so nothing of it is in use. A run that was killed leaves an execution
that ML Metadata takes for running, folders of outputs that no finished execution owns, working
folders of TFX and Beam, and files under temporary names.
"""

import contextlib
import logging
import pathlib
import shutil
import sqlite3

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.components.files.places import ARTIFACTS
from ragline.components.push.release import publish
from ragline.pipeline.cache.artifact_manifests import Seals
from ragline.pipeline.cache.lineage import connect
from ragline.pipeline.runs.preflight import DATABASE

_EXECUTION = metadata_store_pb2.Execution
_OPEN = (_EXECUTION.NEW, _EXECUTION.RUNNING)
_log = logging.getLogger("ragline.recovery")


def recover(workdir: pathlib.Path) -> None:
    """Brings a work directory into the state that its last finished stage left."""
    owned: set[pathlib.Path] = set()
    artifacts = workdir / ARTIFACTS
    if (workdir / DATABASE).exists():
        rebase(workdir / DATABASE, artifacts)
        store = connect(workdir / DATABASE)
        _close_executions(store)
        owned = {
            path
            for artifact in store.get_artifacts()
            if artifact.state == metadata_store_pb2.Artifact.LIVE
            and artifacts in (path := pathlib.Path(artifact.uri)).parents
        }
    for path in owned:  # One that is gone is then found damaged, as one that is empty is.
        path.mkdir(parents=True, exist_ok=True)
    left = [*_orphans(artifacts, owned), *_temporary(workdir)]
    for path in left:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for folder in artifacts.glob("*/.system"):  # Of finished stages, too: all empty.
        shutil.rmtree(folder)
    Seals(workdir).keep_only(owned)
    if left:
        names = ", ".join(str(path.relative_to(workdir)) for path in left)
        _log.info("removed what an interrupted run left: %s", names)


def rebase(database: pathlib.Path, artifacts: pathlib.Path) -> None:
    """Writes into ML Metadata where artifacts are now, if the work directory has moved since.

    All that is known of them stays: they are the same, so what was made of them is cached.
    """
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        stated = connection.execute("SELECT id, uri FROM Artifact").fetchall()
        moved = [
            (uri, number)
            for number, former in stated
            if (uri := _here(former, artifacts)) != former
        ]
        connection.executemany("UPDATE Artifact SET uri = ? WHERE id = ?", moved)
    if moved:
        _log.info("the work directory has moved: %d artifacts are now in %s", len(moved), artifacts)


def _here(uri: str, artifacts: pathlib.Path) -> str:
    """Where `.../artifacts/<stage>/<output>/<execution>` is; of anything else, as it is stated."""
    parts = pathlib.PurePosixPath(uri).parts
    return str(artifacts.joinpath(*parts[-3:])) if parts[-4:-3] == (ARTIFACTS,) else uri


def _close_executions(store: metadata_store.MetadataStore) -> None:
    still_open = [e for e in store.get_executions() if e.last_known_state in _OPEN]
    for execution in still_open:
        execution.last_known_state = _EXECUTION.CANCELED
    if still_open:
        store.put_executions(still_open)
        _log.info("a run was interrupted; the stage that it was at is redone")


def _orphans(artifacts: pathlib.Path, owned: set[pathlib.Path]) -> list[pathlib.Path]:
    """Folders `<stage>/<output>/<execution>` that nothing refers to."""
    return [
        folder
        for folder in sorted(artifacts.glob("*/*/*"))
        if folder.parent.name != ".system" and folder not in owned
    ]


def _temporary(workdir: pathlib.Path) -> list[pathlib.Path]:
    files = [
        file
        for file in sorted(workdir.rglob(".*.tmp"))
        if workdir / "artifacts" not in file.parents
    ]
    return [*files, *publish.left_over(workdir / "serving")]
