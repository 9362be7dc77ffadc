"""Rows come back from their files as they were, in the shards of their sequences."""

import dataclasses
import pathlib

import numpy as np
import pytest
from ingest.random_records import samples

from ragline.components.ingest.beam import packed_rows, spill
from ragline.components.ingest.records.chunk import QuarantineLine, Rows

COLUMNS = ("number", "sequence_id", "entity_id", "time")
BAD = [
    QuarantineLine(number=7, code="type", detail="é", sequence_id="s-0-ä", text='\ud800 "\n'),
    QuarantineLine(number=9, code="encoding", detail="", sequence_id=None, text=""),
]


def _objects(values) -> np.ndarray:
    objects = np.empty(len(values), object)
    objects[:] = values
    return objects


def _rows(seed: int, *, whole: bool) -> Rows:
    """Steps of some sequences; not `whole`: without times, entities and some context."""
    made = samples(20, seed)
    length = [sample.length for sample in made]
    steps = sum(length)
    context = {
        "label": _objects(np.repeat([s.label for s in made], length).tolist()),
        # Above 2^53, and not all of them there.
        "age": _objects([None if i % 3 else 2**62 + i for i in range(steps)]),
        "weight": _objects([[None, float("nan"), 0.1][i % 3] for i in range(steps)]),
        "none": _objects([None] * steps),
    }
    return Rows(
        file=3,
        number=np.arange(steps) + 1,
        sequence_id=_objects(np.repeat([s.sequence_id for s in made], length).tolist()),
        entity_id=_objects(np.repeat([s.entity_id for s in made], length).tolist())
        if whole
        else None,
        values={
            "b": np.concatenate([s.values[:, 1] for s in made]),
            "word": _objects([word for s in made for word in s.words]),
            "code": np.concatenate([s.codes for s in made]),
        },
        time=np.concatenate([s.time for s in made]) if whole else None,
        context=context,
        split="eval" if whole else None,
        rejected=tuple(BAD) if whole else (),
    )


def _same(received: np.ndarray | None, expected: np.ndarray | None) -> None:
    if expected is None:
        assert received is None
        return
    assert received.dtype == expected.dtype
    assert [(type(x), repr(x)) for x in received] == [(type(x), repr(x)) for x in expected]


@pytest.mark.parametrize("shards", [1, 3])
def test_rows_come_back_as_they_were_written(tmp_path: pathlib.Path, shards: int) -> None:
    parts = [_rows(0, whole=True), _rows(1, whole=False), _rows(2, whole=True)]
    spills = spill.write(tmp_path / "rows", parts, shards)
    expected = [(shard, rows) for part in parts for shard, rows in packed_rows.assign(part, shards)]
    assert spills.keys() == {shard for shard, _ in expected} == set(range(shards))
    for shard, place in spills.items():
        read = list(spill.read([place]))
        assigned = [rows for of, rows in expected if of == shard]
        for received, rows in zip(read, assigned, strict=True):
            assert (received.file, received.split, received.rejected) == (
                rows.file,
                rows.split,
                rows.rejected,
            )
            for column in COLUMNS:
                _same(getattr(received, column), getattr(rows, column))
            for columns in ("values", "context"):
                assert getattr(received, columns).keys() == getattr(rows, columns).keys()
                for name, column in getattr(rows, columns).items():
                    _same(getattr(received, columns)[name], column)


def test_rows_of_a_sequence_go_to_one_shard_and_none_is_lost() -> None:
    rows = _rows(0, whole=True)
    assigned = dict(packed_rows.assign(rows, 4))
    assert sum(map(len, assigned.values())) == len(rows)
    owners = [set(part.sequence_id) for part in assigned.values()]
    assert len(set.union(*owners)) == sum(map(len, owners))
    assert sorted(
        (dataclasses.astuple(bad) for part in assigned.values() for bad in part.rejected), key=repr
    ) == sorted(map(dataclasses.astuple, BAD), key=repr)
    follower = next(part for part in assigned.values() if BAD[0] in part.rejected)
    assert BAD[0].sequence_id in follower.sequence_id
