"""Folders of versions: what appears is whole, what goes away goes away whole."""

import hashlib
import json
import pathlib

import pytest

from ragline.components.push.release import publish


@pytest.fixture
def model(tmp_path) -> pathlib.Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "part").write_bytes(bytes(200_000))
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def _names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_staged_model_is_a_copy_under_a_name_that_no_server_reads(model, tmp_path):
    staged = publish.stage(model, tmp_path / "serving")
    assert staged.parent == tmp_path / "serving"
    assert not staged.name.isdecimal()
    assert staged.stat().st_dev == staged.parent.stat().st_dev
    assert (staged / "saved_model.pb").read_bytes() == b"graph"


def test_what_earlier_runs_left_half_done_is_removed_and_nothing_else(model, tmp_path):
    serving = tmp_path / "serving"
    for name in (".staged-1", ".removed-2", ".damaged-3", "7"):
        (serving / name / "variables").mkdir(parents=True)
    staged = publish.stage(model, serving)
    assert _names(serving) == {staged.name, ".damaged-3", "7"}


def test_the_manifest_names_every_file_and_the_digests_its_content(model, tmp_path):
    staged = publish.stage(model, tmp_path / "serving")
    files = publish.seal(staged, "f")
    manifest = staged / "assets.extra" / "manifest.json"
    names = {path.relative_to(staged).as_posix() for path in staged.rglob("*") if path.is_file()}
    assert set(files) == names
    assert files["saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()
    others = {name: digest for name, digest in files.items() if staged / name != manifest}
    assert json.loads(manifest.read_text()) == {"fingerprint": "f", "files": others}


def test_the_manifest_of_a_copy_is_its_own(model, tmp_path):
    first = publish.publish(publish.stage(model, tmp_path / "serving"), 1)
    publish.seal(first, "old")
    staged = publish.stage(first, tmp_path / "serving")
    publish.seal(staged, "new")
    manifest = json.loads((staged / publish.MANIFEST_FILE).read_text())
    assert manifest["fingerprint"] == "new"
    assert publish.MANIFEST_FILE.as_posix() not in manifest["files"]


def test_a_damaged_version_is_kept_under_a_name_of_its_own_each_time(model, tmp_path):
    serving = tmp_path / "serving"
    for expected in (".damaged-3", ".damaged-3-2", ".damaged-3-3"):
        version = publish.publish(publish.stage(model, serving), 3)
        assert publish.set_aside(version).name == expected
    assert _names(serving) == {".damaged-3", ".damaged-3-2", ".damaged-3-3"}


def test_a_removed_version_leaves_nothing(model, tmp_path):
    serving = tmp_path / "serving"
    publish.remove(publish.publish(publish.stage(model, serving), 1))
    assert _names(serving) == set()
