"""Hours of the day and days of the week, against Python's own calendar."""

import datetime
import zoneinfo

import numpy as np
import pytest

from ragline.components.contract.columns import Columns, Feature
from ragline.components.ingest.options import InputOptions, StepOptions
from ragline.components.ingest.preview import sampling
from ragline.components.ingest.steps import calendar

ZONES = [None, "UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu"]


@pytest.mark.parametrize("zone", ZONES)
def test_they_are_those_of_python(zone):
    random = np.random.default_rng(0)
    seconds = [0, -1, 1_711_846_800, 1_729_990_800, 86_399, *random.integers(-(2**31), 2**31, 500)]
    time = np.array(seconds, np.int64) * 10**9 + 250_000_000
    shown = [
        datetime.datetime.fromtimestamp(int(s), zoneinfo.ZoneInfo(zone or "UTC")) for s in seconds
    ]
    hours = [t.hour + t.minute / 60 + (t.second + 0.25) / 3600 for t in shown]
    np.testing.assert_allclose(calendar.hour_of_day(time, zone), hours, rtol=0, atol=1e-9)
    assert calendar.day_of_week(time, zone).tolist() == [t.weekday() for t in shown]


def _preview(folder, **options):
    rows = "".join(f"r{i // 4},2026-11-2{i % 4}T0{i % 4}:30,{i}\n" for i in range(80))
    (folder / "a.csv").write_text(f"id,when,x\n{rows}")
    names = ("x", "hour_of_day", "day_of_week", "time_delta")
    features = tuple(Feature(name=name, unit=None, allow_missing=False) for name in names)
    read = InputOptions(
        train=str(folder / "a.csv"), group_by=("id",), order_by="when",
        steps=StepOptions(hour_of_day=True, day_of_week=True, time_delta=True), **options,
    )  # fmt: skip
    return sampling.take(read, Columns(features=features, context={}))


def test_ingest_fills_them_from_the_times_that_the_clocks_showed(tmp_path):
    """In whatever zone the times were written, they are told as they were."""
    for zone in (None, "Asia/Kathmandu"):
        columns = _preview(tmp_path, time_zone=zone).encoded["columns"]
        assert columns["hour_of_day"]["values"] == [0.5, 1.5, 2.5, 3.5]
        assert columns["day_of_week"]["values"] == [4.0, 5.0, 6.0, 0.0]  # A Friday came first.
        assert columns["time_delta"]["values"] == [0.0, 90_000.0, 90_000.0, 90_000.0]


def test_they_need_times(tmp_path):
    with pytest.raises(ValueError, match=r"^steps\.hour_of_day: expected order_by with it, receiv"):
        InputOptions(train="x", steps=StepOptions(hour_of_day=True))
