"""Manifests of artifacts: what a stage wrote is what the stages after it, and later runs, read.

TFX reuses an artifact whose folder exists, whatever is in it. So each output of a stage that ran is
sealed: the size and the SHA-256 of every file, in a file of its own beside the artifacts. A file
that changed, is gone, or was not there then, is damage. What is damaged is set aside, since what is
in it may be somebody's.
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


class Seals:
    """The seals of a work directory, `seals/<stage>/<output>/<execution>.json` each."""

    def __init__(self, workdir: pathlib.Path) -> None:
        """Args: the work directory."""
        self._workdir = workdir
        self._artifacts = workdir / ARTIFACTS
        self._folder = workdir / "seals"

    def seal(self, artifact: pathlib.Path) -> None:
        """Keeps what stands in an artifact now."""
        state.write(self._file(artifact), _KIND, manifest(artifact))

    def damage(self, artifact: pathlib.Path) -> str | None:
        """What is wrong with an artifact, in a sentence; None if it is as it was sealed."""
        if self._artifacts not in artifact.parents:
            return f"{artifact}: lies outside of the work directory"
        sealed = self._read(artifact)
        if sealed is None:
            return f"{artifact}: the run that wrote it was cut off before it was sealed"
        found = manifest(artifact)
        for name in sorted(sealed.keys() | found.keys()):
            if name not in found:
                return f"{artifact / name}: is gone"
            if name not in sealed:
                return f"{artifact / name}: was not there when the stage had run"
            if sealed[name] != found[name]:
                return (
                    f"{artifact / name}: expected {_words(sealed[name])}, "
                    f"received {_words(found[name])}"
                )
        return None

    def same(self, one: pathlib.Path, other: pathlib.Path) -> bool:
        """Whether two artifacts were sealed with the same content."""
        if self._artifacts not in one.parents:
            return False
        sealed = self._read(one)
        return sealed is not None and sealed == self._read(other)

    def remove(self, artifact: pathlib.Path) -> None:
        """Takes an artifact of this work directory out of it, and removes its seal.

        What is as it was sealed is removed, and all else is set aside.
        """
        if self._artifacts in artifact.parents:
            self._take_out(artifact)
            self.forget(artifact)

    def replace(self, damaged: pathlib.Path, sound: pathlib.Path) -> None:
        """Moves a sound artifact of the same content to a damaged one's place."""
        self._take_out(damaged)
        os.rename(sound, damaged)
        self.forget(sound)

    def sealed(self, but: Collection[pathlib.Path]) -> set[pathlib.Path]:
        """All artifacts but these that have a seal, whether they are there or not."""
        files = self._folder.glob("*/*/*.json")
        artifacts = {self._artifacts / f.relative_to(self._folder).with_suffix("") for f in files}
        return {one for one in artifacts.difference(but) if self._read(one) is not None}

    def forget(self, artifact: pathlib.Path) -> None:
        """Removes an artifact's seal; what is none is left."""
        if self._read(artifact) is not None:
            self._file(artifact).unlink()

    def _take_out(self, artifact: pathlib.Path) -> None:
        with contextlib.suppress(OSError):
            artifact.rmdir()  # Of one that is gone, there is but an empty folder.
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
        """Whether nothing stands where an artifact and its seal would."""
        return not (os.path.lexists(artifact) or os.path.lexists(self._file(artifact)))

    def _file(self, artifact: pathlib.Path) -> pathlib.Path:
        place = artifact.relative_to(self._artifacts)
        return self._folder / place.with_name(f"{place.name}.json")


def _words(entry: dict[str, Any]) -> str:
    return f"{entry['bytes']} bytes of sha256 {entry['sha256'][:12]}"
