"""Keep a sample of a split: all sequences of some entities, chosen by a hash of their ids alone.

    rank(entity)   a number from 0 to below 1, evenly distributed
    highest rank   wanted steps / all steps; or the lowest rank of all, so that one entity is kept

An entity is kept if its rank is at most the highest one: the sample of more steps contains that of
fewer, an entity is in it with all its sequences or with none, and neither order, machine nor run
has a part in it. The hash is not the one that draws the eval split (`ingest.records.splits`): an
entity of the training split has only some values of that one.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

_PERSON = b"ragline sample"
_BYTES = 6  # So that each rank is a number of JSON, exactly.


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSample:
    """States the part of a split that is read.

    Attributes:
      highest_rank: highest rank of an entity that is kept.
      steps: number of steps that are kept.
      of_steps: number of steps of the split.
      sequences: number of sequences that are kept.
      of_sequences: number of sequences of the split.
    """

    highest_rank: float
    steps: int
    of_steps: int
    sequences: int
    of_sequences: int

    def keeps(self, entity: bytes) -> bool:
        """Return whether the sequences of an entity are kept."""
        return rank(entity) <= self.highest_rank


def rank(entity: bytes) -> float:
    """Return the rank of an entity."""
    digest = hashlib.blake2b(entity, digest_size=_BYTES, person=_PERSON).digest()
    return int.from_bytes(digest, "big") / float(256**_BYTES)


def highest_rank(wanted: int, steps: int, lowest: float) -> float:
    """Return the highest rank of an entity that is kept.

    Args:
      wanted: number of steps that the sample has in expectation.
      steps: number of steps of the split, more than are wanted.
      lowest: lowest rank of its entities.
    """
    return max(wanted / steps, lowest)


def entity_word(options: Mapping[str, object]) -> str:
    """Return the word for an entity: its column, as the keys of `[input]` name it."""
    entity, columns = options.get("entity"), options.get("group_by") or ()
    word = str(entity or next(iter(columns), "entity"))  # type: ignore[call-overload]
    return word.strip("{}").lower() if word.startswith("{") else word


def sentence(samples: Mapping[str, SplitSample], by: str) -> str | None:
    """Say what share of the splits was read; None if that is everything.

    Args:
      samples: split -> its sample; without a split that was read whole.
      by: see `entity_word`.
    """
    words = {"train": "trained on {} steps", "eval": "judged by {} steps of the eval split"}
    said = [
        phrase.format(f"{samples[split].steps:,} of {samples[split].of_steps:,}")
        for split, phrase in words.items()
        if split in samples
    ]
    return f"{', '.join(said)}, sampled by {by}" if said else None
