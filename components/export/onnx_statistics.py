"""Build the statistics of ONNX nodes; train/model/sequence_statistics.py defines them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ragline.components.export.nodes import Nodes
from ragline.components.serving.fast.network import (
    FARTHEST_STATISTIC,
    LEAST_DEVIATION,
    Statistics,
)

_FARTHEST = np.finfo(np.float64).max
_ZERO, _ONE = np.float64(0.0), np.float64(1.0)
_TIME, _END = np.array([1], np.int64), np.array([2**62], np.int64)  # The axis, and past its end.


class Steps(NamedTuple):
    """Names the tensors of a batch that the linear path reads.

    Attributes:
      values: float32 [B, T, F], finite; missing values are 0, or filled in for the statistics.
      observed: bool [B, T, F]; None if no value can be missing.
      token_ids: of each category, int64 [B, T]; what has no statistics is V or more.
      length: int64 [B].
      mask: bool [B, T, 1], True where the step is valid.
    """

    values: str
    observed: str | None
    token_ids: Sequence[str]
    length: str
    mask: str


def add_to(nodes: Nodes, statistics: Statistics, steps: Steps) -> str:
    """Add the standardised statistics; return the name of float32 [B, P].

    Args:
      nodes: the nodes that they are added to.
      statistics: what they are, their mean and scale.
      steps: what they are of.
    """
    length = nodes.cast(nodes.unsqueeze(steps.length, 1), "DOUBLE")  # [B, 1]
    parts = _of_values(nodes, statistics, steps, length)
    if steps.observed is None:  # 1 of each feature.
        parts.append(nodes.call("Add", nodes.call("Mul", parts[0], _ZERO), _ONE))
    else:
        seen = _total(nodes, nodes.cast(steps.observed, "DOUBLE"))
        parts.append(nodes.call("Div", seen, length))
    parts.append(nodes.call("Log", length))
    for token_ids, number in zip(steps.token_ids, statistics.stated.tokens, strict=True):
        parts += _shares_and_pairs(nodes, token_ids, steps.mask, length, number)
    described = nodes.cast(nodes.call("Concat", *parts, axis=1), "FLOAT")
    scale = np.where(statistics.scale > 0.0, statistics.scale, np.float32(np.inf))
    z = nodes.call("Div", nodes.call("Sub", described, statistics.mean), scale)
    far = np.float32(FARTHEST_STATISTIC)
    return str(nodes.call("Max", nodes.call("Min", z, far), -far))


def _of_values(nodes: Nodes, statistics: Statistics, steps: Steps, length: str) -> list[Any]:
    """Add the statistics of the values, and of how they move, each float64 [B, F]."""
    values, mask = nodes.cast(steps.values, "DOUBLE"), steps.mask
    mean = nodes.call("Div", _total(nodes, nodes.call("Where", mask, values, _ZERO)), length)
    apart = nodes.call("Sub", values, nodes.unsqueeze(mean, 1))
    centred = nodes.call("Where", mask, apart, _ZERO)
    squares = _total(nodes, nodes.call("Mul", centred, centred))
    deviation = nodes.call("Sqrt", nodes.call("Div", squares, length))
    ends = [
        nodes.call(op, nodes.call("Where", mask, values, -far), axes=[1], keepdims=0)
        for op, far in (("ReduceMin", -_FARTHEST), ("ReduceMax", _FARTHEST))
    ]
    scale = nodes.unsqueeze(nodes.call("Add", deviation, np.float64(LEAST_DEVIATION)), 1)
    unit = nodes.call("Div", centred, scale)
    correlations = [
        # Of the padding, a factor is 0.
        _mean(
            nodes,
            nodes.call("Mul", _part(nodes, unit, lag, None), _part(nodes, unit, 0, -lag)),
            length,
            lag,
        )
        for lag in statistics.stated.correlation_lags
    ]
    bends = []
    for lag in statistics.stated.bend_lags:
        moved = _moved(nodes, values, lag)
        bend = nodes.call("Abs", _moved(nodes, moved, lag))
        counted = nodes.call("Where", _part(nodes, mask, 2 * lag, None), bend, _ZERO)
        bends.append(_mean(nodes, counted, length, 2 * lag))
    return [mean, deviation, *ends, *correlations, *bends]


def _shares_and_pairs(
    nodes: Nodes, token_ids: str, mask: str, length: str, number: int
) -> list[Any]:
    """Add the shares [B, V] and the pairs [B, V V] of the first tokens of a category."""
    is_token = nodes.call("Equal", nodes.unsqueeze(token_ids, 2), np.arange(number, dtype=np.int64))
    here = nodes.cast(nodes.call("And", is_token, mask), "DOUBLE")  # [B, T, V]
    before = nodes.call("Transpose", _part(nodes, here, 0, -1), perm=[0, 2, 1])
    followed = nodes.call("MatMul", before, _part(nodes, here, 1, None))
    pairs = nodes.call("Reshape", followed, np.array([-1, number**2], np.int64))
    least = nodes.call("Max", nodes.call("Sub", length, _ONE), _ONE)
    shares = nodes.call("Div", _total(nodes, here), length)
    return [shares, nodes.call("Div", pairs, least)]


def _total(nodes: Nodes, terms: str) -> Any:
    """Add the sum over the steps."""
    return nodes.call("ReduceSum", terms, _TIME, keepdims=0)


def _mean(nodes: Nodes, terms: str, length: str, fewer: int) -> Any:
    """Add the mean over the steps, of which there are `fewer` than the length."""
    number = nodes.call("Max", nodes.call("Sub", length, np.float64(fewer)), _ONE)
    return nodes.call("Div", _total(nodes, terms), number)


def _moved(nodes: Nodes, values: str, lag: int) -> Any:
    """Add the difference of each step to the one `lag` earlier."""
    return nodes.call("Sub", _part(nodes, values, lag, None), _part(nodes, values, 0, -lag))


def _part(nodes: Nodes, tensor: str, first: int, last: int | None) -> Any:
    """Add the steps from `first` up to `last`."""
    stop = _END if last is None else np.array([last], np.int64)
    return nodes.call("Slice", tensor, np.array([first], np.int64), stop, _TIME)
