"""Progress: a live line in a terminal, plain lines elsewhere, and who is told."""

import io
import logging
import re
import threading
import time

import numpy as np
import pytest
from rich.console import Console

from ragline.components.contract import exits
from ragline.components.runtime import progress
from ragline.pipeline.cli import run_footer
from ragline.pipeline.runs import display
from ragline.pipeline.runs.memory import MemoryWatch


class Terminal(io.StringIO):
    """A file that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def _record(level: int, text: str) -> logging.LogRecord:
    return logging.LogRecord("ragline.train", level, "", 0, text, (), None)


def _run(shown: display.Display) -> None:
    shown.line("run 1 in w")
    shown.start(1, 2, "ingest")
    with progress.reporting_to(shown):
        progress.expect(4e6, "B")
        progress.advance(1e6)
        progress.advance(3e6)
    shown.note(_record(logging.WARNING, "one file is odd [bold]"))
    shown.end("ran", 3.04)
    shown.start(2, 2, "train")
    with progress.reporting_to(shown):
        progress.expect(10, "batches", 5)
        progress.advance()
    shown.note(_record(logging.INFO, "epoch 1/2"))
    shown.note(_record(logging.INFO, "epoch 2/2"))
    shown.end("cached", 0.2)
    shown.close()


def _stays(written: str) -> list[str]:
    """The lines that are left when all that moves the cursor has been obeyed."""
    lines: list[str] = []
    for line in re.split(r"\n", written):
        last = re.split(r"\r|\x1b\[2K", line)[-1]
        lines.append(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", last).rstrip())
    return [line for line in lines if line and "━" not in line]


def test_plain_lines_are_those_that_programs_read():
    file = io.StringIO()
    _run(display.for_stream(file))
    assert file.getvalue() == (
        "run 1 in w\n"
        "[ 1/2] ingest\n"
        "        one file is odd [bold]\n"
        "        ran, 3.0 s\n"
        "[ 2/2] train\n"
        "        epoch 1/2\n"
        "        epoch 2/2\n"
        "        cached, 0.2 s\n"
    )


def test_in_a_terminal_a_line_a_stage_stays():
    file = Terminal()
    shown = display.for_stream(file)
    assert isinstance(shown, display.Live)
    shown.close()
    _run(display.Live(Console(file=file, force_terminal=True, width=120)))
    assert _stays(file.getvalue()) == [
        "run 1 in w",
        "        one file is odd [bold]",
        "[ 1/2] ingest        ran        3.0 s",
        "[ 2/2] train         cached     0.2 s  epoch 2/2",
    ]


@pytest.mark.parametrize("width", [10, 40])
def test_a_narrow_terminal_gets_no_line_that_is_wider(width):
    file = Terminal()
    _run(display.Live(Console(file=file, force_terminal=True, width=width)))
    moving = [line for line in re.split(r"[\r\n]", file.getvalue()) if "━" in line]
    assert all(len(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line)) <= width for line in moving)


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_line_says_share_rate_and_time_left(width):
    file = Terminal()
    shown = display.Live(Console(file=file, force_terminal=True, width=width))
    shown.start(7, 11, "train")
    shown.expect(40, "batches", 0)
    for _ in range(10):
        shown.advance(1)
        time.sleep(0.02)
    shown.note(_record(logging.INFO, "epoch 3/12  loss 0.2873"))
    time.sleep(0.3)
    shown.close()
    written = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", file.getvalue())
    [*_, last] = [line for line in re.split(r"[\r\n]", written) if "epoch" in line]
    assert re.match(r"\[ 7/11\] train +━+[╸╺━]* +25% \S+ batches/s 0:00:0\d left epoch 3/12", last)
    assert len(last) <= width


def test_verbose_is_plain_even_in_a_terminal():
    assert isinstance(display.for_stream(Terminal(), plain=True), display.Plain)


def test_a_stage_that_fails_leaves_its_line():
    file = Terminal()
    shown = display.Live(Console(file=file, force_terminal=True, width=120))
    shown.start(2, 11, "ingest")
    shown.close()
    assert _stays(file.getvalue())[-1] == "[ 2/11] ingest"


@pytest.mark.parametrize(
    ("number", "unit", "text"),
    [(12.34, "batches", "12.3 batches"), (4.2e6, "B", "4.2 MB"), (1200, "steps", "1.2 k steps")],
)
def test_a_rate_is_written_for_people(number, unit, text):
    assert display.rate(number, unit) == text


def test_nobody_need_listen_and_several_may():
    class Counter:
        total = done = 0.0

        def expect(self, total, unit, done):
            self.total, self.done = total, done

        def advance(self, number):
            self.done += number

    one, two = Counter(), Counter()
    progress.advance()
    with progress.reporting_to(one), progress.reporting_to(two):
        progress.expect(3, "files")
        thread = threading.Thread(target=progress.advance)
        thread.start()
        thread.join()
    progress.advance()
    assert (one.total, one.done, two.done) == (3, 1, 1)


def test_memory_is_seen_by_stage():
    memory = MemoryWatch()
    with memory.watching():
        memory.begin("small")
        memory.end()
        memory.begin("large")
        held = np.ones(25_000_000)
        memory.end()
        del held
    assert memory.peaks["large"] - memory.peaks["small"] > 150e6


SUMMARY = {
    "exit_code": exits.DONE,
    "verdict": {"reasons": ["it is good"]},
    "input": {
        "sequences": 2001,
        "quarantined": 1,
        "by_split": {
            "train": {"sequences": 1547, "steps": 109015},
            "eval": {"sequences": 453, "steps": 31149},
        },
    },
    "baselines": {
        "model": {
            "train": {"masked_mse": 0.16322},
            "eval": {"masked_mse": 0.29674, "normalised_mse": 0.29986},
        },
        "training_mean": {"eval": {"masked_mse": 0.9758, "normalised_mse": None}},
    },
    "stages": {"ingest": {"seconds": 3.0}, "train": {"seconds": 95.4}},
    "pushed": {"path": "w/serving/1"},
    "tensorboard": {"command": "tensorboard --logdir w/logs"},
}


def test_the_end_of_a_run_is_a_table(tmp_path):
    assert run_footer.to_text(SUMMARY, tmp_path).splitlines() == [
        "",
        "blessed",
        "  it is good",
        "",
        "                  sequences       steps  masked MSE  normalised",
        "train                 1,547     109,015      0.1632           -",
        "eval                    453      31,149      0.2967      0.2999",
        "  training mean                              0.9758           -",
        "in all           2,001 read  1 rejected                    98 s",
        "",
        "encoder  w/serving/1",
        f"summary  {tmp_path}/summary.json",
        f"report   {tmp_path}/report.html",
        "curves   tensorboard --logdir w/logs",
    ]


def test_a_run_that_stopped_says_what_it_reached(tmp_path):
    reached = {"baselines": None, "pushed": None, "tensorboard": None}
    stopped = SUMMARY | reached | {"exit_code": exits.BAD_DATA}
    lines = run_footer.to_text(stopped, tmp_path).splitlines()
    assert lines[1].startswith("stopped")
    assert lines[5].split() == ["train", "1,547", "109,015", "-", "-"]
    lines = run_footer.to_text(stopped | {"input": None}, tmp_path).splitlines()
    assert lines[4].startswith("summary")


def test_the_end_of_a_run_tells_what_its_window_lacks(tmp_path):
    lacks = SUMMARY | {"input": SUMMARY["input"] | {"missing_spans": ["2026-11-18", "3..5"]}}
    lines = run_footer.to_text(lacks, tmp_path).splitlines()
    assert "  the window has no data of 2026-11-18, 3..5" in lines
    assert [line for line in lines if "window" not in line] == run_footer.to_text(
        SUMMARY, tmp_path
    ).splitlines()
