"""Which folders become work directories, and what is never touched."""

import contextlib
import dataclasses
import os
import pathlib
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragline.components.files import state
from ragline.components.ingest.options import InputOptions
from ragline.pipeline.cache import marker
from ragline.pipeline.cache.marker import ForeignFolderError
from ragline.pipeline.config import Config, ConfigError
from ragline.pipeline.runs import preflight, workdir


def _config(folder: pathlib.Path, name: str = "n") -> Config:
    return Config(name=name, schema="gestures", workdir=str(folder), input=InputOptions(train="x"))


def _database_of(folder: pathlib.Path, pipeline: str) -> None:
    """A database as an earlier ragline left it, as far as it is looked at."""
    with contextlib.closing(sqlite3.connect(folder / "metadata.sqlite")) as connection, connection:
        connection.execute("CREATE TABLE Type (id INTEGER, name TEXT)")
        connection.execute("CREATE TABLE Context (type_id INTEGER, name TEXT)")
        connection.execute("INSERT INTO Type VALUES (7, 'node')")
        names = [(f"{pipeline}.{stage}",) for stage in ("schema", "ingest")]
        connection.executemany("INSERT INTO Context VALUES (7, ?)", names)


def _content(folder: pathlib.Path) -> dict[str, bytes | str | None]:
    """Everything below a folder, by its path: content, target of a link, None of a folder."""
    contents: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            contents[name] = os.readlink(path)
        else:
            contents[name] = path.read_bytes() if path.is_file() else None
    return contents


def _open(folder: pathlib.Path, name: str = "n") -> str:
    """Opens a work directory twice; returns its id."""
    ids = []
    for _ in range(2):
        with workdir.held(_config(folder, name)):
            stated = state.read(folder / "workdir.json", "work directory", marker.Marker)
            assert stated.pipeline == name
            ids.append(stated.id)
    assert len(set(ids)) == 1
    return ids[0]


def test_a_new_folder_is_marked_and_each_has_its_own_id(tmp_path):
    (tmp_path / "empty").mkdir()
    assert _open(tmp_path / "a" / "b") != _open(tmp_path / "empty")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == {".lock", "workdir.json"}


@pytest.mark.parametrize(
    "place",
    [
        "README.md", ".git/config", "artifacts/models/prod/v1/weights.h5", "serving/1/x.pb",
        "artifacts/empty/", "mine/", "ledger.json", "metadata.sqlite", "workdir.json", ".lock",
        ".thesis.tmp", "runs/20261127-134211-92cf/summary.json",
    ],
)  # fmt: skip
def test_a_folder_that_holds_things_is_refused_and_not_touched(tmp_path, place):
    path = tmp_path / "work" / place
    if place.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.write_text("mine")
    before = _content(tmp_path)
    with (
        pytest.raises(ForeignFolderError, match="expected a new or empty folder") as raised,
        workdir.held(_config(tmp_path / "work")),
    ):
        pass
    assert f"received one that holds {place.split('/')[0]}; name another" in str(raised.value)
    assert raised.value.exit_code == 2
    assert _content(tmp_path) == before


def test_many_things_are_told_in_short(tmp_path):
    for name in "abcdef":
        (tmp_path / name).write_text("")
    with pytest.raises(ForeignFolderError, match=r"one that holds a, b, c and 3 more;"):
        marker.check(tmp_path, "n")


@pytest.mark.parametrize("made", [("serving/",), ("lost+found/",), (".lock",), ("workdir.json",)])
def test_what_awaits_its_content_is_as_good_as_empty(tmp_path, made):
    """A mounted folder, a file system of its own, and what a kill leaves in the first moment."""
    for name in made:
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).write_text("")
    _open(tmp_path)


def test_another_pipelines_is_refused(tmp_path):
    _open(tmp_path, "hospital")
    before = _content(tmp_path)
    with pytest.raises(ForeignFolderError, match="pipeline 'bank', received that of 'hospital'"):
        _open(tmp_path, "bank")
    assert _content(tmp_path) == before


@pytest.mark.parametrize("character", "*?[]\\")
def test_a_path_that_is_a_pattern_is_refused_at_once(tmp_path, character):
    folder = tmp_path / f"a{character}"
    with pytest.raises(ForeignFolderError, match="expected a path without"):
        _open(folder / "work")
    (tmp_path / "link").symlink_to(folder)  # It is the path behind the link that counts.
    with pytest.raises(ForeignFolderError, match="expected a path without"):
        _open(tmp_path / "link")
    assert not folder.exists()


def test_a_path_that_is_no_text_is_refused_at_once(tmp_path):
    with pytest.raises(ForeignFolderError, match="expected a path in UTF-8"):
        _open(tmp_path / "a\udcff")


@pytest.mark.parametrize("text", [None, "", "{}", "[" * 100_000, "garbage"])
def test_an_earlier_ragline_is_known_by_its_database(tmp_path, text):
    """And so is a work directory whose marker is damaged; what stood in its place is kept."""
    _database_of(tmp_path, "n")
    if text is not None:
        (tmp_path / "workdir.json").write_text(text)
    before = _content(tmp_path)
    with pytest.raises(ForeignFolderError, match="expected a new or empty folder"):
        marker.check(tmp_path, "another")
    assert _content(tmp_path) == before
    _open(tmp_path)
    kept = [path.read_text() for path in tmp_path.glob("set-aside/*/workdir.json")]
    assert kept == ([text] if text else [])


def test_a_link_is_followed_once_and_what_is_behind_it_is_used(tmp_path):
    (tmp_path / "link").symlink_to("work")
    (tmp_path / "work").mkdir()
    with workdir.opened(_config(tmp_path / "link")) as session:
        assert session.workdir == tmp_path / "work"


def test_a_lock_that_is_a_link_empties_nothing(tmp_path):
    _open(tmp_path / "work")
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "work" / ".lock").unlink()
    (tmp_path / "work" / ".lock").symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError, match=r"\.lock: Too many levels of symbolic links"):
        _open(tmp_path / "work")
    assert (tmp_path / "mine").read_text() == "mine"


NAMES = st.sampled_from(
    [
        "artifacts", "ingest", "examples", "2", "serving", ".staged-1", "checkpoints", "seals",
        "runs", "x.json", "workdir.json", "metadata.sqlite", ".lock", ".x.tmp", "mine", "1",
        f".ragline-{'0' * 32}.tmp", "temporaries.txt", "spans.json", "set-aside",
        "quarantine",
    ]
)  # fmt: skip
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=4).map(tuple), st.sampled_from([b"", b"7", b"mine", None])
)


def plant(folder: pathlib.Path, tree: dict[tuple[str, ...], bytes | None]) -> list[pathlib.Path]:
    """Files, and folders for None, where nothing stands; returns those that were made."""
    planted = []
    for place, content in sorted(tree.items()):
        path = folder.joinpath(*place)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(path):
                path.mkdir() if content is None else path.write_bytes(content)
                planted.append(path)
        except (FileExistsError, NotADirectoryError):
            continue
    return planted


def _examples() -> int:
    return int(os.environ.get("RAGLINE_TREES", "40"))


@settings(max_examples=_examples(), deadline=None)
@given(first=TREES, second=TREES)
def test_what_somebody_put_there_is_never_changed(tmp_path_factory, first, second):
    """Before the first run, which may be refused, and between runs.

    What stands in the database's own place is moved aside, see test_preflight.py.
    """
    folder = tmp_path_factory.mktemp("trees") / "work"
    folder.mkdir()
    config = _config(folder)
    plant(folder, first)
    before = _content(folder)
    try:
        for _ in range(2):
            _prepared(config)
            planted = plant(folder, second)
            theirs = [p for p in planted if folder / "metadata.sqlite" not in (p, *p.parents)]
            content = [p.read_bytes() if p.is_file() else None for p in theirs]
            _prepared(config)
            assert [p.read_bytes() if p.is_file() else None for p in theirs] == content
    except ForeignFolderError:
        assert _content(folder) == before
    except ConfigError:  # A file in a folder's place, say: told, and nothing is done.
        pass
    after = _content(folder)
    for name, content in before.items():
        if name not in (".lock", "workdir.json"):  # They may be ours, cut off.
            assert after[name] == content


def _prepared(config: Config) -> None:
    from ragline.pipeline.cache import recovery

    with workdir.opened(config) as session:
        preflight.check(dataclasses.replace(config, workdir=str(session.workdir)))
        recovery.recover(session.workdir, session.journal)
