"""Build ONNX of a Network: raw values in, an embedding out, as the signature `encode` does.

    values     float32 [B, T, F]  NaN = missing; anything may stand in the padding
    length     int64 [B]          1 <= length <= T
    <category> string or int64 [B, T], of each category
    embedding  float32 [B, E]

Opset 17 (onnxruntime 1.12 and later, of 2022): no operation here needs more, and none that an
encoder records may.
"""

import functools
from collections.abc import Collection
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ragline.components.contract import feature_transforms
from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.contract.feature_transforms import NONE, Runtime, Transform
from ragline.components.contract.signatures import EMBEDDING
from ragline.components.export import onnx_encoder, onnx_linear_path
from ragline.components.export.nodes import Nodes
from ragline.components.export.onnx_statistics import Steps
from ragline.components.serving.fast.network import FARTHEST, CategoryTable, Network
from ragline.components.serving.portable import LENGTHS, MASK, STEPS

OPSET = 17
_IR_VERSION = 8  # Of that opset.
_ML = "ai.onnx.ml"  # The domain of look-ups.
_ML_OPSET = 3
_ZERO, _ONE, _INF = np.float64(0.0), np.float64(1.0), np.float64(np.inf)


def build(network: Network) -> onnx.ModelProto:
    """Build the whole model; the sizes of batch and time are free."""
    nodes = Nodes()
    steps = nodes.shape(VALUES, 1)
    places = nodes.unsqueeze(nodes.range(steps), 0)
    mask = nodes.call("Less", places, nodes.unsqueeze(LENGTH, 1))  # [B, T]
    mask = nodes.unsqueeze(mask, 2)
    values, observed = _standardise(nodes, network, mask)
    ids = [_token_ids(nodes, table) for table in network.tables]
    tables = zip(network.tables, ids, strict=True)
    inputs = [values, *(_embed(nodes, table, token_ids, mask) for table, token_ids in tables)]
    steps = nodes.call("Concat", *inputs, axis=2) if len(inputs) > 1 else values
    known = {STEPS: steps, LENGTHS: nodes.cast(LENGTH, "INT32"), MASK: mask}
    read = onnx_encoder.add_to(nodes, network.operations, network.weights, known)
    embedding = nodes.affine(read, network.to_embedding)
    if network.linear:
        seen = observed if network.linear.fills else None
        read_steps = Steps(values, seen, ids, LENGTH, mask)
        linear = onnx_linear_path.add_to(nodes, network.linear, read_steps)
        embedding = nodes.call("Add", embedding, linear)
    nodes.nodes.append(helper.make_node("Identity", [embedding], [EMBEDDING], name=EMBEDDING))
    model = helper.make_model(
        _graph(network, nodes),
        producer_name="ragline",
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, _ML_OPSET)],
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def _graph(network: Network, nodes: Nodes) -> onnx.GraphProto:
    features, size = len(network.mean), len(network.to_embedding.bias)
    inputs = [
        helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, ["B", "T", features]),
        helper.make_tensor_value_info(LENGTH, TensorProto.INT64, ["B"]),
    ]
    inputs += [
        helper.make_tensor_value_info(
            table.category.key,
            table.category.pick(words=TensorProto.STRING, ids=TensorProto.INT64),
            ["B", "T"],
        )
        for table in network.tables
    ]
    return helper.make_graph(
        nodes.nodes,
        "encode",
        inputs,
        [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["B", size])],
        list(nodes.constants.values()),
        doc_string=f"features: {', '.join(network.features)}",
    )


def _standardise(nodes: Nodes, network: Network, mask: str) -> tuple[str, str]:
    """Add z, float32 [B, T, F], 0 where nothing counts; and which values are finite, bool."""
    raw = _transform(nodes, network.transforms, nodes.cast(VALUES, "DOUBLE"))
    observed = nodes.call("Less", nodes.call("Abs", raw), _INF)  # False for NaN, too.
    usable = nodes.call("And", nodes.call("And", observed, mask), network.varies)
    held = nodes.call("Where", usable, raw, network.mean)
    z = nodes.call("Div", nodes.call("Sub", held, network.mean), network.scale)
    z = nodes.call("Max", nodes.call("Min", z, np.float64(FARTHEST)), np.float64(-FARTHEST))
    return nodes.cast(z, "FLOAT"), observed


def _transform(nodes: Nodes, transforms: Collection[Transform], raw: Any) -> Any:
    """Add the transforms of the features that have one, float64 [B, T, F]."""

    def log1p(x: Any) -> Any:
        # As Kahan has it: exact near 0, where 1 + x is rounded.
        above = nodes.call("Add", x, _ONE)
        rest = nodes.call("Sub", above, _ONE)
        ratio = nodes.call("Div", nodes.call("Mul", nodes.call("Log", above), x), rest)
        is_near = nodes.call("Or", nodes.call("Equal", rest, _ZERO), nodes.call("Equal", x, _INF))
        return nodes.call("Where", is_near, x, ratio)

    runtime = Runtime(
        log=functools.partial(nodes.call, "Log"),
        log1p=log1p,
        sign=functools.partial(nodes.call, "Sign"),
        absolute=functools.partial(nodes.call, "Abs"),
        multiply=functools.partial(nodes.call, "Mul"),
        at_least=lambda x, least: nodes.call(
            "Where", nodes.call("GreaterOrEqual", x, np.float64(least)), x, np.float64(np.nan)
        ),
    )
    for transform in sorted({*transforms} - {NONE}):
        places = np.array([each == transform for each in transforms])
        transformed = feature_transforms.apply(transform, raw, runtime)
        raw = nodes.call("Where", places, transformed, raw)
    return raw


def _token_ids(nodes: Nodes, table: CategoryTable) -> Any:
    """Add the token ids, int64 [B, T]; a missing token has the id after that of the others."""
    category, tokens = table.category, table.tokens
    ids = list(range(len(tokens)))
    lookup: dict[str, Any] = {"default_int64": len(tokens), "values_int64s": ids}
    if category.is_text:
        missing = len(tokens) + 1
        lookup |= {"keys_strings": [*tokens, ""], "values_int64s": [*ids, missing]}
    else:
        # LabelEncoder maps integers to integers, also with an empty vocabulary.
        lookup["keys_int64s"] = [int(token) for token in tokens]
    return nodes.call("LabelEncoder", category.key, domain=_ML, **lookup)


def _embed(nodes: Nodes, table: CategoryTable, token_ids: str, mask: str) -> Any:
    """Add the row of each token, float32 [B, T, size]; zeros for missing tokens and the padding."""
    others = np.int64(len(table.tokens))
    if table.category.is_text:
        present = nodes.call("LessOrEqual", token_ids, others)
        token_ids = nodes.call("Min", token_ids, others)
        mask = nodes.call("And", nodes.unsqueeze(present, 2), mask)
    rows = nodes.call("Gather", table.table, token_ids, axis=0)
    return nodes.call("Where", mask, rows, np.float32(0.0))
