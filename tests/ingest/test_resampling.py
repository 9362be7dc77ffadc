"""Steps at irregular times put on regular ones, against a loop over one step after another."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.options import InputOptions, StepOptions
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.steps.policies import apply
from ragline.components.ingest.steps.resampling import MOST_STEPS

SECOND = 10**9
COLUMNS = Columns(
    features=(
        Feature(name="gaps", unit=None, allow_missing=True),
        Feature(name="whole", unit=None, allow_missing=False),
    ),
    categories=(Category(name="word", kind="bytes"), Category(name="id", kind="int")),
    context={},
    has_time=True,
)
NAMES = ("gaps", "whole", "word", "id")
STEP = st.tuples(
    st.integers(0, 40).map(lambda quarter: quarter * SECOND // 4),
    st.sampled_from([np.nan, 1.0, 2.0, 4.0]),
    st.sampled_from([-3.0, 0.0, 5.0]),
    st.sampled_from(["", "x", "y"]),
    st.integers(0, 3),
)
RECORDS = st.lists(st.lists(STEP, max_size=9), min_size=1, max_size=4)


def _chunk(records):
    flat = [step for record in records for step in record]
    columns = [np.array([step[place] for step in flat]) for place in (1, 2)]
    words = np.empty(len(flat), object)
    words[:] = [step[3] for step in flat]
    columns += [words, np.array([step[4] for step in flat], np.int64)]
    return Chunk(
        number=np.arange(1, len(records) + 1),
        sequence_id=[f"s{place}" for place in range(len(records))],
        entity_id=[None] * len(records),
        length=np.array([len(record) for record in records], np.int64),
        values=dict(zip(NAMES, columns, strict=True)),
        time=np.array([step[0] for step in flat], np.int64),
        context={},
    )


def _sessions(record, gap):
    sessions = []
    for step in sorted(record, key=lambda step: step[0]):
        if not sessions or (gap is not None and step[0] - sessions[-1][-1][0] > gap * SECOND):
            sessions.append([])
        sessions[-1].append(step)
    return sessions


def _by_hand(session, every):
    """The steps (time, values of each column) of a session, None if nothing was observed."""
    first, width = session[0][0], round(every * SECOND)
    groups = {
        k: list(group)
        for k, group in itertools.groupby(session, lambda step: (step[0] - first) // width)
    }
    steps, known = [], sorted(groups)
    for k in range(known[-1] + 1):
        group = groups.get(k, [])
        seen = [step[1] for step in group if step[1] == step[1]]
        words = [step[3] for step in group if step[3]]
        before = max(place for place in known if place <= k)
        after = min(place for place in known if place >= k)
        low, high = (np.mean([step[2] for step in groups[place]]) for place in (before, after))
        way = (k - before) / max(after - before, 1)
        steps.append(
            (
                k * width,
                np.mean(seen) if seen else np.nan,
                low + way * (high - low),
                words[-1] if words else "",
                groups[before][-1][4],
            )
        )
    return steps, len(session) - len(groups), known[-1] + 1 - len(groups)


@settings(deadline=None)
@given(
    RECORDS,
    st.sampled_from([0.25, 0.3, 1.0, 2.0]),
    st.sampled_from([None, 2.0, 4.0]),
    st.sampled_from([4096, 3]),
)
def test_steps_are_resampled_as_a_loop_does(records, every, gap, most):
    options = StepOptions(resample=every, session_gap=gap, max_length=most)
    applied = apply(_chunk(records), COLUMNS, options)
    expected, refused, averaged, filled = [], [], 0, 0
    for place, record in enumerate(records):
        made = [_by_hand(session, every) for session in _sessions(record, gap)]
        if sum(len(steps) for steps, _, _ in made) > MOST_STEPS * len(record):
            refused.append(f"s{place}")
            continue
        averaged += sum(number for _, number, _ in made)
        filled += sum(number for _, _, number in made)
        expected += [
            steps[start : start + most]
            for steps, _, _ in made
            for start in range(0, len(steps), most)
        ]
        expected += [] if record else [[]]  # A later check refuses it.
    assert [(line.sequence_id, line.code) for line in applied.rejected] == [
        (name, "too_long") for name in refused
    ]
    chunks = list(applied.chunks)
    lengths = [length for chunk in chunks for length in chunk.length.tolist()]
    assert lengths == [len(steps) for steps in expected]
    flat = [step for steps in expected for step in steps]
    times = [step[0] - steps[0][0] for steps in expected for step in steps]
    assert [time for chunk in chunks for time in chunk.time.tolist()] == times
    for place, name in enumerate(NAMES, start=1):
        values = [value for chunk in chunks for value in chunk.values[name].tolist()]
        wanted = [step[place] for step in flat]
        if name in ("word", "id"):
            assert values == wanted
        else:
            np.testing.assert_allclose(values, wanted, rtol=1e-12, atol=1e-12)
    assert applied.counts.get("averaged_steps", 0) == averaged
    assert applied.counts.get("filled_steps", 0) == filled
    kept = sum(len(record) for place, record in enumerate(records) if f"s{place}" not in refused)
    assert kept + filled == sum(lengths) + averaged


def test_a_gap_that_would_fill_the_memory_is_refused_by_name():
    far = [(0, 1.0, 1.0, "x", 1), (10**18, 1.0, 1.0, "x", 1)]
    [line] = apply(_chunk([far]), COLUMNS, StepOptions(resample=1.0)).rejected
    assert line.code == "too_long"
    assert line.detail.startswith(
        "expected at most 20 steps, 10 for each step read, received 10000"
    )
    applied = apply(_chunk([far]), COLUMNS, StepOptions(resample=1.0, session_gap=60.0))
    assert not applied.rejected
    assert applied.sequence_id == ["s0#1", "s0#2"]


def test_records_that_other_policies_refuse_are_left_alone():
    falling = [(2, 1.0, 1.0, "x", 1), (0, 1.0, 1.0, "x", 1)]
    rising = [(0, 1.0, 1.0, "x", 1), (2 * SECOND, 1.0, 3.0, "x", 1)]
    options = StepOptions(resample=1.0, unsorted_time="reject")
    applied = apply(_chunk([falling, rising]), COLUMNS, options)
    assert [(line.sequence_id, line.code) for line in applied.rejected] == [("s0", "unsorted_time")]
    [chunk] = applied.chunks
    assert chunk.values["whole"].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("options", "mistake"),
    [
        ({"resample": 0.0}, "resample: expected seconds above 0, received 0.0"),
        ({"resample": 2.0, "session_gap": 1.0}, "resample: expected at most session_gap = 1.0"),
        ({"resample": 1.0, "time_delta": True}, "time_delta: expected false with resample"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, mistake):
    with pytest.raises(ValueError, match=mistake):
        StepOptions(**options)


def test_it_needs_times():
    with pytest.raises(ValueError, match="resample: expected order_by with it"):
        InputOptions(train="x.csv", steps=StepOptions(resample=1.0))
