"""A ledger that is lost, damaged, another's or of an earlier format."""

import dataclasses
import json
import pathlib
import shutil

import pytest

from ragline.components.push.release import ledger, release_version, transaction
from ragline.components.push.release.release_version import ModelSource
from ragline.components.serving.versions import MANIFEST_FILE


def _release(serving: pathlib.Path, fingerprint: str, withdraw=None, **more) -> None:
    model = serving.with_name("model")
    model.mkdir(parents=True, exist_ok=True)
    (model / "saved_model.pb").write_text(fingerprint)
    model_source = ModelSource(
        fingerprint=fingerprint, run_id=f"run-{fingerprint}", source="s", **more
    )
    release_version.release(transaction.stage(model, serving), model_source, withdraw)


@pytest.fixture
def serving(tmp_path) -> pathlib.Path:
    """Versions 1 to 4 of models a, b, a again by a rollback, and c; b is withdrawn."""
    serving = tmp_path / "serving"
    _release(serving, "a", reasons=("all is well",))
    _release(serving, "b", reasons=())
    back = {"b": "it drifts", "a": None}
    _release(serving, "a", back, reasons=("x",), note="rollback to version 1", rolled_back_to=1)
    _release(serving, "c", reasons=("y",))
    return serving


def _file(serving: pathlib.Path) -> pathlib.Path:
    return serving.with_name("ledger.json")


def _with(text: str, **changes: object) -> str:
    return json.dumps(json.loads(text) | changes)


def _entry(text: str, **changes: object) -> str:
    """The same with a field of its first version changed, and a checksum that is right."""
    content = json.loads(text)
    content["versions"][0] |= changes
    body = {key: content[key] for key in ("versions", "intent")}
    return json.dumps(content | {"sha256": ledger._checksum(body)})


NOT_WHAT_WAS_WRITTEN = {
    "empty": lambda text: "",
    "half": lambda text: text[: len(text) // 2],
    "zeros": lambda text: "\0" * len(text),
    "not UTF-8": lambda text: "\udcff",
    "{}": lambda text: "{}",
    "[]": lambda text: "[]",
    "null": lambda text: "null",
    "a number": lambda text: "3",
    "a list of numbers": lambda text: "[1]",
    "a list of something else": lambda text: '[{"version": 1}]',
    "deeply nested": lambda text: "[" * 200_000,
    "deeply nested objects": lambda text: '{"a":' * 200_000,
    "a long integer": lambda text: "[" + "9" * 10_000 + "]",
    "a letter changed": lambda text: text.replace("it drifts", "it drives"),
    "another schema": lambda text: _with(text, schema="other"),
    "no checksum": lambda text: _with(text, sha256=None),
    "no versions": lambda text: _with(text, versions=[]),
    "a format of words": lambda text: _with(text, version="two"),
    "a negative version": lambda text: _entry(text, version=-1),
    "a version twice": lambda text: _entry(text, version=2),
    "a version of text": lambda text: _entry(text, version="1"),
    "files that are a list": lambda text: _entry(text, files=["saved_model.pb"]),
    "a file elsewhere": lambda text: _entry(text, files={"../../notes": "0"}),
    "an absolute file": lambda text: _entry(text, files={"/etc/passwd": "0"}),
    "an unknown field": lambda text: _entry(text, more=1),
    "reasons of numbers": lambda text: _entry(text, reasons=[1]),
}


@pytest.mark.parametrize("kind", NOT_WHAT_WAS_WRITTEN)
def test_a_ledger_that_is_not_what_was_written_is_set_aside_and_rebuilt(kind, serving, caplog):
    before, file = ledger.read(serving), _file(serving)
    text = NOT_WHAT_WAS_WRITTEN[kind](file.read_text()).encode("utf-8", "surrogateescape")
    file.write_bytes(text)
    for read in ledger.read, ledger.versions, ledger.newest, ledger.state, ledger.next_version:
        with pytest.raises(
            ledger.DamagedLedgerError, match=r"ledger\.json: expected the list"
        ) as e:
            read(serving)
        assert "\n" not in str(e.value) and "they set it aside and rebuild it" in str(e.value)
    assert file.read_bytes() == text, "who reads it changes nothing"
    assert transaction.recover(serving) is None
    assert ledger.read(serving) == before
    assert file.with_name("ledger.json.damaged-1").read_bytes() == text
    assert "moved to ledger.json.damaged-1; rebuilt from the versions in" in caplog.text
    file.write_bytes(text)
    transaction.recover(serving)
    assert file.with_name("ledger.json.damaged-2").read_bytes() == text


def test_a_ledger_that_is_gone_is_rebuilt_and_withdrawn_models_stay_withdrawn(serving, tmp_path):
    """Also those of which no version is there any more."""
    before = ledger.read(serving)
    _file(serving).unlink()
    transaction.recover(serving)
    assert ledger.read(serving) == before
    assert [entry.withdrawn for entry in before] == [None, "it drifts", None, None]
    release_version.tidy(serving, keep=1)
    _file(serving).unlink()
    transaction.recover(serving)
    stub, newest = ledger.read(serving)
    assert (stub.version, stub.fingerprint, stub.withdrawn) == (2, "b", "it drifts")
    assert newest == before[-1]
    model_source = ModelSource(fingerprint="b", run_id="r", reasons=(), source="s")
    pushed = release_version.push(
        tmp_path / "model", serving, model_source, probes=tmp_path, facts={}
    )
    assert "withdrawn: version 2 held this very model" in pushed.refusals[0]


def test_what_was_begun_when_the_ledger_was_lost_is_not_guessed(serving, tmp_path):
    staged = transaction.stage(tmp_path / "model", serving)
    _file(serving).write_text("{}")
    transaction.recover(serving)
    assert [version.number for version in ledger.versions(serving)] == [1, 2, 3, 4]
    assert staged.is_dir(), "nobody knows any more whose it is"


def test_a_version_whose_files_are_not_what_its_manifest_says_is_left_alone(serving, caplog):
    (serving / "1" / "saved_model.pb").write_text("x")
    (serving / "2" / MANIFEST_FILE).write_text("{")
    shutil.copytree(serving / "3", serving / "9")  # Its manifest says that it is 3.
    (serving / "10").mkdir()
    (serving / "11").symlink_to(serving / "4")
    _file(serving).unlink()
    transaction.recover(serving)
    assert [entry.version for entry in ledger.read(serving)] == [2, 3, 4]
    assert ledger.read(serving)[0].removed
    assert "saved_model.pb: changed since it was pushed; it is left alone" in caplog.text
    assert "expected the manifest of a pushed model" in caplog.text
    states = [(v.number, v.entry is None or bool(v.damage)) for v in ledger.versions(serving)]
    assert states == [
        (1, True),
        (2, True),
        (3, False),
        (4, False),
        (9, True),
        (10, True),
        (11, True),
    ]
    assert release_version.tidy(serving, keep=5) == []
    assert len(ledger.versions(serving)) == 7


def test_manifests_of_earlier_pushes_are_enough(serving):
    for number in (1, 2, 3, 4):
        file = serving / str(number) / MANIFEST_FILE
        stated = json.loads(file.read_text())
        file.write_text(json.dumps({key: stated[key] for key in ("fingerprint", "files")}))
    _file(serving).unlink()
    transaction.recover(serving)
    assert [entry.fingerprint for entry in ledger.read(serving)] == ["a", "b", "a", "c"]
    assert ledger.newest(serving).number == 4


def test_a_ledger_of_today_s_users_is_read_and_written_anew(serving):
    """Format 1: the list of entries, without checksum."""
    entries = [dataclasses.asdict(entry) for entry in ledger.read(serving)]
    for entry in entries:
        del entry["rolled_back_to"]
    _file(serving).write_text(json.dumps(entries, indent=2) + "\n")
    old = ledger.read(serving)
    assert [entry.withdrawn for entry in old] == [None, "it drifts", None, None]
    assert ledger.newest(serving).number == 4
    assert transaction.recover(serving) is None
    _release(serving, "d", reasons=())
    assert ledger.read(serving)[:-1] == old
    written = json.loads(_file(serving).read_text())
    assert (written["schema"], written["version"]) == ("ragline.ledger", 2)


def test_a_kill_of_earlier_versions_does_not_make_a_rollback_withdraw_the_good_one(serving):
    """They wrote the ledger of a rollback, and were killed before its folder was there."""
    entries = ledger.read(serving)
    withdrawn = dataclasses.replace(entries[-1], withdrawn="it drifts, too")
    ghost = dataclasses.replace(entries[2], version=5, rolled_back_to=None)
    listed = [dataclasses.asdict(entry) for entry in (*entries[:3], withdrawn, ghost)]
    _file(serving).write_text(json.dumps(listed))
    from ragline.components.push.release import rollback

    target = rollback._previous(serving, ledger.versions(serving)[-1].entry)
    assert (target.version.number, target.entry.fingerprint) == (3, "a")
    assert ledger.next_version(serving) == 6


@pytest.mark.parametrize("kind", ["folder", "link", "dangling link", "later"])
def test_what_a_person_has_to_look_at_stops_and_is_left(kind, serving, tmp_path):
    file = _file(serving)
    text = file.read_text()
    file.unlink()
    if kind == "folder":
        file.mkdir()
    elif kind == "later":
        file.write_text(_with(text, version=3))
    else:
        target = tmp_path / "elsewhere"
        if kind == "link":
            target.write_text(text)
        file.symlink_to(target)
    told = "a later ragline wrote it" if kind == "later" else "move it away"
    for call in ledger.read, transaction.recover, lambda s: transaction.stage(s / "4", s):
        with pytest.raises(ledger.LedgerError, match=told) as stopped:
            call(serving)
        assert not isinstance(stopped.value, ledger.DamagedLedgerError)
    assert (file.is_dir(), file.is_symlink()) == (kind == "folder", "link" in kind)
    assert sorted(path.name for path in serving.iterdir()) == ["1", "2", "3", "4"]
