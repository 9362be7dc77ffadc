"""Read a SavedModel of ours as a Network, with TensorFlow and nothing that trained the model."""

import pathlib
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import numpy as np
import tensorflow as tf

from ragline.components.contract.columns import Category
from ragline.components.contract.errors import UsageError
from ragline.components.contract.signatures import ENCODE, ENCODER_FILE
from ragline.components.export import standard
from ragline.components.export.network import CategoryTable, Cell, Dense, Layer, LinearPath, Network
from ragline.components.files.storage import read_json

_CELL = re.compile(r"(encoder|backward)_([0-9]+)/(lstm|gru)_cell/(kernel|recurrent_kernel|bias)")


class CannotExportError(UsageError):
    """The model is not ours, or of a kind that the format cannot hold; one line says why."""


def read(model: pathlib.Path, loaded: Any) -> Network:
    """Reads the network of an encoder.

    Args:
      model: the folder of a SavedModel that ragline exported.
      loaded: the model, loaded by `tf.saved_model.load`.

    Raises:
      CannotExportError: see the class.
    """
    if ENCODE not in loaded.signatures:
        _refuse(model, f"expected a signature {ENCODE!r}, received {sorted(loaded.signatures)}")
    scope = standard.scope_of(loaded.signatures[ENCODE])
    nodes = [node for inside in scope.every() for node in inside.nodes.values()]
    bodies = [node for function in scope.functions.values() for node in function.node_def]
    _check_options(model, {node.op for node in nodes}, bodies)
    weights = {
        variable.name.partition(":")[0]: variable.numpy()
        for variable in getattr(loaded, "variables", ())
    }
    try:
        mean, scale, varies = standard.statistics(scope)
        cell, layers = _layers(weights)
        facts = _facts(model)
        names = [category["name"] for category in facts.get("categories", ())]
        tables = [name for name in weights if re.fullmatch(r"table_[0-9]+/embeddings", name)]
        if len(names) != len(tables):
            _refuse(
                model,
                f"it has {len(tables)} categories; expected {ENCODER_FILE}, which a push writes, "
                f"to name them, received {len(names)} names",
            )
        return Network(
            features=[feature["name"] for feature in facts.get("features", ())],
            mean=mean,
            scale=scale,
            varies=varies,
            tables=tuple(
                _table(model, Category(name=stated["name"], kind=stated["kind"]), weights, place)
                for place, stated in enumerate(facts.get("categories", ()))
            ),
            cell=cell,
            layers=layers,
            to_embedding=_dense(weights, "code"),
            linear=_linear(weights, len(mean), fills=any(node.op == "TopKV2" for node in nodes)),
        )
    except (KeyError, standard.NotFoundError) as error:
        raise CannotExportError(
            f"{model}: expected an encoder that ragline exported, received another SavedModel: "
            f"{error}"
        ) from error


def _refuse(model: pathlib.Path, why: str) -> NoReturn:
    raise CannotExportError(f"{model}: {why}")


def _check_options(model: pathlib.Path, ops: set[str], bodies: list[Any]) -> None:
    """Refuses options of which an export would not give the same embeddings."""
    half = tf.bfloat16.as_datatype_enum
    if any(value.type == half for node in bodies for value in node.attr.values()):
        _refuse(
            model,
            "train.precision = 'bfloat16' cannot be exported: its layers round as no other runtime "
            "does; expected 'float32'",
        )
    if "Any" in ops:  # Keras's Masking, which infers the mask.
        _refuse(
            model,
            "train.padding = 'keras' cannot be exported: it takes steps of zeros for padding; "
            "expected another strategy",
        )


def _facts(model: pathlib.Path) -> Mapping[str, Any]:
    file = model / ENCODER_FILE
    facts: Mapping[str, Any] = read_json(file) if file.is_file() else {}
    return facts


def _layers(
    weights: Mapping[str, np.ndarray],
) -> tuple[Literal["lstm", "gru"], tuple[Layer, ...]]:
    arrays: dict[tuple[str, int], dict[str, np.ndarray]] = {}
    kinds = set()
    for name, weight in weights.items():
        if matched := _CELL.fullmatch(name):
            stack, place, kind, what = matched.groups()
            kinds.add(kind)
            arrays.setdefault((stack, int(place)), {})[what] = weight
    cells = {
        key: Cell(kernel=cell["kernel"], recurrent=cell["recurrent_kernel"], bias=cell["bias"])
        for key, cell in arrays.items()
    }
    count = sum(stack == "encoder" for stack, _ in cells)
    layers = tuple(
        Layer(forward=cells["encoder", place], backward=cells.get(("backward", place)))
        for place in range(count)
    )
    if not layers or len(kinds) != 1:
        raise standard.NotFoundError("it has no recurrent layers of one kind")
    return "lstm" if kinds == {"lstm"} else "gru", layers


def _dense(weights: Mapping[str, np.ndarray], name: str) -> Dense:
    return Dense(kernel=weights[f"{name}/kernel"], bias=weights[f"{name}/bias"])


def _linear(weights: Mapping[str, np.ndarray], features: int, *, fills: bool) -> LinearPath | None:
    if "to_code/kernel" not in weights:
        return None
    dense = _dense(weights, "to_code")
    return LinearPath(steps=len(dense.kernel) // features, fills=fills, to_embedding=dense)


def _table(
    model: pathlib.Path, category: Category, weights: Mapping[str, np.ndarray], place: int
) -> CategoryTable:
    table = weights[f"table_{place}/embeddings"]
    tokens = (model / "assets" / category.vocabulary).read_text(encoding="utf-8").split("\n")
    return CategoryTable(category=category, tokens=tuple(tokens[: len(table) - 1]), table=table)
