"""`ragline versions` and `ragline rollback`: what they print, and when they touch nothing."""

import dataclasses
import fcntl
import json
import pathlib
import shutil
import sys

import pytest
from commands import Profiled, profiled

from ragline.components.push.release import ledger, release_version, transaction


@pytest.fixture
def work(tmp_path) -> pathlib.Path:
    """Five versions: removed, damaged, withdrawn, gone, newest; and one of somebody else's."""
    model, serving = tmp_path / "model", tmp_path / "work" / "serving"
    model.mkdir()
    for name in "abcde":
        (model / "saved_model.pb").write_text(name)
        source = release_version.ModelSource(
            fingerprint=name * 64, run_id=name, reasons=(), source="s"
        )
        release_version.release(transaction.stage(model, serving), source)
        release_version.tidy(serving, keep=4)
    (serving / "2" / "saved_model.pb").write_text("x")
    entries = ledger.read(serving)
    changed = (
        dataclasses.replace(entry, withdrawn="a | in the reason" if entry.version == 3 else None)
        for entry in entries
    )
    ledger.save(serving, ledger.Ledger(versions=tuple(changed)))
    shutil.rmtree(serving / "4")
    (serving / "9").mkdir()
    return tmp_path / "work"


def _ragline(*arguments: object) -> Profiled:
    done = profiled(sys.executable, "-m", "ragline", *arguments)
    assert "ragline" in done.imports and "tensorflow" not in done.imports
    assert "Traceback" not in done.stderr
    return done


def _versions(work, *more) -> Profiled:
    return _ragline("versions", "examples/gestures.toml", "--workdir", work, *more)


def _rollback(work, *more) -> Profiled:
    return _ragline("rollback", "examples/gestures.toml", "--workdir", work, *more)


def test_every_version_has_its_row(work):
    done = _versions(work)
    assert (done.exit_code, done.stderr) == (0, "")
    head, rule, *rows = done.stdout.splitlines()
    assert (head.count("|"), rule.count("|")) == (7, 7)
    cells = [[cell.strip() for cell in row.split(" | ", 5)] for row in rows]
    assert [(row[0].strip("| "), row[1]) for row in cells] == [
        ("9", "foreign"), ("5", "kept"), ("4", "missing"), ("3", "kept"), ("2", "damaged"),
        ("1", "removed"),
    ]  # fmt: skip
    assert cells[1][3:5] == ["e", "e" * 12]
    assert "withdrawn: a \\| in the reason" in rows[3]
    assert "saved_model.pb: changed since it was pushed" in rows[4]


def test_as_json(work):
    rows = json.loads(_versions(work, "--json").stdout)
    assert [row["version"] for row in rows] == [9, 5, 4, 3, 2, 1]
    assert rows[1]["fingerprint"] == "e" * 64
    assert rows[5]["removed"] == "4 newer versions are kept"
    assert "files" not in rows[1]


def test_before_the_first_push_there_are_none(tmp_path):
    done = _versions(tmp_path)
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 2)
    assert _versions(tmp_path / "none").exit_code == 2
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", 9], "(3), received 9"),
        (["--to", 2], "(3), received 2"),
        (["--to", 5], "(3), received 5"),
        ([], "received none; `ragline versions` lists what there is"),
        (["--why", " "], "--why: expected a sentence, received none"),
    ],
)
def test_a_version_that_cannot_be_rolled_back_to_ends_with_2(work, arguments, message):
    before = ledger.state(work / "serving")
    done = _rollback(work, "--why", "w", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr
    assert ledger.state(work / "serving") == before


def test_a_folder_that_holds_no_runs_is_not_made(tmp_path):
    done = _rollback(tmp_path / "none", "--why", "w")
    assert done.exit_code == 2
    assert done.stderr.startswith("workdir: expected a folder that holds runs")
    assert not (tmp_path / "none").exists()


def test_a_ledger_that_is_none_ends_with_2(work):
    (work / "ledger.json").write_text("{")
    done = _versions(work)
    assert done.exit_code == 2
    assert "ledger.json: expected the list of versions" in done.stderr
    assert (work / "ledger.json").read_text() == "{"


def test_while_a_run_holds_the_work_directory_it_ends_with_75(work):
    before = ledger.state(work / "serving")
    with (work / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = _rollback(work, "--why", "w", "--to", 3)
    assert (done.exit_code, done.stdout) == (75, "")
    assert "another run holds it" in done.stderr
    assert ledger.state(work / "serving") == before
