"""Record the manifest of each artifact, so that stages and later runs read what was written.

TFX reuses an artifact whose folder exists, whatever is in it. Each output of a stage that ran is
therefore sealed: its manifest, with the size and the SHA-256 of every file, is kept in a file
beside the artifacts. A file that has changed, is missing or was added since is damage. A damaged
artifact is set aside and not deleted, since a file in it may be somebody's.

Of records in a store, which keeps checksums of its own, the manifest has the size and the time of
each object: one listing tells them. Nothing can be moved aside there: what is damaged stays.
"""

import contextlib
import logging
import os
import pathlib
import re
import shutil
from collections.abc import Collection
from typing import Any, Literal

from ragline.components.files import places, state
from ragline.components.files.places import ARTIFACTS, Place
from ragline.components.files.state import StateError
from ragline.components.files.storage import manifest
from ragline.pipeline.cache import aside

_KIND, _BEGUN_KIND = "seal", "seal of an unfinished output"
_SHAPE = dict[str, dict[Literal["bytes", "sha256", "updated"], int | float | str]]
_BEGUN = ".begun"
# What stages write into a store: shards of ingest and of Transform, and what is staged; before they
# have their names, Beam's unfinished ones.
_WRITTEN = re.compile(
    r"""
    Split-(train|eval)/(
        examples-\d{5,}\.tfrecord\.gz
        | transformed_examples-\d{5,}-of-\d{5,}\.gz
        | FeatureStats\.pb
        | beam-temp-(transformed_examples|FeatureStats\.pb)-[0-9a-f]{32}/
          [^/]+\.(transformed_examples\.gz|FeatureStats\.pb)
    )
    | (report|rows)-\d{5,}\.json | rejected-\d{5,}\.jsonl | sources-\d{5,}\.parquet
    | (graph|encoder)\.zip
    | metrics/(
        eval_config\.json
        | (metrics|plots|attributions)-\d{5,}-of-\d{5,}\.tfrecord
        | validations\.tfrecord
        | beam-temp-(eval_config\.json|metrics|plots|attributions|validations)-[0-9a-f]{32}/
          [^/]+\.(eval_config\.json|(metrics|plots|attributions|validations)\.tfrecord)
    )
    """,
    re.VERBOSE,
)
_log = logging.getLogger("ragline.cache")


class ArtifactManifests:
    """Keeps the manifests of a work directory, each `seals/<stage>/<output>/<execution>.json`.

    In a store, an artifact is `<records>/<stage>/<output>/<run id>`, and its manifest is named so.
    """

    def __init__(self, workdir: pathlib.Path) -> None:
        """Open the manifests of a work directory."""
        self._workdir = workdir
        self._artifacts = workdir / ARTIFACTS
        self._folder = workdir / "seals"

    def is_within(self, artifact: Place) -> bool:
        """Return whether an artifact is of this work directory: below it, or in a store."""
        return not places.is_local(artifact) or self._artifacts in pathlib.Path(artifact).parents

    def begin(self, artifact: str) -> None:
        """Note a place in a store, before a stage writes there; see `clear_begun`."""
        state.write(self._begun(artifact), _BEGUN_KIND, artifact)

    def clear_begun(self) -> list[str]:
        """Remove what stages that did not end well have written into a store; return its URIs.

        An object whose name no stage gives is somebody's, and stays.
        """
        cleared = []
        for file in self._folder.glob(f"*/*/*{_BEGUN}"):
            with contextlib.suppress(StateError):  # Somebody's.
                artifact: str = state.read(file, _BEGUN_KIND, str)
                present = places.inside(artifact)
                written = [o for o in present if _WRITTEN.fullmatch(o[len(artifact) + 1 :])]
                places.remove_objects(written)
                if others := sorted({*present} - {*written}):
                    words = "%s: %d objects stay there that no stage wrote, such as %s"
                    _log.warning(words, artifact, len(others), others[0])
                file.unlink()
                cleared.append(artifact)
        return cleared

    def record(self, artifact: Place) -> None:
        """Keep the manifest of an artifact as it is now."""
        state.write(self._file(artifact), _KIND, _contents(artifact))

    def end(self, artifact: str) -> None:
        """Forget that a place in a store was begun: its stage has ended well."""
        self._begun(artifact).unlink()

    def damage(self, artifact: Place) -> str | None:
        """Return what is wrong with an artifact, in a sentence; None if it is as recorded."""
        if not self.is_within(artifact):
            return f"{artifact}: lies outside of the work directory"
        sealed = self._read(artifact)
        if sealed is None:
            return f"{artifact}: the run that wrote it was cut off before it was sealed"
        present = _contents(artifact)
        for name in sorted(sealed.keys() | present.keys()):
            if name not in present:
                return f"{artifact}/{name}: is gone"
            if name not in sealed:
                return f"{artifact}/{name}: was not there when the stage had run"
            if sealed[name] != present[name]:
                return (
                    f"{artifact}/{name}: expected {_describe(sealed[name])}, "
                    f"received {_describe(present[name])}"
                )
        return None

    def size(self, artifact: Place) -> int:
        """Return the bytes of an artifact as it was recorded."""
        return sum(int(entry["bytes"]) for entry in (self._read(artifact) or {}).values())

    def same_content(self, old: Place, new: Place) -> bool:
        """Return whether two artifacts of the work directory were recorded with one content.

        In a store, each object has a time of its own.
        """
        if not self.is_within(old):
            return False
        sealed = self._read(old)
        return sealed is not None and sealed == self._read(new)

    def remove(self, artifact: Place) -> None:
        """Take an artifact of this work directory out of it, and remove its seal.

        What is as it was sealed is removed, and all else is set aside, or stays in its store.
        """
        if places.is_local(artifact) and self.is_within(artifact):
            self._take_out(pathlib.Path(artifact))
        elif self._read(artifact) is None:
            return
        elif damage := self.damage(artifact):
            _log.warning("%s; all of it stays there", damage)
        else:
            places.remove_folder(artifact)
        self.forget(artifact)

    def put_in_place(self, damaged: pathlib.Path, sound: pathlib.Path) -> None:
        """Move a sound artifact of the same content to the place of a damaged one."""
        self._take_out(damaged)
        os.rename(sound, damaged)
        self.forget(sound)

    def recorded(self, but: Collection[Place]) -> set[pathlib.Path]:
        """Return the folders of all artifacts but these that have a manifest.

        They may exist or not; that of an artifact in a store does not.
        """
        files = {*self._folder.glob("*/*/*.json")} - {*map(self._file, but)}
        artifacts = {self._artifacts / f.relative_to(self._folder).with_suffix("") for f in files}
        return {path for path in artifacts if self._read(path) is not None}

    def forget(self, artifact: Place) -> None:
        """Remove an artifact's manifest; a file of its name that is no manifest stays."""
        if self._read(artifact) is not None:
            self._file(artifact).unlink()

    def _take_out(self, artifact: pathlib.Path) -> None:
        with contextlib.suppress(OSError):
            artifact.rmdir()  # An artifact that is gone leaves an empty folder.
        if not os.path.lexists(artifact):
            return
        if self.damage(artifact) is None:
            shutil.rmtree(artifact)
        else:
            aside.move(self._workdir, artifact, "is not what the stage wrote")

    def _read(self, artifact: Place) -> dict[str, Any] | None:
        try:
            sealed: dict[str, Any] = state.read(self._file(artifact), _KIND, _SHAPE)
        except (OSError, StateError):
            return None
        return sealed

    def is_free(self, artifact: pathlib.Path) -> bool:
        """Return whether nothing stands where an artifact and its manifest would."""
        return not (os.path.lexists(artifact) or os.path.lexists(self._file(artifact)))

    def _file(self, artifact: Place) -> pathlib.Path:
        stage, output, name = os.fspath(artifact).split("/")[-3:]
        return self._folder / stage / output / f"{name}.json"

    def _begun(self, artifact: str) -> pathlib.Path:
        return self._file(artifact).with_suffix(_BEGUN)


def _contents(artifact: Place) -> dict[str, dict[str, Any]]:
    """Return path in an artifact -> what its manifest has of it."""
    if places.is_local(artifact):
        return manifest(artifact)
    return {
        name: {"bytes": size, "updated": updated}
        for name, (size, updated) in places.stamps(artifact).items()
    }


def _describe(entry: dict[str, Any]) -> str:
    if "updated" in entry:
        return f"{entry['bytes']} bytes written at {entry['updated']}"
    return f"{entry['bytes']} bytes of sha256 {entry['sha256'][:12]}"
