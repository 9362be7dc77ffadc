"""What people have becomes a pushed encoder without an edit, by the commands: init, plan, run."""

import json
import pathlib
import subprocess

import commands
import pytest
from situations import CASES, Reads

# Those whose reading is the most unlike. A whole run takes most of a minute: `make test` leaves
# each after ingest, and end_to_end/test_newcomer.py has one whole.
UNLIKE = (
    "a measurement a row",
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
# Of ../shared/cases, those of other kinds; the sentence of a plan stands for a run of too few.
REPORTED = (
    "wide/*.csv", "names/*.csv", "names/*.xes", "merge/*.csv", "late/*.csv", "sparse/*.csv",
    "long/*.csv", "events.jsonl", "fields/*.csv", "plain/*.txt", "reported/01*/*",
    "reported/02*/*", "reported/03*/*", "reported/04*/*", "reported/05c*/*", "reported/06*/*",
    "reported/07*/*", "reported/09d*/*", "reported/11_*/*",
)  # fmt: skip
QUICK = ("--set", "train.epochs=2", "--set", "train.units=16", "--set", "train.embedding_size=8")


def _ragline(folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return commands.ragline(*arguments, cwd=folder)


def _planned(folder: pathlib.Path, name: str) -> int:
    """How many records of a situation a plan of `c.toml` accepts, which `init` has written."""
    write, pattern, expected = CASES[name]
    assert isinstance(expected, Reads)
    (folder / "data").mkdir()
    write(folder / "data")
    made = _ragline(folder, "init", "--input", f"data/{pattern}", "--output", "c.toml")
    assert made.returncode == 0, made.stderr
    planned = _ragline(folder, "plan", "c.toml", "--json")
    assert planned.returncode == 0, planned.stdout
    return json.loads(planned.stdout)["records"]["accepted"]


def test_a_first_try_is_ingested_as_it_was_planned(tmp_path: pathlib.Path) -> None:
    accepted = _planned(tmp_path, UNLIKE[0])
    process = commands.start("run", "c.toml", *QUICK, cwd=tmp_path)
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith("[ 3/11] statistics"):
            process.kill()
    process.communicate()
    [account] = tmp_path.glob("*/artifacts/ingest/account/*/account.json")
    assert json.loads(account.read_text())["accepted"] == accepted > 0, said


@pytest.mark.full
@pytest.mark.parametrize("name", UNLIKE)
def test_a_first_try_ends_in_a_pushed_encoder(tmp_path: pathlib.Path, name: str) -> None:
    accepted = _planned(tmp_path, name)
    done = _ragline(tmp_path, "run", "c.toml", "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["input"]["accepted"] == accepted
    assert summary["pushed"]


@pytest.mark.full
@pytest.mark.parametrize("pattern", REPORTED)
def test_a_reported_case_ends_in_a_pushed_encoder_or_a_sentence(
    shared_cases: pathlib.Path, tmp_path: pathlib.Path, pattern: str
) -> None:
    made = _ragline(tmp_path, "init", str(shared_cases / pattern), "--output", "c.toml")
    assert made.returncode == 0, made.stderr
    planned = _ragline(tmp_path, "plan", "c.toml", "--json")
    if planned.returncode == 3:
        [sentence] = json.loads(planned.stdout)["stops"]
        assert "; paste `" in sentence
        return
    assert planned.returncode == 0, planned.stderr
    done = _ragline(tmp_path, "run", "c.toml", "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["pushed"]
