"""Find ids that stand twice in a data set, and entities that stand in both splits.

Each unit of work packs a key of fixed size for each record: the hash of its id (128 bits: two of
10^9 ids collide with a chance of 10^-21), and where the record stands. Keys are partitioned by
hash, so no worker sees all of them, and no record travels.
"""

import hashlib
from collections.abc import Iterable
from collections.abc import Sequence as Collection

import numpy as np

from ragline.components.contract.columns import SPLITS

DUPLICATE_ID = "duplicate_id"
ENTITY_IN_TWO_SPLITS = "entity_in_two_splits"

DEDUP_KEY = np.dtype(
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


def dedup_keys(
    names: Collection[str],
    *,
    entity: bool,
    splits: np.ndarray,
    unit: int,
    file: int | np.ndarray,
    number: np.ndarray,
) -> np.ndarray:
    """Return the deduplication keys of N records of a unit.

    Args:
      names: N ids of sequences, or of entities.
      entity: whether the names are of entities.
      splits: object [N], the split of each record.
      unit: the unit's index.
      file: the index of the file of all records, or of each.
      number: int64 [N], each record's place in its file.
    """
    digests = b"".join([hashlib.blake2b(n.encode(), digest_size=16).digest() for n in names])
    keys = np.zeros(len(names), DEDUP_KEY)
    hashes = np.frombuffer(digests, "<u8").reshape(-1, 2)
    keys["high"], keys["low"] = hashes[:, 0], hashes[:, 1]
    keys["entity"] = entity
    keys["eval"] = splits == SPLITS[1]
    keys["unit"], keys["file"], keys["number"] = unit, file, number
    return keys


def partition_by_hash(keys: np.ndarray, parts: int) -> Iterable[tuple[int, bytes]]:
    """Yield each part of the keys that is not empty: its index, and its keys packed."""
    part = (keys["high"] % np.uint64(parts)).astype(np.int64)
    for index in np.unique(part).tolist():
        yield index, keys[part == index].tobytes()


def refusals(packed: Iterable[bytes]) -> np.ndarray:
    """Return the refusals [R] that follow from all keys of one part.

    Of an id, every record but the first; of an entity in both splits, the records in eval.
    """
    keys = np.frombuffer(b"".join(packed), DEDUP_KEY)
    ids, entities = keys[~keys["entity"]], keys[keys["entity"]]
    ids = ids[np.lexsort([ids[field] for field in ("number", "file", "low", "high")])]
    order = [entities[field] for field in ("number", "file", "eval", "low", "high")]
    return np.concatenate([_later(ids), _in_eval(entities[np.lexsort(order)])])


def _first_places(keys: np.ndarray) -> np.ndarray:
    """Return int64 [N], for each of N sorted keys the place of the first with the same hash."""
    is_new = np.ones(len(keys), bool)
    is_new[1:] = (keys["high"][1:] != keys["high"][:-1]) | (keys["low"][1:] != keys["low"][:-1])
    return np.maximum.accumulate(np.where(is_new, np.arange(len(keys)), 0))


def _later(keys: np.ndarray) -> np.ndarray:
    first = keys[_first_places(keys)]
    # Of one record, the sequences that were cut from it have ids of their own.
    other = (keys["file"] != first["file"]) | (keys["number"] != first["number"])
    return _refused(keys[other], first[other])


def _in_eval(keys: np.ndarray) -> np.ndarray:
    first = keys[_first_places(keys)]
    both = keys["eval"] & ~first["eval"]
    return _refused(keys[both], first[both])


def _refused(keys: np.ndarray, first: np.ndarray) -> np.ndarray:
    refused = np.zeros(len(keys), REFUSAL)
    for field in ("unit", "file", "number", "entity"):
        refused[field] = keys[field]
    refused["first_file"], refused["first_number"] = first["file"], first["number"]
    return refused
