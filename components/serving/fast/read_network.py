"""Read an encoder as a Network, from its facts and its weights."""

import pathlib
from collections.abc import Iterable, Mapping

import numpy as np

from ragline.components.contract.columns import Category
from ragline.components.contract.errors import UsageError
from ragline.components.serving.facts import ModelFacts
from ragline.components.serving.fast.network import (
    CategoryTable,
    Dense,
    LinearPath,
    Network,
    Statistics,
)
from ragline.components.serving.portable import Operation


class CannotExportError(UsageError):
    """Says in one line that the model is not ours, or of a kind that the format cannot hold."""


def read(model: pathlib.Path, weights: Mapping[str, np.ndarray], facts: ModelFacts) -> Network:
    """Read the network of an encoder.

    Args:
      model: the folder of a SavedModel that ragline exported.
      weights: its weights, name -> array.
      facts: the facts that the model states.

    Raises:
      CannotExportError: see the class.
    """
    if facts.network.mask == "values":
        raise CannotExportError(
            f"{model}: train.padding = {facts.network.padding!r} cannot be exported: it takes "
            "steps of zeros for padding; expected another strategy"
        )
    if not facts.network.operations:
        raise CannotExportError(
            f"{model}: train.encoder = {facts.network.encoder!r} cannot be exported: expected an "
            "encoder that records its operations (docs/extending.md), of a model that this ragline "
            "or a later one has pushed"
        )
    std = np.array([feature.std for feature in facts.features], np.float64)
    try:
        return Network(
            features=facts.columns.names,
            transforms=facts.columns.transforms,
            mean=np.array([feature.mean or 0.0 for feature in facts.features], np.float64),
            scale=np.where(std > 0.0, std, 1.0),
            varies=std > 0.0,
            tables=tuple(
                _table(model, category, weights[f"table_{place}/embeddings"])
                for place, category in enumerate(facts.columns.categories)
            ),
            operations=facts.network.operations,
            weights={name: weights[name] for name in _names(facts.network.operations)},
            to_embedding=_dense(weights, "code"),
            linear=_linear(weights, facts) if facts.network.linear_steps else None,
        )
    except KeyError as error:
        raise CannotExportError(
            f"{model}: expected the variables of the layers that its encoder.json states, received "
            f"none that is called {error}"
        ) from error


def _names(operations: Iterable[Operation]) -> set[str]:
    """Return the names of the weights that operations read."""
    names = {name for each in operations for cell in each.get("cells", ()) for name in cell}
    inputs = (value for each in operations for value in each["inputs"] if isinstance(value, dict))
    return names | {value["weights"] for value in inputs if "weights" in value}


def _dense(weights: Mapping[str, np.ndarray], name: str) -> Dense:
    return Dense(kernel=weights[f"{name}/kernel"], bias=weights[f"{name}/bias"])


def _linear(weights: Mapping[str, np.ndarray], facts: ModelFacts) -> LinearPath:
    statistics = None
    if stated := facts.network.statistics:
        mean, scale = (weights[f"sequence_statistics/{each}"] for each in ("mean", "scale"))
        statistics = Statistics(stated=stated, mean=mean, scale=scale)
    return LinearPath(
        steps=facts.network.linear_steps,
        fills=facts.columns.allow_missing,
        statistics=statistics,
        to_embedding=_dense(weights, "to_code"),
    )


def _table(model: pathlib.Path, category: Category, table: np.ndarray) -> CategoryTable:
    tokens = (model / "assets" / category.vocabulary).read_text(encoding="utf-8").split("\n")
    return CategoryTable(category=category, tokens=tuple(tokens[: len(table) - 1]), table=table)
