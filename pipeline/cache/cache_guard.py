"""Check the artifacts that a run takes from earlier runs, and record the manifests of its own.

Before a stage takes an artifact from the cache, the artifact is compared with its manifest. If it
is damaged, the stage runs again. If the same content comes out, it takes the damaged artifact's
place, so that the stages that depend on it stay cached; otherwise they run, too.
"""

import logging
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.components.contract.file_names import PUSH_FILE
from ragline.components.files import places
from ragline.components.files.places import ARTIFACTS
from ragline.components.files.storage import read_json
from ragline.components.push.release import ledger
from ragline.pipeline.cache import lineage
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests

_log = logging.getLogger("ragline.cache")


def unserved(artifact: pathlib.Path, report: Mapping[str, Any]) -> str | None:
    """Return why the version that a push reports is not served, in a sentence; None if it is.

    Args:
      artifact: artifact that holds the report.
      report: content of the report.
    """
    if not (pushed := report["pushed"]):
        return None
    path = pathlib.Path(places.in_workdir_of(artifact, pushed["path"]))
    if ledger.known(path):
        return None
    return f"{path}: version {pushed['version']}, which was pushed, is not there as it was pushed"


class CacheGuard:
    """Guards the artifacts of a run: those that it reuses, and those that it makes."""

    def __init__(
        self, database: pathlib.Path, manifests: ArtifactManifests, pipeline: str, run_id: str
    ) -> None:
        """Open nothing yet.

        Args:
          database: database of ML Metadata.
          manifests: manifests of the work directory.
          pipeline: name of the pipeline.
          run_id: id of the run.
        """
        self._database = database
        self._manifests = manifests
        self._pipeline = pipeline
        self._run_id = run_id
        self._damaged: Mapping[str, int] = {}
        self._in_store: Collection[str] = ()

    def damaged(self, stage: str, artifacts: Mapping[str, int]) -> list[int]:
        """Return the ids of the damaged artifacts among those that a stage would reuse; log each.

        Args:
          stage: stage that is about to run.
          artifacts: URI -> id.
        """
        damage_of = {uri: self._damage(uri) for uri in artifacts}
        for damage in filter(None, damage_of.values()):
            _log.warning("%s: not taken from an earlier run: %s", stage, damage)
        ids = [artifacts[uri] for uri, damage in damage_of.items() if damage]
        self._damaged = artifacts if ids else {}
        return ids

    def is_sound(self, artifact: str) -> bool:
        """Return whether an artifact is as its stage wrote it, and what it says was pushed is."""
        return self._damage(artifact) is None

    def _damage(self, artifact: str) -> str | None:
        """Return what is wrong with an artifact, or with the version that it says was pushed."""
        if damage := self._manifests.damage(artifact):
            return damage
        report = pathlib.Path(artifact, PUSH_FILE)
        return unserved(report.parent, read_json(report)) if report.is_file() else None

    def discard(self, ids: Collection[int]) -> None:
        """Remove artifacts: no stage reads them, no cache serves them."""
        self._discard(lineage.connect(self._database), ids)

    def make_way(self, stage: str, outputs: Iterable[str], in_store: Collection[str] = ()) -> None:
        """Reserve an execution number under which none of a stage's output folders exists yet.

        Args:
          stage: stage that is about to run.
          outputs: names of its outputs.
          in_store: URIs of those that are in a store.
        """
        self._in_store = in_store
        for uri in in_store:
            self._manifests.begin(uri)
        folders = [self._database.parent / ARTIFACTS / stage / output for output in outputs]
        lineage.next_execution(
            self._database,
            lambda number: all(self._manifests.is_free(folder / str(number)) for folder in folders),
        )

    def finish(self, stage: str) -> None:
        """Record the outputs of a stage that ran, and replace damaged ones of the same content.

        Args:
          stage: stage that has just ended well.
        """
        store = lineage.connect(self._database)
        execution = lineage.executions(store, self._pipeline, self._run_id).get(stage)
        complete = metadata_store_pb2.Execution.COMPLETE
        if execution is not None and execution.last_known_state == complete:
            outputs = lineage.outputs(store, execution)
            for artifact in outputs.values():
                self._manifests.record(artifact.uri)
            if outputs and self._damaged:
                self._replace(store, execution, outputs, stage)
        for uri in self._in_store:
            self._manifests.end(uri)

    def _replace(
        self,
        store: metadata_store.MetadataStore,
        execution: metadata_store_pb2.Execution,
        outputs: Mapping[str, metadata_store_pb2.Artifact],
        stage: str,
    ) -> None:
        # `artifacts/<stage>/<output>/<execution>`
        former = {pathlib.Path(uri).parent.name: uri for uri in self._damaged}
        pairs = [(former.get(output, ""), artifact.uri) for output, artifact in outputs.items()]
        if not all(self._manifests.same_content(old, new) for old, new in pairs):
            self._discard(store, self._damaged.values())
            return
        for old, new in pairs:
            self._manifests.put_in_place(pathlib.Path(old), pathlib.Path(new))
        lineage.link(store, execution, {name: self._damaged[uri] for name, uri in former.items()})
        lineage.delete(store, [artifact.id for artifact in outputs.values()])
        _log.info("%s: came out as it was; what depends on it stays cached", stage)

    def _discard(self, store: metadata_store.MetadataStore, ids: Collection[int]) -> None:
        for artifact in lineage.delete(store, ids):
            self._manifests.remove(artifact.uri)
