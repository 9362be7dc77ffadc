"""Tests of times against the standard library: exact to the nanosecond, or said to be bad."""

import datetime
import fractions

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ragline.components.ingest.steps import times

UNITS = st.sampled_from(sorted(times.NANOSECONDS))
MAX = 2**63 - 1
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@given(st.lists(st.integers(-(2**63), MAX)), UNITS)
@example([MAX // 10**9, MAX // 10**9 + 1, -(MAX // 10**9), -(MAX // 10**9) - 1], "s")
@example([MAX, -MAX, -MAX - 1], "ns")
def test_integers_are_multiplied_or_bad(values: list[int], unit: times.Unit) -> None:
    received, bad = times.from_numbers(np.array(values, np.int64), unit)
    exact = [value * times.NANOSECONDS[unit] for value in values]
    assert bad.tolist() == [abs(time) > MAX for time in exact]
    assert received.tolist() == [0 if abs(time) > MAX else time for time in exact]


@given(st.lists(st.floats() | st.floats(-2e9, 2e9)), UNITS)
@example([1714564800.123456, -0.5, 9223372036.9, 9.3e18, -9.3e18, float("inf")], "s")
@example([2.0**63, -(2.0**63), np.nextafter(2.0**63, 0)], "ns")
def test_floats_are_rounded_to_the_nanosecond_or_bad(values: list[float], unit: times.Unit) -> None:
    received, bad = times.from_numbers(np.array(values, np.float64), unit)
    factor = times.NANOSECONDS[unit]
    for value, time, refused in zip(values, received.tolist(), bad.tolist(), strict=True):
        if refused:
            # Bad one unit early: the last, incomplete one before the bound is not used.
            assert not abs(value) < MAX // factor - 1
        else:
            # Half a nanosecond of rounding, and float64's of a fraction times at most 1e9.
            assert abs(time - fractions.Fraction(value) * factor) <= 0.5 + 2**-23


OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, int | None]:
    """A time as text and, from the standard library, its nanoseconds; None out of bounds."""
    day = draw(st.dates() | st.dates(datetime.date(1677, 9, 20), datetime.date(1677, 9, 22)))
    clock = draw(st.times()).replace(microsecond=0)
    text, nanoseconds, offset = day.isoformat(), 0, 0
    form = draw(st.sampled_from(["day", "hour", "minute", "second", "fraction"]))
    if form == "day":
        clock = datetime.time()
    else:
        kept = {"hour": 2, "minute": 5}.get(form, 8)
        text += draw(st.sampled_from("T ")) + clock.isoformat()[:kept]
        clock = datetime.time.fromisoformat(clock.isoformat()[:kept])
        if form == "fraction":
            digits = draw(st.text("0123456789", min_size=1, max_size=9))
            text, nanoseconds = f"{text}.{digits}", int(digits.ljust(9, "0"))
        zone = draw(st.sampled_from(["", "Z", "hour", "plain", "colon"]))
        if zone == "Z":
            text += zone
        elif zone:
            offset = draw(OFFSETS)
            sign, hours, minutes = "-+"[offset >= 0], abs(offset) // 60, abs(offset) % 60
            if zone == "hour":
                minutes = 0
                text += f"{sign}{hours:02}"
            else:
                text += f"{sign}{hours:02}{':' * (zone == 'colon')}{minutes:02}"
            offset = (hours * 60 + minutes) * (-1 if sign == "-" else 1)
    whole = datetime.datetime.combine(day, clock, datetime.UTC) - EPOCH
    seconds = whole.days * 86400 + whole.seconds - offset * 60
    time = seconds * 10**9 + nanoseconds
    return text, time if -(10**9) * 9223372036 <= time <= MAX else None


@settings(deadline=None)
@given(st.lists(spellings()))
def test_text_agrees_with_the_standard_library(cases: list[tuple[str, int | None]]) -> None:
    received, bad = times.from_text([text for text, _ in cases])
    assert bad.tolist() == [time is None for _, time in cases]
    assert received.tolist() == [time or 0 for _, time in cases]


@settings(deadline=None)
@given(st.lists(spellings()), st.data())
def test_a_bad_text_harms_no_other(
    cases: list[tuple[str, int | None]], data: st.DataObject
) -> None:
    texts = [text for text, _ in cases]
    place = data.draw(st.integers(0, len(texts)))
    alone = [times.from_text([text]) for text in texts]
    received, bad = times.from_text(pa.array([*texts[:place], "yesterday", *texts[place:]]))
    assert bad[place] and received[place] == 0
    assert np.delete(received, place).tolist() == [int(time[0]) for time, _ in alone]
    assert np.delete(bad, place).tolist() == [bool(refused[0]) for _, refused in alone]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        "20240501",
        "2024-W18-3",
        "2024-5-1",
        "2024-00-01",
        "2024-13-01",
        "2024-05-00",
        "2023-02-29",
        "2024-04-31",
        "2024-05-01T",
        "2024-05-01Z",
        "2024-05-01T24:00",
        "2024-05-01T12:60",
        "2016-12-31T23:59:60",
        "2024-05-01T12:00:00.",
        "2024-05-01T12:00:00,5",
        "2024-05-01T12:00:00.0123456789",
        "2024-05-01T12:00:00 Z",
        "2024-05-01T12:00:00+24:00",
        "2024-05-01T12:00:00+02:60",
        "2024-05-01t12:00:00z",
        " 2024-05-01",
        "2024-05-01\n",
        "٢٠٢٤-05-01",
        "9999-12-31",
        "1500-01-01",
        "2262-04-11T23:47:16.854775808",
    ],
)
@pytest.mark.parametrize("other", ["2024-05-01T12:00:00", "2024-05-01T12:00:00Z"])
def test_other_text_is_bad(text: str | None, other: str) -> None:
    received, bad = times.from_text([other, text])
    assert bad.tolist() == [False, True]
    assert received.tolist() == [1714564800 * 10**9, 0]


def test_one_time_is_a_number_or_an_error() -> None:
    assert times.parse_time("1970-01-01T01:00:00.5+01:00") == 5 * 10**8
    with pytest.raises(ValueError, match=r"expected an ISO 8601 time .* received '20240501'"):
        times.parse_time("20240501")
