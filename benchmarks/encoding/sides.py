"""Run one side: `python -m benchmarks.encoding.sides NAME CASE OUTPUT THREADS`.

ragline      the fast form of an encoder, so many sequences at a time as there are threads
bfloat16     the same with its recurrence in bfloat16
onnxruntime  an ONNX LSTM without `sequence_lens`, padded and sorted, batches of 64
openvino     the same file
"""

import concurrent.futures
import functools
import itertools
import pathlib
import sys
from collections.abc import Callable

import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper, numpy_helper

from benchmarks.encoding import case as cases
from benchmarks.encoding.case import Case
from benchmarks.training.data import FEATURES
from ragline.components.serving.batches import Sequences
from ragline.components.serving.fast.fast_encoder import FastEncoder
from ragline.components.serving.fast.network import Dense, Network

_BATCH = 64
# ONNX's order of gates, i o f c, as places in Keras's.
_GATES = (0, 3, 1, 2)


def _ragline(case: Case, threads: int, *, bfloat16: bool = False) -> Callable[[], np.ndarray]:
    weights = {"kernel": case.kernel, "recurrent": case.recurrent, "bias": case.bias}
    # As an encoder of one layer is recorded.
    around = ("Transpose", "Pad", "Pad"), ("Shape", "Slice", "Identity")
    before, after = ([{"op": op} for op in ops] for ops in around)
    network = Network(
        features=[f"f{place}" for place in range(FEATURES)],
        transforms=["none"] * FEATURES,
        mean=case.mean.astype(np.float64),
        scale=case.scale.astype(np.float64),
        varies=np.ones(FEATURES, bool),
        tables=(),
        operations=(*before, {"op": "LSTM", "cells": [[*weights]]}, *after),
        weights=weights,
        to_embedding=Dense(kernel=case.code, bias=case.code_bias),
        linear=None,
    )
    encoder = FastEncoder(network, threads, bfloat16=bfloat16)
    pool = concurrent.futures.ThreadPoolExecutor(threads)
    middle = len(case.length) // threads
    bounds = [*range(0, middle * threads, middle), len(case.length)]
    ends = np.concatenate([[0], np.cumsum(case.length)])
    groups = [
        Sequences(
            values=case.values[ends[start] : ends[stop]], length=case.length[start:stop], tokens={}
        )
        for start, stop in itertools.pairwise(bounds)
    ]
    return lambda: np.concatenate([*pool.map(encoder.encode_flat, groups)])


def _states(case: Case) -> bytes:
    """Write an ONNX LSTM of rows [T, B, F], without lengths: its states [T, 1, B, H]."""

    def gates(array: np.ndarray) -> np.ndarray:
        return np.concatenate([np.split(array, 4, axis=-1)[place] for place in _GATES], axis=-1)

    constants = {
        "W": gates(case.kernel).T[np.newaxis],
        "R": gates(case.recurrent).T[np.newaxis],
        "B": np.concatenate([gates(case.bias), np.zeros_like(case.bias)])[np.newaxis],
    }
    units = len(case.recurrent)
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["rows", *constants], ["states"], hidden_size=units)],
        "states",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["T", "B", FEATURES])],
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["T", 1, "B", units])],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in constants.items()],
    )
    model: bytes = helper.make_model(
        graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]
    ).SerializeToString()
    return model


def _by_hand(case: Case, states: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    embedding = np.zeros((len(case.length), cases.EMBEDDING), np.float32)
    for rows, values, length in cases.batches(case, _BATCH):
        standardised = ((values - case.mean) / case.scale).transpose(1, 0, 2)
        last = states(np.ascontiguousarray(standardised))[length - 1, 0, np.arange(len(rows))]
        embedding[rows] = last @ case.code + case.code_bias
    return embedding


def _onnxruntime(case: Case, threads: int) -> Callable[[], np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        _states(case), options, providers=["CPUExecutionProvider"]
    )
    return lambda: _by_hand(case, lambda rows: session.run(None, {"rows": rows})[0])


def _openvino(case: Case, threads: int) -> Callable[[], np.ndarray]:
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    model = openvino.Core().read_model(onnx.load_from_string(_states(case)).SerializeToString())
    compiled = openvino.Core().compile_model(model, "CPU", options)
    return lambda: _by_hand(case, lambda rows: compiled([rows])[0])


def main(name: str, file: str, output: str, threads: str) -> None:
    """Answer as one side."""
    sides = {
        "ragline": _ragline,
        "bfloat16": functools.partial(_ragline, bfloat16=True),
        "onnxruntime": _onnxruntime,
        "openvino": _openvino,
    }
    encode = sides[name](cases.read(pathlib.Path(file)), int(threads))
    cases.serve(encode, pathlib.Path(output))


if __name__ == "__main__":
    main(*sys.argv[1:])
