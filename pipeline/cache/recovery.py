"""Remove what an interrupted run left behind, before the next one starts, and say so in the log.

The work directory is held, so nothing of it is in use. A run that was killed leaves an execution
that ML Metadata takes for running, folders of outputs that no finished execution owns, working
folders of TFX and Beam, and files under temporary names. Each is known by its path: from ML
Metadata, which has an execution before it has a folder, and from the journal of files under way.
Whatever is in neither is not ours, under any name, and stays.
"""

import contextlib
import logging
import pathlib
import shutil
import sqlite3
from collections.abc import Iterator

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.components.files import places, storage
from ragline.components.files.places import ARTIFACTS
from ragline.components.push.release import transaction
from ragline.pipeline.cache import aside, lineage
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests
from ragline.pipeline.runs.preflight import DATABASE

_EXECUTION, _ARTIFACT = metadata_store_pb2.Execution, metadata_store_pb2.Artifact
_OPEN = (_EXECUTION.NEW, _EXECUTION.RUNNING)
_DONE = (_EXECUTION.COMPLETE, _EXECUTION.CACHED)
_SYSTEM = ".system"  # TFX's: `<stage>/.system/<what>/<which>`.
_WORKING_FOLDER = "__stateful_working_dir_index__"  # A property of an execution.
_log = logging.getLogger("ragline.recovery")


def recover(workdir: pathlib.Path, journal: str) -> None:
    """Bring a work directory into the state in which its last finished stage left it.

    Args:
      workdir: the work directory.
      journal: the name of its journal of files under way.
    """
    transaction.recover(workdir / "serving")
    owned: set[str] = set()
    artifacts, manifests = workdir / ARTIFACTS, ArtifactManifests(workdir)
    removed = storage.clear(workdir / journal)
    in_store = manifests.clear_begun()
    if (workdir / DATABASE).exists():
        rebase(workdir / DATABASE, artifacts)
        store = lineage.connect(workdir / DATABASE)
        removed += _clear_executions(store, artifacts)
        _close_executions(store)
        for artifact in store.get_artifacts():
            if manifests.is_within(artifact.uri):
                if artifact.state == _ARTIFACT.LIVE:
                    owned.add(artifact.uri)
                elif artifact.state == _ARTIFACT.DELETED:
                    manifests.remove(artifact.uri)  # A kill may have come between.
    for uri in owned:  # A missing artifact then counts as damaged, as an empty one does.
        places.make_folder(uri)
    for path in sorted(manifests.recorded(but=owned)):
        if path.exists():
            aside.move(workdir, path, "no known run made it")
        manifests.forget(path)
    if removed or in_store:
        names = ", ".join([*(str(path.relative_to(workdir)) for path in removed), *in_store])
        _log.info("removed what an interrupted run left: %s", names)


def rebase(database: pathlib.Path, artifacts: pathlib.Path) -> None:
    """Write into ML Metadata where artifacts are now, if the work directory has moved since.

    Nothing else that it knows of them changes: what was made of them stays cached.
    """
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        recorded = connection.execute("SELECT id, uri FROM Artifact").fetchall()
        moved = [
            (uri, number)
            for number, former in recorded
            if (uri := _here(former, artifacts)) != former
        ]
        connection.executemany("UPDATE Artifact SET uri = ? WHERE id = ?", moved)
    if moved:
        _log.info("the work directory has moved: %d artifacts are now in %s", len(moved), artifacts)


def _here(uri: str, artifacts: pathlib.Path) -> str:
    """Return where `.../artifacts/<stage>/<output>/<execution>` is now; any other URI as it is."""
    parts = pathlib.PurePosixPath(uri).parts
    moves = places.is_local(uri) and parts[-4:-3] == (ARTIFACTS,)
    return str(artifacts.joinpath(*parts[-3:])) if moves else uri


def _clear_executions(
    store: metadata_store.MetadataStore, artifacts: pathlib.Path
) -> list[pathlib.Path]:
    """Remove the folders of executions that did not finish, and all empty ones."""
    cleared = []
    for node in store.get_contexts_by_type("node"):
        # Named `<pipeline>.<stage>`; no stage has a dot in its name.
        stage = artifacts / node.name.rpartition(".")[2]
        for execution in store.get_executions_by_context(node.id):
            if execution.last_known_state not in _DONE:
                for path in _folders(store, execution, stage):
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path)
                        cleared.append(path)
            _remove_if_empty(_executor_folder(stage, execution))
        for name in ("executor_execution", "stateful_working_dir", ""):
            _remove_if_empty(stage / _SYSTEM / name)
    return cleared


def _folders(
    store: metadata_store.MetadataStore,
    execution: metadata_store_pb2.Execution,
    stage: pathlib.Path,
) -> Iterator[pathlib.Path]:
    """Yield the folders that TFX makes for an execution."""
    for output in lineage.outputs_under_way(store, execution):
        yield stage / output / str(execution.id)
    yield _executor_folder(stage, execution)
    if index := execution.custom_properties[_WORKING_FOLDER].string_value:
        yield stage / _SYSTEM / "stateful_working_dir" / index


def _executor_folder(stage: pathlib.Path, execution: metadata_store_pb2.Execution) -> pathlib.Path:
    return stage / _SYSTEM / "executor_execution" / str(execution.id)


def _remove_if_empty(folder: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _close_executions(store: metadata_store.MetadataStore) -> None:
    still_open = [e for e in store.get_executions() if e.last_known_state in _OPEN]
    for execution in still_open:
        execution.last_known_state = _EXECUTION.CANCELED
    if still_open:
        store.put_executions(still_open)
        _log.info("a run was interrupted; the stage that it was at is redone")
