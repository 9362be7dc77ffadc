"""Keep checkpoints that are whole or absent, from which training resumes exactly.

One `.npz` an epoch, written under a temporary name, fsynced and renamed; its name ends in the
SHA-256 of its content, so that a file that is torn, or of which one bit is flipped, is not taken
for what was written. A folder belongs to one fingerprint of everything that decides the result
(data, options, source, versions), and each file names it, too, so that no run resumes from
another's weights. A refused checkpoint is reported, and the one before it is used.

`checkpoints.json` in each folder lists the files that were written there. Those are removed in
time, and nothing else.
"""

import contextlib
import json
import logging
import pathlib
import re
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from ragline.components.files import state
from ragline.components.files.state import StateError
from ragline.components.files.storage import Staged, rename, sha256

_KEPT = 2
_LIST, _KIND = "checkpoints.json", "list of checkpoints"
_FILE = re.compile(r"epoch-[0-9]{6}\.[0-9a-f]{64}\.npz")
_STATE = "state"
_FINGERPRINT = "fingerprint"
_GROUPS = ("weights", "averages", "best", "optimizer")
_log = logging.getLogger("ragline.train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Holds the state of a training between two epochs.

    Attributes:
      weights: weights of the model, in its own order.
      averages: moving averages of the trainable weights; see `TrainOptions.averaging`.
      best: weights of the best epoch so far.
      optimizer: variables of the optimizer, in its own order.
      state: the rest, which JSON can hold: the history.
    """

    weights: list[np.ndarray]
    averages: list[np.ndarray]
    best: list[np.ndarray]
    optimizer: list[np.ndarray]
    state: dict[str, Any]


class RefusedError(Exception):
    """Says why a checkpoint must not be resumed from."""


class Checkpoints:
    """Keeps the checkpoints of one training, in `folder/<fingerprint>/`."""

    def __init__(self, folder: pathlib.Path, fingerprint: str, *, keep: bool = True) -> None:
        """Open the folder, and remove checkpoints of other trainings, which no run will ask for.

        Args:
          folder: folder of the checkpoints of all trainings.
          fingerprint: digest of this training; see `Task.fingerprint`.
          keep: whether this process writes them; of several that train together, one does, and the
            others only read.
        """
        self.fingerprint = fingerprint
        self._folder = folder / fingerprint
        self._keep = keep
        if keep:
            self._folder.mkdir(parents=True, exist_ok=True)
            for other in folder.iterdir():
                if other != self._folder:
                    _remove(other)

    def save(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of an epoch (from 1) and keep the last two."""
        if not self._keep:
            return
        arrays = {
            _name(group, index): array
            for group in _GROUPS
            for index, array in enumerate(getattr(checkpoint, group))
        }
        texts = {_FINGERPRINT: self.fingerprint, _STATE: json.dumps(checkpoint.state)}
        staged = Staged(self._folder / f"epoch-{epoch:06d}")
        try:
            with staged.file.open("wb") as file:
                np.savez(file, **arrays, **{name: np.array(text) for name, text in texts.items()})
            path = self._folder / f"epoch-{epoch:06d}.{sha256(staged.file)}.npz"
            written = sorted({path.name, *_listed(self._folder)}, reverse=True)
            state.write(self._folder / _LIST, _KIND, written[: _KEPT + 1])
            rename(staged.file, path)
        finally:
            staged.discard()
        for old in written[_KEPT:]:
            (self._folder / old).unlink(missing_ok=True)

    def load(self, like: Checkpoint) -> Checkpoint | None:
        """Read the newest checkpoint that is whole and fits, or None to start from the beginning.

        Args:
          like: a checkpoint of the current model; a checkpoint fits if its shapes are the same.
        """
        paths = self._newest_first()
        for path in paths:
            try:
                return self._read(path, like)
            except RefusedError as error:
                ours = self._keep and path.name in _listed(self._folder)
                what = "refused and removed" if ours else "refused"
                _log.warning("checkpoint %s: %s: %s", what, path, error)
                if ours:
                    path.unlink()
        if paths:
            _log.warning("no checkpoint is left: training starts from the beginning")
        return None

    def _newest_first(self) -> list[pathlib.Path]:
        """Return what is named like a checkpoint, the newest first; `_read` tells if it is one."""
        return sorted(self._folder.glob("epoch-*.npz"), reverse=True)

    def _read(self, path: pathlib.Path, like: Checkpoint) -> Checkpoint:
        try:
            digest = sha256(path)
            if path.name.split(".")[1] != digest:
                raise RefusedError(f"torn or changed: its content has the sha256 {digest}")
            with np.load(path, allow_pickle=False) as file:
                arrays = dict(file)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise RefusedError(f"unreadable: {error}") from error
        if str(arrays.pop(_FINGERPRINT, "")) != self.fingerprint:
            raise RefusedError("of another training: data, options, code or versions differ")
        state = json.loads(str(arrays.pop(_STATE)))
        expected = {
            _name(group, index): (array.shape, array.dtype)
            for group in _GROUPS
            for index, array in enumerate(getattr(like, group))
        }
        received = {name: (array.shape, array.dtype) for name, array in arrays.items()}
        for name in sorted(expected.keys() | received.keys()):
            if expected.get(name) != received.get(name):
                raise RefusedError(
                    f"of another model: {name}: expected {_describe_array(expected.get(name))}, "
                    f"received {_describe_array(received.get(name))}"
                )
        groups = {
            group: [arrays[_name(group, index)] for index in range(len(getattr(like, group)))]
            for group in _GROUPS
        }
        return Checkpoint(**groups, state=state)


def _listed(folder: pathlib.Path) -> list[str]:
    """Return the names of the files that were written into a folder; none without such a list."""
    try:
        names: list[str] = state.read(folder / _LIST, _KIND, list[str])
    except (OSError, StateError):
        return []
    return [name for name in names if _FILE.fullmatch(name)]


def _remove(folder: pathlib.Path) -> None:
    """Remove the checkpoints of a training, and its folder, if nothing else is in it."""
    if folder.is_symlink() or not (names := _listed(folder)):
        return
    for name in (*names, _LIST):
        (folder / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _name(group: str, index: int) -> str:
    return f"{group}/{index:04d}"


def _describe_array(shape_and_type: tuple[tuple[int, ...], np.dtype] | None) -> str:
    return "nothing" if shape_and_type is None else f"{shape_and_type[1]} {list(shape_and_type[0])}"
