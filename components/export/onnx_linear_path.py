"""Build the linear path of ONNX nodes; components/train/model/grid_resample.py has the formulas.

d[k, t]  = |k (L - 1) - t (K - 1)|
grid     = max(0, K - 1 - d) / (K - 1) @ values     [B, K, T] @ [B, T, F]
"""

import numpy as np

from ragline.components.export import onnx_statistics
from ragline.components.export.nodes import Nodes
from ragline.components.export.onnx_statistics import Steps
from ragline.components.serving.fast.network import LinearPath


def add_to(nodes: Nodes, linear: LinearPath, steps: Steps) -> str:
    """Add the linear part of the embedding; return the name of float32 [B, E].

    Args:
      nodes: the nodes that it is added to.
      linear: the linear path.
      steps: what it reads.
    """
    if steps.observed is not None:
        observed = nodes.call("And", steps.observed, steps.mask)
        steps = steps._replace(values=_fill(nodes, steps.values, observed), observed=observed)
    last = nodes.unsqueeze(nodes.call("Sub", steps.length, np.int64(1)), 1, 2)  # [B, 1, 1]
    points = np.arange(linear.steps, dtype=np.int64)[np.newaxis, :, np.newaxis]
    places = nodes.unsqueeze(nodes.range(nodes.shape(steps.values, 1)), 0, 1)  # [1, 1, T]
    distance = nodes.call(
        "Abs",
        nodes.call(
            "Sub",
            nodes.call("Mul", points, last),
            nodes.call("Mul", places, np.int64(linear.steps - 1)),
        ),
    )
    near = nodes.call("Max", nodes.call("Sub", np.int64(linear.steps - 1), distance), np.int64(0))
    share = nodes.call("Div", nodes.cast(near, "DOUBLE"), np.float64(linear.steps - 1))
    grid = nodes.call("MatMul", nodes.cast(share, "FLOAT"), steps.values)
    statistics = linear.statistics
    numbers = len(linear.to_embedding.kernel) - (len(statistics.mean) if statistics else 0)
    # Of an empty batch, the second size cannot be inferred.
    inputs = nodes.call("Reshape", grid, np.array([-1, numbers], np.int64))
    if statistics is not None:
        described = onnx_statistics.add_to(nodes, statistics, steps)
        inputs = nodes.call("Concat", inputs, described, axis=1)
    return str(nodes.affine(inputs, linear.to_embedding))


def _fill(nodes: Nodes, values: str, observed: str) -> str:
    """Interpolate what is missing between the observed values around it, by feature.

    The places of the observed values stand first in `order`, so that the n-th of them stands at n
    without a search, as in `grid_resample.fill`.
    """
    there = nodes.call("Transpose", observed, perm=[0, 2, 1])  # [B, F, T]
    by_feature = nodes.call("Transpose", values, perm=[0, 2, 1])
    steps = nodes.shape(values, 1)
    places = nodes.range(steps)
    # Keys that are all different: no sort need be stable.
    keys = nodes.call("Where", there, places, nodes.call("Add", places, steps))
    order = nodes.call(
        "TopK", keys, nodes.call("Reshape", steps, np.array([1], np.int64)), outputs=2,
        axis=2, largest=0, sorted=1,
    )[1]  # fmt: skip
    seen = nodes.cast(there, "INT64")
    number = nodes.call("CumSum", seen, np.int64(2))
    count = nodes.call("ReduceSum", seen, np.array([2], np.int64), keepdims=1)
    most = nodes.call("Max", nodes.call("Sub", count, np.int64(1)), np.int64(0))

    def nth(which: str) -> str:
        held = nodes.call("Min", nodes.call("Max", which, np.int64(0)), most)
        return str(nodes.call("GatherElements", order, held, axis=2))

    before = nth(nodes.call("Sub", number, np.int64(1)))
    after = nth(nodes.call("Sub", number, seen))
    low = nodes.call("GatherElements", by_feature, before, axis=2)
    high = nodes.call("GatherElements", by_feature, after, axis=2)
    way = nodes.cast(nodes.call("Sub", places, before), "FLOAT")
    apart = nodes.call("Sub", after, before)
    # Where both are one place, the way counts for nothing: high - low is 0 there.
    whole = nodes.cast(nodes.call("Max", apart, np.int64(1)), "FLOAT")
    share = nodes.call("Div", way, whole)
    rise = nodes.call("Mul", nodes.call("Sub", high, low), share)
    return str(nodes.call("Transpose", nodes.call("Add", low, rise), perm=[0, 2, 1]))
