"""The operations of a SavedModel, read from its file; nothing of it is loaded or run.

A SavedModel is a program. What one of ours may be made of stands in ops.txt: the operations of
clean exports. None of them calls Python or opens a file, but for the saver's, by which the weights
are kept and restored, and which no signature may reach.
"""

import collections
import pathlib
from collections.abc import Iterable, Iterator

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from components.push.contract import Violation

OPS_FILE = pathlib.Path(__file__).with_name("ops.txt")
OF_SAVER = " (saver)"


def foreign_ops(model: pathlib.Path) -> list[Violation]:
    """The operations of a model that are not in ops.txt, or are where they must not be.

    Raises:
      OSError: a file of the model is not there.
      ValueError: a file of the model is none.
    """
    graph = read(model)
    models, savers = allowed()
    strange = {op: count for op, count in ops(graph).items() if op not in models | savers}
    misplaced = {
        op: count for op, count in _count(nodes_of_signatures(graph)).items() if op in savers
    }
    return [
        Violation("ops", f"{where}, {op}", float(count), expected)
        for where, found, expected in (
            ("graph", strange, "operations of clean exports alone (ops.txt)"),
            ("signatures", misplaced, "no operation of the saver"),
        )
        for op, count in sorted(found.items())
    ]


def allowed() -> tuple[frozenset[str], frozenset[str]]:
    """What stands in ops.txt: what any function may be made of, and what only the saver's may."""
    lines = OPS_FILE.read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line and not line.startswith("#")]
    savers = {line.removesuffix(OF_SAVER) for line in found if line.endswith(OF_SAVER)}
    return frozenset(found) - {saver + OF_SAVER for saver in savers}, frozenset(savers)


def read(model: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    """The graph of a SavedModel.

    Raises:
      OSError: there is no such file.
      ValueError: it is no SavedModel of one graph.
    """
    file = model / "saved_model.pb"
    try:
        [graph] = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs
    except Exception as error:  # Protobuf's errors have no base class of their own.
        if isinstance(error, OSError):
            raise
        raise ValueError(f"{file}: expected a SavedModel of one graph: {error}") from error
    return graph


def ops(graph: meta_graph_pb2.MetaGraphDef) -> collections.Counter[str]:
    """How many nodes of each operation there are, in the graph and in all functions."""
    functions = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for each in functions for node in each.node_def)]
    return _count(nodes)


def nodes_of_signatures(graph: meta_graph_pb2.MetaGraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """The nodes that some signature's outputs depend on, those of functions among them."""
    functions = {each.signature.name: each.node_def for each in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    signatures = graph.signature_def.values()
    outputs = (info.name for signature in signatures for info in signature.outputs.values())
    names, called = {node_of(tensor) for tensor in outputs}, set[str]()
    to_see = [nodes[name] for name in names]
    while to_see:
        node = to_see.pop()
        yield node
        for name in _called(node):
            if name in functions and name not in called:
                called.add(name)
                to_see.extend(functions[name])
        if nodes.get(node.name) is node:
            for name in {node_of(tensor) for tensor in node.input} - names:
                names.add(name)
                to_see.append(nodes[name])


def _count(nodes: Iterable[node_def_pb2.NodeDef]) -> collections.Counter[str]:
    return collections.Counter(node.op for node in nodes)


def _called(node: node_def_pb2.NodeDef) -> list[str]:
    """The functions that a node names, by its operation or in an attribute."""
    lists = [attr.list.func for attr in node.attr.values()]
    named = [attr.func for attr in node.attr.values() if attr.HasField("func")]
    return [node.op, *(function.name for function in [*named, *(f for fs in lists for f in fs)])]


def node_of(tensor: str) -> str:
    """The node that `name`, `^name`, `name:0` or `name:output:0` comes from."""
    return tensor.removeprefix("^").partition(":")[0]
