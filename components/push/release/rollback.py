"""Roll back: make an earlier version the newest again, and withdraw the newest."""

import pathlib
from dataclasses import dataclass
from typing import NamedTuple

from ragline.components.contract.errors import UsageError
from ragline.components.push.release import ledger, release_version, transaction
from ragline.components.push.release.entries import Entry, ModelSource, Release
from ragline.components.push.release.ledger import Version


class NoVersionError(UsageError):
    """Says that there is no version to roll back to, or not the one that is named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolledBack:
    """Holds the result of a rollback.

    Attributes:
      to: the number of the version that was rolled back to.
      version: the copy of that version, the newest now; None if it did not pass its check.
      refusals: sentences that say why it did not pass.
      withdrawn: the numbers of all versions whose model was withdrawn.
      notes: sentences on what else a person should know.
    """

    to: int
    version: Version | None
    refusals: tuple[str, ...]
    withdrawn: tuple[int, ...]
    notes: tuple[str, ...] = ()


def rollback(serving: pathlib.Path, *, why: str, to: int | None, keep: int) -> RolledBack:
    """Make a copy of an earlier version the newest, with the checks of a push.

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
    result = _done_before(there[-1], current, finished, why, to)
    if result is None:
        result = _roll_back(serving, current, why, to)
    if result.version:
        release_version.tidy(serving, keep)
    return result


def _done_before(
    newest: Version, entry: Entry, finished: Release | None, why: str, to: int | None
) -> RolledBack | None:
    """Return what the same command did before it was cut off or repeated; None if nothing."""
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
    source = ModelSource(
        fingerprint=target.entry.fingerprint,
        run_id="rollback",
        reasons=target.entry.reasons,
        source=target.entry.source,
        note=_note(number, why),
        rolled_back_to=number,
    )
    withdraw = {current.fingerprint: why, source.fingerprint: None}
    withdrawn = [e.version for e in ledger.read(serving) if e.fingerprint == current.fingerprint]
    result = release_version.check_and_release(
        target.version.path, serving, source, withdraw=withdraw
    )
    return RolledBack(
        to=number,
        version=result.version,
        refusals=result.refusals,
        withdrawn=tuple(withdrawn) if result.version else (),
    )


def _note(number: int, why: str) -> str:
    return f"rollback to version {number}: {why}"


class _Target(NamedTuple):
    version: Version
    entry: Entry


def _targets(serving: pathlib.Path, current: Entry) -> list[_Target]:
    """Return the undamaged versions of other models, oldest first."""
    return [
        _Target(version, version.entry)
        for version in ledger.versions(serving)
        if version.entry and not version.damage and version.fingerprint != current.fingerprint
    ]


def _previous(serving: pathlib.Path, current: Entry) -> _Target:
    targets = [target for target in _targets(serving, current) if not target.entry.withdrawn]
    if not targets:
        raise NoVersionError(
            f"{serving}: expected an undamaged version of another model that was not withdrawn, "
            "received none; `ragline versions` lists what there is"
        )
    return targets[-1]


def _asked_for(serving: pathlib.Path, current: Entry, number: int) -> _Target:
    targets = {target.version.number: target for target in _targets(serving, current)}
    if number not in targets:
        known = ", ".join(map(str, targets)) or "there is none"
        raise NoVersionError(
            f"--to: expected an undamaged version of another model than the newest ({known}), "
            f"received {number}"
        )
    return targets[number]
