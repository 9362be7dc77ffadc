"""Files that ragline remembers by: what is none of them is not believed, and not overwritten."""

import dataclasses
import json
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.files import state
from ragline.components.files.state import StateError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@dataclasses.dataclass(frozen=True)
class Thing:
    """What a file may hold."""

    name: str
    size: int


@pytest.fixture
def file(tmp_path) -> pathlib.Path:
    path = tmp_path / "thing.json"
    state.write(path, "thing", [{"name": "a", "size": 1}])
    return path


def _read(path: pathlib.Path) -> list[Thing]:
    return state.read(path, "thing", list[Thing])


def test_what_was_written_is_read(file):
    assert _read(file) == [Thing("a", 1)]
    state.write(file, "thing", [{"name": "b", "size": 2}])
    assert _read(file) == [Thing("b", 2)]
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_not_there_is_no_damage(tmp_path):
    with pytest.raises(FileNotFoundError):
        _read(tmp_path / "thing.json")


@given(value=JSON)
def test_whatever_somebody_else_wrote_is_refused(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("state") / "thing.json"
    path.write_text(json.dumps(value))
    with pytest.raises(StateError, match="expected a thing of ragline"):
        _read(path)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"NaN"])
def test_what_is_no_json_is_refused(file, data):
    file.write_bytes(data)
    with pytest.raises(StateError, match=f"{file}: expected a thing of ragline"):
        _read(file)


def test_every_cut_and_every_changed_byte_is_refused(file):
    whole = file.read_bytes()
    for place in range(len(whole) - 1):
        for data in (whole[:place], whole[:place] + b"7" + whole[place + 1 :]):
            if data not in (whole, whole[:-1]):
                file.write_bytes(data)
                with pytest.raises(StateError):
                    _read(file)


def test_another_kind_and_another_shape_are_refused(file):
    with pytest.raises(StateError, match="received 'thing' of format 1"):
        state.read(file, "seal", list[Thing])
    with pytest.raises(StateError, match="validation error"):
        state.read(file, "thing", list[int])


def test_a_folder_and_a_link_are_refused(file, tmp_path):
    (tmp_path / "link").symlink_to(file)
    for path in (tmp_path, tmp_path / "link"):
        with pytest.raises(StateError, match="expected a file, received a folder or a link"):
            _read(path)


@pytest.mark.parametrize("kind", ["file", "folder", "link", "another"])
def test_what_stands_in_a_files_place_is_kept(file, tmp_path, caplog, kind):
    ours = file.read_text()
    file.rename(tmp_path / "ours")
    if kind == "file":
        file.write_text("mine")
    elif kind == "folder":
        file.mkdir()
    elif kind == "link":
        file.symlink_to(tmp_path / "ours")
    else:
        state.write(file, "another", 1)
    for _ in range(2):
        state.write(file, "thing", [])
        assert _read(file) == []
    assert caplog.messages == [f"{file}: is no thing of ragline; moved to {file}.set-aside-1"]
    kept = tmp_path / "thing.json.set-aside-1"
    assert (kept.is_symlink(), kept.is_dir()) == (kind == "link", kind == "folder")
    assert (tmp_path / "ours").read_text() == ours
