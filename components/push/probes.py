"""Real sequences on which the contract is checked: noise would saturate the model and hide a fault."""

from collections.abc import Iterable, Sequence

import numpy as np
import tensorflow as tf

_MOST = 16


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
