"""What people have becomes a pushed encoder without an edit, by the commands: init, plan, run."""

import json
import pathlib
import subprocess

import commands
import pytest
from situations import CASES, Reads

# A whole run takes most of a minute: of the situations, those whose reading is the most unlike.
SHORT = ("a measurement a row",)
LONG = (
    "decimal commas",
    "a day beside a time",
    "an event a line",
    "fields in the names of files",
    "no header, and runs of blanks",
    "padded arrays with lengths",
    "units that begin again in each file",
    "ids of one step or two",
    "types of Parquet",
    "an event log after a byte order mark",
)
QUICK = ("--set", "train.epochs=2", "--set", "train.units=16", "--set", "train.embedding_size=8")


def _ragline(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.ragline(*arguments, cwd=folder)


@pytest.mark.parametrize(
    "name", [*SHORT, *(pytest.param(name, marks=pytest.mark.full) for name in LONG)]
)
def test_a_first_try_ends_in_a_pushed_encoder(tmp_path: pathlib.Path, name: str) -> None:
    write, pattern, expected = CASES[name]
    assert isinstance(expected, Reads)
    (tmp_path / "data").mkdir()
    write(tmp_path / "data")
    made = _ragline(tmp_path, "init", "--input", f"data/{pattern}", "--output", "c.toml")
    assert made.returncode == 0, made.stderr
    planned = _ragline(tmp_path, "plan", "c.toml", "--json")
    assert planned.returncode == 0, planned.stdout
    done = _ragline(tmp_path, "run", "c.toml", "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["input"]["accepted"] == json.loads(planned.stdout)["records"]["accepted"]
    assert summary["pushed"]
