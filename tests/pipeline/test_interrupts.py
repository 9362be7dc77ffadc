"""Signals, in processes of their own: one sentence, the exit code, nobody and nothing left."""

import ast
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import psutil
import pytest
from conftest import ROOT

from ragline.pipeline.runs import interrupts

SAID = "interrupted by {}; the same command starts again, and a run goes on where it was\n"

# It leaves a file, and a process that outlives the one that started it.
_BEGIN = """
import hashlib, pathlib, subprocess, sys, tempfile, time
from ragline.pipeline.runs import interrupts

interrupts._GRACE = GRACE
with interrupts.ending_the_process():
    pathlib.Path(tempfile.gettempdir(), "left").write_text("of a library")
    subprocess.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & "], start_new_session=True)
"""
_SAY = 'print("begun", flush=True)'
_WORK = {
    "lets it through": f"    {_SAY}; time.sleep(600)",
    "tidies up for a while": f"""
    try:
        {_SAY}
        time.sleep(600)
    finally:
        time.sleep(0.2)
        print("tidied", flush=True)""",
    "swallows it": f"""
    {_SAY}
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass""",
    "takes it for a failure": f"""
    try:
        {_SAY}
        time.sleep(600)
    except BaseException as error:
        raise RuntimeError("UNKNOWN: KeyboardInterrupt") from error""",
    "is deep in C": f"    {_SAY}; hashlib.pbkdf2_hmac('sha256', b'', b'', 2 ** 31 - 1)",
    "waits for a thread": f"""
    import threading
    thread = threading.Thread(target=time.sleep, args=(600,))
    thread.start(); {_SAY}; thread.join()""",
}
# Of those that never end by themselves, little; of one that does, more than it takes.
_GRACE = {work: 30.0 if work == "tidies up for a while" else 0.3 for work in _WORK}


def _below(folder: pathlib.Path) -> list[psutil.Process]:
    """The processes whose temporary folder is in a folder."""
    processes = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR", "").startswith(str(folder)):
                processes.append(process)
        except psutil.Error:
            pass
    return processes


@contextlib.contextmanager
def _start(code: str, folder: pathlib.Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(folder)},
    ) as process:
        try:
            assert process.stdout.readline() == "begun\n", process.communicate()
            yield process
        finally:
            process.kill()


def _wait_for_orphan(folder: pathlib.Path) -> None:
    """Until the process and its orphan are there; one that is just being started is neither."""
    deadline = time.monotonic() + 20
    while len(_below(folder)) != 2 and time.monotonic() < deadline:
        time.sleep(0.01)


# Every work with every signal, once or three times in turn; the full profile has both.
_EXIT_CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
_CASES = [
    pytest.param(
        *(work, presses, number, _EXIT_CODES[number]),
        marks=[] if (place + turn) % 2 == (presses == 3) else pytest.mark.full,
        id=f"{number}-{presses}-{work}",
    )
    for place, number in enumerate(_EXIT_CODES)
    for presses in (1, 3)
    for turn, work in enumerate(_WORK)
]


@pytest.mark.parametrize(("work", "presses", "number", "exit_code"), _CASES)
def test_a_signal_ends_a_process_and_all_that_it_started(
    tmp_path, work, presses, number, exit_code
):
    code = f"GRACE = {_GRACE[work]}\n{_BEGIN}{_WORK[work]}"
    with _start(code, tmp_path) as process:
        _wait_for_orphan(tmp_path)
        for _ in range(presses):
            process.send_signal(signal.Signals[number])
            time.sleep(0.05)
        stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr) == (exit_code, SAID.format(number))
    assert (stdout == "tidied\n") == (work == "tidies up for a while")
    assert _below(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_process_is_started_to_ignore_stays_ignored(tmp_path):
    """As under nohup, or in the background of a script."""
    code = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nGRACE = 0.5\n" + _BEGIN
    with _start(f"{code}    {_SAY}; time.sleep(0.5)", tmp_path) as process:
        process.send_signal(signal.SIGHUP)
        _, stderr = process.communicate(timeout=30)
        for orphan in _below(tmp_path):
            orphan.kill()
    assert (process.returncode, stderr) == (0, "")


def test_a_temporary_folder_is_gone_however_a_command_ends(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(ValueError, match="it"), interrupts.temporary_folder() as folder:
        assert os.environ["TMPDIR"] == folder
        pathlib.Path(folder, "left").mkdir()
        raise ValueError("it")
    assert list(tmp_path.iterdir()) == []
    assert os.environ["TMPDIR"] == str(tmp_path)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("seconds", [0.3, 0.6])
def test_a_command_ends_by_one_sentence(tmp_path, number, seconds):
    """At two moments of one that works for seconds: as it imports, and as it writes."""
    command = [sys.executable, "-m", "ragline", "synth", "--output", str(tmp_path / "data")]
    with subprocess.Popen(
        [*command, "--sequences", "1000000"], stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        # Python itself takes its time to start; before that, the signal is the kernel's.
        while not _is_ready(process):
            time.sleep(0.005)
        time.sleep(seconds)
        process.send_signal(signal.Signals[number])
        _, stderr = process.communicate(timeout=30)
    assert stderr == SAID.format(number)
    assert process.returncode == 128 + signal.Signals[number]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def _is_ready(process: subprocess.Popen) -> bool:
    """Whether a process has a handler of SIGTERM."""
    [caught] = [
        line.split()[1]
        for line in pathlib.Path(f"/proc/{process.pid}/status").read_text().splitlines()
        if line.startswith("SigCgt")
    ]
    return bool(int(caught, 16) & (1 << (signal.SIGTERM - 1)))


def test_nothing_but_a_command_takes_signals():
    """A function of the library, such as `ragline.encode`, is a guest in somebody's process."""
    folders = [ROOT / name for name in ("components", "pipeline", "schemas")]
    takes = {
        file.relative_to(ROOT).as_posix()
        for file in (
            ROOT / "ragline/__init__.py",
            *(f for folder in folders for f in folder.rglob("*.py")),
        )
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        and node.attr in ("signal", "set_wakeup_fd", "pthread_sigmask", "pthread_kill")
        and isinstance(node.value, ast.Name)
        and node.value.id == "signal"
    }
    assert takes == {"pipeline/runs/interrupts.py"}
