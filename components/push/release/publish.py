"""A folder of versions in which every number can be loaded at any moment.

A server watches `serving/` for numeric folders. So a model is staged in a dot-folder beside them,
on the same file system, flushed, and renamed: it appears whole or not at all. What is to go is
renamed to a dot-folder first, so that it disappears whole, too.
"""

import os
import pathlib
import shutil

from ragline.components.files.storage import fsync, sha256, write_json

MANIFEST_FILE = pathlib.Path("assets.extra", "manifest.json")
_STAGED, _REMOVED, _DAMAGED = ".staged-", ".removed-", ".damaged-"


def stage(model: pathlib.Path, serving: pathlib.Path) -> pathlib.Path:
    """Copies a SavedModel into a dot-folder of `serving`; what earlier runs left is removed."""
    serving.mkdir(parents=True, exist_ok=True)
    for left in left_over(serving):
        shutil.rmtree(left)
    staged = serving / f"{_STAGED}{os.getpid()}"
    shutil.copytree(model, staged)
    return staged


def left_over(serving: pathlib.Path) -> list[pathlib.Path]:
    """What pushes left that did not come to their end: staged models, and versions half removed."""
    return sorted(path for prefix in (_STAGED, _REMOVED) for path in serving.glob(f"{prefix}*"))


def seal(staged: pathlib.Path, fingerprint: str) -> dict[str, str]:
    """Writes a staged model's manifest, and flushes every byte of it to the disk.

    Returns:
      Relative path -> hex SHA-256 of every file, the manifest among them.
    """
    manifest = staged / MANIFEST_FILE
    manifest.unlink(missing_ok=True)  # Of the version that this one is a copy of.
    files = {
        path.relative_to(staged).as_posix(): sha256(path)
        for path in sorted(staged.rglob("*"))
        if path.is_file()
    }
    write_json(manifest, {"fingerprint": fingerprint, "files": files})
    for folder, _, names in os.walk(staged, topdown=False):
        for name in names:
            fsync(pathlib.Path(folder, name))
        fsync(pathlib.Path(folder))
    return files | {MANIFEST_FILE.as_posix(): sha256(manifest)}


def publish(staged: pathlib.Path, version: int) -> pathlib.Path:
    """Renames a sealed model to its number."""
    return _rename(staged, str(version))


def remove(version: pathlib.Path) -> None:
    """Removes a version; whoever lists the folder sees it whole, or not at all."""
    shutil.rmtree(_rename(version, f"{_REMOVED}{version.name}"))


def set_aside(version: pathlib.Path) -> pathlib.Path:
    """Renames a damaged version to a dot-folder, where nobody serves it and a person finds it."""
    taken = [path.name for path in version.parent.glob(f"{_DAMAGED}{version.name}*")]
    again = f"-{len(taken) + 1}" if taken else ""
    return _rename(version, f"{_DAMAGED}{version.name}{again}")


def _rename(folder: pathlib.Path, name: str) -> pathlib.Path:
    renamed = folder.rename(folder.with_name(name))
    fsync(renamed.parent)
    return renamed
