"""What a SavedModel computes, as one digest that is equal for equal models.

Two exports of one model share few bytes: functions are numbered as they are traced, Keras and
Transform walk sets, whose order differs from process to process, and TensorFlow's own fingerprint
sees all that. This one follows the data: a tensor is known by its operation, its attributes and the
tensors that it is made of, a variable by its name and value, a call by what the function returns.
What no signature depends on does not count. Nothing is loaded or run.
"""

import graphlib
import hashlib
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import attr_value_pb2, function_pb2, node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2, trackable_object_graph_pb2

from ragline.components.files.storage import digest_of, sha256
from ragline.components.push.contract.graph import node_of, read

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_MERE_NAMES = ("container", "debug_name", "shared_name")  # Attributes that change no result.


def fingerprint(model: pathlib.Path) -> str:
    """Hex SHA-256 of a model's signatures, weights and assets.

    Raises:
      OSError: a file of the model is not there.
      ValueError: a file of the model is not what its name says.
    """
    assets = [f"{file.name} {sha256(file)}" for file in sorted((model / "assets").glob("*"))]
    return digest_of([*_signatures(read(model)), *_weights(model), *assets])


def _signatures(graph: meta_graph_pb2.MetaGraphDef) -> list[str]:
    functions = {each.signature.name: each for each in graph.graph_def.library.function}
    main = _Tensors(functions, graph.graph_def.node, {})
    return [
        f"{name} {key} {main.digest(info.name)}"
        for name, signature in sorted(graph.signature_def.items())
        for key, info in sorted(signature.outputs.items())
    ]


def _weights(model: pathlib.Path) -> list[str]:
    try:
        reader = tf.train.load_checkpoint(str(model / "variables" / "variables"))
        objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(
            reader.get_tensor(_OBJECT_GRAPH)
        )
        names = {
            attribute.checkpoint_key: attribute.full_name
            for node in objects.nodes
            for attribute in node.attributes
        }
        tensors = [(name, reader.get_tensor(key)) for key, name in names.items()]
    except (tf.errors.OpError, RuntimeError) as error:
        raise ValueError(f"{model}: expected a SavedModel's variables: {error}") from error
    return sorted(
        f"{name} {tensor.dtype} {tensor.shape} {hashlib.sha256(tensor.tobytes()).hexdigest()}"
        for name, tensor in tensors
        if np.issubdtype(tensor.dtype, np.floating)  # The others are random generators' states.
    )


class _Tensors:
    """Digests of the tensors of one graph, or of one call of a function."""

    def __init__(
        self,
        functions: Mapping[str, function_pb2.FunctionDef],
        nodes: Sequence[node_def_pb2.NodeDef],
        arguments: Mapping[str, str],
    ) -> None:
        self._functions = functions
        self._known: dict[str, str] = dict(arguments)  # By node, or by output of a call.
        by_name = {node.name: node for node in nodes}
        sources = {node.name: {node_of(tensor) for tensor in node.input} for node in nodes}
        for name in graphlib.TopologicalSorter(sources).static_order():
            if name in by_name:
                self._add(by_name[name])

    def digest(self, tensor: str) -> str:
        """Of `name`, `^name`, `name:0`, or, as functions write it, `name:output:0`."""
        name = node_of(tensor)
        place = tensor.rpartition(":")[2] if ":" in tensor else "0"
        if (called := f"{name}:{place}") in self._known and not tensor.startswith("^"):
            return self._known[called]
        return digest_of([self._known[name], tensor.removeprefix("^").removeprefix(name)])

    def _add(self, node: node_def_pb2.NodeDef) -> None:
        data = [self.digest(tensor) for tensor in node.input if not tensor.startswith("^")]
        controls = sorted(self.digest(tensor) for tensor in node.input if tensor.startswith("^"))
        if node.op in self._functions or node.op in _CALLS:
            name = node.op if node.op in self._functions else node.attr["f"].func.name
            returned, effects = self._call(name, data)
            for place, digest in enumerate(returned):
                self._known[f"{node.name}:{place}"] = digest
            self._known[node.name] = digest_of([*returned, *effects, "after", *controls])
            return
        attributes = [
            f"{name} {self._attribute(attribute)}"
            for name, attribute in sorted(node.attr.items())
            if not name.startswith("_") and name not in _MERE_NAMES
        ]
        if node.op == "VarHandleOp":  # Its name, less the number that tells it from its own copies.
            attributes.append(re.sub(r"_\d+$", "", node.attr["shared_name"].s.decode()))
        self._known[node.name] = digest_of([node.op, *attributes, *data, "after", *controls])

    def _call(self, name: str, arguments: Iterable[str]) -> tuple[list[str], list[str]]:
        """What a function returns, and, sorted, what it does besides."""
        function = self._functions[name]
        names = (argument.name for argument in function.signature.input_arg)
        inner = _Tensors(
            self._functions, function.node_def, dict(zip(names, arguments, strict=True))
        )
        outputs = (function.ret[output.name] for output in function.signature.output_arg)
        effects = function.control_ret.values()
        return [inner.digest(tensor) for tensor in outputs], sorted(map(inner.digest, effects))

    def _attribute(self, attribute: attr_value_pb2.AttrValue) -> str:
        named = [attribute.func] if attribute.HasField("func") else attribute.list.func
        if not named:
            return hashlib.sha256(attribute.SerializeToString(deterministic=True)).hexdigest()
        parts = []
        for each in named:  # Of a loop or a branch, whose arguments are known by their place.
            count = len(self._functions[each.name].signature.input_arg)
            returned, effects = self._call(each.name, map(str, range(count)))
            parts += [*returned, "besides", *effects]
        return digest_of(parts)
