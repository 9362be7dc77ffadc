import contextlib
import dataclasses
import logging
import shutil
import sqlite3
import threading
import time
import types

import pytest

from ragline.components.ingest.options import InputOptions
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import preflight
from ragline.pipeline.runs.machine_errors import BusyError, MachineError


@pytest.fixture
def config(tmp_path) -> Config:
    (tmp_path / "work").mkdir()
    (tmp_path / "a[1].jsonl").write_bytes(b"x" * 1000)
    (tmp_path / "b.jsonl").write_bytes(b"x" * 100)
    return Config(
        name="n",
        schema="gestures",
        workdir=str(tmp_path / "work"),
        input=InputOptions(train=str(tmp_path / "*.jsonl")),
    )


@pytest.fixture
def database(tmp_path, config):
    """As ML Metadata leaves it, as far as the check looks."""
    path = tmp_path / "work" / preflight.DATABASE
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE MLMDEnv (schema_version INTEGER)")
        connection.execute("CREATE TABLE Artifact (uri TEXT)")
        connection.executemany("INSERT INTO Artifact VALUES (?)", [("x" * 900,)] * 100)
    connection.close()
    return path


def test_a_sound_work_directory_passes(config, database, caplog):
    before = database.read_bytes()
    preflight.check(config)
    assert database.read_bytes() == before
    assert not caplog.messages


@pytest.mark.parametrize(("pattern", "size"), [("*.jsonl", 1100), ("a[1].jsonl", 1000), ("?", 0)])
def test_room_is_measured_against_the_inputs_size(config, tmp_path, monkeypatch, pattern, size):
    free = 100_000_000 + 2 * size - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: types.SimpleNamespace(free=free))
    config = dataclasses.replace(config, input=InputOptions(train=str(tmp_path / pattern)))
    with pytest.raises(ConfigError, match="expected 100 MB of free disk space"):
        preflight.check(config)
    if size:
        preflight.check(dataclasses.replace(config, records="s3://bucket/records"))
    free += 1
    preflight.check(config)


def test_a_file_where_a_folder_belongs_is_refused(config, tmp_path):
    (tmp_path / "work" / "serving").write_text("")
    with pytest.raises(ConfigError, match="serving: expected a folder that can be written to"):
        preflight.check(config)


def test_a_file_in_the_place_of_what_is_set_aside_is_refused_and_stays(config, tmp_path):
    file = tmp_path / "work" / "set-aside"
    file.write_text("mine")
    with pytest.raises(ConfigError, match="set-aside, received a file; move it"):
        preflight.check(config)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["set-aside"]
    assert file.read_text() == "mine"


def _truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def _not_ours(path):
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()


def _flip_a_page(path):
    data = bytearray(path.read_bytes())
    data[4096 * 3 : 4096 * 3 + 200] = b"\xff" * 200
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [_truncate, _not_ours, _flip_a_page, lambda p: p.write_bytes(b""),
     lambda p: p.write_bytes(b"garbage" * 999)],
)  # fmt: skip
def test_a_damaged_database_is_moved_aside_and_told(config, database, caplog, damage):
    for number in (1, 2):
        if number == 2:
            database.write_bytes(b"again")
        else:
            damage(database)
        content = database.read_bytes()
        with caplog.at_level(logging.WARNING):
            preflight.check(config)
        assert not database.exists()
        [*_, aside] = sorted(database.parent.glob("set-aside/*/metadata.sqlite"))
        assert len(list(aside.parents[1].iterdir())) == number
        assert aside.read_bytes() == content
        assert caplog.messages[-1].startswith(f"{database}: the database is ")
        where = aside.relative_to(database.parent)
        assert caplog.messages[-1].endswith(f"everything is made anew; moved to {where}")


def test_a_database_that_is_gone_is_told(config, tmp_path, caplog):
    preflight.check(config)
    assert not caplog.messages
    workdir = tmp_path / "work"
    (workdir / "artifacts" / "ingest").mkdir()
    with caplog.at_level(logging.WARNING):
        preflight.check(config)
    assert caplog.messages == [f"{workdir}/metadata.sqlite: is gone; everything is made anew"]


def _files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def kept(tmp_path, database):
    """What must be there afterwards, whatever becomes of the database."""
    file = tmp_path / "work/artifacts/ingest/examples/1/shard"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    return file


def test_a_database_that_another_process_has_locked_is_waited_for(
    config, database, kept, monkeypatch, caplog
):
    monkeypatch.setattr(preflight, "_PATIENCE", 0.5)
    before = _files(kept.parents[4])
    with contextlib.closing(sqlite3.connect(database, check_same_thread=False)) as other:
        other.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        with pytest.raises(BusyError, match="another process has locked it") as raised:
            preflight.check(config)
        assert time.monotonic() - started >= 0.5
        assert raised.value.exit_code == 75
        monkeypatch.setattr(preflight, "_PATIENCE", 30)
        release = threading.Timer(0.5, other.rollback)
        release.start()
        preflight.check(config)
        release.join()
    assert _files(kept.parents[4]) == before
    assert not caplog.messages


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN])
def test_a_database_that_cannot_be_read_is_not_taken_for_damaged(config, kept, monkeypatch, code):
    """Whoever runs the tests may read everything, so the disk's part is played here."""
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code | 1 << 8

    def connect(*_: object, **__: object) -> None:
        raise error

    before = _files(kept.parents[4])
    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(MachineError, match=r"metadata.sqlite: disk I/O error; nothing was touched"):
        preflight.check(config)
    assert _files(kept.parents[4]) == before


def test_a_folder_in_the_databases_place_is_moved_aside(config, database, caplog):
    database.unlink()
    (database / "mine").mkdir(parents=True)
    preflight.check(config)
    assert not database.exists()
    [_] = database.parent.glob("set-aside/*/metadata.sqlite/mine")
