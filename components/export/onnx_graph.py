"""Network -> ONNX: raw values in, an embedding out, as the SavedModel's signature `encode`.

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
from ragline.components.export.network import FARTHEST, Cell, Embedding, Layer, Network
from ragline.components.export.nodes import Nodes

OPSET = 17
_IR_VERSION = 8  # Of that opset.
_ML = "ai.onnx.ml"  # The domain of look-ups.
_ML_OPSET = 3
_INF = np.float64(np.inf)
# ONNX's order of gates, as places in Keras's: i, o, f, c of i, f, c, o; z, r, h is the same.
_GATES = {"lstm": (0, 3, 1, 2), "gru": (0, 1, 2)}


def build(network: Network) -> onnx.ModelProto:
    """The whole model; batch and time are free."""
    nodes = Nodes()
    steps = nodes.shape(VALUES, 1)
    places = nodes.unsqueeze(nodes.range(steps), 0)
    mask = nodes.call("Less", places, nodes.unsqueeze(LENGTH, 1))  # [B, T]
    mask = nodes.unsqueeze(mask, 2)
    values, observed = _standardise(nodes, network, mask)
    inputs = [values, *(_embed(nodes, one, mask) for one in network.embeddings)]
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
    code = nodes.affine(last, network.code)
    if network.linear:
        part = onnx_linear_path.code(nodes, network.linear, values, observed, LENGTH, mask)
        code = nodes.call("Add", code, part)
    nodes.nodes.append(helper.make_node("Identity", [code], [EMBEDDING], name=EMBEDDING))
    model = helper.make_model(
        _graph(network, nodes),
        producer_name="ragline",
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(_ML, _ML_OPSET)],
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def _graph(network: Network, nodes: Nodes) -> onnx.GraphProto:
    features, size = len(network.mean), len(network.code.bias)
    words = {"bytes": TensorProto.STRING, "int": TensorProto.INT64}
    inputs = [
        helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, ["B", "T", features]),
        helper.make_tensor_value_info(LENGTH, TensorProto.INT64, ["B"]),
    ]
    inputs += [
        helper.make_tensor_value_info(one.category.key, words[one.category.kind], ["B", "T"])
        for one in network.embeddings
    ]
    return helper.make_graph(
        nodes.nodes,
        "encode",
        inputs,
        [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["B", size])],
        list(nodes.constants.values()),
        doc_string=f"features: {', '.join(network.features)}" if network.features else "",
    )


def _standardise(nodes: Nodes, network: Network, mask: str) -> tuple[str, str]:
    """z, float32 [B, T, F], 0 where nothing counts; and which values are finite, bool [B, T, F]."""
    raw = nodes.cast(VALUES, "DOUBLE")
    observed = nodes.call("Less", nodes.call("Abs", raw), _INF)  # False of NaN, too.
    usable = nodes.call("And", nodes.call("And", observed, mask), network.varies)
    held = nodes.call("Where", usable, raw, network.mean)
    z = nodes.call("Div", nodes.call("Sub", held, network.mean), network.scale)
    z = nodes.call("Max", nodes.call("Min", z, np.float64(FARTHEST)), np.float64(-FARTHEST))
    return nodes.cast(z, "FLOAT"), observed


def _embed(nodes: Nodes, embedding: Embedding, mask: str) -> Any:
    """The row of each word, float32 [B, T, size]; zeros where it is missing, and in the padding."""
    category, words = embedding.category, embedding.words
    codes = list(range(len(words)))
    looked_up: dict[str, Any] = {"default_int64": len(words), "values_int64s": codes}
    if category.kind == "bytes":
        empty = len(words) + 1
        looked_up |= {"keys_strings": [*words, ""], "values_int64s": [*codes, empty]}
        code = nodes.call("LabelEncoder", category.key, domain=_ML, **looked_up)
        there = nodes.call("Less", code, np.int64(empty))
        code = nodes.call("Min", code, np.int64(len(words)))
        mask = nodes.call("And", nodes.unsqueeze(there, 2), mask)
    else:
        # LabelEncoder of integers to integers, with none at all for an empty vocabulary.
        looked_up["keys_int64s"] = [int(word) for word in words]
        code = nodes.call("LabelEncoder", category.key, domain=_ML, **looked_up)
    rows = nodes.call("Gather", embedding.table, code, axis=0)
    return nodes.call("Where", mask, rows, np.float32(0.0))


def _recurrent(nodes: Nodes, kind: str, layer: Layer, states: str, lengths: str) -> tuple[str, str]:
    """One layer: its states [T, B, units * directions], and the last ones [B, units * directions].

    ONNX's backward direction begins at each sequence's last valid step, so its last state is that
    of the first step.
    """
    cells = [layer.forward, layer.backward] if layer.backward else [layer.forward]
    weights = [np.stack(one) for one in zip(*(_weights(kind, cell) for cell in cells), strict=True)]
    options: dict[str, Any] = {"linear_before_reset": 1} if kind == "gru" else {}
    every, last, *_ = nodes.call(
        kind.upper(), states, *weights, lengths,
        outputs=3 if kind == "lstm" else 2,
        hidden_size=layer.forward.units,
        direction="bidirectional" if layer.backward else "forward",
        **options,
    )  # fmt: skip
    width = layer.forward.units * len(cells)
    # [T, directions, B, units] and [directions, B, units]; 0 keeps an axis as it is.
    every = nodes.call("Transpose", every, perm=[0, 2, 1, 3])
    every = nodes.call("Reshape", every, np.array([0, 0, width], np.int64))
    last = nodes.call("Transpose", last, perm=[1, 0, 2])
    return every, nodes.call("Reshape", last, np.array([0, width], np.int64))


def _weights(kind: str, cell: Cell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W [gates * units, inputs], R [gates * units, units] and B [2 * gates * units]."""
    order = _GATES[kind]

    def gates(array: np.ndarray) -> np.ndarray:
        parts = np.split(array, len(order), axis=-1)
        return np.concatenate([parts[place] for place in order], axis=-1)

    bias = cell.bias if cell.bias.ndim == 2 else np.stack([cell.bias, np.zeros_like(cell.bias)])
    return gates(cell.kernel).T, gates(cell.recurrent).T, gates(bias).reshape(-1)
