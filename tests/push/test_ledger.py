"""The ledger beside the folder that is served: what is known, what is damaged, what comes next."""

import dataclasses
import os
import pathlib
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.push.release import ledger, release_version, transaction
from ragline.components.push.release.release_version import ModelSource, tidy


def _source(fingerprint: str) -> ModelSource:
    return ModelSource(fingerprint=fingerprint, run_id="run", reasons=("good",), source="model")


def _release(serving: pathlib.Path, fingerprint: str = "a", **more) -> ledger.Version:
    """A version of two files, past its check."""
    model = serving.with_name("model")
    (model / "variables").mkdir(parents=True, exist_ok=True)
    (model / "saved_model.pb").write_text(fingerprint)
    (model / "variables" / "part").write_bytes(bytes(1000))
    return release_version.release(transaction.stage(model, serving), _source(fingerprint), **more)


@pytest.fixture
def serving(tmp_path) -> pathlib.Path:
    return tmp_path / "serving"


def _numbers(serving: pathlib.Path) -> list[int]:
    return [version.number for version in ledger.versions(serving)]


def test_nothing_was_ever_pushed(serving):
    assert ledger.read(serving) == ()
    assert ledger.versions(serving) == []
    assert ledger.newest(serving) is None
    assert ledger.known(serving / "1") is None
    assert ledger.next_version(serving) == 1


def test_what_is_released_is_known_and_newest(serving):
    released = _release(serving)
    assert (released.number, released.path, released.fingerprint) == (1, serving / "1", "a")
    assert ledger.newest(serving) == ledger.known(serving / "1") == released
    [entry] = ledger.read(serving)
    assert set(entry.files) == {
        "saved_model.pb", "variables/part", "assets.extra/manifest.json",
    }  # fmt: skip
    assert (entry.run_id, entry.reasons, entry.source) == ("run", ("good",), "model")


@settings(deadline=None, max_examples=sampled(20))
@given(on_disk=st.sets(st.integers(1, 10**12)), in_ledger=st.integers(1, 10**12))
def test_the_next_version_is_above_every_other(tmp_path_factory, on_disk, in_ledger):
    serving = tmp_path_factory.mktemp("w") / "serving"
    entry = ledger.Entry(
        version=in_ledger, fingerprint="", files={}, run_id="", time="", reasons=(), source=""
    )
    ledger.save(serving, ledger.Ledger(versions=(entry,)))
    for number in on_disk:
        (serving / str(number)).mkdir(parents=True)
    assert ledger.next_version(serving) == max({*on_disk, in_ledger}) + 1


@pytest.mark.parametrize("file", ["saved_model.pb", "variables/part", "assets.extra/manifest.json"])
def test_a_bit_or_a_file_less_is_damage(serving, file):
    _release(serving, "a"), _release(serving, "b")
    path = serving / "2" / file
    content = path.read_bytes()
    before = ledger.state(serving)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    changed = ledger.state(serving)
    assert ledger.versions(serving)[1].damage == (f"{file}: changed since it was pushed",)
    path.unlink()
    assert ledger.versions(serving)[1].damage == (f"{file}: No such file or directory",)
    assert ledger.known(serving / "2") is None
    assert ledger.newest(serving).number == 1
    assert len({before, changed, ledger.state(serving)}) == 3
    path.write_bytes(content)
    assert ledger.state(serving) == before


def test_what_somebody_else_put_there_is_not_known(serving):
    _release(serving)
    (serving / "1795000000").mkdir()
    (serving / "notes").mkdir()
    foreign = ledger.versions(serving)[1]
    assert (foreign.number, foreign.entry, foreign.fingerprint) == (1795000000, None, None)
    assert ledger.known(foreign.path) is None
    assert ledger.known(serving / "notes") is None
    assert ledger.newest(serving).number == 1
    assert _release(serving, "b").number == 1795000001


def test_the_state_sees_the_ledger_and_the_folder(serving):
    states = [ledger.state(serving)]
    _release(serving, "a")
    states.append(ledger.state(serving))
    [entry] = ledger.read(serving)
    ledger.save(serving, ledger.Ledger(versions=(dataclasses.replace(entry, withdrawn="bad"),)))
    states.append(ledger.state(serving))
    transaction.remove(serving, 1, "old")
    states.append(ledger.state(serving))
    assert len(set(states)) == 4
    assert ledger.state(serving) == states[-1]


def test_damaged_versions_are_set_aside_and_said(serving):
    for name in "abc":
        _release(serving, name)
    (serving / "2" / "saved_model.pb").write_text("x")
    [note] = tidy(serving, keep=5)
    assert note == (
        "version 2 is damaged (saved_model.pb: changed since it was pushed): moved to .damaged-2"
    )
    assert _numbers(serving) == [1, 3]
    assert (serving / ".damaged-2" / "saved_model.pb").read_text() == "x"
    assert ledger.read(serving)[1].removed in note


def test_the_newest_are_kept_and_what_is_not_ours_is_left_alone(serving):
    (serving / "0").mkdir(parents=True)
    for name in "abcd":
        _release(serving, name)
    assert tidy(serving, keep=2) == []
    assert _numbers(serving) == [3, 4]
    assert [entry.removed for entry in ledger.read(serving)] == [
        "2 newer versions are kept", "2 newer versions are kept", None, None,
    ]  # fmt: skip
    tidy(serving, keep=1)
    assert _numbers(serving) == [4]
    assert (serving / "0").is_dir()


def test_no_clock_decides(serving, monkeypatch):
    """The time stands in the ledger for people; set back to 1970, everything else is as before."""
    first = _release(serving, "a")
    for path in [serving, *serving.rglob("*")]:
        os.utime(path, (0, 2**33))

    class Past(transaction.datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(0, tz)

    monkeypatch.setattr(transaction.datetime, "datetime", Past)
    second = _release(serving, "b")
    assert second.entry.time.startswith("1970-01-01")
    assert (first.number, second.number) == (1, 2)
    assert ledger.newest(serving) == second
    tidy(serving, keep=1)
    assert _numbers(serving) == [2]


@pytest.mark.parametrize(
    "name", ["01", "0", "²", "٣", "+7", "7 ", "1_0", str(2**63), "9" * 20, "4x"]
)
def test_a_name_that_is_not_exactly_ours_is_no_version(serving, name):
    _release(serving)
    (serving / name).mkdir()
    (serving / "5").write_text("a file")
    assert _numbers(serving) == [1]
    assert ledger.known(serving / name) is None
    assert _release(serving, "b").number == 6
    tidy(serving, keep=1)
    assert (serving / name).is_dir()
    assert (serving / "5").read_text() == "a file"


def test_a_link_is_no_version_of_ours_wherever_it_leads(serving, tmp_path):
    for name in "abc":
        _release(serving, name)
    (serving / "1").rename(tmp_path / "moved")
    (serving / "1").symlink_to(tmp_path / "moved")
    assert ledger.versions(serving)[0].entry is None
    tidy(serving, keep=1)
    assert (serving / "1").is_symlink()
    assert (tmp_path / "moved" / "saved_model.pb").read_text() == "a"


def test_when_no_number_is_left_it_is_said(serving):
    (serving / str(2**63 - 1)).mkdir(parents=True)
    with pytest.raises(ledger.LedgerError, match="move it away"):
        ledger.next_version(serving)
    (serving / str(2**63 - 1)).rename(serving / str(2**63 - 2))
    assert _release(serving).number == 2**63 - 1


def test_a_file_that_somebody_put_into_a_version_stays_when_it_is_removed(serving, caplog):
    for name in "ab":
        _release(serving, name)
    (serving / "1" / "assets.extra" / "tf_serving_warmup_requests").write_text("mine")
    tidy(serving, keep=1)
    [kept] = serving.glob(".removed-1-*/**/*requests")
    assert kept.read_text() == "mine"
    assert [path for path in kept.parents[1].rglob("*") if path.is_file()] == [kept]
    assert "stays, since it holds what ragline did not put there" in caplog.text


def test_a_version_that_somebody_brought_back_is_theirs(serving, tmp_path):
    for name in "abc":
        _release(serving, name)
    shutil.copytree(serving / "1", tmp_path / "backup")
    tidy(serving, keep=2)
    assert _numbers(serving) == [2, 3]
    shutil.copytree(tmp_path / "backup", serving / "1")
    tidy(serving, keep=1)
    assert _numbers(serving) == [1, 3]
