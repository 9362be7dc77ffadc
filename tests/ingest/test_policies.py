"""Tests of the policies against a plain loop over one record after another."""

import collections
import itertools
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.contract.columns import Category, Columns, Feature
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.ingest.steps import policies
from ragline.components.ingest.steps.policies import Applied, apply

COLUMNS = Columns(
    features=(Feature(name="x", unit=None, allow_missing=False),),
    context={"site": "bytes"},
    categories=(Category(name="word", kind="bytes"), Category(name="code", kind="int")),
    has_time=True,
)
SECOND = 10**9
MAX = 2**63 - 1
LEFT_OUT = ("duplicate_steps", "short_steps", "truncated_steps")


def chunk_of(records: list[list[int]], with_time: bool = True) -> Chunk:
    """Records of times; every step has values of its own, by which it is known again."""
    length = np.array([len(times) for times in records], np.int64)
    steps = np.arange(length.sum())
    return Chunk(
        number=10 + np.arange(len(records)),
        sequence_id=[f"r{place}" for place in range(len(records))],
        entity_id=[None if place % 2 else f"e{place}" for place in range(len(records))],
        length=length,
        values={
            "x": steps.astype(np.float64),
            "word": np.array([f"w{step}" for step in steps], object),
            "code": -steps,
        },
        time=np.array([t for times in records for t in times], np.int64) if with_time else None,
        context={"site": [f"s{place}" for place in range(len(records))]},
        texts=[b"text %d" % place for place in range(len(records))],
    )


def whole(chunks: Collection[Chunk]) -> Chunk:
    """Chunks as one, of no sequence if there is none."""
    chunks = [*chunks] or [chunk_of([])]
    names = chunks[0].values
    timed = [chunk.time for chunk in chunks if chunk.time is not None]
    return Chunk(
        number=np.concatenate([chunk.number for chunk in chunks]),
        sequence_id=[name for chunk in chunks for name in chunk.sequence_id],
        entity_id=[name for chunk in chunks for name in chunk.entity_id],
        length=np.concatenate([chunk.length for chunk in chunks]),
        values={name: np.concatenate([chunk.values[name] for chunk in chunks]) for name in names},
        time=np.concatenate(timed) if timed else None,
        context={"site": [site for chunk in chunks for site in chunk.context["site"]]},
        texts=[text for chunk in chunks for text in chunk.texts or ()],
    )


@dataclass(frozen=True)
class Expected:
    """A sequence, as the loop has it: the steps by their place in the Chunk."""

    sequence_id: str
    record: int
    steps: list[int]
    times: list[int]


Outcome = tuple[list[Expected], list[tuple[int, str]], collections.Counter[str]]


def loop(records: list[list[int]], options: StepOptions, with_time: bool) -> Outcome:
    sequences: list[Expected] = []
    rejected: list[tuple[int, str]] = []
    counts: collections.Counter[str] = collections.Counter()
    begin = 0
    for place, times in enumerate(records):
        steps = list(zip(times, range(begin, begin + len(times)), strict=True))
        begin += len(times)
        made = loop_record(place, steps, options, with_time)
        if isinstance(made, str):
            rejected.append((place, made))
        else:
            sequences += made[0]
            counts += made[1]
    return sequences, rejected, counts


def loop_record(
    place: int, steps: list[tuple[int, int]], options: StepOptions, with_time: bool
) -> str | tuple[list[Expected], collections.Counter[str]]:
    counts: collections.Counter[str] = collections.Counter()
    if not steps:
        return [Expected(f"r{place}", place, [], [])], counts
    sessions = [steps]
    if with_time:
        if options.negative_time == "reject" and any(time < 0 for time, _ in steps):
            return "negative_time"
        rising = sorted(steps, key=lambda step: step[0])
        if options.unsorted_time == "reject" and rising != steps:
            return "unsorted_time"
        if options.duplicate_time != "keep":
            once = [
                rising[i] for i in range(len(rising)) if not i or rising[i - 1][0] < rising[i][0]
            ]
            if options.duplicate_time == "reject" and len(once) < len(rising):
                return "duplicate_time"
            counts["duplicate_steps"] += len(rising) - len(once)
            rising = once
        sessions = [[rising[0]]]
        for before, step in itertools.pairwise(rising):
            gap = options.session_gap
            if gap is not None and step[0] - before[0] > round(min(gap, 1e20) * SECOND):
                sessions.append([])
            sessions[-1].append(step)
    sequences = []
    for ordinal, session in enumerate(sessions, 1):
        name = f"r{place}#{ordinal}" if len(sessions) > 1 else f"r{place}"
        kept = loop_session(session, options, counts)
        if kept is None:
            return "too_long"
        if kept and len(sessions) > 1:
            counts["sessions"] += 1
        for start, stop in kept:
            cut = f"[{start}:{stop}]" if stop - start < len(session) else ""
            times = [time for time, _ in session[start:stop]]
            kept_steps = [step for _, step in session[start:stop]]
            sequences.append(Expected(name + cut, place, kept_steps, [t - times[0] for t in times]))
    if not sequences:
        return "too_short"
    if with_time and any(sequence.times[-1] > MAX for sequence in sequences):
        return "int_overflow"
    return sequences, counts


def loop_session(
    session: list[Any], options: StepOptions, counts: collections.Counter[str]
) -> list[tuple[int, int]] | None:
    length, most = len(session), options.max_length
    if length <= most:
        if length >= options.min_length:
            return [(0, length)]
        counts["short_sessions"] += 1
        counts["short_steps"] += length
        return []
    if options.too_long == "reject":
        return None
    if options.too_long != "window":
        counts["truncated_steps"] += length - most
        return [(0, most)] if options.too_long == "head" else [(length - most, length)]
    kept, start, seen = [], 0, 0
    while seen < length:
        stop = min(start + most, length)
        if stop - start >= options.min_length:
            kept.append((start, stop))
            counts["windows"] += 1
        else:
            counts["short_windows"] += 1
            counts["short_steps"] += stop - seen
        seen, start = stop, start + (options.stride or most)
    if options.align == "end":
        return [(length - stop, length - start) for start, stop in reversed(kept)]
    return kept


@st.composite
def step_options(draw: st.DrawFn) -> StepOptions:
    most = draw(st.integers(1, 6))
    return StepOptions(
        unsorted_time=draw(st.sampled_from(["sort", "sort", "reject"])),
        duplicate_time=draw(st.sampled_from(["keep", "first", "reject"])),
        negative_time=draw(st.sampled_from(["keep", "keep", "reject"])),
        session_gap=draw(st.sampled_from([None, 1.0, 1.5, 3.0, 1e-12, 1e300])),
        max_length=most,
        too_long=draw(st.sampled_from(["window", "window", "head", "tail", "reject"])),
        stride=draw(st.none() | st.integers(1, most)),
        align=draw(st.sampled_from(["start", "end"])),
        min_length=draw(st.integers(1, most)),
        time_delta=draw(st.booleans()),
    )


halves = st.integers(-2, 40).map(lambda half: half * SECOND // 2)
extremes = st.sampled_from([-MAX, -1, 0, 1, MAX - 1, MAX])
one_record = (
    st.lists(halves, max_size=16).map(sorted)
    | st.lists(halves, max_size=16)
    | st.lists(extremes, max_size=4)
)
records = st.lists(one_record, max_size=5)


# The last window, [3:7], is short, and the one before it holds three of its four steps.
OVERLAP = StepOptions(max_length=6, stride=3, min_length=6, time_delta=True)


def as_read(chunk: Chunk) -> list[tuple[str | None, list[float], list[str], list[int]]]:
    ends = np.cumsum(chunk.length)[:-1]
    flat = [np.split(chunk.values[name], ends) for name in ("x", "word", "code")]
    columns = [[column.tolist() for column in split] for split in flat]
    return list(zip(chunk.sequence_id, *columns, strict=False))[: len(chunk)]


@settings(max_examples=sampled(500), deadline=None)
@given(records, step_options(), st.booleans(), st.integers(1, 40))
@example([list(range(7))], OVERLAP, True, 6)
def test_the_policies_do_what_a_loop_does(
    given_records: list[list[int]], options: StepOptions, with_time: bool, most: int
) -> None:
    chunk = chunk_of(given_records, with_time)
    applied = apply(chunk, COLUMNS, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(policies, "STEPS", most)
        chunks = list(applied.chunks)
    sequences, rejected, counts = loop(given_records, options, with_time)

    # However much overlaps, a Chunk is small; only one that is as it was read may be larger.
    assert all(len(c) == 1 or c.length.sum() <= most for c in chunks) or len(chunks) == 1
    made = whole(chunks)
    assert applied.sequence_id == made.sequence_id
    assert as_read(made) == [
        (s.sequence_id, s.steps, [f"w{step}" for step in s.steps], [-step for step in s.steps])
        for s in sequences
    ]
    assert [(row.number - 10, row.code) for row in applied.rejected] == rejected
    assert all(row.text == f"text {row.number - 10}" for row in applied.rejected)
    assert applied.counts == counts
    assert applied.record.tolist() == [s.record for s in sequences]
    assert made.number.tolist() == [10 + s.record for s in sequences]
    assert made.context["site"] == [f"s{s.record}" for s in sequences]
    assert made.texts == [b"text %d" % s.record for s in sequences]
    entities = [f"r{s.record}" if s.record % 2 else f"e{s.record}" for s in sequences]
    own = zip(made.entity_id, made.sequence_id, strict=True)
    assert [own_id if entity is None else entity for entity, own_id in own] == entities
    if not with_time:
        assert applied.start is None
        assert all(chunk.time is None for chunk in chunks)
        return
    assert made.time.tolist() == [time for s in sequences for time in s.times]
    first = [min(times, default=0) for times in given_records]
    assert applied.start.tolist() == [first[s.record] for s in sequences]
    if options.time_delta and sequences:
        deltas = [
            (s.times[i] - s.times[i - 1]) / SECOND if i else 0.0
            for s in sequences
            for i in range(len(s.times))
        ]
        assert made.values["time_delta"].tolist() == deltas


@settings(max_examples=sampled(300), deadline=None)
@given(records, step_options(), st.booleans())
@example([list(range(7))], OVERLAP, True)
def test_no_step_is_lost_without_a_number(
    given_records: list[list[int]], options: StepOptions, with_time: bool
) -> None:
    chunk = chunk_of(given_records, with_time)
    applied = apply(chunk, COLUMNS, options)
    refused = {row.number - 10 for row in applied.rejected}
    read = sum(len(times) for place, times in enumerate(given_records) if place not in refused)
    left_out = sum(n for name, n in applied.counts.items() if name in LEFT_OUT)
    assert read == len(set(whole(applied.chunks).values["x"].tolist())) + left_out
    # Each record is refused or made into sequences, never both and never neither.
    assert sorted([*refused, *set(applied.record.tolist())]) == list(range(len(given_records)))


@settings(max_examples=sampled(100), deadline=None)
@given(st.lists(one_record, min_size=2, max_size=5), step_options())
def test_a_record_does_not_depend_on_its_neighbours(
    given_records: list[list[int]], options: StepOptions
) -> None:
    together = apply(chunk_of(given_records), COLUMNS, options)
    alone = [apply(chunk_of([times]), COLUMNS, options) for times in given_records]
    made, one_by_one = whole(together.chunks), [whole(a.chunks) for a in alone]
    assert made.length.tolist() == [n for chunk in one_by_one for n in chunk.length.tolist()]
    assert made.time.tolist() == [t for chunk in one_by_one for t in chunk.time.tolist()]
    assert [r.detail for r in together.rejected] == [r.detail for a in alone for r in a.rejected]
    counts = sum((collections.Counter(a.counts) for a in alone), collections.Counter[str]())
    assert together.counts == counts


def applied_to(times: list[int], **given_options: Any) -> Applied:
    return apply(chunk_of([times]), COLUMNS, StepOptions(**given_options))


@pytest.mark.parametrize(
    ("times", "given_options", "code", "detail"),
    [
        (
            [3, -1],
            {"negative_time": "reject"},
            "negative_time",
            "step 1: expected 0 ns or more, received -1",
        ),
        (
            [3, 5, 4],
            {"unsorted_time": "reject"},
            "unsorted_time",
            "step 2: expected 5 ns or more, as at the step before, received 4",
        ),
        (
            [5, 3, 5],
            {"duplicate_time": "reject"},
            "duplicate_time",
            "expected each time once, received two steps at 5 ns",
        ),
        (
            [1, 2, 3],
            {"max_length": 2, "too_long": "reject"},
            "too_long",
            "expected at most 2 steps, received 3",
        ),
        (
            [1, 2 * SECOND, 2 * SECOND + 1],
            {"max_length": 1, "too_long": "reject", "session_gap": 1.0},
            "too_long",
            "session 2: expected at most 1 steps, received 2",
        ),
        ([1], {"min_length": 2}, "too_short", "expected at least 2 steps, received 1"),
        (
            [1, 2, 3 * SECOND],
            {"min_length": 3, "session_gap": 1.0},
            "too_short",
            "expected a session of at least 3 steps, received 2 of at most 2",
        ),
        (
            [-1, MAX],
            {},
            "int_overflow",
            f"expected at most {MAX} ns from a sequence's first step to its last, "
            f"received -1 and {MAX}",
        ),
    ],
)
def test_a_refused_record_tells_what_and_where(
    times: list[int], given_options: dict[str, Any], code: str, detail: str
) -> None:
    applied = applied_to(times, **given_options)
    assert [(row.code, row.detail, row.sequence_id) for row in applied.rejected] == [
        (code, detail, "r0")
    ]
    assert not list(applied.chunks)
    assert applied.counts == {}


def test_an_epoch_in_nanoseconds_is_rebased_exactly() -> None:
    epoch = 1714564800 * SECOND
    applied = applied_to([epoch, epoch + 1, epoch + 3], time_delta=True)
    [chunk] = applied.chunks
    assert chunk.time.tolist() == [0, 1, 3]
    assert chunk.values["time_delta"].tolist() == [0.0, 1e-9, 2e-9]
    assert applied.start.tolist() == [epoch]


def test_a_schema_without_times_gets_none_and_has_none_refused() -> None:
    columns = Columns(features=COLUMNS.features, context={})
    applied = apply(chunk_of([[-1, MAX]]), columns, StepOptions())
    assert applied.rejected == ()
    assert all(chunk.time is None for chunk in applied.chunks)
    assert applied.start.tolist() == [-1]


def test_a_chunk_that_suits_is_not_copied() -> None:
    chunk = chunk_of([[1, 2], [], [3]])
    [made] = apply(chunk, COLUMNS, StepOptions()).chunks
    assert made.values["x"] is chunk.values["x"]
    assert made.entity_id == chunk.entity_id


def test_a_million_steps_are_cut_into_windows_that_overlap() -> None:
    times = np.arange(10**6, dtype=np.int64)
    chunk = Chunk(
        number=np.array([1]),
        sequence_id=["long"],
        entity_id=[None],
        length=np.array([len(times)]),
        values={"x": times.astype(np.float64)},
        time=times,
        context={},
    )
    # 41 times the steps that were read, of which one Chunk at a time is in memory.
    applied = apply(chunk, COLUMNS, StepOptions(max_length=4096, stride=100))
    count = 1 + -(-(10**6 - 4096) // 100)
    assert len(applied.sequence_id) == len(applied.record) == count
    assert applied.sequence_id[-1] == "long[996000:1000000]"
    seen = np.zeros(len(times), np.int64)
    sequences = 0
    for made in applied.chunks:
        assert made.length.sum() <= policies.STEPS
        assert set(made.entity_id) == {"long"}
        sequences += len(made)
        seen += np.bincount(made.values["x"].astype(np.int64), minlength=len(times))
    assert sequences == count
    assert seen.min() == 1 and seen.max() == 41
