"""Define what the ledger holds: an entry a version, and what was begun and is not done yet.

A push, a rollback and a removal are one change of the ledger and of the folder that is served:

    intent    the ledger says what is about to be done
    rename    it is done: of every reader, this is the moment
    done      the ledger holds the outcome, and no intent

A process that is killed leaves an intent; the next one finishes or undoes it (`transaction.py`).
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pydantic

from ragline.components.serving.versions import STRICT, FileName, Number, Withdrawn


def _dotted(name: str) -> str:
    if not re.fullmatch(r"\.[\w-]+", name, re.ASCII):
        raise ValueError(f"expected the name of a dot-folder, received {name!r}")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """States the source of a version: what its entry in the ledger says beside its files.

    Attributes:
      fingerprint: the fingerprint of the model.
      run_id: the id of the run that pushes it.
      reasons: the sentences by which it was blessed.
      source: the path of the model that was trained.
      note: the reason of the push, if it is not a blessing alone.
      rolled_back_to: the version that it is a copy of, if a rollback pushes it.
    """

    fingerprint: str
    run_id: str
    reasons: tuple[str, ...]
    source: str
    note: str | None = None
    rolled_back_to: int | None = None


FolderName = Annotated[str, pydantic.AfterValidator(_dotted)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Describes one version that was pushed.

    Attributes:
      version: the number; none is ever used again.
      fingerprint: the fingerprint of the model, which is equal for equal models.
      files: the relative path of each file -> hex SHA-256.
      run_id: the id of the run that pushed it, or `rollback`.
      time: the time of the push, in UTC; for people, nothing is decided by it.
      reasons: the sentences by which it was blessed.
      source: the path of the model that was copied.
      note: the reason of the push, if it was not a blessing alone.
      rolled_back_to: the version that it is a copy of, if a rollback pushed it.
      withdrawn: the reason why a rollback withdrew its model; None if none did.
      removed: the reason why it is no longer served; None if it should be there.
    """

    version: Number
    fingerprint: str
    files: dict[FileName, str]
    run_id: str
    time: str
    reasons: tuple[str, ...]
    source: str
    note: str | None = None
    rolled_back_to: Number | None = None
    withdrawn: str | None = None
    removed: str | None = None

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """States that a model is being copied and checked.

    Attributes:
      folder: the dot-folder in which it is.
      files: the files that may be in it.
    """

    folder: FolderName
    files: tuple[FileName, ...]
    action: Literal["stage"] = "stage"

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """States that a staged model becomes a version.

    Attributes:
      folder: the dot-folder in which it is.
      entry: the entry of the version.
      withdraw: fingerprint -> why its versions are withdrawn; None if they are not any more.
    """

    folder: FolderName
    entry: Entry
    withdraw: dict[str, str | None]
    action: Literal["release"] = "release"

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """States that a version is removed, or set aside.

    Attributes:
      folder: the dot-folder that it becomes.
      version: the number.
      why: the sentence for its entry.
      delete: whether its files are deleted, or kept for a person.
    """

    folder: FolderName
    version: Number
    why: str
    delete: bool
    action: Literal["remove"] = "remove"

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT


Intent = Staging | Release | Removal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Holds the content of ledger.json.

    Attributes:
      versions: every version that was ever pushed, oldest first.
      intent: the change that was begun; None if nothing was.
    """

    versions: tuple[Entry, ...] = ()
    intent: Annotated[Intent, pydantic.Field(discriminator="action")] | None = None

    __pydantic_config__: ClassVar[dict[str, object]] = STRICT

    def __post_init__(self) -> None:
        numbers = [entry.version for entry in self.versions]
        if isinstance(self.intent, Release):
            numbers.append(self.intent.entry.version)
        if numbers != sorted(set(numbers)):
            raise ValueError(f"expected every version once, in order, received {numbers}")
        if isinstance(self.intent, Removal) and self.intent.version not in numbers:
            raise ValueError(f"expected one of {numbers} to remove, received {self.intent.version}")

    def entry(self, version: int) -> Entry:
        """Return the entry of a version."""
        return next(entry for entry in self.versions if entry.version == version)

    def done(self) -> "Ledger":
        """Return the ledger once its intent is carried out."""
        entries = self.versions
        match self.intent:
            case Release(entry=new, withdraw=withdraw):
                entries = (
                    *(
                        dataclasses.replace(entry, withdrawn=withdraw[entry.fingerprint])
                        if entry.fingerprint in withdraw
                        else entry
                        for entry in entries
                    ),
                    new,
                )
            case Removal(version=version, why=why):
                entries = tuple(
                    dataclasses.replace(entry, removed=why) if entry.version == version else entry
                    for entry in entries
                )
        return Ledger(versions=entries)

    def withdrawals(self) -> tuple[Withdrawn, ...]:
        """Return the versions that are withdrawn."""
        return tuple(
            Withdrawn(version=entry.version, fingerprint=entry.fingerprint, why=entry.withdrawn)
            for entry in self.versions
            if entry.withdrawn is not None
        )
