"""docs/first-hour.md: its files are those of examples/gestures_csv.py, its output is printed."""

import pathlib
import re
import runpy

import pytest
from commands import ROOT, ragline

PAGE = (ROOT / "docs" / "first-hour.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("first-hour")
    runpy.run_path(str(ROOT / "examples" / "gestures_csv.py"))["main"](folder)
    return folder


def _block_after(text: str) -> str:
    """The fenced lines that follow a text of the page."""
    return re.search(r"```\w*\n(.*?)```", PAGE[PAGE.index(text) :], re.DOTALL).group(1)


def test_the_files_are_those_that_the_page_shows(folder):
    first = min((folder / "data").glob("*.csv")).read_text().splitlines()
    assert first[:3] == _block_after("# The first hour").splitlines()
    labels = (folder / "labels.csv").read_text().splitlines()
    assert labels[0] == "sequence_id,label" and "g00313,figure_eight" in labels


def test_init_and_plan_print_what_the_page_shows(folder):
    """But for the seconds and the memory that a plan foresees."""
    init = ragline("init", "data/", cwd=folder)
    assert init.returncode == 0, init.stderr
    assert init.stdout + init.stderr == _block_after("\n    ragline init data/\n")
    shown = _block_after("of which this is the heart")
    written = (folder / "ragline.toml").read_text()
    assert [line for line in shown.splitlines() if line and line not in written] == []
    plan = ragline("plan", "ragline.toml", cwd=folder)
    assert plan.returncode == 0, plan.stderr
    until = "          45,157 parameters; roughly"
    expected = _block_after("\n    ragline plan ragline.toml\n").partition(until)[0]
    assert (plan.stdout + plan.stderr).partition(until)[0] == expected
