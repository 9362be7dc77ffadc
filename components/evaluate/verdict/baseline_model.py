"""A version that was blessed and pushed: the newest is what a candidate is compared with."""

import json
import pathlib
from dataclasses import asdict, dataclass

from ragline.components.files.storage import digest_of, sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Blessed:
    """A pushed version.

    Attributes:
      version: its number.
      path: its folder.
      digest: of the model in it; see `digest`.
      unlike: why it cannot answer the records of today; None if it can.
    """

    version: int
    path: str
    digest: str
    unlike: str | None = None

    def to_json(self) -> str:
        """As a parameter of a stage, so that the stage's cache key names the model."""
        return json.dumps(asdict(self))


def of(version: int, path: pathlib.Path, unlike: str | None = None) -> Blessed:
    """A version by its number and its folder."""
    return Blessed(version=version, path=str(path), digest=digest(path), unlike=unlike)


def digest(model: pathlib.Path) -> str:
    """Names what a SavedModel computes: its graph and its variables, and nothing beside them."""
    files = [model / "saved_model.pb", *sorted((model / "variables").glob("*"))]
    return digest_of(part for file in files if file.is_file() for part in (file.name, sha256(file)))
