"""Entity -> train or eval, the same in every run."""

import hashlib

from components.sequence import SPLITS


def split_of(entity_id: str, eval_share: float) -> str:
    """The split of an entity, by a hash of its id alone.

    It depends on nothing else: not on the other entities, the order, the run or the machine. A
    growing data set therefore never moves an entity from one split to the other.

    Args:
      entity_id: what the sequence belongs to.
      eval_share: the share of the entities that go to eval, in expectation.
    """
    digest = hashlib.blake2b(entity_id.encode("utf-8"), digest_size=8).digest()
    train, evaluation = SPLITS
    return evaluation if int.from_bytes(digest, "big") < eval_share * 2**64 else train
