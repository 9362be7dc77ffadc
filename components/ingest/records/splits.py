"""Assign sequences to train or eval, the same in every run."""

import hashlib
from collections.abc import Sequence as Collection

import numpy as np

from ragline.components.contract.columns import SPLITS
from ragline.components.ingest.options import InputOptions
from ragline.components.ingest.steps import times

LEFT_OUT = ""  # Of eval, but not of the newest span, which alone is evaluated.


def split_of(entity_id: str, eval_share: float) -> str:
    """Return the split of an entity, by a hash of its id alone.

    It depends on nothing else: not on the other entities, the order, the run or the machine. A
    growing data set therefore never moves an entity from one split to the other.

    Args:
      entity_id: what the sequence belongs to.
      eval_share: the share of the entities that go to eval, in expectation.
    """
    digest = hashlib.blake2b(entity_id.encode("utf-8"), digest_size=8).digest()
    train, evaluation = SPLITS
    return evaluation if int.from_bytes(digest, "big") < eval_share * 2**64 else train


def splits_of(
    entity_ids: Collection[str],
    options: InputOptions,
    split_of_file: str | None,
    start: np.ndarray | None,
    *,
    is_older: bool,
) -> np.ndarray:
    """Return the splits of sequences: that of their file, else by `eval_from`, else by hash.

    Args:
      entity_ids: the entities of N sequences.
      options: options of the input, of which `eval_from` and `eval_share` are read.
      split_of_file: the `split` of the sequences' File.
      start: int64 [N], when the record of each sequence starts, in nanoseconds since the epoch, so
        that all that is cut from a record falls in one split; only needed with `eval_from`. That an
        entity has records on both sides cannot be seen here.
      is_older: whether the sequences belong to a span before the newest; those that a hash sends to
        eval are then left out: no entity may stand in two splits, and the newest span alone is
        evaluated.

    Returns:
      object [N] of str, a split or `LEFT_OUT`.
    """
    train, evaluation = SPLITS
    splits = np.full(len(entity_ids), split_of_file or train, object)
    if split_of_file is not None:
        return splits
    if options.eval_from is not None:
        if start is None:
            raise ValueError("eval_from: expected sequences with times, received none")
        splits[start >= times.parse_time(options.eval_from)] = evaluation
        return splits
    known = {entity: split_of(entity, options.eval_share) for entity in set(entity_ids)}
    splits[:] = [known[entity] for entity in entity_ids]
    if is_older:
        splits[splits == evaluation] = LEFT_OUT
    return splits
