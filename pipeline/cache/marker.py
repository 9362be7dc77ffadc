"""Mark a folder as the work directory of one pipeline.

    WORKDIR/workdir.json

The marker is written into a new or empty folder, before anything else. A folder that holds files
and has no marker is somebody's, and is refused, unless an earlier ragline made it, which its
database proves.
"""

import contextlib
import dataclasses
import os
import pathlib
import secrets
import sqlite3

from ragline.components.contract.errors import UsageError
from ragline.components.files import state
from ragline.components.files.state import StateError
from ragline.components.files.storage import fsync
from ragline.pipeline.cache import aside
from ragline.pipeline.runs.preflight import DATABASE, FOLDERS

FILE = "workdir.json"
_KIND = "work directory"
_LOCK = ".lock"
_SHOWN = 3
# Taken for a pattern by TFX, TensorFlow and Beam, which would then read every path that matches.
_WILD = "*?[]\\"
_PROOF = """
    SELECT 1 FROM Context JOIN Type ON Context.type_id = Type.id
    WHERE Type.name = 'node' AND Context.name = ?
"""


class ForeignFolderError(UsageError):
    """Says why a folder is no work directory of this pipeline, and what to do."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """States whose a work directory is.

    Attributes:
      id: random name of the work directory, wherever it is; a copy has the same.
      pipeline: name of the pipeline that it belongs to.
    """

    id: str
    pipeline: str

    @property
    def journal(self) -> str:
        """Return the name of the journal of unfinished files (`storage.journal`)."""
        return f".temporaries-{self.id}"


def check(folder: pathlib.Path, pipeline: str) -> Marker | None:
    """Check that a folder may be a pipeline's work directory, and touch nothing.

    Args:
      folder: the folder, all links in its path followed; it need not exist.
      pipeline: the name of the pipeline.

    Returns:
      The marker; None if there is none yet: the folder is new, empty or of an earlier ragline.

    Raises:
      ForeignFolderError: it is somebody else's or another pipeline's, or its path cannot be used.
    """
    if wild := sorted({character for character in str(folder) if character in _WILD}):
        raise ForeignFolderError(
            f"workdir: {folder}: expected a path without {' '.join(_WILD)}, which others take for "
            f"patterns, received {' '.join(wild)}"
        )
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise ForeignFolderError(f"workdir: {folder!r}: expected a path in UTF-8") from error
    try:
        marker: Marker = state.read(folder / FILE, _KIND, Marker)
    except (FileNotFoundError, NotADirectoryError, StateError):
        _check_unmarked(folder, pipeline)
        return None
    if marker.pipeline != pipeline:
        raise ForeignFolderError(
            f"workdir: {folder}: expected the work directory of pipeline {pipeline!r}, received "
            f"that of {marker.pipeline!r}; name another folder, by `workdir` or --workdir: nothing "
            "was touched"
        )
    return marker


def claim(folder: pathlib.Path, pipeline: str) -> Marker:
    """Mark a folder as a pipeline's, if it is not yet; the caller holds its lock.

    Raises:
      ForeignFolderError: see `check`.
    """
    if (marker := check(folder, pipeline)) is not None:
        return marker
    file = folder / FILE
    if os.path.lexists(file) and file.lstat().st_size:
        aside.move(folder, file, "is no marker of a work directory")
    marker = Marker(id=secrets.token_hex(16), pipeline=pipeline)
    text = state.text_of(_KIND, dataclasses.asdict(marker))
    # Not under another name first, which a kill would leave in a folder that is not ours yet; an
    # empty one is written again.
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "w") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
    fsync(folder)
    return marker


def _check_unmarked(folder: pathlib.Path, pipeline: str) -> None:
    if not folder.is_dir():
        return
    foreign = [path for path in sorted(folder.iterdir()) if not _may_stand(path)]
    if not foreign or _is_of_earlier_ragline(folder, pipeline):
        return
    names = ", ".join(path.name for path in foreign[:_SHOWN])
    more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
    raise ForeignFolderError(
        f"workdir: {folder}: expected a new or empty folder, or one that ragline made and that has "
        f"its {FILE}, received one that holds {names}{more}; name another folder, by `workdir` or "
        "--workdir: nothing was touched"
    )


def _may_stand(path: pathlib.Path) -> bool:
    """Return whether a path may stand in an unmarked folder: it is ours, empty or unfinished."""
    if path.name in (_LOCK, FILE):
        return path.is_file() and (
            path.lstat().st_size == 0 or (path.name == _LOCK and path.read_bytes().isdigit())
        )
    if path.name == "lost+found":  # Of a file system of its own.
        return path.is_dir()
    return path.name in FOLDERS and path.is_dir() and not any(path.iterdir())


def _is_of_earlier_ragline(folder: pathlib.Path, pipeline: str) -> bool:
    """Return whether the database there knows this pipeline's stages."""
    database = folder / DATABASE
    if not database.is_file():
        return False
    with contextlib.suppress(sqlite3.Error):
        uri = f"{database.as_uri()}?immutable=1"  # A journal that a kill left is not played back.
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            names = (f"{pipeline}.{stage}" for stage in ("schema", "ingest"))
            return all(connection.execute(_PROOF, (name,)).fetchone() for name in names)
    return False
