"""Folders of versions: what appears is whole, what goes away goes away whole."""

import dataclasses
import hashlib
import json
import pathlib

import pytest

from ragline.components.push.release import publish, transaction
from ragline.components.push.release.entries import Entry
from ragline.components.serving import versions


@pytest.fixture
def model(tmp_path) -> pathlib.Path:
    folder = tmp_path / "model"
    (folder / "variables").mkdir(parents=True)
    (folder / "variables" / "part").write_bytes(bytes(200_000))
    (folder / "saved_model.pb").write_bytes(b"graph")
    return folder


def _names(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


ENTRY = Entry(
    version=3, fingerprint="f", files={}, run_id="r", time="t", reasons=("good",), source="s"
)


def test_a_staged_model_is_a_copy_under_a_name_that_no_server_reads(model, tmp_path):
    staged = transaction.stage(model, tmp_path / "serving")
    assert staged.parent == tmp_path / "serving"
    assert not staged.name.isdecimal()
    assert staged.stat().st_dev == staged.parent.stat().st_dev
    assert (staged / "saved_model.pb").read_bytes() == b"graph"


def test_what_an_earlier_push_left_half_done_is_removed_and_nothing_else(model, tmp_path):
    serving = tmp_path / "serving"
    for name in (".staged-1", ".removed-2", ".damaged-3", "7"):
        (serving / name / "variables").mkdir(parents=True)
    transaction.stage(model, serving)
    staged = transaction.stage(model, serving)
    assert _names(serving) == {staged.name, ".staged-1", ".removed-2", ".damaged-3", "7"}
    (staged / "mine").write_text("x")
    again = transaction.stage(model, serving)
    assert _names(serving) >= {staged.name, again.name}
    assert _names(staged) == {"mine"}


def test_the_manifest_names_every_file_and_the_digests_its_content(model, tmp_path):
    files = publish.seal(model, ENTRY).files
    manifest = model / publish.MANIFEST_FILE
    assert set(files) == set(publish.files_of(model))
    assert files["saved_model.pb"] == hashlib.sha256(b"graph").hexdigest()
    others = {name: digest for name, digest in files.items() if model / name != manifest}
    stated = json.loads(manifest.read_text())
    assert (stated["fingerprint"], stated["files"], stated["version"]) == ("f", others, 3)
    assert versions.read_manifest(model).reasons == ("good",)


def test_the_manifest_of_a_copy_is_its_own(model):
    publish.seal(model, ENTRY)
    entry = publish.seal(model, dataclasses.replace(ENTRY, fingerprint="new"))
    stated = versions.read_manifest(model)
    assert stated.fingerprint == entry.fingerprint == "new"
    assert publish.MANIFEST_FILE not in stated.files
    assert versions.damage(model, entry.files) == []


def test_a_damaged_version_takes_a_name_that_is_free(tmp_path):
    """Also where some of the earlier ones, or those of version 30, are gone or are files."""
    for name in (".damaged-30", ".damaged-3", ".damaged-3-3"):
        (tmp_path / name).mkdir()
    assert publish.damaged_name(tmp_path / "3") == ".damaged-3-2"
    (tmp_path / ".damaged-3-2").symlink_to("nowhere")
    assert publish.damaged_name(tmp_path / "3") == ".damaged-3-4"


def test_only_the_named_files_are_deleted_and_no_link_is_followed(model, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "part").write_text("x")
    files = publish.files_of(model)
    (model / "variables").rename(tmp_path / "moved")
    (model / "variables").symlink_to(outside)
    publish.discard(model, files)
    assert (outside / "part").read_text() == "x"
    assert _names(model) == {"variables"}
    (model / "variables").unlink()
    publish.discard(model, files)
    assert not model.exists()
