"""Change the folders of versions, each change in one step that is whole or not begun.

A server watches `serving/` for numeric folders. So a model is staged in a dot-folder beside them,
on the same file system, flushed, and renamed: it appears whole or not at all. What is to go is
renamed to a dot-folder first, so that it disappears whole, too. Only files that are named are
deleted: what somebody put beside them stays.
"""

import contextlib
import dataclasses
import json
import logging
import os
import pathlib
import secrets
import shutil
from collections.abc import Collection
from typing import Any

from ragline.components.files.storage import fsync, sha256, standard
from ragline.components.push.release.entries import Entry
from ragline.components.serving.versions import MANIFEST_FILE, Manifest, Withdrawn

_STAGED, _REMOVED, _DAMAGED = ".staged-", ".removed-", ".damaged-"
_SAVED_MODEL_FOLDERS = ("assets", "assets.extra", "variables")  # Also where they are empty.
_log = logging.getLogger("ragline.push")


def new_name() -> str:
    """Return a name for a staged model, which nobody can foresee."""
    return f"{_STAGED}{secrets.token_hex(8)}"


def removed_name(version: int) -> str:
    """Return a name for a version that is to be deleted."""
    return f"{_REMOVED}{version}-{secrets.token_hex(8)}"


def damaged_name(version: pathlib.Path) -> str:
    """Return the first free name for a damaged version, where a person finds it."""
    name, again = f"{_DAMAGED}{version.name}", 1
    while os.path.lexists(version.with_name(name)):
        again += 1
        name = f"{_DAMAGED}{version.name}-{again}"
    return name


def is_folder(path: pathlib.Path) -> bool:
    """Return whether a folder stands there, itself and not a link to it."""
    return path.is_dir() and not path.is_symlink()


def copy(model: pathlib.Path, staged: pathlib.Path) -> None:
    """Copy a SavedModel to a folder that is not there yet."""
    shutil.copytree(model, staged)


def files_of(model: pathlib.Path) -> list[str]:
    """Return the relative paths of a folder's files, sorted."""
    return sorted(path.relative_to(model).as_posix() for path in model.rglob("*") if path.is_file())


def put(staged: pathlib.Path, name: str, value: Any) -> None:
    """Write a JSON file into a staged model, which nobody reads yet."""
    file = staged / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(standard(value), indent=2, allow_nan=False) + "\n", "utf-8")


def seal(staged: pathlib.Path, entry: Entry, withdrawn: Collection[Withdrawn] = ()) -> Entry:
    """Write a staged model's manifest, and flush every byte of it to the disk.

    Args:
      staged: the model.
      entry: the entry of the version that it becomes.
      withdrawn: every version that is withdrawn then.

    Returns:
      The entry with the hex SHA-256 of every file, the manifest among them.
    """
    (staged / MANIFEST_FILE).unlink(missing_ok=True)  # Of the version that this one is a copy of.
    files = {name: sha256(staged / name) for name in files_of(staged)}
    manifest = Manifest(
        fingerprint=entry.fingerprint,
        files=files,
        version=entry.version,
        run_id=entry.run_id,
        time=entry.time,
        reasons=entry.reasons,
        source=entry.source,
        note=entry.note,
        rolled_back_to=entry.rolled_back_to,
        withdrawn=tuple(withdrawn),
    )
    put(staged, MANIFEST_FILE, dataclasses.asdict(manifest))
    for folder, _, names in os.walk(staged, topdown=False):
        for name in names:
            fsync(pathlib.Path(folder, name))
        fsync(pathlib.Path(folder))
    return dataclasses.replace(entry, files=files | {MANIFEST_FILE: sha256(staged / MANIFEST_FILE)})


def rename(folder: pathlib.Path, name: str) -> pathlib.Path:
    """Rename a folder where it is, for good."""
    renamed = folder.rename(folder.with_name(name))
    fsync(renamed.parent)
    return renamed


def discard(folder: pathlib.Path, files: Collection[str]) -> None:
    """Delete the named files of a folder, and the folder, if nothing else is in it."""
    if not is_folder(folder):
        return
    ours = {folder / name for name in files}
    folders = {folder, *(folder / name for name in _SAVED_MODEL_FOLDERS)}
    folders |= {parent for path in ours for parent in path.parents}
    for top, _, names in os.walk(folder, topdown=False):
        path = pathlib.Path(top)
        for name in names:
            if path / name in ours:
                (path / name).unlink()
        if path in folders:
            with contextlib.suppress(OSError):  # Something else is in it.
                path.rmdir()
    fsync(folder.parent)
    if folder.exists():
        _log.warning("%s: stays, since it holds what ragline did not put there", folder)
