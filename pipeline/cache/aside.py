"""Set aside what is in the way or has no owner: move it to a dated folder, never delete it.

    WORKDIR/set-aside/20261127-133000/metadata.sqlite

is `WORKDIR/metadata.sqlite`, moved at that time. A person removes the folder once nobody needs it.
"""

import datetime
import logging
import os
import pathlib

FOLDER = "set-aside"
_log = logging.getLogger("ragline.workdir")


def move(workdir: pathlib.Path, path: pathlib.Path, why: str) -> pathlib.Path:
    """Move a file or folder of a work directory aside, log it, and return where it is.

    Args:
      workdir: the work directory.
      path: the file or folder in it.
      why: the end of a sentence about it, which the log gets.
    """
    day = f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}"
    number = 1
    while os.path.lexists(target := _target(workdir, path, day, number)):
        number += 1
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(path, target)
    _log.warning("%s: %s; moved to %s", path, why, target.relative_to(workdir))
    return target


def _target(workdir: pathlib.Path, path: pathlib.Path, day: str, number: int) -> pathlib.Path:
    folder = day if number == 1 else f"{day}-{number}"
    return workdir / FOLDER / folder / path.relative_to(workdir)
