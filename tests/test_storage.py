"""Tests of the files that are whole or absent, and of the digests."""

import hashlib
import json
import math
import os
import pathlib
import stat
import subprocess
import sys

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.files import places, storage
from ragline.pipeline.demo import synth

UNENCODABLE = "half a pair: \udc80"


def test_a_written_text_is_there_alone_and_folders_are_made(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    storage.write_text(path, "grüße\n")
    assert path.read_bytes() == "grüße\n".encode()
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077, 0o027])
def test_a_file_is_as_private_as_the_umask_says(tmp_path: pathlib.Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        storage.write_json(tmp_path / "folder" / "a.json", {"a": 1})
        synth.write(output=tmp_path / "data", sequences=5, seed=0)
    finally:
        os.umask(before)
    for path in tmp_path.rglob("*"):
        expected = (0o777 if path.is_dir() else 0o666) & ~umask
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_a_new_text_replaces_the_old_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "note.txt"
    storage.write_text(path, "a much longer old text")
    storage.write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_text_and_leaves_nothing_else(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "note.txt"
    storage.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        storage.write_text(path, UNENCODABLE)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_first_write_leaves_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        storage.write_text(tmp_path / "note.txt", UNENCODABLE)
    assert list(tmp_path.iterdir()) == []


def test_a_write_over_a_folder_fails_and_leaves_nothing_else(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(IsADirectoryError, match="folder"):
        storage.write_text(folder, "text")
    assert list(tmp_path.iterdir()) == [folder]


def test_numbers_that_json_lacks_are_null(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "value.json"
    value = {"a": [math.nan, 1.5, (math.inf, {"b": -math.inf})], "c": None, "d": True, "e": "NaN"}

    def refuse(constant: str) -> float:
        raise ValueError(f"{constant} is not JSON")

    storage.write_json(path, value)
    written = json.loads(path.read_text(), parse_constant=refuse)
    assert written == {"a": [None, 1.5, [None, {"b": None}]], "c": None, "d": True, "e": "NaN"}
    assert storage.read_json(path) == written


def test_what_json_cannot_hold_is_refused_and_nothing_written(tmp_path: pathlib.Path) -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.write_json(tmp_path / "value.json", {"a": object()})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256_reads_all_of_a_file(tmp_path: pathlib.Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(index % 251 for index in range(size)))
    assert storage.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@given(st.lists(st.text("ab", max_size=3), max_size=4), st.lists(st.text("ab", max_size=3)))
def test_digests_of_two_lists_are_equal_only_if_the_lists_are(
    first: list[str], second: list[str]
) -> None:
    assert (storage.digest_of(first) == storage.digest_of(second)) == (first == second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([], [""]),
        (["a"], ["a", ""]),
        (["a", "b"], ["b", "a"]),
        (["\0" * 8], ["", ""]),
    ],
)
def test_digest_is_not_ambiguous(first: list[str], second: list[str]) -> None:
    assert storage.digest_of(first) != storage.digest_of(second)


def test_digest_is_the_same_from_run_to_run() -> None:
    # One "a" with its length in eight bytes before it: a changed encoding would empty every cache.
    expected = hashlib.sha256(b"\0\0\0\0\0\0\0\1a").hexdigest()
    assert storage.digest_of(["a"]) == expected


def test_a_manifest_names_every_file_below_a_folder(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"abc")
    (tmp_path / "empty").write_bytes(b"")
    assert storage.manifest(tmp_path) == {
        "a/b/c": {"bytes": 3, "sha256": hashlib.sha256(b"abc").hexdigest()},
        "empty": {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()},
    }


def test_a_write_that_fails_names_the_file(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match="file") as caught:
        storage.write_text(tmp_path / "file" / "note.txt", "x")
    assert caught.value.filename


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("serving", "/data/nightly/serving"),
        ("serving/3", "/data/nightly/serving/3"),
        ("/elsewhere/serving", "/elsewhere/serving"),
        ("gs://bucket/serving", "gs://bucket/serving"),
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_path_from_the_work_directory_is_found_by_an_artifact(stated, expected, end) -> None:
    assert places.in_workdir_of(f"/data/nightly/artifacts/push/report/12{end}", stated) == expected


def test_a_file_under_way_has_a_name_that_nobody_foresees_and_is_no_link(tmp_path) -> None:
    names = set()
    for _ in range(20):
        staged = storage.Staged(tmp_path / "note.txt")
        assert staged.file.stat().st_size == 0
        names.add(staged.file.name)
        staged.discard()
    assert len(names) == 20
    assert all(len(name) == len(f".ragline-{'0' * 32}.tmp") for name in names)


def test_a_link_that_is_planted_is_not_followed(tmp_path, monkeypatch) -> None:
    """Even if somebody did foresee the name."""
    (tmp_path / "theirs").write_text("theirs")
    monkeypatch.setattr(storage.secrets, "token_hex", lambda size: "0" * 2 * size)
    (tmp_path / f".ragline-{'0' * 32}.tmp").symlink_to(tmp_path / "theirs")
    with pytest.raises(FileExistsError):
        storage.write_text(tmp_path / "note.txt", "ours")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert not (tmp_path / "note.txt").exists()


def test_a_journal_names_what_a_process_of_a_killed_process_had_under_way(tmp_path) -> None:
    """As the leader of a training by several workers has its checkpoints."""
    journal = tmp_path / ".temporaries-7"
    below = f"""
import os, pathlib
from ragline.components.files import storage
storage.join_journals()
storage.write_text(pathlib.Path({str(tmp_path)!r}) / "note.txt", "whole")
storage.Staged(pathlib.Path({str(tmp_path)!r}) / "epoch-1").file.write_text("half")
os._exit(9)
"""
    code = f"""
import os, pathlib, subprocess, sys
from ragline.components.files import storage
with storage.journal(pathlib.Path({str(journal)!r})):
    environment = os.environ | storage.with_journals()
    subprocess.run([sys.executable, "-c", {below!r}], env=environment)
    assert pathlib.Path({str(journal)!r}).exists()
    os.kill(os.getpid(), 9)
"""
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert done.returncode == -9
    [half] = tmp_path.glob(".ragline-*")
    assert storage.clear(journal) == [half]
    assert {path.name for path in tmp_path.iterdir()} == {"note.txt", journal.name}


def test_a_journal_names_what_a_killed_process_had_under_way(tmp_path) -> None:
    """Below its folder, and nowhere else; what came to its end is not there to be removed."""
    work, journal = tmp_path / "work", tmp_path / "work" / ".temporaries-7"
    code = f"""
import os, pathlib
from ragline.components.files import storage
work = pathlib.Path({str(work)!r})
with storage.journal(work / ".temporaries-7"):
    storage.write_text(work / "runs" / "note.txt", "whole")
    storage.Staged(work / "runs" / "summary.json").file.write_text("half")
    storage.Staged(work.with_name("elsewhere") / "x")
    os.kill(os.getpid(), 9)
"""
    work.mkdir()
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert done.returncode == -9
    [half] = (work / "runs").glob(".*")
    assert half.read_text() == "half"
    (work / "runs" / f".ragline-{'0' * 32}.tmp").write_text("mine")
    assert storage.clear(journal) == [half]
    assert {path.name for path in (work / "runs").iterdir()} == {
        "note.txt", f".ragline-{'0' * 32}.tmp",
    }  # fmt: skip
    assert storage.clear(journal) == []
    with storage.journal(journal):
        storage.write_text(work / "note.txt", "whole")
    assert not journal.exists()
