"""The ledger: every version that was ever pushed, beside the folder that is served.

    WORKDIR/ledger.json      a list of entries, oldest first, written whole or not at all
    WORKDIR/serving/3/       version 3

An entry is written before its version becomes visible, so nothing of ours is visible that the
ledger does not know; one whose push was killed in between is an entry without a folder. The ledger
says what a version's files are; what is on the disk is compared with it, and decides.

It imports neither TensorFlow nor TFX. Whoever changes it holds the work directory's lock.
"""

import dataclasses
import json
import pathlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ragline.components.contract.errors import UsageError
from ragline.components.files.storage import digest_of, read_json, sha256, write_json

LEDGER_FILE = "ledger.json"


class LedgerError(UsageError):
    """A ledger that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One version that was pushed.

    Attributes:
      version: its number; none is ever used again.
      fingerprint: of the model; equal for equal models.
      files: relative path -> hex SHA-256.
      run_id: of the run that pushed it, or `rollback`.
      time: when, in UTC; for people, nothing is decided by it.
      reasons: the sentences by which it was blessed.
      source: path of the model that was copied.
      note: why it was pushed, if not by a blessing alone.
      withdrawn: why a rollback withdrew its model; None if none did.
      removed: why it is no longer in the folder that is served; None if it should be there.
    """

    version: int
    fingerprint: str
    files: dict[str, str]
    run_id: str
    time: str
    reasons: tuple[str, ...]
    source: str
    note: str | None = None
    withdrawn: str | None = None
    removed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One numeric folder.

    Attributes:
      number: its name.
      path: the folder.
      entry: what the ledger knows of it; None of a folder that somebody else put there.
      damage: a sentence for each file that is missing or is not what the ledger says.
    """

    number: int
    path: pathlib.Path
    entry: Entry | None
    damage: tuple[str, ...]

    @property
    def fingerprint(self) -> str | None:
        """Of the model, if the ledger knows the version and every file is what it should be."""
        return self.entry.fingerprint if self.entry and not self.damage else None


def read(serving: pathlib.Path) -> tuple[Entry, ...]:
    """Every entry, oldest first; none if nothing was ever pushed.

    Raises:
      LedgerError: the file is no ledger.
    """
    file = serving.with_name(LEDGER_FILE)
    try:
        return tuple(
            Entry(**entry | {"reasons": tuple(entry["reasons"])}) for entry in read_json(file)
        )
    except FileNotFoundError:
        return ()
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(
            f"{file}: expected the list of versions that ragline keeps, received something else "
            f"({error}); bring it back from a copy, or move it away: versions are then counted "
            "from those in serving/"
        ) from error


def write(serving: pathlib.Path, entries: Iterable[Entry]) -> None:
    """Replaces the ledger, atomically."""
    write_json(serving.with_name(LEDGER_FILE), [dataclasses.asdict(entry) for entry in entries])


def mark(serving: pathlib.Path, numbers: Iterable[int], **changes: Any) -> None:
    """Changes fields of the entries with these numbers; does nothing if there are none."""
    wanted = frozenset(numbers)
    entries = read(serving)
    if wanted & {entry.version for entry in entries}:
        write(
            serving,
            (
                dataclasses.replace(entry, **changes) if entry.version in wanted else entry
                for entry in entries
            ),
        )


def versions(serving: pathlib.Path) -> list[Version]:
    """The numeric folders, in order, each file compared with the ledger.

    Raises:
      LedgerError: the ledger cannot be read.
    """
    entries = {entry.version: entry for entry in read(serving)}
    paths = {int(path.name): path for path in _numeric(serving)}
    return [_version(number, paths[number], entries.get(number)) for number in sorted(paths)]


def newest(serving: pathlib.Path) -> Version | None:
    """The newest version that the ledger knows and whose files are all what it says."""
    sound = (version for version in reversed(versions(serving)) if version.fingerprint)
    return next(sound, None)


def known(path: pathlib.Path) -> Version | None:
    """The version in a folder, if the ledger beside its parent knows it and it is undamaged.

    Whoever loads a model that no person named asks this first: a SavedModel is a program.
    """
    entries = read(path.parent)
    number = int(path.name) if path.name.isdecimal() else None
    entry = next((entry for entry in entries if entry.version == number), None)
    if entry is None or not path.is_dir():
        return None
    version = _version(entry.version, path, entry)
    return None if version.damage else version


def next_version(serving: pathlib.Path) -> int:
    """One more than every number on the disk and in the ledger; the clock has no say."""
    numbers = [entry.version for entry in read(serving)]
    numbers += [int(path.name) for path in _numeric(serving)]
    return max(numbers, default=0) + 1


def state(serving: pathlib.Path) -> str:
    """Digest of the ledger and of what is served, damage included; changes when either does."""
    entries = [dataclasses.asdict(entry) for entry in read(serving)]
    found = [
        (version.number, version.entry is not None, version.damage) for version in versions(serving)
    ]
    return digest_of([json.dumps([entries, found], sort_keys=True)])


def _numeric(serving: pathlib.Path) -> list[pathlib.Path]:
    if not serving.is_dir():
        return []
    return [path for path in serving.iterdir() if path.name.isdecimal()]


def _version(number: int, path: pathlib.Path, entry: Entry | None) -> Version:
    damage = tuple(_damage(path, entry.files)) if entry else ()
    return Version(number=number, path=path, entry=entry, damage=damage)


def _damage(folder: pathlib.Path, files: dict[str, str]) -> list[str]:
    found = []
    for name, expected in files.items():
        try:
            if sha256(folder / name) != expected:
                found.append(f"{name}: changed since it was pushed")
        except OSError as error:
            found.append(f"{name}: {error.strerror}")
    return found
