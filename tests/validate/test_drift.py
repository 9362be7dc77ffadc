"""Drift between spans, against NumPy float64 over the values themselves."""

import dataclasses
import math

import numpy as np
import pytest

from ragline.components.contract.columns import Columns, Feature
from ragline.components.ingest.output import span_stats
from ragline.components.ingest.records.chunk import Record, of_records
from ragline.components.validate import drift
from ragline.components.validate.options import DriftOptions

COLUMNS = Columns(
    features=tuple(Feature(name=name, unit=None, allow_missing=True) for name in ("x", "y")),
    context={},
    has_time=False,
)


def _moments(sequences: list[dict[str, np.ndarray]]) -> span_stats.SpanStats:
    """Of sequences in two Chunks, as two units would tell them."""
    records = [
        Record(
            number=number,
            sequence_id=str(number),
            entity_id=str(number),
            length=len(values["x"]),
            values=values,
            time=None,
            context={},
        )
        for number, values in enumerate(sequences)
    ]
    half = len(records) // 3
    parts = [of_records(part, COLUMNS) for part in (records[:half], records[half:])]
    return span_stats.merged([span_stats.of_chunk(part, COLUMNS) for part in parts])


def _sequences(seed: int, mean: float, std: float, share: float) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    drifted = []
    for length in rng.integers(1, 40, size=50):
        values = {
            name: rng.normal(mean, std, size=length).astype(np.float32).astype(np.float64)
            for name in ("x", "y")
        }
        values["x"][rng.random(length) < share] = np.nan
        drifted.append(values)
    return drifted


def test_the_values_stay_as_they_are() -> None:
    """They are what is written next, of float64 and, as lengths, of int64."""
    [values, *_] = _sequences(1, 3.0, 2.0, 0.2)
    for column in (values["x"], values["y"], np.array([3, 4, 5])):
        before = column.copy()
        span_stats._column_stats(column)
        np.testing.assert_array_equal(column, before)


@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (1e6, 0.1), (-3.0, 1e-3)])
def test_the_figures_are_those_of_the_values(mean: float, std: float) -> None:
    spans = {
        "1": _sequences(1, mean, std, 0.0),
        "2": _sequences(2, mean, 2 * std, 0.1),
        "3": _sequences(3, mean + std, 3 * std, 0.4),
    }
    drifted = drift.measure({span: _moments(of) for span, of in spans.items()})
    assert (drifted["span"], drifted["others"]) == ("3", ["1", "2"])
    for name in ("x", "y"):
        newest = np.concatenate([values[name] for values in spans["3"]])
        others = np.concatenate([values[name] for span in "12" for values in spans[span]])
        of = drifted["columns"][name]
        scale = np.nanstd(others)
        shift = (np.nanmean(newest) - np.nanmean(others)) / scale
        assert of["shift"] == pytest.approx(shift, rel=1e-6)
        assert of["spread"] == pytest.approx(np.nanstd(newest) / scale, rel=1e-6)
        missing = np.isnan(newest).mean() - np.isnan(others).mean()
        assert of["missing"] == pytest.approx(missing, abs=1e-12)
    lengths = {span: [len(values["x"]) for values in of] for span, of in spans.items()}
    others = np.array(lengths["1"] + lengths["2"], np.float64)
    shift = (np.mean(lengths["3"]) - others.mean()) / others.std()
    assert drifted["columns"]["length"]["shift"] == pytest.approx(shift, rel=1e-9)


def test_one_span_has_nothing_beside_it() -> None:
    assert drift.measure({}) is None
    assert drift.measure({"1": _moments(_sequences(1, 0.0, 1.0, 0.0))}) is None


def _of(*values: float) -> span_stats.SpanStats:
    return _moments([{"x": np.array([value]), "y": np.array([0.1])} for value in values])


@pytest.mark.parametrize(
    ("newest", "shift", "spread"),
    [
        ((0.1, 0.1, 0.1), 0.0, 1.0),
        ((0.2, 0.2, 0.2), math.inf, 1.0),
        ((-1.0, 1.0, -1.0), -math.inf, math.inf),
        ((math.nan, math.nan, math.nan), None, None),
    ],
)
def test_a_constant_has_no_scale(newest, shift, spread) -> None:
    of = drift.measure({"1": _of(0.1, 0.1, 0.1), "2": _of(*newest)})["columns"]["x"]
    assert (of["shift"], of["spread"]) == (shift, spread)


def test_each_bound_has_its_line() -> None:
    columns = {
        "a": {"shift": -1.01, "spread": 0.33, "missing": 0.201},
        "b": {"shift": math.inf, "spread": 3.01, "missing": -0.201},
        "c": {"shift": 1.0, "spread": 3.0, "missing": 0.2},
        "d": {"shift": None, "spread": None, "missing": 0.0},
    }
    drifted = {"span": "7", "others": ["5", "6"], "columns": columns}
    lines = drift.describe_drift(drifted, DriftOptions())
    assert [line.split(": ")[1] for line in lines] == ["'a'"] * 3 + ["'b'"] * 3
    assert all(line.startswith("span 7 beside 5, 6: ") for line in lines)
    assert "moved by -1.01 standard deviations, more than drift.max_shift = 1" in lines[0]
    loose = dataclasses.replace(DriftOptions(), max_shift=math.inf, max_spread=9.0, max_missing=1.0)
    assert drift.describe_drift(drifted, loose) == []
