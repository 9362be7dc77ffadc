"""Read folders of numbered versions, and the manifest that lies beside a pushed model.

    serving/3/                             a version: its name is its number, written as `str` does
    serving/3/assets.extra/manifest.json   what a push wrote, with the SHA-256 of every file

Any other file in such a folder is somebody else's.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import pydantic

from ragline.components.contract.errors import UsageError
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import sha256


class DamagedModelError(UsageError):
    """Says which files of a pushed model are not those that were pushed, one line each."""


MANIFEST_FILE = "assets.extra/manifest.json"
MOST = 2**63 - 1  # A server holds a version's number in an int64.


def number_of(name: str) -> int | None:
    """Return the number that a folder's name is; None of any other name, such as `01` or `²`."""
    if not (name.isascii() and name.isdecimal() and len(name) <= len(str(MOST))):
        return None
    number = int(name)
    return number if 1 <= number <= MOST and str(number) == name else None


def _relative(name: str) -> str:
    if not name or name.startswith("/") or "\0" in name or {"", ".", ".."} & {*name.split("/")}:
        raise ValueError(f"expected the path of a file inside of a version, received {name!r}")
    return name


FileName = Annotated[str, pydantic.AfterValidator(_relative)]
Number = Annotated[int, pydantic.Field(ge=1, le=MOST)]
STRICT: dict[str, object] = {"extra": "forbid", "strict": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """Describes a version whose model a rollback withdrew.

    Attributes:
      version: its number.
      fingerprint: fingerprint of its model.
      why: reason that was given.
    """

    version: Number
    fingerprint: str
    why: str

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Holds what a push writes beside a model; earlier pushes wrote `fingerprint`, `files` alone.

    Attributes:
      fingerprint: fingerprint of the model; equal for equal models.
      files: relative path -> hex SHA-256 of every other file.
      version: number under which it was pushed.
      run_id: id of the run that pushed it, or `rollback`.
      time: time of the push, in UTC.
      reasons: sentences by which it was blessed.
      source: path of the model that was copied.
      note: reason of the push, if it was not a blessing alone.
      rolled_back_to: version that a rollback copied.
      withdrawn: all versions that were withdrawn then.
    """

    fingerprint: str
    files: dict[FileName, str]
    version: Number | None = None
    run_id: str = ""
    time: str = ""
    reasons: tuple[str, ...] = ()
    source: str = ""
    note: str | None = None
    rolled_back_to: Number | None = None
    withdrawn: tuple[Withdrawn, ...] = ()

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


_MANIFEST = pydantic.TypeAdapter(Manifest)


def read_manifest(model: Place) -> Manifest | None:
    """Return the manifest beside a model; None if there is none.

    Raises:
      ValueError: the file is no manifest; one line says why.
    """
    file = f"{os.fspath(model)}/{MANIFEST_FILE}"
    try:
        text = places.read(file)
    except FileNotFoundError:
        return None
    try:
        return _MANIFEST.validate_json(text)
    except pydantic.ValidationError as error:
        raise ValueError(
            f"{file}: expected the manifest of a pushed model: {first(error)}"
        ) from error


def damage(model: Place, files: Mapping[str, str]) -> list[str]:
    """Return a sentence for each file that is missing, or is not what it was.

    Raises:
      OSError: a file cannot be read, so that nothing is known of its content.
    """
    sentences = []
    for name, expected in files.items():
        try:
            if sha256(f"{os.fspath(model)}/{name}") != expected:
                sentences.append(f"{name}: changed since it was pushed")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            sentences.append(f"{name}: {error.strerror}")
    return sentences


def check(model: Place, path: Place | None = None) -> None:
    """Compare a pushed model with the manifest beside it; a model without one passes.

    Args:
      model: folder of the model, or its URI.
      path: path to name in errors, if `model` is a copy.

    Raises:
      DamagedModelError: a file is missing, or is not what was pushed.
      OSError: a file cannot be read.
    """
    shown = os.fspath(path or model)
    try:
        manifest = read_manifest(model)
    except ValueError as error:
        raise DamagedModelError(str(error).replace(os.fspath(model), shown)) from error
    if manifest and (sentences := damage(model, manifest.files)):
        lines = (f"{shown}/{sentence}" for sentence in sentences)
        raise DamagedModelError(
            "\n".join(lines) + "\nexpected the files that were pushed; take another version, or "
            "let `ragline run` restore this one"
        )


def first(error: pydantic.ValidationError) -> str:
    """Return the first mistake that was found, in one line."""
    mistake = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, mistake["loc"]))
    return f"{where}: {mistake['msg']}" if where else mistake["msg"]
