"""Release a model as a new version, for a push and for a rollback: stage, check, seal, rename."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragline.components.contract.errors import NoEncoderError
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.files.storage import read_json
from ragline.components.push.contract import check
from ragline.components.push.release import ledger, publish, transaction
from ragline.components.push.release.entries import Entry, ModelSource
from ragline.components.push.release.ledger import Version

_OF_ITS_FILES = ("golden", "ops", "weights")  # Clauses that are not about padding.


@dataclass(frozen=True, slots=True, kw_only=True)
class PushResult:
    """Holds the result of a push.

    Attributes:
      version: the version that holds the model; None if there is none.
      refusals: sentences that say why there is none.
      notes: sentences on what else a person should know.
    """

    version: Version | None = None
    refusals: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def push(
    model: pathlib.Path,
    serving: pathlib.Path,
    source: ModelSource,
    *,
    probes: pathlib.Path,
    facts: Mapping[str, Any],
) -> PushResult:
    """Make a blessed model the newest version, unless it is that, or was withdrawn.

    Args:
      model: a SavedModel.
      serving: the folder that is served.
      source: where the model comes from, for the ledger.
      probes: the sequences to check it on, see `check.check`.
      facts: the facts that are added to the model's own once it has passed.
    """
    transaction.recover(serving)
    there = ledger.versions(serving)
    if there and there[-1].fingerprint == source.fingerprint:
        note = (
            f"version {there[-1].number} is the newest and holds this very model: not pushed again"
        )
        return PushResult(version=there[-1], notes=(note,))
    same = [entry for entry in ledger.read(serving) if entry.fingerprint == source.fingerprint]
    for entry in same:
        if entry.withdrawn:
            refusal = (
                f"withdrawn: version {entry.version} held this very model and was rolled back "
                f"({entry.withdrawn}); `ragline rollback --to {entry.version}` lifts that"
            )
            return PushResult(refusals=(refusal,))
    lost = _lost(there, same[-1]) if same else None
    result = check_and_release(
        model,
        serving,
        dataclasses.replace(source, note=lost),
        probes=probes,
        facts=facts,
    )
    return dataclasses.replace(result, notes=(lost,)) if result.version and lost else result


def _lost(there: Sequence[Version], entry: Entry) -> str | None:
    """Return why a version that held the model has to be made anew; None if it need not be."""
    held = next((version for version in there if version.number == entry.version), None)
    if entry.removed or (held and not held.damage):
        return None
    what = f"is damaged ({'; '.join(held.damage)})" if held else "is missing"
    return f"version {entry.version}, of the same model, {what}: restored as a new version"


def check_and_release(
    model: pathlib.Path,
    serving: pathlib.Path,
    source: ModelSource,
    *,
    probes: pathlib.Path | None = None,
    facts: Mapping[str, Any] | None = None,
    withdraw: Mapping[str, str | None] | None = None,
) -> PushResult:
    """Make a model the newest version, if it passes its check where it is staged.

    Args:
      model: a SavedModel.
      serving: the folder that is served.
      source: where the model comes from, for the ledger.
      probes: the sequences to check it on, see `check.check`.
      facts: the facts that are added to the model's own once it has passed.
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
            return PushResult(refusals=refusals)
        if facts:
            publish.put(staged, ENCODER_FILE, {**read_json(staged / ENCODER_FILE), **facts})
        return PushResult(version=release(staged, source, withdraw))
    except NoEncoderError as error:
        return PushResult(refusals=(str(error),))
    finally:
        transaction.abandon(serving)


def release(
    staged: pathlib.Path, source: ModelSource, withdraw: Mapping[str, str | None] | None = None
) -> Version:
    """Make a staged model the newest version; see `transaction.release`."""
    entry = transaction.release(staged, source, withdraw)
    path = staged.with_name(str(entry.version))
    return Version(number=entry.version, path=path, entry=entry, damage=())


def tidy(serving: pathlib.Path, keep: int) -> list[str]:
    """Set damaged versions aside, then remove all but the newest `keep` that the ledger knows.

    A version that was removed and that somebody brought back is theirs.

    Returns:
      A sentence for each version that was set aside.
    """
    notes = []
    ours = [v for v in ledger.versions(serving) if v.entry and v.entry.removed is None]
    for version in ours:
        if version.damage:
            damaged = f"damaged ({'; '.join(version.damage)})"
            sentence = transaction.set_aside(serving, version.number, damaged)
            notes.append(f"version {version.number} is {sentence}")
    for version in [version for version in ours if not version.damage][:-keep]:
        transaction.remove(serving, version.number, f"{keep} newer versions are kept")
    return notes
