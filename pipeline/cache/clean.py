"""Remove what `[keep]` does not keep of earlier runs, in each run and by `ragline clean`.

Only what ragline's own records say that it made is ever removed, each by its exact path: an
artifact that ML Metadata knows and that is what its stage wrote, to the last byte; and the files of
a run that has a summary. What is served, what the newest runs made or reused, and what nobody
recorded, such as a file that somebody put into an artifact, stays.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from ml_metadata.proto import metadata_store_pb2

from ragline.components.files.places import ARTIFACTS
from ragline.components.files.storage import read_json
from ragline.components.push.release import ledger
from ragline.pipeline.cache import lineage, recovery
from ragline.pipeline.cache.artifact_manifests import ArtifactManifests
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import workdir
from ragline.pipeline.runs.preflight import DATABASE
from ragline.pipeline.runs.workdir import (
    LOG_FILE,
    REPORT_FILE,
    RUNS,
    SAMPLES_FILE,
    SERVING,
    SUMMARY_FILE,
)

_REJECTED = pathlib.Path("quarantine"), "rejected.jsonl"
_RUN = "pipeline_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """Describes a file or an artifact that is not kept.

    Attributes:
      path: path of the file, or of the artifact's folder, or its URI in a store.
      bytes: size of it.
      artifact: id of the artifact in ML Metadata; None for a file of a run.
    """

    path: str
    bytes: int
    artifact: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleaning:
    """States what a cleaning removes, and what it leaves because it is not as a stage wrote it.

    Attributes:
      items: files and artifacts that are removed, or would be.
      left: sentences, one for each artifact that is left because it changed since it was written.
    """

    items: tuple[Item, ...]
    left: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the items as plain data, for `--json`."""
        return {
            "bytes": sum(item.bytes for item in self.items),
            "items": [{"path": item.path, "bytes": item.bytes} for item in self.items],
            "left": list(self.left),
        }

    def sentence(self) -> str:
        """Return the sentence of a run that has removed something."""
        total = sum(item.bytes for item in self.items)
        return (
            f"removed of earlier runs what [keep] does not keep: {len(self.items)} files and "
            f"folders, {total:,} bytes"
        )

    def to_text(self) -> str:
        """Return a line for each item, its bytes and path; then what is left, and the sum."""
        total = sum(item.bytes for item in self.items)
        return "\n".join(
            [
                *(f"{item.bytes:>15,}  {item.path}" for item in self.items),
                *(f"left: {sentence}" for sentence in self.left),
                f"{total:>15,}  bytes in all",
            ]
        )


def clean(config: Config, *, dry: bool) -> Cleaning:
    """Remove what is not kept, or say what would be removed.

    Args:
      config: the configuration, whose `keep` says what is kept.
      dry: whether to remove nothing.

    Raises:
      BusyError: a run holds the work directory.
      ConfigError: there is no such work directory.
      LedgerError: the ledger cannot be read, so what is served is not known.
    """
    folder = pathlib.Path(config.workdir)
    if not folder.is_dir():
        raise ConfigError(f"workdir: expected a folder that holds runs, received {folder}")
    with workdir.held(config) as (folder, _):
        if (folder / DATABASE).exists():
            recovery.rebase(folder / DATABASE, folder / ARTIFACTS)
        return clean_held(config, folder, dry=dry)


def clean_held(
    config: Config, folder: pathlib.Path, *, spared: str = "", dry: bool = False
) -> Cleaning:
    """Remove the same from a work directory that this process holds.

    Args:
      config: the configuration, whose `keep` says what is kept.
      folder: the work directory.
      spared: id of a run whose own files all stay.
      dry: whether nothing is removed.

    Raises:
      LedgerError: the ledger cannot be read, so what is served is not known.
      OSError: something cannot be removed.
    """
    cleaning = _list_unkept(config, folder, spared)
    if not dry:
        _remove(folder, cleaning.items)
    return cleaning


def _list_unkept(config: Config, folder: pathlib.Path, spared: str) -> Cleaning:
    items = list(_files(config, folder, spared))
    left = []
    manifests = ArtifactManifests(folder)
    for artifact in _unused(config, folder, manifests):
        uri = artifact.uri
        if damage := f"{uri}: is a link" if os.path.islink(uri) else manifests.damage(uri):
            left.append(damage)
        else:
            items.append(Item(path=uri, bytes=manifests.size(uri), artifact=artifact.id))
    return Cleaning(items=tuple(items), left=tuple(left))


def _files(config: Config, folder: pathlib.Path, spared: str) -> Iterator[Item]:
    """Yield the files of runs beyond the newest that are kept."""
    runs = sorted(filter(_is_run, (folder / RUNS).glob("*")), key=lambda run: run.name)
    keep = config.keep
    kinds = (
        (keep.reports, lambda run: run / REPORT_FILE),
        (keep.reports, lambda run: run / SAMPLES_FILE),
        (keep.logs, lambda run: run / LOG_FILE),
        (keep.quarantine, lambda run: folder.joinpath(_REJECTED[0], run.name, _REJECTED[1])),
    )
    for place, run in enumerate(reversed(runs)):
        for number, file_of in kinds:
            file = file_of(run)
            if place >= number and run.name != spared and file.is_file() and not file.is_symlink():
                yield Item(path=str(file), bytes=file.stat().st_size)


def _is_run(folder: pathlib.Path) -> bool:
    """Return whether a folder is that of a run that ended: its summary bears its name."""
    try:
        return bool(read_json(folder / SUMMARY_FILE)["run_id"] == folder.name)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _unused(
    config: Config, folder: pathlib.Path, manifests: ArtifactManifests
) -> list[metadata_store_pb2.Artifact]:
    """Return the artifacts that no kept run made or reused, oldest first."""
    if not (folder / DATABASE).is_file():
        return []
    store = lineage.connect(folder / DATABASE)
    runs: dict[str, list[int]] = {}
    for context in store.get_contexts_by_type(_RUN):
        # A strategy of `compare` has a run of its own, `<run id>-<strategy>`.
        runs.setdefault("-".join(context.name.split("-")[:3]), []).append(context.id)
    kept_runs = {*sorted(runs)[-config.keep.artifacts :], *_served(folder / SERVING)}
    used: set[int] = set()
    for run in kept_runs & runs.keys():
        for context_id in runs[run]:
            executions = [e.id for e in store.get_executions_by_context(context_id)]
            events = store.get_events_by_execution_ids(executions) if executions else []
            used.update(event.artifact_id for event in events)
    live = metadata_store_pb2.Artifact.LIVE
    return [
        artifact
        for artifact in sorted(store.get_artifacts(), key=lambda artifact: artifact.id)
        if artifact.state == live and artifact.id not in used and manifests.is_within(artifact.uri)
    ]


def _served(serving: pathlib.Path) -> set[str]:
    """Return the runs that made the models that are served, or that a rollback copied."""
    entries = ledger.read(serving)
    served = {entry.fingerprint for entry in entries if entry.removed is None}
    return {entry.run_id for entry in entries if entry.fingerprint in served}


def _remove(folder: pathlib.Path, items: Iterable[Item]) -> None:
    """Remove what was listed; artifacts are marked first, so that no cache serves a half."""
    items = list(items)
    artifacts = [item for item in items if item.artifact is not None]
    if artifacts:
        store = lineage.connect(folder / DATABASE)
        lineage.delete(store, [item.artifact for item in artifacts if item.artifact is not None])
    manifests = ArtifactManifests(folder)
    for item in artifacts:
        manifests.remove(item.path)
    for item in items:
        if item.artifact is None:
            path = pathlib.Path(item.path)
            path.unlink(missing_ok=True)
            if path.name == _REJECTED[1]:
                with contextlib.suppress(OSError):  # Another file is in it.
                    path.parent.rmdir()
