"""Times by a format: as Python's strptime reads them, in any zone, or elapsed hours."""

import datetime
import zoneinfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ragline.components.ingest.steps import time_formats, times
from ragline.components.ingest.steps.times import Spelling
from ragline.pipeline.onboard.guessing import dates

FORMATS = [f for f in dates.FORMATS if "%d" in f and "%z" not in f]
MOMENTS = st.datetimes(
    datetime.datetime(1971, 1, 1),
    datetime.datetime(2037, 12, 31),
)


def _nanoseconds(moment: datetime.datetime) -> int:
    elapsed = moment - datetime.datetime(1970, 1, 1, tzinfo=moment.tzinfo and datetime.UTC)
    return (elapsed.days * 86_400 + elapsed.seconds) * 10**9 + elapsed.microseconds * 1000


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(FORMATS))
def test_a_format_reads_what_pythons_own_reads(moment, time_format):
    text = moment.strftime(time_format)
    expected = datetime.datetime.strptime(text, time_format)
    instants, bad = times.from_text([text], Spelling(format=time_format))
    assert not bad[0]
    assert instants[0] == _nanoseconds(expected)


@settings(deadline=None)
@given(MOMENTS, st.sampled_from(["Europe/Berlin", "America/New_York", "Asia/Kolkata"]))
def test_a_time_without_an_offset_is_of_the_zone(moment, name):
    aware = moment.replace(microsecond=0, tzinfo=zoneinfo.ZoneInfo(name))
    if aware.astimezone(datetime.UTC).astimezone(aware.tzinfo) != aware:
        return  # An hour that the clocks skip.
    for text, time_format in (
        (aware.strftime("%d.%m.%Y %H:%M:%S"), "%d.%m.%Y %H:%M:%S"),
        (aware.strftime("%Y-%m-%d %H:%M:%S"), None),
    ):
        instants, bad = times.from_text([text], Spelling(format=time_format, zone=name))
        assert not bad[0]
        assert instants[0] == _nanoseconds(aware.astimezone(datetime.UTC))


@pytest.mark.parametrize("text", ["2026-07-01T10:00:00Z", "2026-07-01 10:00:00 UTC"])
def test_a_time_with_an_offset_is_not_moved(text):
    moved, _ = times.from_text([text], Spelling(zone="Europe/Berlin"))
    assert moved[0] == times.parse_time("2026-07-01T10:00:00Z")


@pytest.mark.parametrize(
    ("text", "time_format", "seconds"),
    [
        ("40:42", "%H:%M", 40 * 3600 + 42 * 60),
        ("1000:00:01.5", "%H:%M:%S.%f", 3_600_001.5),
        ("12:05 am", "%I:%M %p", 300),
        ("12:05 PM", "%I:%M %p", 12 * 3600 + 300),
    ],
)
def test_a_format_without_a_day_counts_from_zero(text, time_format, seconds):
    instants, bad = times.from_text([text], Spelling(format=time_format))
    assert not bad[0]
    assert instants[0] == seconds * 10**9


@pytest.mark.parametrize(
    ("text", "time_format"),
    [
        ("31.02.2026", "%d.%m.%Y"),
        ("01.13.2026", "%d.%m.%Y"),
        ("01.01.2026 24:00", "%d.%m.%Y %H:%M"),
        ("13:00 PM", "%I:%M %p"),
        ("10:60", "%H:%M"),
        ("1 Foo 2026", "%d %b %Y"),
        ("2026-01-01", "%d.%m.%Y"),
        ("", "%d.%m.%Y"),
        (None, "%d.%m.%Y"),
    ],
)
def test_what_is_no_time_is_bad(text, time_format):
    instants, bad = times.from_text([text], Spelling(format=time_format))
    assert (instants[0], bad[0]) == (0, True)


@pytest.mark.parametrize(
    ("time_format", "told"),
    [
        ("", "expected directives"),
        ("yesterday", "expected directives"),
        ("%Q", "received %Q"),
        ("%d.%m", "a year, a month and a day"),
        ("%d.%d.%Y", "each part of a time once"),
        ("%M:%S", "a day or an hour"),
    ],
)
def test_a_format_that_says_no_time_is_refused(time_format, told):
    with pytest.raises(ValueError, match=told):
        time_formats.pattern(time_format)


def test_units_above_a_second():
    for unit, seconds in {"min": 60, "h": 3600, "d": 86_400}.items():
        instants, bad = times.from_numbers(np.array([1.5]), unit)
        assert (instants[0], bad[0]) == (1.5 * seconds * 10**9, False)
