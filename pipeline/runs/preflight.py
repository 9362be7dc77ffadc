"""Check the machine before a run: room on the disk, writable folders, a sound database.

The checks take milliseconds, before the imports that take seconds.
"""

import contextlib
import glob
import logging
import os
import pathlib
import shutil
import sqlite3
import tempfile

from ragline.components.train.loop.cluster import read_cluster
from ragline.pipeline.cache import aside
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs.machine_errors import BusyError, MachineError

DATABASE = "metadata.sqlite"
FOLDERS = ("artifacts", "checkpoints", "quarantine", "runs", "schemas", "seals", "serving")

# Raw and transformed records, both compressed, take less room than the raw files twice; the rest is
# for models, checkpoints, statistics and logs.
_TIMES_INPUT = 2
_AT_LEAST_BYTES = 100_000_000
_PATIENCE = 30  # Seconds, for a process that copies or reads the database.
_log = logging.getLogger("ragline.preflight")


def check(config: Config) -> None:
    """Check the machine before a run; a database that cannot be used is moved aside.

    The caller holds the work directory.

    Raises:
      ConfigError: a folder cannot be written to, or the disk has no room.
      BusyError, MachineError: the database is locked, or cannot be read.
      UsageError: TF_CONFIG describes no cluster, though train.strategy wants one.
    """
    workdir = pathlib.Path(config.workdir)
    if config.train.strategy == "multi_worker":
        read_cluster(os.environ, is_chief=True)
    _check_writable(workdir)
    _check_room(workdir, 0 if config.records else _input_bytes(config))
    _check_database(workdir)


def _check_writable(workdir: pathlib.Path) -> None:
    others = workdir / aside.FOLDER
    if os.path.lexists(others) and not others.is_dir():
        raise ConfigError(
            f"workdir: expected a folder {others}, received a file; move it to another place"
        )
    for folder in (workdir, *(workdir / name for name in FOLDERS)):
        try:
            folder.mkdir(exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise ConfigError(
                f"workdir: {folder}: expected a folder that can be written to: {error.strerror}"
            ) from error


def _check_room(workdir: pathlib.Path, input_bytes: int) -> None:
    needed = _TIMES_INPUT * input_bytes + _AT_LEAST_BYTES
    free = shutil.disk_usage(workdir).free
    if free < needed:
        raise ConfigError(
            f"workdir: {workdir}: expected {needed / 1e6:.0f} MB of free disk space (twice the "
            f"input's {input_bytes / 1e6:.0f} MB, and {_AT_LEAST_BYTES / 1e6:.0f} MB), "
            f"received {free / 1e6:.0f} MB"
        )


def _input_bytes(config: Config) -> int:
    """Return the bytes of local input files; those in a store are not measured."""
    patterns = [pattern for pattern in (config.input.train, config.input.eval) if pattern]
    files = {file for pattern in patterns for file in (pattern, *glob.glob(pattern))}
    return sum(os.path.getsize(file) for file in files if os.path.isfile(file))


def _check_database(workdir: pathlib.Path) -> None:
    """Move a damaged database aside; log that, and a database that is gone."""
    database = workdir / DATABASE
    if not os.path.lexists(database):
        if any((workdir / "artifacts").iterdir()):
            _log.warning("%s: is gone; everything is made anew", database)
        return
    if damage := _damage(database):
        moved = aside.move(workdir, database, f"{damage}; everything is made anew")
        for suffix in ("-journal", "-wal", "-shm"):  # They would be taken for the new one's.
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{database}{suffix}", f"{moved}{suffix}")


def _damage(database: pathlib.Path) -> str | None:
    """Return what is proven to be wrong with a database; None if nothing is.

    Opening it rolls back what a killed run had begun.

    Raises:
      BusyError: another process has locked it, and does not let go of it.
      MachineError: it cannot be read.
    """
    if not database.is_file():
        return "the database is a folder, or a link to nothing"
    try:
        with contextlib.closing(sqlite3.connect(database, timeout=_PATIENCE)) as connection:
            [finding] = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if finding != "ok":
                return f"the database is damaged: {finding}"
            if not connection.execute("PRAGMA table_info(MLMDEnv)").fetchall():
                return "the database is not one of ML Metadata"
    except sqlite3.DatabaseError as error:
        code = error.sqlite_errorcode & 0xFF  # The primary code of an extended one.
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            return f"the database is damaged: {error}"
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise BusyError(
                f"{database}: another process has locked it for {_PATIENCE} seconds; nothing was "
                "touched, run again once it has ended"
            ) from error
        raise MachineError(f"{database}: {error}; nothing was touched") from error
    return None
