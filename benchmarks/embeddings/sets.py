"""Ten sets of labelled sequences, ragged or made ragged, each split into train and test.

    vowels    12 coefficients, 7 to 29 steps, 9 speakers; official split (Japanese Vowels)
    gestures  the demo's data, split by wearer
    plaid     one current, 100 to 1,344 steps, 11 appliances; official split (PLAID)
    wiimote   one acceleration, 29 to 361 steps, 10 gestures; official split (PickupGestureWiimoteZ)
    motions   6 signals of a watch, 4 activities, each cut to 40 to 100 of 100 steps (BasicMotions)
    leaves    an outline, 6 kinds, each cut to half of its 427 steps or more (OSULeaf)
    events    words with gaps and amounts; the class is in their order, and a little in their shares
    sparse    8 signals, 80% of their values missing; the class is in a period, a phase, a size
    noisy     24 signals, of which 4 carry the class and 20 are noise of the same variance
    long      3 signals of 5 to 2,000 steps; the class is a frequency and a rate of pauses

The first four that are files come from ../shared/data and from the wheels of sktime and aeon, where
`make bench-quality` puts them; ragline ships none of them. The last four are drawn, from a seed
that is no model's, and so hard that nothing is perfect.
"""

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from ragline import schemas
from ragline.components.contract.columns import SPLITS, Columns
from ragline.components.ingest.records.splits import split_of
from ragline.pipeline.demo import synth

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
_VOWELS = ROOT.parent / "shared" / "data" / "japanese_vowels"
_SEED = 20_261_127


class Split(NamedTuple):
    """The sequences of a split.

    Attributes:
      values: [T, F] each, NaN where missing.
      labels: the class of each.
      words: category -> the words of each sequence, [T].
    """

    values: list[np.ndarray]
    labels: list[str]
    words: Mapping[str, list[list[str]]] = {}


Splits = tuple[Split, Split]


def _read_ts(text: str) -> Split:
    lines = [line.split(":") for line in text.partition("@data")[2].split("\n") if line.strip()]
    values = [np.array([column.split(",") for column in columns], float).T for *columns, _ in lines]
    return Split(values, [label.strip() for *_, label in lines])


def _official(name: str, folder: pathlib.Path | None = None) -> Splits:
    places = [folder] if folder else [
        pathlib.Path(place) / package / "datasets" / "data" / name
        for place in sys.path for package in ("sktime", "aeon")
    ]  # fmt: skip
    for place in places:
        files = [place / f"{name}_{part}.ts" for part in ("TRAIN", "TEST")]
        if all(file.is_file() for file in files):
            train, test = (_read_ts(file.read_text(encoding="utf-8")) for file in files)
            return train, test
    raise SystemExit(f"{name}: no such set here; `make bench-quality` fetches what it is in")


def _gestures() -> Splits:
    features = Columns.from_schema(schemas.load("gestures")).names
    parts = {name: Split([], []) for name in SPLITS}
    for record in synth.gestures(sequences=2000, seed=0):
        part = parts[split_of(record["entity_id"], 0.2)]
        if (label := record.get("label")) is None:
            continue
        columns = [np.array(record["features"][name], float) for name in features]
        part.values.append(np.stack(columns, axis=1))
        part.labels.append(label)
    train, test = SPLITS
    return parts[train], parts[test]


def _cut(splits: Splits, share: float) -> Splits:
    """Cut each sequence to a random part of it, at least a share of its length."""
    random = np.random.default_rng(_SEED)

    def part(values: np.ndarray) -> np.ndarray:
        length = random.integers(int(share * len(values)), len(values) + 1)
        first = random.integers(0, len(values) - length + 1)
        return values[first : first + length]

    train, test = (split._replace(values=[part(x) for x in split.values]) for split in splits)
    return train, test


def _drawn(
    draw: Callable[[np.random.Generator, int], tuple[np.ndarray, dict[str, list[str]]]],
    *,
    classes: int,
    sequences: tuple[int, int] = (800, 400),
) -> Splits:
    random = np.random.default_rng(_SEED)
    splits = []
    for number in sequences:
        kinds = random.integers(0, classes, number)
        drawn = [draw(random, int(kind)) for kind in kinds]
        words = {name: [each[name] for _, each in drawn] for name in drawn[0][1]}
        splits.append(Split([values for values, _ in drawn], [f"c{kind}" for kind in kinds], words))
    return splits[0], splits[1]


def _events(random: np.random.Generator, kind: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    """Four processes over six words: another order, and shares that differ a little."""
    names = ("open", "read", "write", "wait", "move", "close")
    order = np.random.default_rng(kind).permutation(len(names))
    shares = np.where(order < 2, 0.25, 0.125)
    word, words = int(random.integers(len(names))), []
    for _ in range(int(np.clip(random.lognormal(3.2, 0.6), 6, 200))):
        follows = random.random() < 0.6
        place = int(np.flatnonzero(order == word)[0])
        word = int(
            order[(place + 1) % len(names)] if follows else random.choice(len(names), p=shares)
        )
        words.append(names[word])
    gaps = random.lognormal(0.0, 1.0, len(words))
    amounts = random.normal(0.0, 1.0, len(words))
    return np.stack([gaps, amounts], axis=1), {"activity": words}


def _waves(
    random: np.random.Generator, kind: int, *, length: int, signals: int, noise: float
) -> np.ndarray:
    """Sines of which the class decides the period of the first and how the second follows it."""
    time = np.arange(length)[:, np.newaxis]
    period = random.uniform(12, 30, signals)
    phase = random.uniform(0, 2 * np.pi, signals)
    period[:2] = (14, 17, 20, 23, 26)[kind] * random.uniform(0.93, 1.07)
    phase[1] = phase[0] + 2 * np.pi * kind / 5
    waves = np.sin(2 * np.pi * time / period + phase)
    waves[:, 0] *= 1 + 0.15 * kind
    return waves + random.normal(0.0, noise, waves.shape)


def _sparse(random: np.random.Generator, kind: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    values = _waves(random, kind, length=int(random.integers(40, 160)), signals=8, noise=0.5)
    values[random.random(values.shape) < 0.8] = np.nan
    values[0, np.isnan(values[0]) & (np.arange(8) == random.integers(8))] = 0.0
    return values, {}


def _noisy(random: np.random.Generator, kind: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    length = int(random.integers(30, 120))
    values = _waves(random, kind, length=length, signals=4, noise=0.5)
    noise = random.normal(0.0, values.std(), (length, 20))
    return np.concatenate([values, noise], axis=1), {}


def _long(random: np.random.Generator, kind: int) -> tuple[np.ndarray, dict[str, list[str]]]:
    length = int(np.exp(random.uniform(np.log(5), np.log(2000))))
    time = np.arange(length)[:, np.newaxis]
    period = (8, 9.5, 11.5, 14)[kind] * random.uniform(0.93, 1.07)
    waves = np.sin(2 * np.pi * time / period + random.uniform(0, 2 * np.pi, 3))
    paused = np.repeat(random.random(length // 20 + 1) < (0.1, 0.3, 0.1, 0.3)[kind], 20)[:length]
    waves[paused] = 0.0
    return waves + random.normal(0.0, 0.7, waves.shape), {}


SETS: dict[str, Callable[[], Splits]] = {
    "vowels": lambda: _official("JapaneseVowels", _VOWELS),
    "gestures": _gestures,
    "plaid": lambda: _official("PLAID"),
    "wiimote": lambda: _official("PickupGestureWiimoteZ"),
    "motions": lambda: _cut(_official("BasicMotions"), 0.4),
    "leaves": lambda: _cut(_official("OSULeaf"), 0.5),
    "events": lambda: _drawn(_events, classes=4),
    "sparse": lambda: _drawn(_sparse, classes=5),
    "noisy": lambda: _drawn(_noisy, classes=5),
    "long": lambda: _drawn(_long, classes=4),
}
