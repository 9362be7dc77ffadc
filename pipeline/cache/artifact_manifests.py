"""Record the manifest of each artifact, so that stages and later runs read what was written.

TFX reuses an artifact whose folder exists, whatever is in it. Each output of a stage that ran is
therefore sealed: its manifest, with the size and the SHA-256 of every file, is kept in a file
beside the artifacts. A file that has changed, is missing or was added since is damage. A damaged
artifact is set aside and not deleted, since a file in it may be somebody's.
"""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Collection
from typing import Any, Literal

from ragline.components.files import state
from ragline.components.files.places import ARTIFACTS
from ragline.components.files.state import StateError
from ragline.components.files.storage import manifest
from ragline.pipeline.cache import aside

_KIND = "seal"
_SHAPE = dict[str, dict[Literal["bytes", "sha256"], int | str]]


class ArtifactManifests:
    """The manifests of a work directory, each `seals/<stage>/<output>/<execution>.json`."""

    def __init__(self, workdir: pathlib.Path) -> None:
        """Args: the work directory."""
        self._workdir = workdir
        self._artifacts = workdir / ARTIFACTS
        self._folder = workdir / "seals"

    def record(self, artifact: pathlib.Path) -> None:
        """Keep the manifest of an artifact as it is now."""
        state.write(self._file(artifact), _KIND, manifest(artifact))

    def damage(self, artifact: pathlib.Path) -> str | None:
        """Return what is wrong with an artifact, in a sentence; None if it is as recorded."""
        if self._artifacts not in artifact.parents:
            return f"{artifact}: lies outside of the work directory"
        sealed = self._read(artifact)
        if sealed is None:
            return f"{artifact}: the run that wrote it was cut off before it was sealed"
        present = manifest(artifact)
        for name in sorted(sealed.keys() | present.keys()):
            if name not in present:
                return f"{artifact / name}: is gone"
            if name not in sealed:
                return f"{artifact / name}: was not there when the stage had run"
            if sealed[name] != present[name]:
                return (
                    f"{artifact / name}: expected {_describe(sealed[name])}, "
                    f"received {_describe(present[name])}"
                )
        return None

    def same_content(self, old: pathlib.Path, new: pathlib.Path) -> bool:
        """Return whether two artifacts were recorded with the same content."""
        if self._artifacts not in old.parents:
            return False
        sealed = self._read(old)
        return sealed is not None and sealed == self._read(new)

    def remove(self, artifact: pathlib.Path) -> None:
        """Take an artifact of this work directory out of it, and remove its seal.

        What is as it was sealed is removed, and all else is set aside.
        """
        if self._artifacts in artifact.parents:
            self._take_out(artifact)
            self.forget(artifact)

    def put_in_place(self, damaged: pathlib.Path, sound: pathlib.Path) -> None:
        """Move a sound artifact of the same content to the place of a damaged one."""
        self._take_out(damaged)
        os.rename(sound, damaged)
        self.forget(sound)

    def recorded(self, but: Collection[pathlib.Path]) -> set[pathlib.Path]:
        """Return all artifacts but these that have a manifest, whether they exist or not."""
        files = self._folder.glob("*/*/*.json")
        artifacts = {self._artifacts / f.relative_to(self._folder).with_suffix("") for f in files}
        return {path for path in artifacts.difference(but) if self._read(path) is not None}

    def forget(self, artifact: pathlib.Path) -> None:
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

    def _read(self, artifact: pathlib.Path) -> dict[str, Any] | None:
        try:
            sealed: dict[str, Any] = state.read(self._file(artifact), _KIND, _SHAPE)
        except (OSError, StateError):
            return None
        return sealed

    def is_free(self, artifact: pathlib.Path) -> bool:
        """Return whether nothing stands where an artifact and its manifest would."""
        return not (os.path.lexists(artifact) or os.path.lexists(self._file(artifact)))

    def _file(self, artifact: pathlib.Path) -> pathlib.Path:
        place = artifact.relative_to(self._artifacts)
        return self._folder / place.with_name(f"{place.name}.json")


def _describe(entry: dict[str, Any]) -> str:
    return f"{entry['bytes']} bytes of sha256 {entry['sha256'][:12]}"
