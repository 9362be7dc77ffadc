"""Apply the step policies: sort the steps of records, cut them into sequences, or refuse them.

Pure, and on a whole Chunk at a time. `options.StepOptions` says what each policy does, in the order
in which they apply. A refused record is refused whole, with the code of the first policy that it
breaks:

    negative_time   a time below 0
    unsorted_time   a time below the one before it
    duplicate_time  two steps at one time
    empty           merged, no step in which anything was observed
    too_long        a session of more than `max_length` steps, or resampled, of too wide gaps
    too_short       no session of `min_length` steps
    int_overflow    more than 2^63 - 1 nanoseconds from a sequence's first step to its last

A record without long pauses is one session. Ids tell what was cut: `id#2` is the second session of
a record that has several, `id[0:4096]` are the first 4,096 steps of one that has more, and
`id#2[0:4096]` those of its second session.

No step is lost without a number. Of the records that are not refused,

    steps read = steps in sequences, each counted once
                 + duplicate_steps + empty_steps + short_steps + truncated_steps
                 + averaged_steps - filled_steps
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from ragline.components.contract.columns import TIME_DELTA, Columns
from ragline.components.ingest.options import StepOptions
from ragline.components.ingest.records.chunk import Chunk, QuarantineLine, runs
from ragline.components.ingest.records.refusals import Refusals
from ragline.components.ingest.steps.calendar import CALENDAR
from ragline.components.ingest.steps.merging import merge
from ragline.components.ingest.steps.resampling import resample
from ragline.components.ingest.steps.time_order import SECOND, after_pause, elapsed, sort_steps
from ragline.components.ingest.steps.windowing import Pieces, cut

# Windows that overlap are many times the steps that they are cut from: of a Chunk of sequences, no
# more than so many; a longer sequence has one of its own.
STEPS = 1 << 18

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Holds the sequences that the policies made of a Chunk of N records.

    Attributes:
      chunks: N' sequences in all, in the records' order, each Chunk made when it is iterated, once;
        `time` counts from the first step of each, and is None if the schema has no times.
      sequence_id: the ids of the N' sequences.
      record: int64 [N'], the place of each sequence's record in the Chunk.
      start: int64 [N'], the time of the first step of each sequence's record, as it was read, by
        which a record falls in one split whole; 0 where there is no step, None without times.
      window: int64 [N', 2], the steps of its session that each sequence has: the first, and the end
        of them, exclusive, as in `id[0:4096]`; 0 and its length if it is not cut.
      rejected: the refused records, in order.
      counts: what was done to the other records, where it is not 0: `sessions` and `windows`
        written, `short_sessions` and `short_windows` left out, with `short_steps` that are
        therefore in no sequence, and `duplicate_steps`, `empty_steps` and `truncated_steps` left
        out; `averaged_steps` went into others as they were resampled, and `filled_steps` were made
        of nothing observed; `replaced_values` gave way to later ones of the same time.
    """

    chunks: Iterator[Chunk]
    sequence_id: Collection[str | None]
    record: np.ndarray
    start: np.ndarray | None
    window: np.ndarray
    rejected: tuple[QuarantineLine, ...]
    counts: Mapping[str, int]


def apply(chunk: Chunk, columns: Columns, options: StepOptions, zone: str | None = None) -> Applied:
    """Apply all policies but that on missing values, which `checks` applies.

    Args:
      chunk: N records, each with an id; one without steps passes, for a check to refuse.
      columns: the columns of the schema.
      options: the policies.
      zone: the zone of the clocks by which hours and days are told; None is UTC.
    """
    merged = None
    if options.duplicate_time == "merge":
        merged = merge(chunk, sort=options.unsorted_time == "sort", derived=options.derived)
        chunk = merged.chunk
    refusals = Refusals(chunk)
    if merged and (empty := np.flatnonzero((chunk.length == 0) & (merged.empty > 0))).size:
        refusals.add("empty", empty, empty, lambda _: "no step holds a value of a feature")
    kept, length = sort_steps(chunk, options, refusals)
    counts = {"duplicate_steps": chunk.length - length}
    time = chunk.time if chunk.time is None or kept is None else chunk.time[kept]
    if options.resample is not None and time is not None:
        resampled = resample(
            chunk,
            np.arange(len(time)) if kept is None else kept,
            time,
            length,
            every=options.resample,
            session_gap=options.session_gap,
            complete=[each.name for each in columns.features if not each.allow_missing],
            refusals=refusals,
        )
        counts |= {"averaged_steps": resampled.averaged, "filled_steps": resampled.filled}
        chunk, kept = resampled.chunk, None
        length, time = chunk.length, chunk.time
    if merged:
        counts["duplicate_steps"] = counts["duplicate_steps"] + merged.steps
        counts |= {"empty_steps": merged.empty, "replaced_values": merged.replaced}
    pieces = cut(length, after_pause(time, options.session_gap), options)

    short = (pieces.length < options.min_length) & (pieces.length > 0)
    if options.too_long == "reject":
        _refuse_long(pieces, options.max_length, refusals)
    _refuse_short(pieces, short, options.min_length, refusals)
    if time is not None and (columns.has_time or options.time_delta):
        _refuse_overflow(pieces.select(~short), time, refusals)

    whole = ~refusals.mask
    pieces, short = pieces.select(whole[pieces.record]), short[whole[pieces.record]]
    written = pieces.select(~short)
    of_records = {name: int(number[whole].sum()) for name, number in counts.items()}
    of_all = _counts(written, pieces.select(short), options) | of_records
    start = None
    if time is not None:
        start = _first_times(time, length)[written.record]
    ids = _ids(chunk, written)
    return Applied(
        chunks=_sequences(chunk, kept, written, ids, columns, options, zone),
        sequence_id=ids,
        record=written.record,
        start=start,
        window=np.stack([written.start, written.stop], axis=1),
        rejected=refusals.rejected(),
        counts={name: count for name, count in of_all.items() if count},
    )


def _refuse_long(pieces: Pieces, most: int, refusals: Refusals) -> None:
    long = np.flatnonzero(pieces.steps > most)

    def detail(place: int) -> str:
        session = pieces.session[place]
        where = f"session {session}: " if session else ""
        return f"{where}expected at most {most} steps, received {pieces.steps[place]}"

    refusals.add("too_long", pieces.record[long], long, detail)


def _refuse_short(pieces: Pieces, short: np.ndarray, least: int, refusals: Refusals) -> None:
    """Refuse the records of which every piece is short; such pieces are sessions."""
    number = np.bincount(pieces.record)
    lost = np.flatnonzero(number == np.bincount(pieces.record[short], minlength=len(number)))
    longest = np.zeros(len(number), np.int64)
    np.maximum.at(longest, pieces.record, pieces.steps)

    def detail(record: int) -> str:
        several = number[record] > 1
        received = f"{number[record]} of at most {longest[record]}" if several else longest[record]
        what = "a session of " if several else ""
        return f"expected {what}at least {least} steps, received {received}"

    refusals.add("too_short", lost, lost, detail)


def _refuse_overflow(pieces: Pieces, time: np.ndarray, refusals: Refusals) -> None:
    pieces = pieces.select(pieces.length > 0)
    first, last = time[pieces.first], time[pieces.first + pieces.length - 1]
    far = np.flatnonzero(elapsed(last, first) > np.uint64(_INT64_MAX))
    refusals.add(
        "int_overflow",
        pieces.record[far],
        far,
        lambda place: (
            f"expected at most {_INT64_MAX} ns from a sequence's first step to its last, "
            f"received {first[place]} and {last[place]}"
        ),
    )


def _counts(written: Pieces, left_out: Pieces, options: StepOptions) -> dict[str, int]:
    """Count what was cut, and what was left out for being short."""
    windowed = options.too_long == "window"
    # Of a window left out, its neighbour holds a part: the one before it or, if windows are aligned
    # at the end, the one after it.
    overlap = np.where(
        left_out.is_cut, options.max_length - (options.stride or options.max_length), 0
    )
    sessions = written.select(written.session > 0)
    return {
        "sessions": int((np.diff(sessions.begin, prepend=-1) > 0).sum()),
        "windows": int(written.is_cut.sum()) if windowed else 0,
        "short_sessions": int((~left_out.is_cut).sum()),
        "short_windows": int(left_out.is_cut.sum()),
        "short_steps": int((left_out.length - overlap).sum()),
        "truncated_steps": 0 if windowed else int((written.steps - written.length).sum()),
    }


def _first_times(time: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return the time of each record's first step, int64 [N]; 0 if it has none."""
    some = length > 0
    times = np.zeros(len(length), np.int64)
    times[some] = time[(np.cumsum(length) - length)[some]]
    return times


def _sequences(
    chunk: Chunk,
    kept: np.ndarray | None,
    pieces: Pieces,
    ids: list[str | None],
    columns: Columns,
    options: StepOptions,
    zone: str | None,
) -> Iterator[Chunk]:
    """Yield the pieces as sequences; a piece counts its steps among the kept steps."""
    for sequences in _gathered(chunk, kept, pieces, ids):
        time = sequences.time
        yield sequences if time is None else _rebased(sequences, time, columns, options, zone)


def _gathered(
    chunk: Chunk, kept: np.ndarray | None, pieces: Pieces, ids: list[str | None]
) -> Iterator[Chunk]:
    whole = np.array_equal(pieces.record, np.arange(len(chunk)))
    if kept is None and whole and np.array_equal(pieces.length, chunk.length):
        yield chunk
        return
    for begin, end in runs(pieces.length, STEPS):
        part = pieces.select(slice(begin, end))
        length, places = part.length, part.record.tolist()
        steps = np.repeat(part.first - (np.cumsum(length) - length), length)
        steps += np.arange(len(steps))
        if kept is not None:
            steps = kept[steps]
        yield Chunk(
            number=chunk.number[part.record],
            sequence_id=ids[begin:end],
            entity_id=[_entity(chunk, place) for place in places],
            length=length,
            values={name: column[steps] for name, column in chunk.values.items()},
            time=None if chunk.time is None else chunk.time[steps],
            context={
                name: [column[place] for place in places] for name, column in chunk.context.items()
            },
            texts=None if chunk.texts is None else [chunk.texts[place] for place in places],
        )


def _entity(chunk: Chunk, place: int) -> str | None:
    """Return the entity of a record; one that states none is its own, with all its pieces."""
    stated = chunk.entity_id[place]
    return chunk.sequence_id[place] if stated is None else stated


def _ids(chunk: Chunk, pieces: Pieces) -> list[str | None]:
    ids = [chunk.sequence_id[place] for place in pieces.record.tolist()]
    is_cut = pieces.is_cut
    for place in np.flatnonzero(is_cut | (pieces.session > 0)).tolist():
        session = f"#{pieces.session[place]}" if pieces.session[place] else ""
        window = f"[{pieces.start[place]}:{pieces.stop[place]}]" if is_cut[place] else ""
        ids[place] = f"{ids[place]}{session}{window}"
    return ids


def _rebased(
    chunk: Chunk, time: np.ndarray, columns: Columns, options: StepOptions, zone: str | None
) -> Chunk:
    """Count times from each sequence's first step, and add what the options derive from them."""
    begin = chunk.starts[chunk.length > 0]
    values = dict(chunk.values)
    values |= {n: CALENDAR[n](time, zone) for n in options.derived if n in CALENDAR}
    time = time - np.repeat(time[begin], chunk.length[chunk.length > 0])
    if options.time_delta:
        delta = np.diff(time, prepend=0)
        delta[begin] = 0
        values[TIME_DELTA] = delta / SECOND
    return replace(chunk, values=values, time=time if columns.has_time else None)
