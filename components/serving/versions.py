"""Folders of numbered versions, and the manifest that lies beside a pushed model.

    serving/3/                             a version: its name is its number, written as `str` does
    serving/3/assets.extra/manifest.json   what a push wrote, with the SHA-256 of every file

Whatever else stands in such a folder is somebody else's.
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
    """The files of a pushed model are not those that were pushed; one line a file."""


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
    """A version whose model a rollback withdrew.

    Attributes:
      version: its number.
      fingerprint: of its model.
      why: the reason that was given.
    """

    version: Number
    fingerprint: str
    why: str

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a push writes beside a model; earlier pushes wrote `fingerprint` and `files` alone.

    Attributes:
      fingerprint: of the model; equal for equal models.
      files: relative path -> hex SHA-256 of every other file.
      version: the number under which it was pushed.
      run_id: of the run that pushed it, or `rollback`.
      time: when, in UTC.
      reasons: the sentences by which it was blessed.
      source: path of the model that was copied.
      note: why it was pushed, if not by a blessing alone.
      rolled_back_to: the version that a rollback copied.
      withdrawn: every version that was withdrawn then.
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
      ValueError: it is something else; one line says what.
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
      OSError: a file cannot be read, which says nothing of what is in it.
    """
    found = []
    for name, expected in files.items():
        try:
            if sha256(f"{os.fspath(model)}/{name}") != expected:
                found.append(f"{name}: changed since it was pushed")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            found.append(f"{name}: {error.strerror}")
    return found


def check(model: Place, path: Place | None = None) -> None:
    """Hold a pushed model against the manifest beside it; a model without one is not held to any.

    Args:
      model: its folder, or the URI of it.
      path: what it is called, if `model` is a copy.

    Raises:
      DamagedModelError: a file is missing, or is not what was pushed.
      OSError: a file cannot be read.
    """
    named = os.fspath(path or model)
    try:
        manifest = read_manifest(model)
    except ValueError as error:
        raise DamagedModelError(str(error).replace(os.fspath(model), named)) from error
    if manifest and (found := damage(model, manifest.files)):
        lines = (f"{named}/{sentence}" for sentence in found)
        raise DamagedModelError(
            "\n".join(lines) + "\nexpected the files that were pushed; take another version, or "
            "let `ragline run` restore this one"
        )


def first(error: pydantic.ValidationError) -> str:
    """Return the first mistake that was found, in one line."""
    mistake = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(map(str, mistake["loc"]))
    return f"{where}: {mistake['msg']}" if where else mistake["msg"]
