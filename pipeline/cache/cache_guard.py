"""What a run takes from earlier ones is sound, and what it makes is sealed.

Before a stage is served from the cache, what it would be served is held against its seal. If that
is damaged, the stage runs again. If the same content comes out, it takes the damaged one's place,
so that what depends on it stays cached; otherwise what depends on it runs, too.
"""

import logging
import pathlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from ragline.components.contract.artifacts import PUSH_FILE
from ragline.components.files import places
from ragline.components.files.places import ARTIFACTS
from ragline.components.files.storage import read_json
from ragline.components.push.release import ledger
from ragline.pipeline.cache import lineage
from ragline.pipeline.cache.artifact_manifests import Seals

_log = logging.getLogger("ragline.cache")


def unserved(artifact: pathlib.Path, report: Mapping[str, Any]) -> str | None:
    """Why what a push's report says was pushed is not served, in a sentence; None if it is.

    Args:
      artifact: that the report is of.
      report: as the push wrote it.
    """
    if not (pushed := report["pushed"]):
        return None
    path = pathlib.Path(places.in_workdir_of(artifact, pushed["path"]))
    if ledger.known(path):
        return None
    return f"{path}: version {pushed['version']}, which was pushed, is not there as it was pushed"


class Reuse:
    """The artifacts of a run, new and reused."""

    def __init__(self, database: pathlib.Path, seals: Seals, pipeline: str, run_id: str) -> None:
        """Opens nothing yet.

        Args:
          database: of ML Metadata.
          seals: of the work directory.
          pipeline: its name.
          run_id: of the run.
        """
        self._database = database
        self._seals = seals
        self._pipeline = pipeline
        self._run_id = run_id
        self._damaged: Mapping[str, int] = {}

    def damaged(self, stage: str, artifacts: Mapping[str, int]) -> list[int]:
        """Tells what of the artifacts that a stage would reuse is damaged; returns their ids.

        Args:
          stage: that is about to run.
          artifacts: place -> id.
        """
        found = {uri: self._damage(pathlib.Path(uri)) for uri in artifacts}
        for damage in filter(None, found.values()):
            _log.warning("%s: not taken from an earlier run: %s", stage, damage)
        ids = [artifacts[uri] for uri, damage in found.items() if damage]
        self._damaged = artifacts if ids else {}
        return ids

    def _damage(self, artifact: pathlib.Path) -> str | None:
        """What is wrong with an artifact, or with the version that it says was pushed."""
        if damage := self._seals.damage(artifact):
            return damage
        report = artifact / PUSH_FILE
        return unserved(artifact, read_json(report)) if report.is_file() else None

    def discard(self, ids: Collection[int]) -> None:
        """Removes artifacts: no stage finds them, no cache serves them."""
        self._discard(lineage.connect(self._database), ids)

    def make_way(self, stage: str, outputs: Iterable[str]) -> None:
        """Lets a stage write into folders that are not there yet.

        Args:
          stage: that is about to run.
          outputs: the names of what it makes.
        """
        folders = [self._database.parent / ARTIFACTS / stage / output for output in outputs]
        lineage.next_execution(
            self._database,
            lambda number: all(self._seals.is_free(folder / str(number)) for folder in folders),
        )

    def settle(self, stage: str) -> None:
        """Seals what a stage made, if it ran, and settles what is used of that and of the damaged.

        Args:
          stage: that has just ended well.
        """
        store = lineage.connect(self._database)
        execution = lineage.executions(store, self._pipeline, self._run_id).get(stage)
        if execution is None or execution.last_known_state != metadata_store_pb2.Execution.COMPLETE:
            return
        made = lineage.outputs(store, execution)
        for artifact in made.values():
            self._seals.seal(pathlib.Path(artifact.uri))
        if made and self._damaged:
            self._replace(store, execution, made, stage)

    def _replace(
        self,
        store: metadata_store.MetadataStore,
        execution: metadata_store_pb2.Execution,
        made: Mapping[str, metadata_store_pb2.Artifact],
        stage: str,
    ) -> None:
        # `artifacts/<stage>/<output>/<execution>`
        former = {pathlib.Path(uri).parent.name: uri for uri in self._damaged}
        pairs = [
            (pathlib.Path(former.get(output, "")), pathlib.Path(artifact.uri))
            for output, artifact in made.items()
        ]
        if not all(self._seals.same(old, new) for old, new in pairs):
            self._discard(store, self._damaged.values())
            return
        for old, new in pairs:
            self._seals.replace(old, new)
        lineage.link(store, execution, {name: self._damaged[uri] for name, uri in former.items()})
        lineage.delete(store, [artifact.id for artifact in made.values()])
        _log.info("%s: came out as it was; what depends on it is not touched", stage)

    def _discard(self, store: metadata_store.MetadataStore, ids: Collection[int]) -> None:
        for artifact in lineage.delete(store, ids):
            self._seals.remove(pathlib.Path(artifact.uri))
