"""Change the ledger and the folder that is served, each change whole or not begun.

`entries.py` says how: intent, rename, done. The same function carries an intent out at once, and
after a kill. Whoever calls it holds the work directory's lock.
"""

import dataclasses
import datetime
import logging
import os
import pathlib
from collections.abc import Mapping

from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.files.storage import sha256
from ragline.components.push.release import ledger, publish
from ragline.components.push.release.entries import (
    Entry,
    Ledger,
    ModelSource,
    Release,
    Removal,
    Staging,
)
from ragline.components.serving import versions
from ragline.components.serving.versions import MANIFEST_FILE

_log = logging.getLogger("ragline.push")


def recover(serving: pathlib.Path) -> Release | None:
    """Finish or undo what a killed process had begun, and rebuild a ledger that is lost.

    Returns:
      The release that was finished; None if there was none.

    Raises:
      LedgerError: a person has to look at the ledger.
    """
    try:
        current = ledger.load(serving)
        lost = "" if serving.with_name(ledger.LEDGER_FILE).exists() else "is gone"
    except ledger.DamagedLedgerError as error:
        current, lost = Ledger(), f"{error}".partition(": ")[2].partition("; bring")[0]
    if lost:
        _rebuild(serving, lost)
        return None
    return finish(serving) if current.intent else None


def stage(model: pathlib.Path, serving: pathlib.Path) -> pathlib.Path:
    """Copy a SavedModel into a dot-folder of `serving`, under a name that the ledger knows."""
    serving.mkdir(parents=True, exist_ok=True)
    recover(serving)
    name = publish.new_name()
    files = {*publish.files_of(model), ENCODER_FILE, MANIFEST_FILE}
    intent = Staging(folder=name, files=tuple(sorted(files)))
    ledger.save(serving, dataclasses.replace(ledger.load(serving), intent=intent))
    publish.copy(model, serving / name)
    return serving / name


def abandon(serving: pathlib.Path) -> None:
    """Delete a staged model, unless it is a version by now, or about to be one."""
    if isinstance(ledger.load(serving).intent, Staging):
        finish(serving)


def release(
    staged: pathlib.Path, source: ModelSource, withdraw: Mapping[str, str | None] | None = None
) -> Entry:
    """Seal a staged model and make it a version.

    Args:
      staged: a model in a dot-folder of the folder that is served.
      source: where the model comes from.
      withdraw: fingerprint -> why its versions are withdrawn; None if they are not any more.

    Raises:
      LedgerError: somebody changed the folder meanwhile.
    """
    serving = staged.parent
    entry = Entry(
        version=ledger.next_version(serving),
        files={},
        time=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        **dataclasses.asdict(source),
    )
    before = ledger.load(serving)
    intent = Release(folder=staged.name, entry=entry, withdraw=dict(withdraw or {}))
    after = dataclasses.replace(before, intent=intent).done()
    entry = publish.seal(staged, entry, after.withdrawals())
    intent = dataclasses.replace(intent, entry=entry)
    ledger.save(serving, dataclasses.replace(before, intent=intent))
    if finish(serving) is None:
        raise ledger.LedgerError(
            f"{serving / str(entry.version)}: expected a free name, and the files of {staged.name} "
            "as they were written; somebody changed them meanwhile: run again"
        )
    return entry


def remove(serving: pathlib.Path, version: int, why: str) -> None:
    """Delete a version; whoever lists the folder sees it whole, or not at all."""
    _take_away(serving, version, why, publish.removed_name(version), delete=True)


def set_aside(serving: pathlib.Path, version: int, why: str) -> str:
    """Rename a damaged version to a dot-folder, where nobody serves it and a person finds it.

    Returns:
      The sentence of its entry: `why`, and where it is.
    """
    name = publish.damaged_name(serving / str(version))
    sentence = f"{why}: moved to {name}"
    _take_away(serving, version, sentence, name, delete=False)
    return sentence


def _take_away(serving: pathlib.Path, version: int, why: str, name: str, *, delete: bool) -> None:
    intent = Removal(folder=name, version=version, why=why, delete=delete)
    ledger.save(serving, dataclasses.replace(ledger.load(serving), intent=intent))
    finish(serving)


def finish(serving: pathlib.Path) -> Release | None:
    """Carry out what the ledger says was begun.

    Returns:
      The release, if it was one and is done now; None of everything else.
    """
    begun = ledger.load(serving)
    match begun.intent:
        case Staging(folder=name, files=files):
            publish.discard(serving / name, files)
        case Release(folder=name, entry=entry) as intent:
            if not _is_visible(serving, name, entry):
                publish.discard(serving / name, entry.files)
                ledger.save(serving, Ledger(versions=begun.versions))
                return None
            ledger.save(serving, begun.done())
            return intent
        case Removal(folder=name, version=version, delete=delete):
            path, aside = serving / str(version), serving / name
            sealed = begun.entry(version).files
            if publish.is_folder(path) and not os.path.lexists(aside):
                if delete and versions.damage(path, sealed):  # It is somebody else's by now.
                    ledger.save(serving, Ledger(versions=begun.versions))
                    return None
                publish.rename(path, name)
            if delete:
                publish.discard(aside, sealed)
    ledger.save(serving, begun.done())
    return None


def _is_visible(serving: pathlib.Path, name: str, entry: Entry) -> bool:
    """Make a sealed model visible, if it is still there, whole, and its number free."""
    staged, path = serving / name, serving / str(entry.version)
    if not publish.is_folder(staged):
        return True  # It was renamed; if it is gone by now, the next push restores it.
    if os.path.lexists(path) or versions.damage(staged, entry.files):
        return False
    publish.rename(staged, path.name)
    return True


def _rebuild(serving: pathlib.Path, lost: str) -> None:
    """Set a lost ledger aside, and write another from what pushes left beside their models."""
    new_ledger = rebuilt(serving)
    file = serving.with_name(ledger.LEDGER_FILE)
    if not file.exists() and not new_ledger.versions:
        return  # Nothing was ever pushed.
    reason = f"{file}: {lost}"
    if file.exists():
        number = 1
        while os.path.lexists(aside := file.with_name(f"{file.name}.damaged-{number}")):
            number += 1
        file.rename(aside)
        reason += f"; moved to {aside.name}"
    ledger.save(serving, new_ledger)
    numbers = ", ".join(str(entry.version) for entry in new_ledger.versions) or "none"
    _log.warning("%s; rebuilt from the versions in %s: %s", reason, serving, numbers)


def rebuilt(serving: pathlib.Path) -> Ledger:
    """Return a ledger of the versions whose manifests name their files as they are.

    What was withdrawn stands in the newest manifest.
    """
    entries: dict[int, Entry] = {}
    withdrawn: tuple[versions.Withdrawn, ...] = ()
    for version in ledger.numbers(serving):
        if (stated := _of_manifest(serving / str(version), version)) is not None:
            entries[version], withdrawn = stated
    for model in withdrawn:
        if model.version not in entries:
            entries[model.version] = Entry(
                version=model.version,
                fingerprint=model.fingerprint,
                files={},
                run_id="",
                time="",
                reasons=(),
                source="",
                withdrawn=model.why,
                removed="known only as withdrawn: the ledger was lost",
            )
    whys = {model.fingerprint: model.why for model in withdrawn}
    return Ledger(
        versions=tuple(
            dataclasses.replace(entries[number], withdrawn=whys.get(entries[number].fingerprint))
            for number in sorted(entries)
        )
    )


def _of_manifest(
    path: pathlib.Path, version: int
) -> tuple[Entry, tuple[versions.Withdrawn, ...]] | None:
    if not publish.is_folder(path):
        return None
    try:
        manifest = versions.read_manifest(path)
    except ValueError as error:
        _log.warning("%s; it is left alone", error)
        return None
    if manifest is None or manifest.version not in (None, version):
        return None
    if damage := versions.damage(path, manifest.files):
        _log.warning("%s: %s; it is left alone", path, "; ".join(damage))
        return None
    entry = Entry(
        version=version,
        fingerprint=manifest.fingerprint,
        files=manifest.files | {MANIFEST_FILE: sha256(path / MANIFEST_FILE)},
        run_id=manifest.run_id,
        time=manifest.time,
        reasons=manifest.reasons,
        source=manifest.source,
        note=manifest.note,
        rolled_back_to=manifest.rolled_back_to,
    )
    return entry, manifest.withdrawn
