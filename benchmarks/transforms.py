"""What a transform is worth on skewed features: codes trained on raw, log and signed-log values.

    python -m benchmarks.transforms [--sets bursts,currents,mixed,plain] [--seeds 0,1,2]

The sets are drawn, 600 sequences to train on and 300 to test, of 20 to 80 steps, in which 0.3% of
the steps are giants, up to a thousand times as large as what stands there; but for the last:

    bursts    two positive signals, e to the power of a wave and noise; the class is in the period
    currents  likewise, waves that change their sign, of log-normal amplitude
    mixed     one burst, without a class, beside two waves that have it
    plain     three waves alone, of normal noise

`carried` is the share of the squares about the mean that the farthest 1% of a feature's values
carry, of the feature in which it is the largest. `lr` and `1-nn` are accuracies on test, as in
benchmarks/reconstruction.py, of the embedding and of a PCA of as many numbers.
"""

import argparse
import json
import pathlib
import statistics
import tempfile
from collections.abc import Callable

import numpy as np

from benchmarks.reconstruction import Row, Split, plain, standardised, trained
from ragline.components.contract import feature_transforms
from ragline.components.contract.feature_transforms import LOG, NONE, SIGNED_LOG, Transform
from ragline.components.runtime import cores
from ragline.pipeline.onboard.guessing import scales

_DATA_SEED = 20_261_128
_SIZE = 16
_CLASSES = 4


def _waves(random: np.random.Generator, kind: int, signals: int) -> np.ndarray:
    time = np.arange(int(random.integers(20, 81)))[:, np.newaxis]
    period = (8, 10.5, 14, 18)[kind] * random.uniform(0.93, 1.07)
    return np.sin(2 * np.pi * time / period + random.uniform(0, np.pi / 2, signals))


def _giants(random: np.random.Generator, values: np.ndarray) -> np.ndarray:
    struck = random.random(values.shape) < 0.003
    return np.where(struck, values * np.exp(random.uniform(2, 7, values.shape)), values)


def _noise(random: np.random.Generator, like: np.ndarray, scale: float) -> np.ndarray:
    return random.normal(0.0, scale, like.shape)


def _bursts(random: np.random.Generator, kind: int) -> np.ndarray:
    waves = _waves(random, kind, 2)
    level = random.normal(2.0, 1.0, 2)
    return _giants(random, np.exp(level + 1.5 * waves + _noise(random, waves, 0.7)))


def _currents(random: np.random.Generator, kind: int) -> np.ndarray:
    waves = _waves(random, kind, 2)
    size = np.exp(random.normal(1.5, 1.0, 2))
    return _giants(random, size * (waves + _noise(random, waves, 0.5)))


def _mixed(random: np.random.Generator, kind: int) -> np.ndarray:
    waves = _waves(random, kind, 3)
    waves += _noise(random, waves, 0.7)
    waves[:, 0] = np.exp(2.0 + 1.5 * random.normal(size=len(waves)))
    waves[:, :1] = _giants(random, waves[:, :1])
    return waves


def _plain(random: np.random.Generator, kind: int) -> np.ndarray:
    waves = _waves(random, kind, 3)
    return waves + _noise(random, waves, 0.7)


_SETS: dict[str, tuple[Callable[[np.random.Generator, int], np.ndarray], tuple[Transform, ...]]] = {
    "bursts": (_bursts, (NONE, SIGNED_LOG, LOG)),
    "currents": (_currents, (NONE, SIGNED_LOG)),
    "mixed": (_mixed, (NONE, SIGNED_LOG)),
    "plain": (_plain, (NONE, SIGNED_LOG)),
}


def _drawn(draw: Callable[[np.random.Generator, int], np.ndarray]) -> tuple[Split, Split]:
    random = np.random.default_rng(_DATA_SEED)
    splits = []
    for number in (600, 300):
        kinds = random.integers(0, _CLASSES, number).tolist()
        splits.append(Split([draw(random, kind) for kind in kinds], [f"c{kind}" for kind in kinds]))
    return splits[0], splits[1]


def _transformed(splits: tuple[Split, Split], transform: Transform, places: list[int]) -> tuple:
    """Transform the features at some places."""
    names = [
        transform if place in places else NONE for place in range(splits[0].values[0].shape[1])
    ]
    return tuple(
        split._replace(
            values=[feature_transforms.apply_by_feature(names, values) for values in split.values]
        )
        for split in splits
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sets", default=",".join(_SETS))
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path("transforms.jsonl"))
    arguments = parser.parse_args()
    cores.prepare()
    print("| set | transform | carried | lr | 1-nn | PCA's lr | PCA's 1-nn |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for name in arguments.sets.split(","):
        draw, transforms = _SETS[name]
        splits = _drawn(draw)
        places = [0] if name == "mixed" else [*range(splits[0].values[0].shape[1])]
        for transform in transforms:
            made = _transformed(splits, transform, places)
            rows = np.concatenate(made[0].values)
            carried = max(scales.carried_by_farthest(column) for column in rows.T)
            made = standardised(*made)
            pca, ours = plain("pca", _SIZE, made), []
            for seed in map(int, arguments.seeds.split(",")):
                with tempfile.TemporaryDirectory() as folder:
                    ours.append(trained("default", _SIZE, seed, made, pathlib.Path(folder), 0.0))
            with arguments.output.open("a", encoding="utf-8") as file:
                row = {"set": name, "transform": transform, "pca": pca, "ours": ours}
                file.write(json.dumps(row) + "\n")
            figures = [_spread(ours, key) for key in ("lr", "1-nn")]
            figures += [f"{pca[key]:.3f}" for key in ("lr", "1-nn")]
            print(f"| {name} | {transform} | {carried:.2f} | {' | '.join(figures)} |", flush=True)


def _spread(rows: list[Row], key: str) -> str:
    values = [row[key] for row in rows]
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
