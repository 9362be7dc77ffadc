"""The road to a new version, of a push and of a rollback: stage, check there, seal, rename."""

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragline.components.push.contract import check
from ragline.components.push.release import ledger, transaction
from ragline.components.push.release.entries import Entry, Origin
from ragline.components.push.release.ledger import Version

_OF_ITS_FILES = ("golden", "ops")  # Clauses that are not about padding.


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of it.

    Attributes:
      version: the one that holds the model; None if there is none.
      refusals: sentences why there is none.
      notes: what else a person should know.
    """

    version: Version | None = None
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def push(
    model: pathlib.Path,
    serving: pathlib.Path,
    origin: Origin,
    *,
    probes: pathlib.Path,
    complete: Callable[[pathlib.Path, check.Checked], None],
) -> Delivered:
    """Makes a blessed model the newest version, unless it is that, or was withdrawn.

    Args:
      model: a SavedModel.
      serving: the folder that is served.
      origin: for the ledger.
      probes: the sequences to check it on, see `check.check`.
      complete: adds files to the staged model once it has passed.
    """
    transaction.recover(serving)
    there = ledger.versions(serving)
    if there and there[-1].fingerprint == origin.fingerprint:
        note = (
            f"version {there[-1].number} is the newest and holds this very model: not pushed again"
        )
        return Delivered(version=there[-1], notes=(note,))
    same = [entry for entry in ledger.read(serving) if entry.fingerprint == origin.fingerprint]
    for entry in same:
        if entry.withdrawn:
            refusal = (
                f"withdrawn: version {entry.version} held this very model and was rolled back "
                f"({entry.withdrawn}); `ragline rollback --to {entry.version}` lifts that"
            )
            return Delivered(refusals=(refusal,))
    lost = _lost(there, same[-1]) if same else None
    done = deliver(
        model,
        serving,
        dataclasses.replace(origin, note=lost),
        probes=probes,
        complete=complete,
    )
    return dataclasses.replace(done, notes=(lost,)) if done.version and lost else done


def _lost(there: Sequence[Version], entry: Entry) -> str | None:
    """Why a version that held the model has to be made anew, if it should still be there."""
    found = next((version for version in there if version.number == entry.version), None)
    if entry.removed or (found and not found.damage):
        return None
    what = f"is damaged ({'; '.join(found.damage)})" if found else "is missing"
    return f"version {entry.version}, of the same model, {what}: restored as a new version"


def deliver(
    model: pathlib.Path,
    serving: pathlib.Path,
    origin: Origin,
    *,
    probes: pathlib.Path | None = None,
    complete: Callable[[pathlib.Path, check.Checked], None] | None = None,
    withdraw: Mapping[str, str | None] | None = None,
) -> Delivered:
    """Makes a model the newest version, if it passes its check where it is staged.

    Args:
      model: a SavedModel.
      serving: the folder that is served.
      origin: for the ledger.
      probes: the sequences to check it on, see `check.check`.
      complete: adds files to the staged model once it has passed.
      withdraw: see `release`.
    """
    try:
        staged = transaction.stage(model, serving)
        checked = check.check(staged, probes, strict=True)
        refusals = tuple(
            f"{'model' if violation.clause in _OF_ITS_FILES else 'padding contract'}: {violation}"
            for violation in checked.violations
        )
        if refusals:
            return Delivered(refusals=refusals)
        if complete:
            complete(staged, checked)
        return Delivered(version=release(staged, origin, withdraw))
    except check.NoEncoderError as error:
        return Delivered(refusals=(str(error),))
    finally:
        transaction.abandon(serving)


def release(
    staged: pathlib.Path, origin: Origin, withdraw: Mapping[str, str | None] | None = None
) -> Version:
    """Makes a staged model the newest version, see `transaction.release`."""
    entry = transaction.release(staged, origin, withdraw)
    path = staged.with_name(str(entry.version))
    return Version(number=entry.version, path=path, entry=entry, damage=())


def tidy(serving: pathlib.Path, keep: int) -> list[str]:
    """Sets damaged versions aside, then removes all but the newest `keep` that the ledger knows.

    A version that was removed and that somebody brought back is theirs.

    Returns:
      A sentence for each version that was set aside.
    """
    notes = []
    ours = [v for v in ledger.versions(serving) if v.entry and v.entry.removed is None]
    for version in ours:
        if version.damage:
            damaged = f"damaged ({'; '.join(version.damage)})"
            told = transaction.set_aside(serving, version.number, damaged)
            notes.append(f"version {version.number} is {told}")
    for version in [version for version in ours if not version.damage][:-keep]:
        transaction.remove(serving, version.number, f"{keep} newer versions are kept")
    return notes
