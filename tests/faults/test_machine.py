"""The machine's trouble, made for real: one sentence, nothing half-written, the next run works."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import commands
import numpy as np
import pytest
from faults import runs
from ml_metadata.proto import metadata_store_pb2

from ragline.pipeline.cache import lineage

MB = 1_000_000


@contextlib.contextmanager
def _mounted(folder: pathlib.Path, *options: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", *options, "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system of its own cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _files(folder: pathlib.Path) -> dict[pathlib.Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _assert_told(exit_code: int, said: str, sentence: str) -> None:
    assert exit_code == 1, said
    assert sentence in said
    assert "Traceback" not in said


def test_a_disk_without_room_is_seen_at_once(tmp_path):
    with _mounted(tmp_path / "work", "-o", "size=8m"):
        done = runs.finish(tmp_path / "work")
        assert done.returncode == 2
        assert "MB of free disk space" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list((tmp_path / "work" / "artifacts").iterdir())


@pytest.mark.full
@pytest.mark.parametrize("stage", ["ingest", "train"])
def test_a_disk_that_fills_up_stops_the_run_and_the_next_one_works(undisturbed, stage):
    filler = undisturbed.workdir / "filler"

    def fill(_: commands.Process) -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    with _mounted(undisturbed.workdir, "-o", "size=150m"):
        workdir = undisturbed.restore(stage)
        _assert_told(*runs.disturb(workdir, stage, fill), "No space left on device")
        assert runs.versions(workdir) == []
        for file in workdir.rglob("*.json"):
            assert file.stat().st_size, file
        filler.unlink()
        again = runs.finish(workdir)
        assert again.returncode == 0, again.stderr
        assert runs.versions(workdir) == [1]


def test_a_folder_that_is_read_only_is_seen_at_once(tmp_path):
    workdir = tmp_path / "work"
    with _mounted(workdir / "serving", "-o", "ro"):
        done = runs.finish(workdir)
    assert done.returncode == 2
    assert f"workdir: {workdir}/serving: expected a folder that can be written to" in done.stderr
    assert "Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.full
def test_a_folder_that_becomes_read_only_stops_the_push_and_the_next_run_works(undisturbed):
    workdir = undisturbed.restore("push")

    def remount(how: str) -> None:
        mount = ["mount", "-o", f"remount,{how}", str(workdir / "serving")]
        subprocess.run(mount, check=True)

    with _mounted(workdir / "serving"):
        exit_code, said = runs.disturb(workdir, "push", lambda _: remount("ro"))
        _assert_told(exit_code, said, "Read-only file system")
        assert runs.versions(workdir) == []
        remount("rw")
        again = runs.finish(workdir)
        assert again.returncode == 0, again.stderr
        assert runs.states(again.stderr)["train"] == "cached"
        assert runs.versions(workdir) == [1]


def _kill_child(words: str) -> Callable[[commands.Process], None]:
    """Waits for child processes whose command line has the words in it, and kills them."""

    def kill(process: commands.Process) -> None:
        children: list[int] = []
        while not children and process.poll() is None:
            time.sleep(0.01)
            children = [pid for pid in _descendants(process.pid) if words in _command_line(pid)]
        for pid in children:  # A shell and, below it, the worker that it started.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    return kill


def _command_line(pid: int) -> str:
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:  # It has ended.
        return ""


def _descendants(pid: int) -> Iterator[int]:
    for children in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _descendants(child)


@pytest.mark.full
@pytest.mark.parametrize("name", ["run", "compare"])
def test_a_worker_that_is_killed_stops_the_run_and_the_next_one_works(undisturbed, name):
    workdir = undisturbed.restore("ingest")
    options = '["--direct_running_mode=multi_processing", "--direct_num_workers=2"]'
    exit_code, said = runs.disturb(
        workdir, "ingest", _kill_child("sdk_worker"), "--set", f"beam.options={options}", name=name
    )
    _assert_told(exit_code, said, "failed")
    assert "ingest" not in runs.states(said), said
    assert "log.txt" in said
    again = runs.finish(workdir)
    assert again.returncode == 0, again.stderr


@pytest.mark.full
def test_a_check_that_is_killed_pushes_nothing_and_the_next_run_works(undisturbed):
    workdir = undisturbed.restore("push")
    killed = _kill_child("ragline.components.push.contract.clean_process")
    _assert_told(*runs.disturb(workdir, "push", killed), "the check ended with -9")
    assert runs.versions(workdir) == []
    again = runs.finish(workdir)
    assert again.returncode == 0, again.stderr
    assert runs.states(again.stderr)["train"] == "cached"
    assert runs.versions(workdir) == [1]


@pytest.mark.full
@pytest.mark.parametrize("name", ["run", "compare"])
def test_memory_that_runs_out_is_told_and_a_smaller_model_works(undisturbed, name):
    """An initial weight of 160 GB, under a limit of 32 GB."""
    workdir = undisturbed.restore("train")
    limit = ["prlimit", f"--as={32 * 1000 * MB}"]
    done = runs.finish(workdir, "--set", "train.units=200000", name=name, prefix=limit)
    _assert_told(done.returncode, done.stderr, "the machine ran out of memory")
    assert runs.finish(workdir).returncode == 0


def test_a_second_process_is_turned_away_and_touches_nothing(undisturbed):
    workdir = undisturbed.restore("push")

    def try_another(first: commands.Process) -> None:
        first.send_signal(signal.SIGSTOP)
        before = _files(workdir)
        second = runs.finish(workdir)
        assert second.returncode == 75
        assert second.stderr == f"{workdir}: another run holds it (process {first.pid})\n"
        assert _files(workdir) == before
        first.send_signal(signal.SIGCONT)
        first.send_signal(signal.SIGINT)

    exit_code, said = runs.disturb(workdir, "push", try_another)
    assert exit_code == 128 + signal.SIGINT, said


def _lose_the_database(workdir: pathlib.Path, kind: str) -> pathlib.Path:
    database = workdir / "metadata.sqlite"
    database.write_bytes(b"garbage" * 1000) if kind == "garbage" else database.unlink()
    return database


def _assert_set_aside(workdir: pathlib.Path, kind: str) -> None:
    assert len(list(workdir.glob("set-aside/*/metadata.sqlite"))) == (kind == "garbage")
    assert list(workdir.glob("set-aside/*/artifacts/train/model/*/Format-Serving/saved_model.pb"))


def test_a_database_of_garbage_is_made_anew_and_what_is_served_stays(undisturbed):
    """A run that ends after ingest has made it anew; below, whole ones."""
    workdir = undisturbed.restore("end")
    database, served = _lose_the_database(workdir, "garbage"), _files(workdir / "serving")
    exit_code, said = runs.disturb(workdir, "statistics", runs.kill)
    assert exit_code == -signal.SIGKILL, said
    assert f"{database}: " in said
    assert runs.states(said) == {"schema": "ran", "ingest": "ran"}
    _assert_set_aside(workdir, "garbage")
    assert runs.raw_data(workdir) == undisturbed.raw
    assert _files(workdir / "serving") == served
    executions = lineage.connect(database).get_executions()
    complete = metadata_store_pb2.Execution.COMPLETE
    assert [e.last_known_state for e in executions][:2] == [complete, complete]


@pytest.mark.full
@pytest.mark.parametrize("kind", ["garbage", "gone"])
def test_a_database_that_is_lost_is_made_anew_and_what_is_served_stays(undisturbed, kind):
    workdir = undisturbed.restore("end")
    database, served = _lose_the_database(workdir, kind), _files(workdir / "serving" / "1")
    again = runs.finish(workdir)
    assert again.returncode == 0, again.stderr
    assert f"{database}: " in again.stderr
    assert set(runs.states(again.stderr).values()) == {"ran"}
    _assert_set_aside(workdir, kind)
    # Beam's batches depend on the clock, and with them the last bits of means and deviations: the
    # model made anew is this very one, or one that cannot be told from it.
    same = "the newest and holds this very model: not pushed again" in again.stderr
    assert runs.versions(workdir) == ([1] if same else [1, 2])
    bound = 1e-5 * max(1.0, np.abs(undisturbed.embeddings).max())
    received = runs.embeddings(workdir)
    np.testing.assert_allclose(received, undisturbed.embeddings, rtol=0, atol=bound)
    assert _files(workdir / "serving" / "1") == served
    assert runs.raw_data(workdir) == undisturbed.raw
    states = {e.last_known_state for e in lineage.connect(database).get_executions()}
    assert len(states) == 1
