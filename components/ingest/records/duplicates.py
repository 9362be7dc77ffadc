"""Ids that stand twice in a data set, and entities that stand in both splits.

Each unit of work packs what it saw into marks of a fixed size: whose hash (128 bits: two of 10^9
ids collide with a chance of 10^-21), and where it stands. Marks are partitioned by hash, so no
worker sees all of them, and no record travels.
"""

import hashlib
from collections.abc import Iterable
from collections.abc import Sequence as Collection

import numpy as np

from ragline.components.contract.columns import SPLITS

DUPLICATE_ID = "duplicate_id"
ENTITY_IN_TWO_SPLITS = "entity_in_two_splits"

MARK = np.dtype(
    [
        ("high", "<u8"),
        ("low", "<u8"),
        ("entity", "?"),  # of an entity, not of an id
        ("eval", "?"),
        ("unit", "<i4"),
        ("file", "<i4"),
        ("number", "<i8"),
    ]
)
# A record to refuse, and the record for which it is refused.
REFUSAL = np.dtype(
    [
        ("unit", "<i4"),
        ("file", "<i4"),
        ("number", "<i8"),
        ("entity", "?"),
        ("first_file", "<i4"),
        ("first_number", "<i8"),
    ]
)


def marks(
    names: Collection[str],
    *,
    entity: bool,
    splits: np.ndarray,
    unit: int,
    file: int | np.ndarray,
    number: np.ndarray,
) -> np.ndarray:
    """The marks of N records of a unit.

    Args:
      names: N ids of sequences, or of entities.
      entity: which of the two.
      splits: object [N], the split of each.
      unit: the unit's index.
      file: the index of the file of all, or of each.
      number: int64 [N], of each in its file.
    """
    digests = b"".join([hashlib.blake2b(n.encode(), digest_size=16).digest() for n in names])
    found = np.zeros(len(names), MARK)
    hashes = np.frombuffer(digests, "<u8").reshape(-1, 2)
    found["high"], found["low"] = hashes[:, 0], hashes[:, 1]
    found["entity"] = entity
    found["eval"] = splits == SPLITS[1]
    found["unit"], found["file"], found["number"] = unit, file, number
    return found


def parted(found: np.ndarray, parts: int) -> Iterable[tuple[int, bytes]]:
    """Marks -> (part, its marks packed), by their hash."""
    part = (found["high"] % np.uint64(parts)).astype(np.int64)
    for index in np.unique(part).tolist():
        yield index, found[part == index].tobytes()


def refusals(packed: Iterable[bytes]) -> np.ndarray:
    """The refusals [R] that follow from all marks of one part.

    Of an id, every record but the first; of an entity in both splits, the records in eval.
    """
    every = np.frombuffer(b"".join(packed), MARK)
    ids, entities = every[~every["entity"]], every[every["entity"]]
    ids = ids[np.lexsort([ids[key] for key in ("number", "file", "low", "high")])]
    order = [entities[key] for key in ("number", "file", "eval", "low", "high")]
    return np.concatenate([_later(ids), _in_eval(entities[np.lexsort(order)])])


def _first_of(found: np.ndarray) -> np.ndarray:
    """int64 [N]: for each mark, where the first one of the same hash stands."""
    fresh = np.ones(len(found), bool)
    fresh[1:] = (found["high"][1:] != found["high"][:-1]) | (found["low"][1:] != found["low"][:-1])
    return np.maximum.accumulate(np.where(fresh, np.arange(len(found)), 0))


def _later(found: np.ndarray) -> np.ndarray:
    first = found[_first_of(found)]
    # Of one record, the sequences that were cut from it have ids of their own.
    other = (found["file"] != first["file"]) | (found["number"] != first["number"])
    return _refused(found[other], first[other])


def _in_eval(found: np.ndarray) -> np.ndarray:
    first = found[_first_of(found)]
    both = found["eval"] & ~first["eval"]
    return _refused(found[both], first[both])


def _refused(found: np.ndarray, first: np.ndarray) -> np.ndarray:
    refused = np.zeros(len(found), REFUSAL)
    for key in ("unit", "file", "number", "entity"):
        refused[key] = found[key]
    refused["first_file"], refused["first_number"] = first["file"], first["number"]
    return refused
