"""Tests of grouping against a plain loop over rows; and of its order, which times do not touch."""

import collections
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.columns import Columns, Feature
from ragline.components.ingest.beam import grouping
from ragline.components.ingest.beam.grouping import Grouped, to_chunks
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import QuarantineLine, Rows
from ragline.components.ingest.steps.policies import apply

COLUMNS = Columns(
    features=(Feature(name="x", unit=None, allow_missing=False),),
    context={"site": "bytes", "age": "int", "weight": "float"},
    has_time=True,
)


@dataclass(frozen=True)
class Row:
    """One row of a table; with a code, a rejected one, which may have no id."""

    file: int
    number: int
    name: str | None
    value: float = 0.0
    time: int = 0
    entity: str | None = None
    site: str | None = None
    age: int | None = None
    weight: float | None = None
    code: str | None = None
    split: str | None = None


def rows_of(rows: list[Row]) -> Rows:
    """Rows of one file, in order."""
    kept = [row for row in rows if row.code is None]

    def objects(attribute: str) -> np.ndarray:
        column = np.empty(len(kept), object)
        column[:] = [getattr(row, attribute) for row in kept]
        return column

    entities = objects("entity")
    return Rows(
        file=rows[0].file,
        number=np.array([row.number for row in kept], np.int64),
        sequence_id=objects("name"),
        entity_id=None if all(entity is None for entity in entities) else entities,
        values={"x": np.array([row.value for row in kept], np.float64)},
        time=np.array([row.time for row in kept], np.int64),
        context={name: objects(name) for name in COLUMNS.context},
        split=rows[0].split,
        rejected=tuple(
            QuarantineLine(
                number=row.number, code=row.code, detail="bad", sequence_id=row.name, text="text"
            )
            for row in rows
            if row.code is not None
        ),
    )


def loop(rows: list[Row]) -> tuple[list[Any], list[Any], int]:
    """(sequences, rejected records, rows of these), as one would write it for few rows."""
    sequences, rejected, lost = [], [], 0
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: (row.file, row.number)):
        if row.name is None:
            rejected.append((row.file, row.number, row.code, None))
            lost += 1
        else:
            groups.setdefault(row.name, []).append(row)
    for name, group in groups.items():
        bad = [row for row in group if row.code]

        def several(attribute: str, group: list[Row] = group) -> bool:
            return len({getattr(row, attribute) for row in group} - {None}) > 1

        first = group[0]
        if bad:
            rejected.append((bad[0].file, bad[0].number, bad[0].code, name))
        elif several("split"):
            rejected.append((first.file, first.number, "entity_in_two_splits", name))
        elif several("entity"):
            rejected.append((first.file, first.number, "inconsistent_entity", name))
        elif any(several(context) for context in COLUMNS.context):
            rejected.append((first.file, first.number, "inconsistent_context", name))
        else:
            stated = {
                name: next((getattr(r, name) for r in group if getattr(r, name) is not None), None)
                for name in ("entity", *COLUMNS.context)
            }
            steps = [(row.value, row.time) for row in group]
            sequences.append((first.file, first.split, first.number, name, stated, steps))
            continue
        lost += len(group)
    return sequences, rejected, lost


def as_read(groups: list[Grouped]) -> tuple[list[Any], list[Any], int]:
    sequences, rejected = [], []
    for group in groups:
        chunk = group.part.chunk
        for place, begin in enumerate(chunk.starts.tolist()):
            steps = slice(begin, begin + int(chunk.length[place]))
            stated = {"entity": chunk.entity_id[place]}
            stated |= {name: column[place] for name, column in chunk.context.items()}
            steps_read = zip(
                chunk.values["x"][steps].tolist(), chunk.time[steps].tolist(), strict=True
            )
            number, name = int(chunk.number[place]), chunk.sequence_id[place]
            sequences.append((group.file, group.split, number, name, stated, list(steps_read)))
        for row in group.part.rejected:
            rejected.append((group.file, row.number, row.code, row.sequence_id))
    return sequences, rejected, sum(group.rejected_rows for group in groups)


rarely = st.integers(0, 15).map(lambda n: n == 0)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[Row], list[Rows]]:
    """Rows of some files, and the same as Rows: cut anywhere, in any order."""
    names = draw(st.lists(st.sampled_from("abcde"), max_size=30))
    split_of = draw(
        st.sampled_from([dict.fromkeys(range(3)), dict.fromkeys(range(3), "train")])
        | st.just({0: "train", 1: "eval", 2: "train"})
    )
    contexts = {
        "site": st.sampled_from(["here", "there"]),
        "age": st.sampled_from([0, 2**60, 2**60 + 1]),
        "weight": st.sampled_from([0.5, 1.5]),
    }
    rows: list[Row] = []
    file, number = 0, 0
    for place, name in enumerate(names):
        if draw(rarely) and file < 2:
            file, number = file + 1, 0
        number += draw(st.integers(1, 3))
        row = Row(
            file=file,
            number=number,
            name=name,
            value=float(place),
            time=draw(st.integers(0, 5)),
            entity=draw(st.sampled_from([None, name.upper()])),
            site=draw(st.sampled_from([None, f"site-{name}"])),
            age=draw(st.sampled_from([None, ord(name)])),
            weight=draw(st.sampled_from([None, ord(name) / 2])),
            split=split_of[file],
        )
        if draw(rarely):
            row = replace(row, code="type", name=draw(st.sampled_from([name, None])))
        elif draw(rarely):
            changed = draw(st.sampled_from([*contexts, "entity"]))
            other = draw(contexts.get(changed, st.just("other")))
            row = replace(row, **{changed: other})
        rows.append(row)
    parts: list[list[Row]] = []
    for row in rows:
        if not parts or parts[-1][0].file != row.file or draw(rarely):
            parts.append([])
        parts[-1].append(row)
    return rows, draw(st.permutations([rows_of(part) for part in parts]))


@settings(max_examples=sampled(400), deadline=None)
@given(tables(), st.sampled_from([1, 3, 100]))
def test_rows_are_grouped_as_a_loop_groups_them(
    table: tuple[list[Row], list[Rows]], chunk_steps: int
) -> None:
    rows, parts = table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "STEPS", chunk_steps)
        groups = list(to_chunks(parts, COLUMNS))
    sequences, rejected, lost = as_read(groups)
    expected, expected_rejected, expected_lost = loop(rows)
    assert sequences == expected
    assert sorted(rejected, key=str) == sorted(expected_rejected, key=str)
    assert lost == expected_lost
    # No row is lost: it is a step of a sequence, or counted with what was rejected.
    assert sum(len(steps) for *_, steps in sequences) + lost == len(rows)
    # A Chunk is of one file, and no longer than asked by more than one sequence.
    assert all(group.part.chunk.length[:-1].sum() < chunk_steps for group in groups)


def test_no_rows_are_no_sequences() -> None:
    assert list(to_chunks([], COLUMNS)) == []


def test_a_sequence_with_a_bad_row_tells_which() -> None:
    rows = [
        Row(0, 2, "a"),
        Row(0, 3, "b"),
        Row(0, 4, "a", code="type"),
        Row(0, 9, None, code="null"),
    ]
    bad, good = to_chunks([rows_of(rows)], COLUMNS)
    assert bad.part.rejected == (
        QuarantineLine(number=4, code="type", detail="row 4: bad", sequence_id="a", text="text"),
        QuarantineLine(number=9, code="null", detail="bad", sequence_id=None, text="text"),
    )
    assert bad.rejected_rows == 3
    assert good.part.chunk.sequence_id == ["b"]


@pytest.mark.parametrize(
    ("first", "other", "code", "detail"),
    [
        (
            {"site": "x"},
            {"site": "y"},
            "inconsistent_context",
            "expected one 'site' in all rows of the sequence, received 'x' in row 1 and 'y' in "
            "row 7 of another file",
        ),
        (
            {"entity": "x"},
            {"entity": "y"},
            "inconsistent_entity",
            "expected one entity_id in all rows of the sequence, received 'x' in row 1 and 'y' in "
            "row 7 of another file",
        ),
        (
            {"split": "train"},
            {"split": "eval"},
            "entity_in_two_splits",
            "expected one split in all rows of the sequence, received 'train' in row 1 and 'eval' "
            "in row 7 of another file",
        ),
    ],
)
def test_a_sequence_that_contradicts_itself_tells_where(
    first: dict[str, Any], other: dict[str, Any], code: str, detail: str
) -> None:
    parts = [rows_of([Row(1, 7, "a", **other)]), rows_of([Row(0, 1, "a", **first)])]
    (group,) = to_chunks(parts, COLUMNS)
    assert len(group.part.chunk) == 0
    (row,) = group.part.rejected
    assert (row.number, row.code, row.detail) == (1, code, detail)
    assert group.file == 0


def test_the_order_of_the_file_is_kept_for_the_policy_on_times() -> None:
    parts = [rows_of([Row(0, number, "a", time=time) for number, time in ((1, 5), (2, 3), (3, 3))])]
    (group,) = to_chunks(parts, COLUMNS)
    assert group.part.chunk.time.tolist() == [5, 3, 3]
    refused = apply(group.part.chunk, COLUMNS, StepOptions(unsorted_time="reject"))
    assert [row.code for row in refused.rejected] == ["unsorted_time"]
    [kept] = apply(group.part.chunk, COLUMNS, StepOptions()).chunks
    assert kept.time.tolist() == [0, 0, 2]


POLICIES = ("window", "head", "reject")


@settings(deadline=None)
@given(tables(), st.integers(1, 4), st.integers(1, 4), st.sampled_from(POLICIES))
def test_every_row_is_in_a_sequence_or_in_a_number(
    table: tuple[list[Row], list[Rows]], least: int, most: int, too_long: Any
) -> None:
    rows, parts = table
    options = StepOptions(
        min_length=min(least, most), max_length=most, too_long=too_long, duplicate_time="first"
    )
    counted: collections.Counter[str] = collections.Counter()
    for group in to_chunks(parts, COLUMNS):
        counted["rejected"] += group.rejected_rows
        applied = apply(group.part.chunk, COLUMNS, options)
        length = dict(zip(group.part.chunk.sequence_id, group.part.chunk.length, strict=True))
        counted["rejected"] += sum(int(length[row.sequence_id]) for row in applied.rejected)
        counted["written"] += sum(int(chunk.length.sum()) for chunk in applied.chunks)
        for name in ("duplicate_steps", "truncated_steps", "short_steps"):
            counted[name] += applied.counts.get(name, 0)
    assert counted.total() == len(rows)
