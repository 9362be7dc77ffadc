"""Add up the sums of sequences in groups, for metrics and their intervals.

    sums of a sequence  name -> float64 scalar, or [F] for a sum of each feature
    Totals              name -> float64 [GROUPS, ...]

Which group a sequence is in depends on its id alone, so that a second evaluation, on any number of
workers and in any order, has the same groups, and the same intervals.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

GROUPS = 20  # As in TFMA's jackknife: enough for 19 degrees of freedom.

Totals = dict[str, np.ndarray]


def group_of(sequence_id: bytes) -> int:
    """Return the group of a sequence."""
    return hash_rank(sequence_id) % GROUPS


def hash_rank(sequence_id: bytes) -> int:
    """Return a number that orders sequences independently of their data: a hash of the id."""
    return int.from_bytes(hashlib.blake2b(sequence_id, digest_size=8).digest(), "big")


def merge(parts: Iterable[Totals]) -> Totals:
    """Merge totals; the parts are not changed."""
    merged: Totals = {}
    for part in parts:
        for name, total in part.items():
            merged[name] = merged[name] + total if name in merged else total.copy()
    return merged


def sum_by_group(
    sums: Mapping[str, np.ndarray], sequence_ids: Sequence[bytes], rows: Sequence[int]
) -> Totals:
    """Add up the sums of some of N sequences, by group.

    Args:
      sums: name -> [N, ...].
      sequence_ids: ids of the N sequences.
      rows: rows of the sequences to add up.
    """
    groups = np.array([group_of(sequence_ids[row]) for row in rows], int)
    totals = {name: np.zeros((GROUPS, *values.shape[1:])) for name, values in sums.items()}
    for name, values in sums.items():
        np.add.at(totals[name], groups, values[np.asarray(rows, int)])
    return totals
