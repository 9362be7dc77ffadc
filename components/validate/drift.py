"""The newest span beside the others of its window: did the data drift?

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

Moments = Mapping[str, Any]
_NEAR = 1e-9


def measure(spans: Mapping[str, Moments]) -> dict[str, Any] | None:
    """How far the newest span is from the others together.

    Args:
      spans: span, oldest first -> `features` {name: moment} and `length`, a moment; of a moment,
        `count`, `missing`, `mean` and `m2`, the sum of squared distances from the mean.

    Returns:
      `span`, the newest; `others`; `columns` {feature, or `length`: {shift, spread, missing}}, in
      which what cannot be told, because one side has no value, is None. None if there is but one
      span.
    """
    if len(spans) < 2:
        return None
    *others, newest = spans
    columns = {
        name: _drift(_column(spans[newest], name), [_column(spans[span], name) for span in others])
        for name in (*spans[newest]["features"], LENGTH)
    }
    return {"span": newest, "others": others, "columns": columns}


def findings(drift: Mapping[str, Any], options: DriftOptions) -> list[str]:
    """One line for each bound that is not kept."""
    where = f"span {drift['span']} beside {', '.join(drift['others'])}"
    lines = []
    for name, of in drift["columns"].items():
        shift, spread, missing = of["shift"], of["spread"], of["missing"]
        if shift is not None and abs(shift) > options.max_shift:
            lines.append(
                f"{where}: {name!r}: its mean moved by {shift:+.3g} standard deviations, more than "
                f"drift.max_shift = {options.max_shift:g}"
            )
        if spread is not None and not 1 / options.max_spread <= spread <= options.max_spread:
            lines.append(
                f"{where}: {name!r}: its standard deviation is {spread:.3g} of what it was, beyond "
                f"drift.max_spread = {options.max_spread:g}"
            )
        if abs(missing) > options.max_missing:
            lines.append(
                f"{where}: {name!r}: its share of missing values moved by {missing:+.1%}, more "
                f"than drift.max_missing = {options.max_missing:.1%}"
            )
    return lines


def _column(moments: Moments, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = moments[LENGTH] if name == LENGTH else moments["features"][name]
    return found


def _drift(newest: Mapping[str, Any], others: list[Mapping[str, Any]]) -> dict[str, float | None]:
    other = _together(others)
    missing = _missing(newest) - _missing(other)
    if not newest["count"] or not other["count"]:
        return {"shift": None, "spread": None, "missing": missing}
    (mean, std), (was, scale) = _mean_and_std(newest), _mean_and_std(other)
    moved = mean - was
    if scale <= _NEAR * abs(was):
        return {
            "shift": 0.0 if abs(moved) <= _NEAR * abs(was) else math.copysign(math.inf, moved),
            "spread": 1.0 if std <= _NEAR * abs(mean) else math.inf,
            "missing": missing,
        }
    return {"shift": moved / scale, "spread": std / scale, "missing": missing}


def _together(moments: list[Mapping[str, Any]]) -> dict[str, Any]:
    count = sum(one["count"] for one in moments)
    mean = math.fsum(one["count"] * one["mean"] for one in moments) / count if count else 0.0
    between = math.fsum(one["count"] * (one["mean"] - mean) ** 2 for one in moments)
    return {
        "count": count,
        "missing": sum(one["missing"] for one in moments),
        "mean": mean,
        "m2": math.fsum(one["m2"] for one in moments) + between,
    }


def _missing(moment: Mapping[str, Any]) -> float:
    total = moment["count"] + moment["missing"]
    return float(moment["missing"] / total) if total else 0.0


def _mean_and_std(moment: Mapping[str, Any]) -> tuple[float, float]:
    return moment["mean"], math.sqrt(moment["m2"] / moment["count"])
