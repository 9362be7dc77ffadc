"""Checkpoints that are whole or absent, from which training resumes exactly.

One `.npz` an epoch, written under a temporary name, fsynced and renamed; the zip container has a
CRC-32 a member, which NumPy checks on reading. A folder belongs to one fingerprint of everything
that decides the result (data, options, source, versions), so that no run resumes from another's
weights. Files that are torn, flipped or of other shapes are refused, and the one before them is
used.
"""

import json
import logging
import os
import pathlib
import shutil
import zipfile
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.storage import fsync

_KEPT = 2
_STATE = "state"
_log = logging.getLogger("ragline.train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that an epoch leaves to the next.

    Attributes:
      weights: of the model, in its own order.
      best: weights of the best epoch so far.
      optimizer: its variables, in its own order.
      state: what else there is, as JSON: the history.
    """

    weights: list[np.ndarray]
    best: list[np.ndarray]
    optimizer: list[np.ndarray]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one training, in `folder/<fingerprint>/`."""

    def __init__(self, folder: pathlib.Path, fingerprint: str) -> None:
        """Opens the folder, and removes those of other trainings, which no run will ask for."""
        self._folder = folder / fingerprint
        self._folder.mkdir(parents=True, exist_ok=True)
        for other in folder.iterdir():
            if other != self._folder:
                shutil.rmtree(other)

    def save(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Writes the checkpoint of an epoch (from 1) and keeps the last two."""
        path = self._folder / f"epoch-{epoch:06d}.npz"
        staged = path.with_name(f".{path.name}.tmp")
        arrays = {
            f"{group}/{index:04d}": array
            for group in ("weights", "best", "optimizer")
            for index, array in enumerate(getattr(checkpoint, group))
        }
        with staged.open("wb") as file:
            np.savez(file, **arrays, **{_STATE: np.array(json.dumps(checkpoint.state))})
        fsync(staged)
        os.replace(staged, path)
        fsync(self._folder)
        for old in self._newest_first()[_KEPT:]:
            old.unlink()

    def load(self, like: Checkpoint) -> Checkpoint | None:
        """The newest checkpoint that is whole and fits, or None to start from the beginning.

        Args:
          like: a checkpoint of the model as it is now; its shapes are what fits.
        """
        for path in self._newest_first():
            try:
                return _read(path, like)
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
                _log.warning("checkpoint refused: %s: %s", path, error)
        return None

    def _newest_first(self) -> list[pathlib.Path]:
        return sorted(self._folder.glob("epoch-*.npz"), reverse=True)


def _read(path: pathlib.Path, like: Checkpoint) -> Checkpoint:
    with np.load(path, allow_pickle=False) as arrays:
        groups = {}
        for group in ("weights", "best", "optimizer"):
            expected = getattr(like, group)
            found = [arrays[f"{group}/{index:04d}"] for index in range(len(expected))]
            shapes = [array.shape for array in found]
            if shapes != [array.shape for array in expected]:
                raise ValueError(f"{group}: received shapes {shapes}")
            groups[group] = found
        return Checkpoint(**groups, state=json.loads(str(arrays[_STATE])))
