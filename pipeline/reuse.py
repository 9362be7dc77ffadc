"""Whether what a stage gave can be used, and what is done where it cannot.

A stage that ran is sealed. What the cache gives is held against its seal before any stage reads it;
if it is damaged, the stage runs again. If the same content comes out, it takes the damaged one's
place, so that what depends on it stays cached; otherwise what depends on it runs, too.
"""

import logging
import pathlib
from collections.abc import Mapping

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from pipeline import lineage
from pipeline.seals import Seals

_log = logging.getLogger("ragline.cache")


def is_sound(
    store: metadata_store.MetadataStore, seals: Seals, pipeline: str, run_id: str, stage: str
) -> bool:
    """Whether a stage's outputs can be used; False if it has to run again, past the cache.

    Args:
      store: of ML Metadata.
      seals: of the work directory.
      pipeline: its name.
      run_id: of the run.
      stage: that has just been executed in it, for the first or the second time.
    """
    executions = lineage.executions_of(store, pipeline, run_id).get(stage, [])
    if not executions:
        return True
    found = lineage.looked_up(store, executions[-1])
    if damaged := _damaged(seals, found, stage):
        _discard(store, seals, damaged)  # The resolver finds the one before it.
        return False
    outputs = lineage.outputs(store, executions[-1])
    if executions[-1].last_known_state == metadata_store_pb2.Execution.CACHED:
        return not _damaged(seals, outputs, stage)
    for artifact in outputs.values():
        seals.seal(pathlib.Path(artifact.uri))
    if outputs and len(executions) > 1:
        _replace(store, seals, lineage.outputs(store, executions[-2]), outputs, stage)
    return True


def _damaged(
    seals: Seals, artifacts: Mapping[str, metadata_store_pb2.Artifact], stage: str
) -> list[metadata_store_pb2.Artifact]:
    damaged = []
    for artifact in artifacts.values():
        if damage := seals.damage(pathlib.Path(artifact.uri)):
            _log.warning("%s is not taken from the cache: %s", stage, damage)
            damaged.append(artifact)
    return damaged


def _replace(
    store: metadata_store.MetadataStore,
    seals: Seals,
    former: Mapping[str, metadata_store_pb2.Artifact],
    fresh: Mapping[str, metadata_store_pb2.Artifact],
    stage: str,
) -> None:
    pairs = [
        (pathlib.Path(former[name].uri), pathlib.Path(artifact.uri))
        for name, artifact in fresh.items()
    ]
    if all(seals.same(old, new) for old, new in pairs):
        for old, new in pairs:
            seals.replace(old, new)
        lineage.delete(store, list(fresh.values()))
        _log.info("%s came out as before; what depends on it is as it was", stage)
    else:
        _discard(store, seals, list(former.values()))


def _discard(
    store: metadata_store.MetadataStore,
    seals: Seals,
    artifacts: list[metadata_store_pb2.Artifact],
) -> None:
    lineage.delete(store, artifacts)
    for artifact in artifacts:
        seals.remove(pathlib.Path(artifact.uri))
