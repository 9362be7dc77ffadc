"""Read the mean and scale of each feature from the SavedModel's own graph.

Transform's statistics are constants that the exported functions capture. They stand at the one
float64 division by a square root, `(where(usable, x, mean) - mean) / sqrt(where(varies, variance,
1))` of components/transform/standardise.py, and followed from there to the captured constants.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

_DOUBLE = tf.float64.as_datatype_enum
# The operations between the captured constants and the division.
_OPERATIONS: Mapping[str, Callable[..., np.ndarray]] = {
    "Identity": np.asarray,
    "Neg": np.negative,
    "Sub": np.subtract,
    "Sqrt": np.sqrt,
    "Greater": np.greater,
    "SelectV2": np.where,
    "OnesLike": np.ones_like,
}


class NotFoundError(Exception):
    """The graph does not standardise as ragline's exports do."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The nodes of one function, and where its arguments come from.

    Attributes:
      nodes: name -> node.
      functions: name -> function, of the whole graph.
      arguments: argument -> the caller's scope and its name there, or a captured constant.
    """

    nodes: Mapping[str, Any]
    functions: Mapping[str, Any]
    arguments: Mapping[str, Any]

    def calls(self) -> Iterator["Scope"]:
        """Yields the scope of each function that is called here."""
        for node in self.nodes.values():
            called = node.attr["f"].func.name if "f" in node.attr else ""
            if called in self.functions:
                function = self.functions[called]
                names = [argument.name for argument in function.signature.input_arg]
                arguments = {n: (self, ref) for n, ref in zip(names, node.input, strict=False)}
                nodes = {inner.name: inner for inner in function.node_def}
                yield Scope(nodes, self.functions, arguments)

    def every(self) -> Iterator["Scope"]:
        """Yields this scope, and those below it."""
        yield self
        for scope in self.calls():
            yield from scope.every()

    def value(self, ref: str) -> np.ndarray:
        """Returns the value of a tensor that does not depend on the model's inputs.

        Raises:
          NotFoundError: it does, or is made by an operation that is not expected here.
        """
        name = ref.partition(":")[0]
        if name in self.arguments:
            argument = self.arguments[name]
            if isinstance(argument, tuple):
                scope, outer = argument
                value: np.ndarray = scope.value(outer)
                return value
            return np.asarray(argument)
        node = self.nodes[name]
        if node.op == "Const":
            return np.asarray(tf.make_ndarray(node.attr["value"].tensor))
        if node.op not in _OPERATIONS:
            raise NotFoundError(f"{name}: expected a constant, received the operation {node.op}")
        return _OPERATIONS[node.op](*(self.value(ref) for ref in node.input))


def scope_of(signature: Any) -> Scope:
    """Return the outermost scope of a loaded signature."""
    graph = signature.graph.as_graph_def()
    captured = {
        inner.op.name: outer.numpy()
        for outer, inner in signature.graph.captures
        if outer.dtype not in (tf.resource, tf.variant)
    }
    functions = {function.signature.name: function for function in graph.library.function}
    return Scope({node.name: node for node in graph.node}, functions, captured)


def statistics(scope: Scope) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and scale, float64 [F], and whether the feature varies, bool [F].

    Raises:
      NotFoundError: there is not one standardisation as ragline's exports have it.
    """
    divisions = [
        (inside, node)
        for inside in scope.every()
        for node in inside.nodes.values()
        if node.op == "RealDiv"
        and node.attr["T"].type == _DOUBLE
        and _op(inside, node.input[1]) == "Sqrt"
    ]
    if len(divisions) != 1:
        raise NotFoundError(f"expected one standardisation, received {len(divisions)}")
    [(inside, division)] = divisions
    difference, root = (_node(inside, ref) for ref in division.input)
    chosen = _node(inside, root.input[0])
    if difference.op != "Sub" or chosen.op != "SelectV2":
        raise NotFoundError(f"expected Sub and SelectV2, received {difference.op}, {chosen.op}")
    varies = inside.value(chosen.input[0]).astype(bool)
    scale = inside.value(division.input[1])
    return inside.value(difference.input[1]), scale, varies


def _node(scope: Scope, ref: str) -> Any:
    return scope.nodes[ref.partition(":")[0]]


def _op(scope: Scope, ref: str) -> str:
    name = ref.partition(":")[0]
    return str(scope.nodes[name].op) if name in scope.nodes else ""
