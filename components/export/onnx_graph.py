"""Build ONNX of a Network: raw values in, an embedding out, as the signature `encode` does.

    values     float32 [B, T, F]  NaN = missing; anything may stand in the padding
    length     int64 [B]          1 <= length <= T
    <category> string or int64 [B, T], of each category
    embedding  float32 [B, E]

Opset 17 (onnxruntime 1.12 and later, of 2022): no operation here needs more, and ONNX's LSTM, whose
`sequence_lens` stops each sequence at its own length, is older yet. Its own padded states are 0, so
stacked layers and a backward direction need no mask.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from ragline.components.contract.columns import LENGTH, VALUES
from ragline.components.contract.signatures import EMBEDDING
from ragline.components.export import onnx_linear_path
from ragline.components.export.nodes import Nodes
from ragline.components.serving.fast.network import FARTHEST, CategoryTable, Cell, Layer, Network

OPSET = 17
_IR_VERSION = 8  # Of that opset.
_ML = "ai.onnx.ml"  # The domain of look-ups.
_ML_OPSET = 3
_INF = np.float64(np.inf)
# ONNX's order of gates, as places in Keras's: i, o, f, c of i, f, c, o; z, r, h is the same.
_GATES = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}


def build(network: Network) -> onnx.ModelProto:
    """Build the whole model; the sizes of batch and time are free."""
    nodes = Nodes()
    steps = nodes.shape(VALUES, 1)
    places = nodes.unsqueeze(nodes.range(steps), 0)
    mask = nodes.call("Less", places, nodes.unsqueeze(LENGTH, 1))  # [B, T]
    mask = nodes.unsqueeze(mask, 2)
    values, observed = _standardise(nodes, network, mask)
    inputs = [values, *(_embed(nodes, table, mask) for table in network.tables)]
    states = nodes.call("Concat", *inputs, axis=2) if len(inputs) > 1 else values
    states = nodes.call("Transpose", states, perm=[1, 0, 2])  # [T, B, ...]
    lengths = nodes.cast(LENGTH, "INT32")
    # One row and step more: onnxruntime's LSTM dies of a batch without any, and takes the process
    # with it. It also makes a batch of one compute as others do.
    states = nodes.call("Pad", states, np.array([0, 0, 0, 1, 1, 0], np.int64))
    lengths = nodes.call("Pad", lengths, np.array([0, 1], np.int64), np.int32(1))
    last = ""
    for layer in network.layers:
        states, last = _recurrent(nodes, network.cell, layer, states, lengths)
    rows = nodes.unsqueeze(nodes.shape(LENGTH, 0), 0)
    last = nodes.call("Slice", last, np.array([0], np.int64), rows)
    embedding = nodes.affine(last, network.to_embedding)
    if network.linear:
        linear = onnx_linear_path.add_to(nodes, network.linear, values, observed, LENGTH, mask)
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
    kinds = {"bytes": TensorProto.STRING, "int": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, ["B", "T", features]),
        helper.make_tensor_value_info(LENGTH, TensorProto.INT64, ["B"]),
    ]
    inputs += [
        helper.make_tensor_value_info(table.category.key, kinds[table.category.kind], ["B", "T"])
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
    raw = nodes.cast(VALUES, "DOUBLE")
    observed = nodes.call("Less", nodes.call("Abs", raw), _INF)  # False for NaN, too.
    usable = nodes.call("And", nodes.call("And", observed, mask), network.varies)
    held = nodes.call("Where", usable, raw, network.mean)
    z = nodes.call("Div", nodes.call("Sub", held, network.mean), network.scale)
    z = nodes.call("Max", nodes.call("Min", z, np.float64(FARTHEST)), np.float64(-FARTHEST))
    return nodes.cast(z, "FLOAT"), observed


def _embed(nodes: Nodes, table: CategoryTable, mask: str) -> Any:
    """Add the row of each token, float32 [B, T, size]; zeros for missing tokens and the padding."""
    category, tokens = table.category, table.tokens
    ids = list(range(len(tokens)))
    lookup: dict[str, Any] = {"default_int64": len(tokens), "values_int64s": ids}
    if category.kind == "bytes":
        missing = len(tokens) + 1
        lookup |= {"keys_strings": [*tokens, ""], "values_int64s": [*ids, missing]}
        token_id = nodes.call("LabelEncoder", category.key, domain=_ML, **lookup)
        present = nodes.call("Less", token_id, np.int64(missing))
        token_id = nodes.call("Min", token_id, np.int64(len(tokens)))
        mask = nodes.call("And", nodes.unsqueeze(present, 2), mask)
    else:
        # LabelEncoder maps integers to integers, also with an empty vocabulary.
        lookup["keys_int64s"] = [int(token) for token in tokens]
        token_id = nodes.call("LabelEncoder", category.key, domain=_ML, **lookup)
    rows = nodes.call("Gather", table.table, token_id, axis=0)
    return nodes.call("Where", mask, rows, np.float32(0.0))


def _recurrent(nodes: Nodes, kind: str, layer: Layer, states: str, lengths: str) -> tuple[str, str]:
    """Add one layer: its states [T, B, units * directions], and the last [B, units * directions].

    ONNX's backward direction begins at each sequence's last valid step, so its last state is that
    of the first step.
    """
    cells = [layer.forward, layer.backward] if layer.backward else [layer.forward]
    weights = [np.stack(arrays) for arrays in zip(*(_weights(kind, c) for c in cells), strict=True)]
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "gru" else {}
    states, last, *_ = nodes.call(
        kind.upper(), states, *weights, lengths,
        outputs=3 if kind == "lstm" else 2,
        hidden_size=layer.forward.units,
        direction="bidirectional" if layer.backward else "forward",
        **options,
    )  # fmt: skip
    width = layer.forward.units * len(cells)
    # [T, directions, B, units] and [directions, B, units]; 0 keeps an axis as it is.
    states = nodes.call("Transpose", states, perm=[0, 2, 1, 3])
    states = nodes.call("Reshape", states, np.array([0, 0, width], np.int64))
    last = nodes.call("Transpose", last, perm=[1, 0, 2])
    return states, nodes.call("Reshape", last, np.array([0, width], np.int64))


def _weights(kind: str, cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return W [gates * units, inputs], R [gates * units, units] and B [2 * gates * units]."""
    order = _GATES[kind]

    def gates(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[place] for place in order], axis=-1)

    bias = cell.bias if cell.bias.ndim == 2 else np.stack([cell.bias, np.zeros_like(cell.bias)])
    return gates(cell.kernel).T, gates(cell.recurrent).T, gates(bias).reshape(-1)
