"""The events of which a model is trained once, on a sample of their entities, and what is in it."""

import hashlib

import events
import numpy as np

from ragline.components.train.options import TrainOptions

LENGTHS = np.random.default_rng(0).integers(1, 15, 300)
SPLITS = {"train": events.make(0, LENGTHS), "eval": events.make(1, LENGTHS)}
# Of the entities, each of two sequences.
NAMES = {
    split: [f"{split} {number // 2}" for number in range(len(made))]
    for split, made in SPLITS.items()
}
OPTIONS = TrainOptions(
    units=24,
    embedding_size=12,
    decoder="teacher",
    epochs=12,
    learning_rate=1e-2,
    sample_steps=1_800,
)


def rank(entity: str) -> float:
    """The oracle: 48 bits of BLAKE2b, as a share of their range."""
    digest = hashlib.blake2b(entity.encode(), digest_size=6, person=b"ragline sample").hexdigest()
    return int(digest, 16) / 2**48


def kept(split: str) -> list[int]:
    """The oracle: the rows of a split that are read."""
    lengths = [len(each.code) for each in SPLITS[split]]
    limit = OPTIONS.sample_steps / sum(lengths)
    return [row for row, name in enumerate(NAMES[split]) if rank(name) <= limit]
