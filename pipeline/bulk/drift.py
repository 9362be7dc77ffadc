"""Compare what is encoded with what the encoder was trained on: units that differ, unknown words.

    shift of a feature    = (mean - mean in training) / standard deviation in training
    spread                = standard deviation / standard deviation in training
    drift                 = the largest of |shift|, spread and 1 / spread
    mean, deviation       = of transformed values, where the feature has a transform
    unknown of a category = steps whose word training never had / steps that have a word

A feature that did not vary in training has no scale to measure by, and no drift.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ragline.components.contract.columns import Columns
from ragline.components.contract.feature_transforms import NONE
from ragline.components.files import places
from ragline.components.ingest.output import span_stats
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.serving.facts import FeatureFacts

# Reported in any case: another unit is seldom nearer, and another day seldom as far.
REPORTED_DRIFT = 8.0
REPORTED_UNKNOWN = 0.5
_MOST_WORDS = 3

Words = Mapping[str, frozenset[str | int]]


def known_words(encoder: str, columns: Columns) -> Words:
    """Read the words of each category from an encoder's assets; none of one without such a file."""
    files = {c: f"{encoder}/assets/{c.vocabulary}" for c in columns.categories}
    return {
        category.name: frozenset(
            word if category.is_text else int(word)
            for word in places.read(file).decode().splitlines()
        )
        for category, file in files.items()
        if places.exists(file)
    }


def of_chunk(chunk: Chunk, columns: Columns, known: Words) -> dict[str, Any]:
    """Return what is compared, of one Chunk: statistics of features, and counts of words."""
    words = {}
    for name, known_of_category in known.items():
        counts = Counter(chunk.values[name].tolist())  # A tenth of np.unique's time.
        del counts[""]  # A missing word.
        unknown = {word: count for word, count in counts.items() if word not in known_of_category}
        words[name] = {
            "steps": counts.total(),
            "unknown": sum(unknown.values()),
            "examples": sorted(map(str, unknown))[:_MOST_WORDS],
        }
    return {"values": span_stats.of_chunk(chunk, columns), "words": words}


def merged(parts: Collection[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge what is compared of several Chunks or units, at least one."""
    words: dict[str, Any] = {}
    for part in parts:
        for name, counted in part["words"].items():
            total = words.setdefault(name, {"steps": 0, "unknown": 0, "examples": []})
            total["steps"] += counted["steps"]
            total["unknown"] += counted["unknown"]
            examples = dict.fromkeys([*total["examples"], *counted["examples"]])
            total["examples"] = [*examples][:_MOST_WORDS]
    return {"values": span_stats.merged(part["values"] for part in parts), "words": words}


def measure(encoded: Mapping[str, Any], trained_on: Iterable[FeatureFacts]) -> dict[str, Any]:
    """Return `features` {name: shift, spread, mean} and `categories` {name: unknown, examples}."""
    features = {}
    for feature in trained_on:
        stats = encoded["values"]["features"][feature.name]
        if stats["count"] and feature.mean is not None and feature.std:
            features[feature.name] = {
                "shift": (stats["mean"] - feature.mean) / feature.std,
                "spread": math.sqrt(stats["m2"] / stats["count"]) / feature.std,
                "mean": stats["mean"],
            }
    categories = {
        name: {"unknown": counted["unknown"] / counted["steps"], "examples": counted["examples"]}
        for name, counted in encoded["words"].items()
        if counted["steps"]
    }
    return {"features": features, "categories": categories}


def describe(
    measured: Mapping[str, Any], trained_on: Iterable[FeatureFacts], most: float = REPORTED_DRIFT
) -> Iterator[str]:
    """Write a sentence on each feature that drifted by more than `most`, and on unknown words."""
    stated_of = {feature.name: feature for feature in trained_on}
    for name, figures in measured["features"].items():
        shift, spread = figures["shift"], figures["spread"]
        drift = max(abs(shift), spread, 1.0 / spread if spread else 0.0)
        if drift > most:
            feature = stated_of[name]
            unit = f"in {feature.unit}" if feature.unit else "in the unit of the training data"
            of = "mean" if feature.transform == NONE else f"mean {feature.transform}"
            yield (
                f"{name!r}: its {of} of {figures['mean']:.4g} is {shift:+.3g} standard deviations "
                f"from the training data's {feature.mean:.4g}, and its spread {spread:.3g} "
                f"times theirs: expected values {unit}; the embeddings cannot be trusted"
            )
    for name, figures in measured["categories"].items():
        if figures["unknown"] > REPORTED_UNKNOWN:
            yield (
                f"{name!r}: {figures['unknown']:.0%} of its words are none that the encoder was "
                f"trained on, such as {', '.join(map(repr, figures['examples']))}: expected words "
                "of the training data; all others are one and the same to it"
            )
