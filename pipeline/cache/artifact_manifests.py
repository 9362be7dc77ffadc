"""Manifests of artifacts: what a stage wrote is what the stages after it, and later runs, read.

TFX reuses an artifact whose folder exists, whatever is in it. So each output of a stage that ran is
sealed: the size and the SHA-256 of every file, in a file of its own beside the artifacts. A file
that changed, is gone, or was not there then, is damage.
"""

import os
import pathlib
import shutil
from typing import Any

from ragline.components.files.storage import manifest, read_json, write_json


class Seals:
    """The seals of a work directory, `seals/<stage>/<output>/<execution>.json` each."""

    def __init__(self, workdir: pathlib.Path) -> None:
        """Args: the work directory."""
        self._artifacts = workdir / "artifacts"
        self._folder = workdir / "seals"

    def seal(self, artifact: pathlib.Path) -> None:
        """Keeps what stands in an artifact now."""
        write_json(self._file(artifact), manifest(artifact))

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
        sealed = self._read(one)
        if self._artifacts not in one.parents:
            return False
        sealed = self._read(one)
        return sealed is not None and sealed == self._read(other)

    def remove(self, artifact: pathlib.Path) -> None:
        """Removes an artifact of this work directory, and its seal."""
        if self._artifacts in artifact.parents:
            shutil.rmtree(artifact, ignore_errors=True)
            self._file(artifact).unlink(missing_ok=True)

    def replace(self, damaged: pathlib.Path, sound: pathlib.Path) -> None:
        """Moves a sound artifact of the same content to a damaged one's place."""
        shutil.rmtree(damaged)
        os.rename(sound, damaged)
        self._file(sound).unlink()

    def keep_only(self, artifacts: set[pathlib.Path]) -> None:
        """Removes the seals of all other artifacts."""
        kept = {self._file(artifact) for artifact in artifacts}
        for file in self._folder.rglob("*.json"):
            if file not in kept:
                file.unlink()

    def _read(self, artifact: pathlib.Path) -> dict[str, Any] | None:
        try:
            sealed: dict[str, Any] = read_json(self._file(artifact))
        except (FileNotFoundError, ValueError):
            return None
        return sealed

    def _file(self, artifact: pathlib.Path) -> pathlib.Path:
        place = artifact.relative_to(self._artifacts)
        return self._folder / place.with_name(f"{place.name}.json")


def _words(entry: dict[str, Any]) -> str:
    return f"{entry['bytes']} bytes of sha256 {entry['sha256'][:12]}"
