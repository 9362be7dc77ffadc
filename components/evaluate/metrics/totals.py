"""Sums of many sequences, in groups: what metrics and their intervals are made of.

    of one sequence   name -> float64 scalar, or [F] where it is of each feature
    Totals            name -> float64 [GROUPS, ...]

Which group a sequence is in depends on its id alone, so that a second evaluation, on any number of
workers and in any order, has the same groups, and the same intervals.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

GROUPS = 20  # What TFMA's jackknife has, too: enough for 19 degrees of freedom.

Totals = dict[str, np.ndarray]


def group_of(sequence_id: bytes) -> int:
    """The group of a sequence."""
    return rank_of(sequence_id) % GROUPS


def rank_of(sequence_id: bytes) -> int:
    """A number by which sequences stand in an order that has nothing to do with what they are."""
    return int.from_bytes(hashlib.blake2b(sequence_id, digest_size=8).digest(), "big")


def add(totals: Totals, group: int, sums: Mapping[str, np.ndarray]) -> None:
    """Adds one sequence to its group, in place."""
    for name, value in sums.items():
        if name not in totals:
            totals[name] = np.zeros((GROUPS, *np.shape(value)))
        totals[name][group] += value


def merge(parts: Iterable[Totals]) -> Totals:
    """Totals of all; the parts stay as they are."""
    merged: Totals = {}
    for part in parts:
        for name, total in part.items():
            merged[name] = merged[name] + total if name in merged else total.copy()
    return merged


def of_rows(
    sums: Mapping[str, np.ndarray], sequence_ids: Sequence[bytes], rows: Sequence[int]
) -> Totals:
    """The totals of some of N sequences.

    Args:
      sums: name -> [N, ...].
      sequence_ids: of the N sequences.
      rows: which of them.
    """
    groups = np.array([group_of(sequence_ids[row]) for row in rows], int)
    totals = {name: np.zeros((GROUPS, *values.shape[1:])) for name, values in sums.items()}
    for name, values in sums.items():
        np.add.at(totals[name], groups, values[np.asarray(rows, int)])
    return totals
