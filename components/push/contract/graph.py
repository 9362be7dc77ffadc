"""Read the operations of a SavedModel from its file; nothing of it is loaded or run.

A SavedModel is a program. What one of ours may be made of stands in ops.txt, the operations of
clean exports, and in arithmetic.py, what encoders and terms may compute with besides. None of them
calls Python or opens a file, but for the saver's, by which the weights are kept and restored, and
the loader's, by which tables of words are filled from the model's assets when it is loaded. No
signature may reach either, nor the loader the saver's; nor may anything but the saver itself, so
that no resource's initialiser, nor another function of the object graph, which Python's loader
runs, can write a file.
"""

import collections
import pathlib
import re
from collections.abc import Iterable, Iterator

from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from ragline.components.push.contract import arithmetic
from ragline.components.push.contract.padding_contract import Violation

OPS_FILE = pathlib.Path(__file__).with_name("ops.txt")
OF_SAVER = " (saver)"
OF_LOADER = " (loader)"
# Words of operations that reach out of a model: files, sockets, Python, other machines.
REACHES_OUT = re.compile(
    r"File|Py|Numpy|Socket|Http|Rpc|Remote|Worker|Save|Restore|Checkpoint|(?<!TensorArray)Write|"
    r"Print|Dataset|Iterator|(?<!TensorArray)Read(?!VariableOp)|Stage|Queue|Library|Kernel|Custom"
)
_EVERYWHERE = "graph, "
_LOADER = "__saved_model_init_op"  # TensorFlow's, among the signatures: what loading runs.


def foreign_ops(model: pathlib.Path) -> list[Violation]:
    """Return the operations of a model that ops.txt lacks, or that are where they must not be.

    Raises:
      OSError: a file of the model is not there.
      ValueError: a file of the model is none.
    """
    graph = read(model)
    models, loaders, savers = allowed()
    everywhere = ops(graph)
    in_signatures, in_loader = _count(nodes_of_signatures(graph)), _count(nodes_of_loader(graph))
    return [
        Violation("ops", f"{where}, {op}", float(counts[op]), expected)
        for where, counts, refused, expected in (
            (
                _EVERYWHERE.rstrip(", "),
                everywhere,
                everywhere.keys() - (models | loaders | savers | arithmetic.OPERATIONS),
                "operations of clean exports (ops.txt) or arithmetic (arithmetic.py)",
            ),
            ("signatures", in_signatures, savers, "no operation of the saver"),
            ("signatures", in_signatures, loaders, "no operation of the loader"),
            ("loader", in_loader, savers, "no operation of the saver"),
            (
                "beside the saver",
                _beside_saver(graph),
                {op for op in savers if REACHES_OUT.search(op)},
                "no operation of the saver",
            ),
        )
        for op in sorted(counts.keys() & refused)
    ]


def harmful_ops(model: pathlib.Path) -> list[Violation]:
    """Return the foreign operations that reach out of a model, or are where they must not be.

    A model from elsewhere, which somebody asks about, may have any other operation.
    """
    return [
        violation
        for violation in foreign_ops(model)
        if not violation.signature.startswith(_EVERYWHERE)
        or REACHES_OUT.search(violation.signature.removeprefix(_EVERYWHERE))
    ]


def allowed() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """Return the operations of ops.txt: of any function, of the loader, and of the saver."""
    lines = OPS_FILE.read_text(encoding="utf-8").splitlines()
    entries = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    models, loaders, savers = (
        frozenset(op for op, space, mark in entries if space + mark == wanted)
        for wanted in ("", OF_LOADER, OF_SAVER)
    )
    return models, loaders, savers


def read(model: pathlib.Path) -> meta_graph_pb2.MetaGraphDef:
    """Read the graph of a SavedModel.

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
    """Count the nodes of each operation, in the graph and in all functions."""
    functions = graph.graph_def.library.function
    nodes = [*graph.graph_def.node, *(node for each in functions for node in each.node_def)]
    return _count(nodes)


def nodes_of_signatures(graph: meta_graph_pb2.MetaGraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """Yield the nodes that some signature's outputs depend on, those of functions among them."""
    return _nodes_of(graph, graph.signature_def.keys() - {_LOADER})


def nodes_of_loader(graph: meta_graph_pb2.MetaGraphDef) -> Iterator[node_def_pb2.NodeDef]:
    """Yield the nodes that are run when the model is loaded, likewise."""
    return _nodes_of(graph, graph.signature_def.keys() & {_LOADER})


def _beside_saver(graph: meta_graph_pb2.MetaGraphDef) -> collections.Counter[str]:
    """Count the nodes that the saver does not call, and those of the object graph's functions."""
    saver = graph.saver_def
    tensors = (saver.save_tensor_name, saver.restore_op_name, saver.filename_tensor_name)
    nodes = {node.name for node in graph.graph_def.node}
    its_own = list(_reached(graph, [name for name in map(node_of, tensors) if name in nodes]))
    functions = graph.graph_def.library.function
    everything = [*graph.graph_def.node, *(node for each in functions for node in each.node_def)]
    known = {id(node) for node in its_own}
    others = _count(node for node in everything if id(node) not in known)
    by_name = {each.signature.name: each for each in functions}
    of_objects = [
        node
        for name in graph.object_graph_def.concrete_functions
        if name in by_name
        for node in by_name[name].node_def
    ]
    return others + _count(_reached(graph, (), of_objects))


def _nodes_of(
    graph: meta_graph_pb2.MetaGraphDef, signatures: Iterable[str]
) -> Iterator[node_def_pb2.NodeDef]:
    outputs = (
        info.name for name in signatures for info in graph.signature_def[name].outputs.values()
    )
    return _reached(graph, [node_of(tensor) for tensor in outputs])


def _reached(
    graph: meta_graph_pb2.MetaGraphDef,
    names: Iterable[str],
    inside: Iterable[node_def_pb2.NodeDef] = (),
) -> Iterator[node_def_pb2.NodeDef]:
    """Yield the nodes of names and of given functions, and all that they depend on."""
    functions = {each.signature.name: each.node_def for each in graph.graph_def.library.function}
    nodes = {node.name: node for node in graph.graph_def.node}
    seen, called = set(names), set[str]()
    to_see = [*(nodes[name] for name in seen), *inside]
    while to_see:
        node = to_see.pop()
        yield node
        for name in _called(node):
            if name in functions and name not in called:
                called.add(name)
                to_see.extend(functions[name])
        if nodes.get(node.name) is node:
            for name in {node_of(tensor) for tensor in node.input} - seen:
                seen.add(name)
                to_see.append(nodes[name])


def _count(nodes: Iterable[node_def_pb2.NodeDef]) -> collections.Counter[str]:
    return collections.Counter(node.op for node in nodes)


def _called(node: node_def_pb2.NodeDef) -> list[str]:
    """Return the functions that a node names, by its operation or in an attribute."""
    lists = [attr.list.func for attr in node.attr.values()]
    named = [attr.func for attr in node.attr.values() if attr.HasField("func")]
    return [node.op, *(function.name for function in [*named, *(f for fs in lists for f in fs)])]


def node_of(tensor: str) -> str:
    """Return the node that `name`, `^name`, `name:0` or `name:output:0` comes from."""
    return tensor.removeprefix("^").partition(":")[0]
