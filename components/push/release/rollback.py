"""The rollback: an earlier version becomes the newest again, and the newest is withdrawn."""

import pathlib
from dataclasses import dataclass
from typing import NamedTuple

from ragline.components.contract.errors import UsageError
from ragline.components.push.release import ledger, release_version
from ragline.components.push.release.ledger import Entry, Version


class NoVersionError(UsageError):
    """There is no version to roll back to, or not the one that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """What a rollback did.

    Attributes:
      to: the number that was asked for, or of the one before.
      version: its copy, the newest now; None if it did not pass its check.
      refusals: why not.
      withdrawn: the numbers of all versions whose model was withdrawn.
    """

    to: int
    version: Version | None
    refusals: tuple[str, ...]
    withdrawn: tuple[int, ...]


def rollback(serving: pathlib.Path, *, why: str, to: int | None, keep: int) -> RolledBack:
    """Makes a copy of an earlier version the newest, by the same road as a push.

    The model that was the newest is withdrawn: no run pushes it again until a rollback to it does,
    which is how a withdrawal is lifted.

    Args:
      serving: the folder that is served.
      why: a sentence for the ledger.
      to: a version; None for the newest one that holds another model and was not withdrawn.
      keep: how many versions stay.

    Raises:
      NoVersionError: there is none, or it is damaged.
      LedgerError: the ledger cannot be read.
    """
    entries = ledger.read(serving)
    if not entries:
        raise NoVersionError(f"{serving}: expected versions to choose from, received none")
    current = entries[-1]
    target = _previous(serving, current) if to is None else _asked_for(serving, current, to)
    origin = release_version.Origin(
        fingerprint=target.entry.fingerprint,
        run_id="rollback",
        reasons=target.entry.reasons,
        source=target.entry.source,
        note=f"rollback to version {target.version.number}: {why}",
    )
    done = release_version.deliver(
        target.version.path,
        serving,
        origin,
        withdraw={current.fingerprint: why, origin.fingerprint: None},
    )
    withdrawn = [entry.version for entry in entries if entry.fingerprint == current.fingerprint]
    if done.version:
        release_version.tidy(serving, keep)
    return RolledBack(
        to=target.version.number,
        version=done.version,
        refusals=done.refusals,
        withdrawn=tuple(withdrawn) if done.version else (),
    )


class _Target(NamedTuple):
    version: Version
    entry: Entry


def _targets(serving: pathlib.Path, current: Entry) -> list[_Target]:
    """The undamaged versions of other models, oldest first."""
    return [
        _Target(version, version.entry)
        for version in ledger.versions(serving)
        if version.entry and not version.damage and version.fingerprint != current.fingerprint
    ]


def _previous(serving: pathlib.Path, current: Entry) -> _Target:
    targets = [found for found in _targets(serving, current) if not found.entry.withdrawn]
    if not targets:
        raise NoVersionError(
            f"{serving}: expected an undamaged version of another model that was not withdrawn, "
            "received none; `ragline versions` lists what there is"
        )
    return targets[-1]


def _asked_for(serving: pathlib.Path, current: Entry, number: int) -> _Target:
    targets = {found.version.number: found for found in _targets(serving, current)}
    if number not in targets:
        known = ", ".join(map(str, targets)) or "there is none"
        raise NoVersionError(
            f"--to: expected an undamaged version of another model than the newest ({known}), "
            f"received {number}"
        )
    return targets[number]
