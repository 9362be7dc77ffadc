"""A run that is interrupted at its beginning and in training, with everything that it started."""

import contextlib
import os
import signal
import subprocess
import time

import psutil
import pytest
from faults import runs

WORKERS = '["--direct_running_mode=multi_processing", "--direct_num_workers=2"]'


def _with_beams_workers(process: subprocess.Popen) -> None:
    while len(psutil.Process(process.pid).children(recursive=True)) < 2:
        time.sleep(0.01)


def _in_an_epoch(_: subprocess.Popen) -> None:
    time.sleep(3.0)


@pytest.mark.parametrize(
    ("stage", "moment", "number", "presses"),
    [
        ("ingest", _with_beams_workers, signal.SIGINT, 3),
        ("train", _in_an_epoch, signal.SIGTERM, 1),
    ],
)
def test_it_ends_by_one_sentence_and_leaves_nothing(
    undisturbed, tmp_path, monkeypatch, stage, moment, number, presses
):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))

    def interrupt(process: subprocess.Popen) -> None:
        moment(process)
        assert list(temporary.iterdir())
        for _ in range(presses):  # Ctrl-C goes to all processes in the foreground.
            with contextlib.suppress(ProcessLookupError):  # The first one may be enough.
                os.killpg(process.pid, number)
            time.sleep(0.1)

    options = ("--set", f"beam.options={WORKERS}") if stage == "ingest" else ()
    exit_code, said = runs.disturb(undisturbed.restore(stage), stage, interrupt, *options)
    assert exit_code == 128 + number, said
    assert said.endswith(
        f"interrupted by {number.name}; the same command starts again, and a run goes on where "
        "it was\n"
    )
    assert "Traceback" not in said
    assert list(runs.states(said)) == [] or stage not in runs.states(said)
    assert list(temporary.iterdir()) == []
    assert [one for one in psutil.process_iter() if _is_below(one, f"{temporary}/")] == []


def _is_below(process: psutil.Process, folder: str) -> bool:
    try:
        return process.environ().get("TMPDIR", "").startswith(folder)
    except psutil.Error:
        return False
