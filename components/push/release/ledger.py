"""Keep the ledger: every version that was ever pushed, beside the folder that is served.

    WORKDIR/ledger.json      schema, version, checksum; intent; versions, oldest first
    WORKDIR/serving/3/       version 3

The ledger says what a version's files are; what is on the disk is compared with it, and decides. A
ledger that is not what was written is not believed: `transaction.recover` rebuilds it.

It imports neither TensorFlow nor TFX. Whoever changes it holds the work directory's lock.
"""

import dataclasses
import json
import os
import pathlib
import stat
from dataclasses import dataclass
from typing import Any

import pydantic

from ragline.components.contract.errors import NoEncoderError, UsageError
from ragline.components.files.storage import digest_of, write_json
from ragline.components.push.release import publish
from ragline.components.push.release.entries import Entry, Ledger, Release, Removal
from ragline.components.serving import versions as folders

LEDGER_FILE = "ledger.json"
_LEDGER = pydantic.TypeAdapter(Ledger)
_ENTRIES = pydantic.TypeAdapter(tuple[Entry, ...])
_SCHEMA, _FORMAT = "ragline.ledger", 2  # Format 1 was the list of entries alone.


class LedgerError(UsageError):
    """Says why a ledger cannot be read."""


class DamagedLedgerError(LedgerError):
    """Says that a ledger is not what was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Describes one numeric folder.

    Attributes:
      number: the number that its name is.
      path: the path of the folder.
      entry: the ledger's entry of it; None of a folder that somebody else put there.
      damage: sentences, one for each file that is missing or is not what the ledger says.
    """

    number: int
    path: pathlib.Path
    entry: Entry | None
    damage: tuple[str, ...]

    @property
    def fingerprint(self) -> str | None:
        """Return the model's fingerprint, if the ledger knows the version and it is undamaged."""
        return self.entry.fingerprint if self.entry and not self.damage else None


def load(serving: pathlib.Path) -> Ledger:
    """Read the ledger, with what was begun; it is empty if nothing was ever pushed.

    Raises:
      DamagedLedgerError: the file is not what was written.
      LedgerError: what stands there is no file, or a later ragline's.
    """
    file = serving.with_name(LEDGER_FILE)
    try:
        mode = file.lstat().st_mode
    except FileNotFoundError:
        return Ledger()
    if not stat.S_ISREG(mode):
        received = "a folder" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "none"
        raise LedgerError(
            f"{file}: expected the file that ragline keeps, received {received}; move it away: the "
            "next run rebuilds the ledger from the versions in serving/"
        )
    try:
        return _parse(file, file.read_bytes())
    except pydantic.ValidationError as error:
        mistake = folders.first(error)
    except (RecursionError, ValueError) as error:
        mistake = f"{type(error).__name__}: {error}"
    raise DamagedLedgerError(
        f"{file}: expected the list of versions that ragline keeps, received something else "
        f"({mistake}); bring it back from a copy, or leave it to `ragline run` or `ragline "
        "rollback`: they set it aside and rebuild it from the versions in serving/"
    )


def _parse(file: pathlib.Path, text: bytes) -> Ledger:
    content = json.loads(text)
    if isinstance(content, list) and content:  # No ledger of format 1 was ever empty.
        entries = _ENTRIES.validate_json(text)
        return Ledger(versions=entries)
    if not isinstance(content, dict) or content.pop("schema", None) != _SCHEMA:
        raise ValueError(f"it lacks the schema {_SCHEMA!r}")
    version, checksum = content.pop("version", None), content.pop("sha256", None)
    if isinstance(version, int) and version > _FORMAT:
        raise LedgerError(
            f"{file}: expected a ledger of format {_FORMAT} at most, received {version}: a later "
            "ragline wrote it; use that"
        )
    if version != _FORMAT or checksum != _checksum(content):
        raise ValueError("its checksum is not that of its content")
    return _LEDGER.validate_json(json.dumps(content))


def _checksum(content: dict[str, Any]) -> str:
    return digest_of([json.dumps(content, sort_keys=True)])


def save(serving: pathlib.Path, ledger: Ledger) -> None:
    """Replace the ledger, atomically."""
    content = json.loads(json.dumps(dataclasses.asdict(ledger)))
    head = {"schema": _SCHEMA, "version": _FORMAT, "sha256": _checksum(content)}
    write_json(serving.with_name(LEDGER_FILE), head | content)


def read(serving: pathlib.Path) -> tuple[Entry, ...]:
    """Return every entry, oldest first; what was begun counts once its folder was renamed.

    Raises:
      LedgerError: the ledger cannot be read.
    """
    ledger = load(serving)
    match ledger.intent:
        case Release(folder=folder, entry=entry):
            renamed = not publish.is_folder(serving / folder) and publish.is_folder(
                serving / str(entry.version)
            )
        case Removal(folder=folder, version=version):
            renamed = not publish.is_folder(serving / str(version))
        case _:
            renamed = False
    return ledger.done().versions if renamed else ledger.versions


def versions(serving: pathlib.Path) -> list[Version]:
    """Return the numeric folders, in order, each file compared with the ledger.

    Raises:
      LedgerError: the ledger cannot be read.
    """
    entries = {entry.version: entry for entry in read(serving)}
    return [
        _version(number, serving / str(number), entries.get(number))
        for number in numbers(serving)
        if (serving / str(number)).is_dir()
    ]


def newest(serving: pathlib.Path) -> Version | None:
    """Return the newest undamaged version that the ledger knows; None if there is none."""
    sound = (version for version in reversed(versions(serving)) if version.fingerprint)
    return next(sound, None)


def served(serving: pathlib.Path) -> pathlib.Path:
    """Return the folder of the newest undamaged version.

    Raises:
      NoEncoderError: there is none.
      LedgerError: the ledger cannot be read.
    """
    version = newest(serving)
    if version is None:
        raise NoEncoderError(
            f"{serving}: expected an encoder that `ragline run` pushed, found none"
        )
    return version.path


def known(path: pathlib.Path) -> Version | None:
    """Return the version in a folder, if the ledger beside its parent knows it undamaged.

    Whoever loads a model that no person named asks this first: a SavedModel is a program.
    """
    number = folders.number_of(path.name)
    entry = next((entry for entry in read(path.parent) if entry.version == number), None)
    if entry is None or not path.is_dir():
        return None
    version = _version(entry.version, path, entry)
    return version if version.fingerprint else None


def next_version(serving: pathlib.Path) -> int:
    """Return one more than every number on the disk and in the ledger.

    Raises:
      LedgerError: there is none, as a server could not count on.
    """
    number = max([*(entry.version for entry in read(serving)), *numbers(serving)], default=0)
    if number >= folders.MOST:
        raise LedgerError(
            f"{serving / str(number)}: expected numbers of versions below {folders.MOST}, the "
            "largest that a server reads; move it away"
        )
    return number + 1


def state(serving: pathlib.Path) -> str:
    """Return a digest of the ledger and of what is served, damage included."""
    entries = [dataclasses.asdict(entry) for entry in read(serving)]
    on_disk = [
        (version.number, version.entry is not None, version.damage) for version in versions(serving)
    ]
    return digest_of([json.dumps([entries, on_disk], sort_keys=True)])


def numbers(serving: pathlib.Path) -> list[int]:
    """Return every name in a folder that is a version's number, in order, whoever made it."""
    if not serving.is_dir():
        return []
    return sorted(filter(None, map(folders.number_of, os.listdir(serving))))


def _version(number: int, path: pathlib.Path, entry: Entry | None) -> Version:
    """Describe a version; a link is no folder of ours, nor is one whose files are not known."""
    ours = entry if entry and entry.files and not path.is_symlink() else None
    damage = tuple(folders.damage(path, ours.files)) if ours else ()
    return Version(number=number, path=path, entry=ours, damage=damage)
