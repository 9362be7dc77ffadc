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


def _newest(tmp_path):
    return max((tmp_path / "fingerprint").iterdir())


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
    kept = sorted(path.name.split(".")[0] for path in (tmp_path / "fingerprint").iterdir())
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
    [file] = (tmp_path / "other" / "another").iterdir()
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
