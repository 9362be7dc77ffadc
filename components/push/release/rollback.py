"""The rollback: an earlier version becomes the newest again, and the newest is withdrawn."""

import pathlib
from dataclasses import dataclass
from typing import NamedTuple

from ragline.components.contract.errors import UsageError
from ragline.components.push.release import ledger, release_version, transaction
from ragline.components.push.release.entries import Entry, Origin, Release
from ragline.components.push.release.ledger import Version


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
      notes: what else a person should know.
    """

    to: int
    version: Version | None
    refusals: tuple[str, ...]
    withdrawn: tuple[int, ...]
    notes: tuple[str, ...] = ()


def rollback(serving: pathlib.Path, *, why: str, to: int | None, keep: int) -> RolledBack:
    """Makes a copy of an earlier version the newest, by the same road as a push.

    The model that was the newest is withdrawn: no run pushes it again until a rollback to it does,
    which is how a withdrawal is lifted. The same command again, after it was cut off or for no
    reason, does nothing more: the newest version is then what it asks for.

    Args:
      serving: the folder that is served.
      why: a sentence for the ledger.
      to: a version; None for the newest one that holds another model and was not withdrawn.
      keep: how many versions stay.

    Raises:
      NoVersionError: there is none, or it is damaged.
      LedgerError: the ledger cannot be read.
    """
    finished = transaction.recover(serving)
    there = [version for version in ledger.versions(serving) if version.entry]
    if not there or there[-1].entry is None:
        raise NoVersionError(f"{serving}: expected versions to choose from, received none")
    current = there[-1].entry
    done = _done_before(there[-1], current, finished, why, to)
    if done is None:
        done = _roll_back(serving, current, why, to)
    if done.version:
        release_version.tidy(serving, keep)
    return done


def _done_before(
    newest: Version, entry: Entry, finished: Release | None, why: str, to: int | None
) -> RolledBack | None:
    """What the same command did that was cut off after the version was visible, if any."""
    number = entry.rolled_back_to
    if number is None or newest.damage or to not in (None, number):
        return None
    cut_off = finished is not None and finished.entry == entry
    if entry.note != _note(number, why) and not cut_off:
        return None
    reason = (entry.note or "").removeprefix(_note(number, ""))
    withdrawn = [e.version for e in ledger.read(newest.path.parent) if e.withdrawn == reason]
    what = "was cut off, and is finished now" if cut_off else "was done before, and is not repeated"
    note = f'this rollback ("{reason}") {what}; --to, or another --why, goes further back'
    return RolledBack(
        to=number, version=newest, refusals=(), withdrawn=tuple(withdrawn), notes=(note,)
    )


def _roll_back(serving: pathlib.Path, current: Entry, why: str, to: int | None) -> RolledBack:
    target = _previous(serving, current) if to is None else _asked_for(serving, current, to)
    number = target.version.number
    origin = Origin(
        fingerprint=target.entry.fingerprint,
        run_id="rollback",
        reasons=target.entry.reasons,
        source=target.entry.source,
        note=_note(number, why),
        rolled_back_to=number,
    )
    withdraw = {current.fingerprint: why, origin.fingerprint: None}
    withdrawn = [e.version for e in ledger.read(serving) if e.fingerprint == current.fingerprint]
    done = release_version.deliver(target.version.path, serving, origin, withdraw=withdraw)
    return RolledBack(
        to=number,
        version=done.version,
        refusals=done.refusals,
        withdrawn=tuple(withdrawn) if done.version else (),
    )


def _note(number: int, why: str) -> str:
    return f"rollback to version {number}: {why}"


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
