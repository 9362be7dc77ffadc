"""A folder of versions in which every number can be loaded at any moment.

A server watches `serving/` for numeric folders. So a model is staged in a dot-folder beside them,
on the same file system, flushed, and renamed: it appears whole or not at all. The version is the
highest number plus one, never the clock, which can go back.
"""

import os
import pathlib
import shutil

from components.storage import fsync

_STAGED = ".staged-"


def stage(model: pathlib.Path, serving: pathlib.Path) -> pathlib.Path:
    """Copies a SavedModel into a dot-folder of `serving`; what earlier runs left is removed."""
    serving.mkdir(parents=True, exist_ok=True)
    for left in left_over(serving):
        shutil.rmtree(left)
    staged = serving / f"{_STAGED}{os.getpid()}"
    shutil.copytree(model, staged)
    return staged


def left_over(serving: pathlib.Path) -> list[pathlib.Path]:
    """The staged models of pushes that did not come to their end."""
    return sorted(serving.glob(f"{_STAGED}*"))


def publish(staged: pathlib.Path) -> pathlib.Path:
    """Renames a staged model to the next version, once every byte of it is on the disk."""
    serving = staged.parent
    for folder, _, files in os.walk(staged, topdown=False):
        for file in files:
            fsync(pathlib.Path(folder, file))
        fsync(pathlib.Path(folder))
    versions = [int(path.name) for path in serving.iterdir() if path.name.isdecimal()]
    final = serving / str(max(versions, default=0) + 1)
    staged.rename(final)
    fsync(serving)
    return final
