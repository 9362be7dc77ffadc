"""Choose, make and keep the sequences on which the contract is checked.

Real ones, where there are any; otherwise noise around the means that the encoder states, as wide as
its features vary: noise of another scale would saturate the model and hide a fault. Words are those
of the encoder's vocabularies, where it has them.
"""

import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from ragline.components.contract import kinds
from ragline.components.contract.columns import Category
from ragline.components.contract.feature_transforms import Transform, invert_by_feature
from ragline.components.push.contract.sequences import Probe, Word

_ASSETS = "assets"
_ANY_WORDS: Sequence[Word] = (b"a", b"b", b"c", b"")
_ANY_IDS: Sequence[Word] = (0, 1, 2, 3)
_MOST_WORDS = 8
_MOST = 16
_LENGTHS = (1, 2, 3, 5, 8, 13, 21, 34, 55, 89)


def decode(
    records: Iterable[bytes], names: Sequence[str], categories: Sequence[Category] = ()
) -> list[Probe]:
    """Parse serialised raw Examples as sequences of features and categories."""
    sequences = []
    for record in records:
        feature = tf.train.Example.FromString(record).features.feature
        columns = [np.array(feature[name].float_list.value, np.float32) for name in names]
        words = {}
        for category in categories:
            column = feature[category.name]
            tokens = category.pick(words=column.bytes_list, ids=column.int64_list)
            words[category.key] = words_of(category, list(tokens.value))
        sequences.append(Probe(values=np.stack(columns, axis=1), words=words))
    return sequences


def words_of(category: Category, words: Sequence[Word]) -> np.ndarray:
    """Return words as a `Probe` holds them."""
    return np.array(words, category.pick(words=object, ids=np.int64))


def encode(
    sequences: Sequence[Probe], names: Sequence[str], categories: Sequence[Category] = ()
) -> np.ndarray:
    """Serialise sequences as raw Examples, object [B], with features and categories alone."""
    records = []
    for sequence in sequences:
        features = {
            name: tf.train.Feature(float_list=tf.train.FloatList(value=sequence.values[:, index]))
            for index, name in enumerate(names)
        }
        for category in categories:
            words = sequence.words[category.key]
            features[category.name] = (
                tf.train.Feature(bytes_list=tf.train.BytesList(value=words))
                if category.is_text
                else tf.train.Feature(int64_list=tf.train.Int64List(value=words))
            )
        example = tf.train.Example(features=tf.train.Features(feature=features))
        records.append(example.SerializeToString(deterministic=True))
    return np.array(records, object)


def save(
    file: pathlib.Path,
    sequences: Sequence[Probe],
    names: Sequence[str],
    categories: Sequence[Category] = (),
) -> None:
    """Write sequences to an `.npz` that `load` reads: no pickle, so texts are fixed-width."""
    words = {
        f"words_{index}": np.concatenate(
            [sequence.words[category.key] for sequence in sequences]
        ).astype(category.pick(words="S", ids=np.int64))
        for index, category in enumerate(categories)
    }
    np.savez(
        file,
        values=np.concatenate([sequence.values for sequence in sequences]),
        row_lengths=np.array([len(sequence) for sequence in sequences], np.int64),
        names=np.array(names),
        categories=np.array([category.name for category in categories], str),
        **words,
    )


def load(file: pathlib.Path) -> tuple[list[Probe], list[str], list[Category]]:
    """Return the sequences of a file, the names of their features, and their categories."""
    with np.load(file, allow_pickle=False) as arrays:
        ends = np.cumsum(arrays["row_lengths"])[:-1]
        values = np.split(arrays["values"], ends)
        categories, columns = [], {}
        for index, name in enumerate(arrays.get("categories", ())):
            words = arrays[f"words_{index}"]
            category = Category(
                name=str(name), kind=kinds.TEXT if words.dtype.kind == "S" else kinds.INTEGER
            )
            categories.append(category)
            columns[category.key] = np.split(words_of(category, words.tolist()), ends)
        names = [str(name) for name in arrays["names"]]
    sequences = [
        Probe(values=row, words={key: column[index] for key, column in columns.items()})
        for index, row in enumerate(values)
    ]
    return sequences, names, categories


def vocabulary(model: pathlib.Path, category: Category) -> list[bytes]:
    """Return the words that a SavedModel of ours knows, by their codes; none without a file."""
    file = model / _ASSETS / category.vocabulary
    return file.read_bytes().splitlines() if file.is_file() else []


def choose(sequences: Sequence[Probe]) -> list[Probe]:
    """Choose at most 16 sequences, their lengths spread from the shortest to the longest.

    If all have one length, half of the first is added, so that a batch has padding; a single step
    gets company by being repeated.
    """
    # Of a sequence in which nothing was observed, the error is NaN, which equals nothing.
    seen = [sequence for sequence in sequences if np.isfinite(sequence.values).any()]
    by_length = sorted(seen or sequences, key=len)
    picked = np.unique(np.linspace(0, len(by_length) - 1, _MOST).round().astype(int))
    chosen = [by_length[index] for index in picked]
    if len(chosen[0]) == len(chosen[-1]):
        longer = {key: np.repeat(words, 2) for key, words in chosen[0].words.items()}
        chosen.append(Probe(values=np.repeat(chosen[0].values, 2, axis=0), words=longer))
    return chosen


def make(
    mean: Sequence[float | None],
    std: Sequence[float],
    words: Mapping[str, np.ndarray] | None = None,
    transforms: Sequence[Transform] = (),
) -> list[Probe]:
    """Make ten sequences of 1 to 89 steps: mean + std * standard normal noise, always the same.

    Args:
      mean: the mean of each feature; None of one that is missing throughout.
      std: the standard deviation of each feature.
      words: each category's words to draw from, alike.
      transforms: the transform of each feature, of which the means and deviations are; none
        without them.
    """
    rng = np.random.default_rng(0)
    means, stds = np.array(mean, np.float64), np.array(std, np.float64)  # None becomes NaN.
    return [
        Probe(
            values=invert_by_feature(
                transforms, means + stds * rng.normal(size=(length, len(means)))
            ).astype(np.float32),
            words={key: rng.choice(known, length) for key, known in (words or {}).items()},
        )
        for length in _LENGTHS
    ]


def words_to_draw(category: Category, known: Sequence[bytes]) -> np.ndarray:
    """Return words to make sequences of, one of them missing if that can be.

    Args:
      category: the category of the words.
      known: the vocabulary, of which the most frequent are taken; empty if it is not known.
    """
    if not known:
        return words_of(category, category.pick(words=_ANY_WORDS, ids=_ANY_IDS))
    words = known[:_MOST_WORDS]
    if not category.is_text:
        return words_of(category, [int(word) for word in words])
    return words_of(category, [*words, b""])
