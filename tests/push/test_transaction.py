"""Push, rollback and retention, cut off after every call that changes a file.

The model is of four files and the check, which has its own tests, finds no fault with it. What is
cut off is begun again by the same command. Then, whatever was cut off and where:

    what is served     the version that was asked for, and every version whole at every moment
    the ledger         says what the folder holds, and nothing is begun
    a rollback         withdrew one model, once
    what is not ours   is as it was
"""

import json
import os
import pathlib
import shutil

import pytest
from faults import calls

from ragline.components.push.contract import check
from ragline.components.push.release import ledger, publish, release_version, rollback
from ragline.components.push.release.release_version import ModelSource
from ragline.components.serving import versions

CHECKED = check.Checked(
    violations=(),
    features=1,
    embedding_size=1,
    clauses_checked=(),
    signatures_checked=(),
    probes="none",
)
MODELS = {"a": "first", "b": "second", "c": "third"}
STRANGERS = (
    "serving/notes.txt", "serving/01/x", "serving/.staged-1/x", "serving/.removed-2/x",
    "serving/.damaged-1/x", "serving/² ", "serving/3x/y", "serving/99999999999999999999/z",
    "ledger.json.damaged-1", ".ledger.json.old.tmp", "serving/1/assets.extra/warmup",
)  # fmt: skip
KEEP = 2


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Flushing is counted as a call, and takes no time: what is tried are kills, not power cuts."""
    monkeypatch.setattr(release_version.check, "check", lambda *_, **__: CHECKED)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> dict[str, pathlib.Path]:
    folder = tmp_path_factory.mktemp("models")
    for name, content in MODELS.items():
        for file in ("saved_model.pb", "variables/variables.index", "assets.extra/golden.json"):
            path = folder / name / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{file} {content}")
        publish.put(folder / name, "assets.extra/encoder.json", {"embedding_size": 1})
        (folder / name / "assets").mkdir()
    return {name: folder / name for name in MODELS}


class Work:
    """A work directory with strangers' files in it, and what may be done in it."""

    def __init__(self, folder: pathlib.Path, models: dict[str, pathlib.Path]) -> None:
        self.folder, self.models, self.serving = folder, models, folder / "serving"

    def push(self, name: str) -> None:
        model_source = ModelSource(fingerprint=name, run_id="run", reasons=("good",), source=name)

        done = release_version.push(
            self.models[name],
            self.serving,
            model_source,
            probes=self.folder / "probes",
            facts={"pipeline": "p"},
        )
        assert done.version and done.version.fingerprint == name
        release_version.tidy(self.serving, KEEP)

    def roll_back(self) -> None:
        assert rollback.rollback(self.serving, why="it drifts", to=None, keep=KEEP).version

    def scatter(self) -> None:
        for name in STRANGERS:
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)

    def assert_strangers_are_there(self) -> None:
        for name in STRANGERS:
            moved = self.folder.rglob(f"*/{name.partition('/')[2].partition('/')[2]}")
            paths = [self.folder / name, *(moved if name.startswith("serving/1/") else ())]
            assert any(path.is_file() and path.read_text() == name for path in paths), name

    def assert_every_version_is_whole(self) -> list[int]:
        numbers = [n for n in ledger.numbers(self.serving) if (self.serving / str(n)).is_dir()]
        for number in numbers:
            manifest = json.loads((self.serving / str(number) / publish.MANIFEST_FILE).read_text())
            assert not versions.damage(self.serving / str(number), manifest["files"])
            assert manifest["version"] == number
        return numbers

    def assert_ledger_and_folder_agree(self) -> dict[int, str | None]:
        assert ledger.load(self.serving).intent is None
        there = ledger.versions(self.serving)
        assert all(version.fingerprint for version in there), there
        entries = ledger.read(self.serving)
        kept = [entry.version for entry in entries if entry.removed is None]
        assert kept == [version.number for version in there]
        dotted = {path.name for path in self.serving.glob(".*")}
        left = {name for name in dotted if f"serving/{name}/x" not in STRANGERS}
        assert all([*(self.serving / name).rglob("*")] for name in left), "an empty folder is left"
        for name in left:  # Of version 1, in which a stranger's file is.
            files = [path.name for path in (self.serving / name).rglob("*") if path.is_file()]
            assert (name.startswith(".removed-1-"), files) == (True, ["warmup"])
        return {entry.version: entry.withdrawn for entry in entries}


@pytest.fixture(scope="module")
def before(models, tmp_path_factory) -> pathlib.Path:
    """Versions 1 and 2 of models a and b, and strangers' files beside and in them."""
    folder = tmp_path_factory.mktemp("before")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release_version.check, "check", lambda *_, **__: CHECKED)
        patch.setattr(os, "fsync", lambda descriptor: None)
        work = Work(folder, models)
        work.push("a"), work.push("b")
        work.scatter()
    return folder


COMMANDS = {
    "push": lambda work: work.push("c"),
    "rollback": lambda work: work.roll_back(),
}
ENDS = {
    "push": ([2, 3], "c", {1: None, 2: None, 3: None}),
    "rollback": ([2, 3], "a", {1: None, 2: "it drifts", 3: None}),
}
HOW = {
    "killed": lambda number: calls.dying(number),
    "interrupted": lambda number: calls.dying(number, once=True),
    "refused": lambda number: calls.failing(number),
}


def _count(command: str, before, models, folder) -> int:
    shutil.copytree(before, folder)
    with calls.counted() as seen:
        COMMANDS[command](Work(folder, models))
    return len(seen.made)


SAMPLES = [pytest.param(1, marks=pytest.mark.full, id="all"), pytest.param(7, id="sample")]


@pytest.mark.parametrize("step", SAMPLES)
@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("command", COMMANDS)
def test_cut_off_after_every_call_the_same_command_ends_as_if_nothing_had_been(
    command, how, step, before, models, tmp_path
):
    total = _count(command, before, models, tmp_path / "counted")
    assert total > 30
    run = COMMANDS[command]
    for number in range(1, total + 1, step):
        work = Work(tmp_path / f"{number}", models)
        shutil.copytree(before, work.folder)
        with HOW[how](number):
            run(work)
        there = work.assert_every_version_is_whole()
        assert there in ([1, 2], [1, 2, 3], [2, 3]), number
        work.assert_strangers_are_there()
        run(work)
        numbers, newest, withdrawn = ENDS[command]
        assert work.assert_every_version_is_whole() == numbers, number
        assert ledger.newest(work.serving).fingerprint == newest, number
        assert work.assert_ledger_and_folder_agree() == withdrawn, number
        work.assert_strangers_are_there()
        shutil.rmtree(work.folder)


@pytest.mark.full
@pytest.mark.parametrize("command", COMMANDS)
def test_cut_off_twice_the_recovery_itself_is_finished(command, before, models, tmp_path):
    """The second kill comes while the first one's is recovered, at each of its first calls."""
    total = _count(command, before, models, tmp_path / "counted")
    run = COMMANDS[command]
    for number in range(1, total + 1, 3):
        for again in (1, 2, 4, 6, 9, 13):
            work = Work(tmp_path / f"{number}-{again}", models)
            shutil.copytree(before, work.folder)
            with calls.dying(number):
                run(work)
            with calls.dying(again):
                run(work)
            run(work)
            numbers, newest, withdrawn = ENDS[command]
            assert work.assert_every_version_is_whole() == numbers, (number, again)
            assert ledger.newest(work.serving).fingerprint == newest, (number, again)
            assert work.assert_ledger_and_folder_agree() == withdrawn, (number, again)
            shutil.rmtree(work.folder)


def test_a_reader_sees_the_ledger_change_when_the_folder_does(before, models, tmp_path):
    """After every call of a rollback, what is read agrees with what is served."""
    work = Work(tmp_path / "work", models)
    shutil.copytree(before, work.folder)
    seen = []

    def look(number: int) -> None:
        entries = {entry.version: entry for entry in ledger.read(work.serving)}
        there = [n for n in ledger.numbers(work.serving) if (work.serving / str(n)).is_dir()]
        assert [n for n, entry in entries.items() if entry.removed is None] == there
        assert (entries[2].withdrawn is not None) == (3 in there)
        seen.append(there)

    with calls.counted(after=look):
        work.roll_back()
    assert [1, 2] in seen and [1, 2, 3] in seen and seen[-1] == [2, 3]


def test_a_rollback_that_was_cut_off_is_finished_by_another_reason_too(before, models, tmp_path):
    for number in range(1, _count("rollback", before, models, tmp_path / "counted")):
        work = Work(tmp_path / f"{number}", models)
        shutil.copytree(before, work.folder)
        with calls.dying(number):
            work.roll_back()
        if isinstance(ledger.load(work.serving).intent, ledger.Release):
            done = rollback.rollback(work.serving, why="it still does", to=None, keep=KEEP)
            assert (done.version.number, done.to, done.withdrawn) == (3, 1, (2,))
            [note] = done.notes
            assert 'this rollback ("it drifts") was cut off, and is finished now' in note
            assert work.assert_ledger_and_folder_agree() == {1: None, 2: "it drifts", 3: None}
            break
    else:
        pytest.fail("no kill fell between intent and done")
