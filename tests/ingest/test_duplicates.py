"""Tests of the keys by which ids that stand twice, and entities in both splits, are found."""

import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.ingest.records import duplicates

Record = tuple[str, int, int, bool]  # A name, a file, a number in it, whether in eval.
RECORDS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 4), st.booleans()),
    max_size=20,
    unique_by=lambda record: (record[1], record[2]),
)


def _packed(records: list[Record], entity: bool, parts: int = 1) -> list[list[bytes]]:
    """The keys of each part, packed, as the units of each file's numbers give them."""
    packed_parts: list[list[bytes]] = [[] for _ in range(parts)]
    for name, file, number, in_eval in records:
        made = duplicates.dedup_keys(
            [name],
            entity=entity,
            splits=np.array(["eval" if in_eval else "train"], object),
            unit=10 * file + number,
            file=file,
            number=np.array([number]),
        )
        for part, packed in duplicates.partition_by_hash(made, parts):
            packed_parts[part].append(packed)
    return packed_parts


def _refused(packed: list[list[bytes]]) -> set[tuple[int, ...]]:
    every = np.concatenate([duplicates.refusals(part) for part in packed])
    assert (every["unit"] == 10 * every["file"] + every["number"]).all()
    keys = ("file", "number", "first_file", "first_number")
    refusals = [tuple(int(row[key]) for key in keys) for row in every]
    assert len(refusals) == len(set(refusals))
    return set(refusals)


def _by_name(records: list[Record]) -> dict[str, list[Record]]:
    of = collections.defaultdict(list)
    for record in sorted(records, key=lambda record: record[1:3]):
        of[record[0]].append(record)
    return of


@given(RECORDS, st.randoms())
def test_of_one_id_all_but_the_first_are_refused(records: list[Record], random: object) -> None:
    expected = {
        (*other[1:3], *first[1:3])
        for first, *others in _by_name(records).values()
        for other in others
    }
    random.shuffle(records)
    for parts in (1, 3):
        assert _refused(_packed(records, entity=False, parts=parts)) == expected


@given(RECORDS, st.randoms())
def test_of_an_entity_in_both_splits_eval_is_refused(records: list[Record], random: object) -> None:
    expected = set()
    for of in _by_name(records).values():
        train = [record for record in of if not record[3]]
        expected |= {(*record[1:3], *train[0][1:3]) for record in of if record[3] and train}
    random.shuffle(records)
    for parts in (1, 3):
        assert _refused(_packed(records, entity=True, parts=parts)) == expected


def test_an_id_and_an_entity_may_bear_one_name() -> None:
    [ids], [entities] = (
        _packed([("a", 0, entity + 1, bool(entity))], entity=bool(entity)) for entity in (0, 1)
    )
    assert len(duplicates.refusals([*ids, *entities])) == 0


def test_the_sequences_that_are_cut_from_one_record_are_no_duplicates() -> None:
    records = [("a", 0, 1, False), ("a", 0, 1, False), ("a", 0, 2, False)]
    assert _refused(_packed(records, entity=False)) == {(0, 2, 0, 1)}
