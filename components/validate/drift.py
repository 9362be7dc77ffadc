"""Measure how far the newest span has drifted from the others of its window.

Of every feature, over its observed values, and of the lengths, over sequences, with mean m and
standard deviation s in float64, share q of missing values, the newest span n and the others o:

    shift = (m_n - m_o) / s_o        spread = s_n / s_o        missing = q_n - q_o

A feature that was constant, whose s is within 1e-9 of its |m|, has no scale to measure by: its
shift is 0 where the mean stayed as near, else infinite; its spread likewise is 1 or infinite.
"""

import math
from collections.abc import Mapping
from typing import Any

from ragline.components.contract.columns import LENGTH
from ragline.components.validate.options import DriftOptions

SpanStats = Mapping[str, Any]
_NEAR = 1e-9


def measure(spans: Mapping[str, SpanStats]) -> dict[str, Any] | None:
    """Measure how far the newest span is from all others.

    Args:
      spans: span, oldest first -> `features` {name: statistics} and `length`, statistics: `count`,
        `missing`, `mean` and `m2`, the sum of squared distances from the mean.

    Returns:
      `span`, the newest; `others`; `columns` {feature, or `length`: {shift, spread, missing}}, None
      where one side has no value. None if there is only one span.
    """
    if len(spans) < 2:
        return None
    *others, newest = spans
    columns = {
        name: _drift(_column(spans[newest], name), [_column(spans[span], name) for span in others])
        for name in (*spans[newest]["features"], LENGTH)
    }
    return {"span": newest, "others": others, "columns": columns}


def describe_drift(drift: Mapping[str, Any], options: DriftOptions) -> list[str]:
    """Write one line for each bound that is exceeded."""
    spans = f"span {drift['span']} beside {', '.join(drift['others'])}"
    lines = []
    for name, changes in drift["columns"].items():
        shift, spread, missing = changes["shift"], changes["spread"], changes["missing"]
        if shift is not None and abs(shift) > options.max_shift:
            lines.append(
                f"{spans}: {name!r}: its mean moved by {shift:+.3g} standard deviations, more than "
                f"drift.max_shift = {options.max_shift:g}"
            )
        if spread is not None and not 1 / options.max_spread <= spread <= options.max_spread:
            lines.append(
                f"{spans}: {name!r}: its standard deviation is {spread:.3g} of what it was, beyond "
                f"drift.max_spread = {options.max_spread:g}"
            )
        if abs(missing) > options.max_missing:
            lines.append(
                f"{spans}: {name!r}: its share of missing values moved by {missing:+.1%}, more "
                f"than drift.max_missing = {options.max_missing:.1%}"
            )
    return lines


def _column(stats: SpanStats, name: str) -> Mapping[str, Any]:
    column_stats: Mapping[str, Any] = stats[LENGTH] if name == LENGTH else stats["features"][name]
    return column_stats


def _drift(newest: Mapping[str, Any], others: list[Mapping[str, Any]]) -> dict[str, float | None]:
    merged = _merge_stats(others)
    missing = _missing_share(newest) - _missing_share(merged)
    if not newest["count"] or not merged["count"]:
        return {"shift": None, "spread": None, "missing": missing}
    (mean, std), (before, scale) = _mean_and_std(newest), _mean_and_std(merged)
    moved = mean - before
    if scale <= _NEAR * abs(before):
        return {
            "shift": 0.0 if abs(moved) <= _NEAR * abs(before) else math.copysign(math.inf, moved),
            "spread": 1.0 if std <= _NEAR * abs(mean) else math.inf,
            "missing": missing,
        }
    return {"shift": moved / scale, "spread": std / scale, "missing": missing}


def _merge_stats(stats: list[Mapping[str, Any]]) -> dict[str, Any]:
    count = sum(part["count"] for part in stats)
    mean = math.fsum(part["count"] * part["mean"] for part in stats) / count if count else 0.0
    between = math.fsum(part["count"] * (part["mean"] - mean) ** 2 for part in stats)
    return {
        "count": count,
        "missing": sum(part["missing"] for part in stats),
        "mean": mean,
        "m2": math.fsum(part["m2"] for part in stats) + between,
    }


def _missing_share(stats: Mapping[str, Any]) -> float:
    total = stats["count"] + stats["missing"]
    return float(stats["missing"] / total) if total else 0.0


def _mean_and_std(stats: Mapping[str, Any]) -> tuple[float, float]:
    return stats["mean"], math.sqrt(stats["m2"] / stats["count"])
