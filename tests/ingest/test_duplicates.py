"""Tests of the marks by which ids that stand twice, and entities in both splits, are found."""

import collections

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ragline.components.ingest.records import duplicates

Mark = tuple[str, int, int, bool]  # A name, a file, a number in it, whether in eval.
MARKS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(1, 4), st.booleans()),
    max_size=20,
    unique_by=lambda mark: (mark[1], mark[2]),
)


def _packed(marks: list[Mark], entity: bool, parts: int = 1) -> list[list[bytes]]:
    """The marks of each part, packed, as the units of each file's numbers give them."""
    found: list[list[bytes]] = [[] for _ in range(parts)]
    for name, file, number, in_eval in marks:
        made = duplicates.marks(
            [name],
            entity=entity,
            splits=np.array(["eval" if in_eval else "train"], object),
            unit=10 * file + number,
            file=file,
            number=np.array([number]),
        )
        for part, packed in duplicates.parted(made, parts):
            found[part].append(packed)
    return found


def _refused(packed: list[list[bytes]]) -> set[tuple[int, ...]]:
    every = np.concatenate([duplicates.refusals(part) for part in packed])
    assert (every["unit"] == 10 * every["file"] + every["number"]).all()
    keys = ("file", "number", "first_file", "first_number")
    found = [tuple(int(one[key]) for key in keys) for one in every]
    assert len(found) == len(set(found))
    return set(found)


def _by_name(marks: list[Mark]) -> dict[str, list[Mark]]:
    of = collections.defaultdict(list)
    for mark in sorted(marks, key=lambda mark: mark[1:3]):
        of[mark[0]].append(mark)
    return of


@given(MARKS, st.randoms())
def test_of_one_id_all_but_the_first_are_refused(marks: list[Mark], random: object) -> None:
    expected = {
        (*other[1:3], *first[1:3])
        for first, *others in _by_name(marks).values()
        for other in others
    }
    random.shuffle(marks)
    for parts in (1, 3):
        assert _refused(_packed(marks, entity=False, parts=parts)) == expected


@given(MARKS, st.randoms())
def test_of_an_entity_in_both_splits_eval_is_refused(marks: list[Mark], random: object) -> None:
    expected = set()
    for of in _by_name(marks).values():
        train = [mark for mark in of if not mark[3]]
        expected |= {(*mark[1:3], *train[0][1:3]) for mark in of if mark[3] and train}
    random.shuffle(marks)
    for parts in (1, 3):
        assert _refused(_packed(marks, entity=True, parts=parts)) == expected


def test_an_id_and_an_entity_may_bear_one_name() -> None:
    [ids], [entities] = (
        _packed([("a", 0, entity + 1, bool(entity))], entity=bool(entity)) for entity in (0, 1)
    )
    assert len(duplicates.refusals([*ids, *entities])) == 0


def test_the_sequences_that_are_cut_from_one_record_are_no_duplicates() -> None:
    marks = [("a", 0, 1, False), ("a", 0, 1, False), ("a", 0, 2, False)]
    assert _refused(_packed(marks, entity=False)) == {(0, 2, 0, 1)}
