"""Steps of one time made one: of each column the last value that was observed."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.steps.merging import merge
from ragline.components.ingest.steps.policies import apply

COLUMNS = Columns(
    features=(
        Feature(name="a", unit=None, allow_missing=True),
        Feature(name="b", unit=None, allow_missing=True),
    ),
    categories=(Category(name="w", kind="bytes"),),
    context={},
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from([np.nan, 1.0, 2.0]),
        st.sampled_from([np.nan, 3.0]),
        st.sampled_from(["", "x", "y"]),
    ),
    min_size=1,
    max_size=8,
)


def _chunk(records: list[list[tuple[int, float, float, str]]]) -> Chunk:
    flat = [step for record in records for step in record]
    words = np.empty(len(flat), object)
    words[:] = [step[3] for step in flat]
    return Chunk(
        number=np.arange(1, len(records) + 1),
        sequence_id=[f"s{i}" for i in range(len(records))],
        entity_id=[None] * len(records),
        length=np.array([len(record) for record in records], np.int64),
        values={
            "a": np.array([step[1] for step in flat]),
            "b": np.array([step[2] for step in flat]),
            "w": words,
        },
        time=np.array([step[0] for step in flat], np.int64),
        context={},
    )


def _by_hand(record):
    """Time -> the last value observed of each column, of times at which any was."""
    merged = {}
    for time, *values in record:
        step = merged.setdefault(time, [np.nan, np.nan, ""])
        for place, value in enumerate(values):
            if value == value and value != "":
                step[place] = value
    return [
        (time, *step)
        for time, step in sorted(merged.items())
        if any(value == value and value != "" for value in step)
    ]


@settings(deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=4))
def test_steps_of_one_time_are_one_step(records):
    chunk = _chunk(records)
    merged = merge(chunk, sort=True)
    expected = [step for record in records for step in _by_hand(record)]
    assert merged.chunk.length.tolist() == [len(_by_hand(record)) for record in records]
    assert merged.chunk.time.tolist() == [step[0] for step in expected]
    for place, name in enumerate(("a", "b"), start=1):
        np.testing.assert_array_equal(
            merged.chunk.values[name], np.array([step[place] for step in expected])
        )
    assert merged.chunk.values["w"].tolist() == [step[3] for step in expected]
    assert (chunk.length == merged.chunk.length + merged.steps + merged.empty).all()
    assert (merged.replaced >= 0).all()


def test_what_gave_way_is_counted_and_a_record_of_nothing_is_refused():
    nothing = (0, np.nan, np.nan, "")
    chunk = _chunk(
        [[(0, 1.0, np.nan, ""), (0, 2.0, 3.0, ""), nothing, (5, np.nan, 3.0, "x")], [nothing]]
    )
    applied = apply(chunk, COLUMNS, StepOptions(duplicate_time="merge"))
    assert applied.counts == {"duplicate_steps": 2, "replaced_values": 1}
    [rejected] = applied.rejected
    assert (rejected.sequence_id, rejected.code) == ("s1", "empty")
    [sequences] = list(applied.chunks)
    assert sequences.values["a"].tolist()[0] == 2.0
    assert sequences.length.tolist() == [2]
