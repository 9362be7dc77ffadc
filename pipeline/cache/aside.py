"""What is in the way, or belongs to nobody any more, is moved to a dated folder and never deleted.

    WORKDIR/set-aside/20261127-133000/metadata.sqlite

stands for `WORKDIR/metadata.sqlite`, moved on that day. Whoever needs nothing of it removes it.
"""

import datetime
import logging
import os
import pathlib

FOLDER = "set-aside"
_log = logging.getLogger("ragline.workdir")


def move(workdir: pathlib.Path, path: pathlib.Path, why: str) -> pathlib.Path:
    """Moves a file or folder of a work directory aside, says so, and returns where it is.

    Args:
      workdir: the work directory.
      path: in it.
      why: the end of a sentence about it.
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
