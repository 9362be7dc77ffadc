"""The sequences of the training benchmark, and how a case of it lies in its folder.

A case is one size of the model on one distribution of lengths: `case.json`, the records as
Transform writes them, the first weights, and the batches themselves for sides that read no records.
Numpy alone, for the side that has nothing else of ragline's.
"""

import json
import pathlib
from collections.abc import Callable

import numpy as np

FEATURES = 8
SEQUENCES = 4_096
CLIP_NORM, LEARNING_RATE = 1.0, 1e-3


def _clipped(lengths: np.ndarray) -> np.ndarray:
    return np.clip(lengths, 5, 400).astype(np.int64)


# name -> lengths of so many sequences, 5 to 400 steps.
LENGTHS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "log-normal": lambda rng, n: _clipped(np.exp(rng.normal(np.log(60), 0.7, n))),
    "uniform": lambda rng, n: rng.integers(5, 121, n),
    "two peaks": lambda rng, n: _clipped(np.where(rng.random(n) < 0.8, rng.normal(30, 4, n),
                                                  rng.normal(240, 30, n))),
}  # fmt: skip


def sequences(lengths: str, number: int) -> list[np.ndarray]:
    """Sums of slow waves with noise, which a code can hold: float32 [T, F] each."""
    rng = np.random.default_rng(0)
    made = []
    for steps in LENGTHS[lengths](rng, number):
        time = np.arange(steps)[:, np.newaxis]
        period = rng.uniform(10, 80, FEATURES)
        waves = np.sin(2 * np.pi * (time / period + rng.random(FEATURES)))
        made.append((waves + 0.3 * rng.normal(size=waves.shape)).astype(np.float32))
    return made


def batches_of(folder: pathlib.Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """(values [B, T, F], length [B]) of each batch."""
    with np.load(folder / "batches.npz") as arrays:
        return [(arrays[f"values_{i}"], arrays[f"length_{i}"]) for i in range(len(arrays) // 2)]


def weights_of(folder: pathlib.Path) -> dict[str, list[np.ndarray]]:
    """Layer -> its first weights, as Keras lays them out."""
    with np.load(folder / "weights.npz") as arrays:
        layers = ("encoder", "code", "decoder", "reconstruction")
        return {
            layer: [arrays[name] for name in arrays if name.startswith(f"{layer}_")]
            for layer in layers
        }


def case_of(folder: pathlib.Path) -> dict[str, int]:
    """`units`, `batches`, and `batch`, the sequences of a batch of mean length."""
    read: dict[str, int] = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    return read
