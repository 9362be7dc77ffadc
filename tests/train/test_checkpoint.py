import dataclasses
import logging
import pathlib
import shutil
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.train.loop.checkpoint import Checkpoint, Checkpoints


def _checkpoint(number: float, shape: tuple[int, ...] = (3, 2)) -> Checkpoint:
    weights = [np.full(shape, number, np.float32), np.full(4, number)]
    return Checkpoint(
        weights=weights,
        averages=weights,
        best=weights,
        optimizer=[np.array(int(number))],
        state={"epoch": number},
    )


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    return Checkpoints(tmp_path, "fingerprint")


def _number(checkpoint: Checkpoint | None) -> float | None:
    return None if checkpoint is None else float(checkpoint.weights[0][0, 0])


def _files(tmp_path):
    return [path for path in (tmp_path / "fingerprint").iterdir() if path.suffix == ".npz"]


def _newest(tmp_path):
    return max(_files(tmp_path))


def test_a_checkpoint_comes_back_as_it_was(checkpoints):
    saved = _checkpoint(7)
    checkpoints.save(1, saved)
    loaded = checkpoints.load(like=_checkpoint(0))
    for group in ("weights", "averages", "best", "optimizer"):
        for one, other in zip(getattr(saved, group), getattr(loaded, group), strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_array_equal(one, other)
    assert loaded.state == {"epoch": 7}


def test_without_a_checkpoint_training_starts_from_the_beginning(checkpoints):
    assert checkpoints.load(like=_checkpoint(0)) is None


def test_the_last_two_are_kept(checkpoints, tmp_path):
    for epoch in range(1, 5):
        checkpoints.save(epoch, _checkpoint(epoch))
    kept = sorted(path.name.split(".")[0] for path in _files(tmp_path))
    assert kept == ["epoch-000003", "epoch-000004"]


def _tear(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _flip(data: bytes) -> bytes:
    place = data.index(np.float32(2).tobytes() * 6)  # Inside the weights themselves.
    return data[:place] + bytes([data[place] ^ 0x40]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage", [_tear, _flip, lambda data: b"", lambda data: b"not a checkpoint"]
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_used(
    checkpoints, tmp_path, caplog, damage
):
    checkpoints.save(1, _checkpoint(1))
    checkpoints.save(2, _checkpoint(2))
    newest = _newest(tmp_path)
    newest.write_bytes(damage(newest.read_bytes()))
    with caplog.at_level(logging.WARNING):
        assert _number(checkpoints.load(like=_checkpoint(0))) == 1
    assert f"checkpoint refused and removed: {newest}: torn or changed" in caplog.text
    assert not newest.exists()


def test_a_checkpoint_of_other_shapes_is_refused(checkpoints, caplog):
    checkpoints.save(1, _checkpoint(1, shape=(3, 5)))
    with caplog.at_level(logging.WARNING):
        assert checkpoints.load(like=_checkpoint(0)) is None
    assert (
        "of another model: averages/0000: expected float32 [3, 2], received float32 [3, 5]"
        in caplog.text
    )
    assert "no checkpoint is left: training starts from the beginning" in caplog.text


@pytest.mark.parametrize("weights", [1, 3])
def test_a_checkpoint_of_fewer_or_more_weights_is_refused(checkpoints, caplog, weights):
    saved = _checkpoint(1)
    checkpoints.save(1, dataclasses.replace(saved, weights=(saved.weights * 2)[:weights]))
    assert checkpoints.load(like=_checkpoint(0)) is None
    assert ("received nothing" if weights == 1 else "expected nothing") in caplog.text


def test_a_checkpoint_of_another_training_is_refused_even_in_this_ones_folder(tmp_path, caplog):
    other = Checkpoints(tmp_path / "other", "another")
    other.save(1, _checkpoint(1))
    [file] = (tmp_path / "other" / "another").glob("*.npz")
    checkpoints = Checkpoints(tmp_path / "ours", "fingerprint")
    shutil.copy(file, tmp_path / "ours" / "fingerprint" / file.name)
    assert checkpoints.load(like=_checkpoint(0)) is None
    assert "of another training" in caplog.text


@settings(max_examples=sampled(200), deadline=None)
@given(st.data())
def test_no_torn_or_flipped_checkpoint_is_ever_resumed_from(data):
    """Cut anywhere, or any bit of it flipped."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder), "fingerprint")
        checkpoints.save(1, _checkpoint(1))
        checkpoints.save(2, _checkpoint(2))
        newest = _newest(pathlib.Path(folder))
        content = bytearray(newest.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        if data.draw(st.booleans()):
            content[place] ^= 1 << data.draw(st.integers(0, 7))
        else:
            del content[place:]
        newest.write_bytes(content)
        assert _number(checkpoints.load(like=_checkpoint(0))) == 1
        checkpoints.save(2, _checkpoint(2))
        assert _number(checkpoints.load(like=_checkpoint(0))) == 2


def test_another_training_finds_nothing_and_clears_what_was_left(checkpoints, tmp_path):
    checkpoints.save(1, _checkpoint(1))
    other = Checkpoints(tmp_path, "another")
    assert other.load(like=_checkpoint(0)) is None
    assert [path.name for path in tmp_path.iterdir()] == ["another"]


def _content(folder: pathlib.Path) -> dict[pathlib.Path, bytes | None]:
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_is_not_ours_is_never_removed_whatever_it_is_called(checkpoints, tmp_path, caplog):
    """In the folder of this training, in that of another, and beside them."""
    checkpoints.save(1, _checkpoint(1))
    name = f"epoch-000009.{'0' * 64}.npz"
    foreign = [
        tmp_path / "notes.txt",
        tmp_path / "of-mine" / "epoch-000001.npz",
        tmp_path / "of-mine" / "checkpoints.json",
        tmp_path / "fingerprint" / name,
        tmp_path / "fingerprint" / "epoch-000000.abc.npz",
        tmp_path / "fingerprint" / ".epoch-000002.tmp",
        tmp_path / "another" / name,
    ]
    for path in foreign:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"mine")
    (tmp_path / "fingerprint" / f"epoch-000008.{'0' * 64}.npz").mkdir()
    before = {path: content for path, content in _content(tmp_path).items() if path in foreign}
    with caplog.at_level(logging.WARNING):
        assert _number(checkpoints.load(like=_checkpoint(0))) == 1
    assert f"checkpoint refused: {tmp_path}/fingerprint/{name}: torn or changed" in caplog.text
    for epoch in range(2, 6):
        checkpoints.save(epoch, _checkpoint(epoch))
    Checkpoints(tmp_path, "another").save(1, _checkpoint(1))
    Checkpoints(tmp_path, "third")
    after = _content(tmp_path)
    assert {path: after.get(path) for path in foreign} == before
    assert (tmp_path / "fingerprint" / f"epoch-000008.{'0' * 64}.npz").is_dir()
    ours = {path for path in after if path.suffix == ".npz"} - {*foreign}
    assert [path.name for path in ours] == [f"epoch-000008.{'0' * 64}.npz"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"ragline": 1}', "[" * 100_000])
def test_a_list_that_is_none_costs_no_checkpoint(checkpoints, tmp_path, text):
    checkpoints.save(1, _checkpoint(1))
    (tmp_path / "fingerprint" / "checkpoints.json").write_text(text)
    assert _number(checkpoints.load(like=_checkpoint(0))) == 1
    checkpoints.save(2, _checkpoint(2))
    assert _number(checkpoints.load(like=_checkpoint(0))) == 2
    [kept] = (tmp_path / "fingerprint").glob("*.set-aside-1")
    assert kept.read_text() == text
