"""Tests of the files that are whole or absent, and of the digests."""

import hashlib
import json
import math
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.files import places, storage

UNENCODABLE = "half a pair: \udc80"


def test_a_written_text_is_there_alone_and_folders_are_made(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a" / "b" / "note.txt"
    storage.write_text(path, "grüße\n")
    assert path.read_bytes() == "grüße\n".encode()
    assert list(path.parent.iterdir()) == [path]


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
        ("serving", "/data/work/serving"),
        ("serving/3", "/data/work/serving/3"),
        ("/elsewhere/serving", "/elsewhere/serving"),
        ("gs://bucket/serving", "gs://bucket/serving"),
    ],
)
@pytest.mark.parametrize("end", ["", "/"])
def test_a_path_from_the_work_directory_is_found_by_an_artifact(stated, expected, end) -> None:
    assert places.in_workdir_of(f"/data/work/artifacts/push/report/12{end}", stated) == expected
