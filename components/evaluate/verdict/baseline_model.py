"""Describe the newest blessed version, which a candidate is compared with."""

import json
import pathlib
from dataclasses import asdict, dataclass

from ragline.components.files.storage import digest_of, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineModel:
    """Describes the newest blessed version.

    Attributes:
      version: number of the version.
      path: folder of the version.
      digest: digest of its model; see `digest`.
      unlike: why it cannot answer the records of today; None if it can.
    """

    version: int
    path: str
    digest: str
    unlike: str | None = None

    def to_json(self) -> str:
        """Write it as a parameter of a stage, so that the stage's cache key names the model."""
        return json.dumps(asdict(self))


def describe(version: int, path: pathlib.Path, unlike: str | None = None) -> BaselineModel:
    """Describe a version by its number and its folder."""
    return BaselineModel(version=version, path=str(path), digest=digest(path), unlike=unlike)


def digest(folder: pathlib.Path) -> str:
    """Return a digest of a SavedModel's graph and variables, and of nothing beside them."""
    files = [folder / "saved_model.pb", *sorted((folder / "variables").glob("*"))]
    return digest_of(part for file in files if file.is_file() for part in (file.name, sha256(file)))
