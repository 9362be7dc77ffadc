"""Sequences on which the contract is checked.

Real ones, where there are any; otherwise noise around the means that the encoder states, as wide as
its features vary: noise of another scale would saturate the model and hide a fault.
"""

import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

ENCODER_FILE = pathlib.Path("assets.extra", "encoder.json")
_MOST = 16
_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)


def decode(records: Iterable[bytes], names: Sequence[str]) -> list[np.ndarray]:
    """Serialised raw Examples -> float32 [T, F] each."""
    sequences = []
    for record in records:
        feature = tf.train.Example.FromString(record).features.feature
        columns = [np.array(feature[name].float_list.value, np.float32) for name in names]
        sequences.append(np.stack(columns, axis=1))
    return sequences


def encode(sequences: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """float32 [T, F] each -> serialised raw Examples, object [B], with the features alone."""
    records = []
    for sequence in sequences:
        features = {
            name: tf.train.Feature(float_list=tf.train.FloatList(value=sequence[:, index]))
            for index, name in enumerate(names)
        }
        example = tf.train.Example(features=tf.train.Features(feature=features))
        records.append(example.SerializeToString(deterministic=True))
    return np.array(records, object)


def choose(sequences: Sequence[np.ndarray]) -> list[np.ndarray]:
    """At most 16 sequences whose lengths are spread from the shortest to the longest.

    If all have one length, half of the first is added, so that a batch has padding; a single step
    gets company by being repeated.
    """
    by_length = sorted(sequences, key=len)
    picked = np.unique(np.linspace(0, len(by_length) - 1, _MOST).round().astype(int))
    chosen = [by_length[index] for index in picked]
    if len(chosen[0]) == len(chosen[-1]):
        longer = np.repeat(chosen[0], 2, axis=0)
        chosen.append(longer)
    return chosen


def save(file: pathlib.Path, sequences: Sequence[np.ndarray], names: Sequence[str]) -> None:
    """Writes sequences as the `.npz` that `saved_model.py` takes."""
    np.savez(
        file,
        values=np.concatenate(sequences),
        row_lengths=np.array([len(sequence) for sequence in sequences], np.int64),
        names=np.array(names),
    )


def moments(sequences: Sequence[np.ndarray]) -> list[dict[str, float | None]]:
    """`mean` and `std` of each feature over valid, observed values, in float64.

    A constant feature has a std of exactly 0; one that was never observed has neither: None.

    Args:
      sequences: float32 [T, F] each, NaN where missing.
    """
    found: list[dict[str, float | None]] = []
    for column in np.concatenate(sequences).astype(np.float64).T:
        seen = column[np.isfinite(column)]
        if not seen.size:
            found.append({"mean": None, "std": None})
            continue
        varies = seen.min() < seen.max()
        found.append({"mean": float(seen.mean()), "std": float(seen.std()) if varies else 0.0})
    return found


def make(features: Sequence[Mapping[str, float | None]]) -> list[np.ndarray]:
    """Ten sequences of 1 to 89 steps: mean + std * standard normal noise, the same in every call.

    Args:
      features: `mean` and `std` of each; a feature that has none is missing throughout.

    Returns:
      float32 [T, F] each.
    """
    rng = np.random.default_rng(0)
    mean = np.array([feature["mean"] for feature in features], np.float64)
    std = np.array([feature["std"] for feature in features], np.float64)
    return [
        (mean + std * rng.normal(size=(length, len(features)))).astype(np.float32)
        for length in _LENGTHS
    ]
