"""Hold what an exported model states of itself: `assets.extra/encoder.json`.

The trainer writes it once, beside the SavedModel. ONNX, golden inputs, push, rollback, `check` and
`encode` read it, and none of them looks into the graph for a fact. A push adds what is known only
then (`pipeline`, `training_data`, `metrics`, `versions`), under keys that are not read here.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import pydantic

from ragline.components.contract.columns import Category, CategoryKind, Columns, Feature
from ragline.components.contract.errors import NoEncoderError
from ragline.components.contract.feature_transforms import NONE, Transform
from ragline.components.contract.sampling import SplitSample
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.files import places
from ragline.components.files.places import Place
from ragline.components.files.storage import digest_of, write_json
from ragline.components.serving import versions
from ragline.components.serving.portable import Operation

# Facts state the lowest format that holds them, so that an older ragline reads what it can: 2 has
# transforms, 4 the statistics of the linear path. 3 had others, and was never released.
SCHEMA, FORMAT = "ragline.encoder", 4
_READABLE = (1, 2, FORMAT)
_STRICT: dict[str, object] = {"strict": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFacts:
    """Describes one feature, and the training split's statistics that standardise it.

    Attributes:
      name: the name of the column.
      unit: the unit; None if the schema states none.
      allow_missing: whether a value may be NaN.
      transform: the transform of its values, before they are standardised.
      mean: the mean of transformed values; None of a feature that was never observed.
      std: the standard deviation; exactly 0 of a feature that never varied, which becomes 0.
    """

    name: str
    unit: str | None
    allow_missing: bool
    mean: float | None
    std: float
    transform: Transform = NONE

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryFacts:
    """Describes one category, and its vocabulary.

    Attributes:
      name: the name of the column.
      input: the name of the signatures' input.
      kind: the kind of its tokens.
      vocabulary_size: the number of tokens in the vocabulary.
      vocabulary_sha256: the hex SHA-256 of the vocabulary's file among the model's assets.
    """

    name: str
    input: str
    kind: CategoryKind
    vocabulary_size: int
    vocabulary_sha256: str

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadFacts:
    """Describes one head, whose labels the signature `evaluate` reads.

    Attributes:
      name: the name of the head.
      column: the context column that holds the label.
      type: the type of its term, such as `classification`.
      classes: the classes of a classification, in the order of the outputs.
    """

    name: str
    column: str
    type: str
    classes: tuple[str, ...]

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsFacts:
    """Describes the statistics that the linear path reads; see train/model/sequence_statistics.py.

    Attributes:
      correlation_lags: the lags of the correlations, in steps.
      bend_lags: the lags of the bends.
      tokens: V of each category, in order.
    """

    correlation_lags: tuple[int, ...]
    bend_lags: tuple[int, ...]
    tokens: tuple[int, ...]

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFacts:
    """Describes the layers of the network.

    Attributes:
      padding: the strategy of `train.padding`.
      encoder: the encoder of `train.encoder`; older facts name it `cell`.
      units: the numbers of a step that a layer puts out.
      layers: the number of layers of the encoder.
      bidirectional: whether the encoder also reads backwards.
      decoder: the kind of the decoder.
      linear_steps: K, the steps of the linear path's grid; 0 of a network without one.
      statistics: the statistics that the linear path reads; None if it reads none.
      mask: what the encoder takes for padding: the steps after the `length`, or those whose
        `values` are all 0.
      operations: what the encoder computes, for other runtimes (serving/portable.py); empty if it
        cannot be exported to them.
    """

    padding: str
    encoder: Annotated[
        str, pydantic.Field(validation_alias=pydantic.AliasChoices("encoder", "cell"))
    ]
    units: int
    layers: int
    bidirectional: bool
    decoder: str
    linear_steps: int
    statistics: StatisticsFacts | None = None
    mask: Literal["length", "values"] = "length"
    operations: tuple[Operation, ...] = ()

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """States how the raw files of the training were read.

    Attributes:
      options: the keys of `[input]` that decide how a file is read, with their values.
      fields: the names of the fields in the pattern of the files.
    """

    options: dict[str, Any]
    fields: tuple[str, ...]

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Holds the facts that an exported model states.

    Attributes:
      features: the F features, in order.
      categories: the categories, in order.
      heads: the heads, in order.
      embedding_size: E.
      network: the layers.
      input: the way in which raw files were read.
      weights_sha256: the digest of the weights; see `digest_of_weights`.
      samples: split -> the part of it that was read; without a split that was read whole.
    """

    features: tuple[FeatureFacts, ...]
    categories: tuple[CategoryFacts, ...]
    heads: tuple[HeadFacts, ...]
    embedding_size: int
    network: NetworkFacts
    input: InputFacts
    weights_sha256: str
    samples: dict[str, SplitSample] = dataclasses.field(default_factory=dict)

    __pydantic_config__: ClassVar[dict[str, object]] = _STRICT

    @property
    def columns(self) -> Columns:
        """Return the features and categories, without context."""
        return Columns(
            features=tuple(
                Feature(
                    name=feature.name,
                    unit=feature.unit,
                    allow_missing=feature.allow_missing,
                    transform=feature.transform,
                )
                for feature in self.features
            ),
            context={},
            categories=tuple(
                Category(name=category.name, kind=category.kind) for category in self.categories
            ),
        )

    @property
    def format(self) -> int:
        """Return the format of the file, which an older ragline must know to read it."""
        if self.network.statistics:
            return FORMAT
        return 2 if {*self.columns.transforms} - {NONE} else 1

    @property
    def fingerprint(self) -> str:
        """Return the digest of all facts, which is equal for equal models."""
        facts = json.dumps(_document(self), sort_keys=True)
        return digest_of([SCHEMA, str(self.format), facts])


_FACTS = pydantic.TypeAdapter(ModelFacts)


def write(model: Place, facts: ModelFacts) -> None:
    """Write the facts of a model into its folder."""
    head = {"schema": SCHEMA, "version": facts.format}
    write_json(f"{os.fspath(model)}/{ENCODER_FILE}", head | _document(facts))


def _document(facts: ModelFacts) -> dict[str, Any]:
    """Return the facts as plain data; samples only where there are some."""
    document = dataclasses.asdict(facts)
    return document if facts.samples else {k: v for k, v in document.items() if k != "samples"}


def is_beside(model: Place) -> bool:
    """Return whether a model states facts, of whatever format."""
    return places.exists(f"{os.fspath(model)}/{ENCODER_FILE}")


def read(model: Place) -> ModelFacts:
    """Read the facts of a model from its folder, or from the URI of it.

    Raises:
      NoEncoderError: it states none, or those of another format; one line says what to do.
    """
    file = f"{os.fspath(model)}/{ENCODER_FILE}"
    expected = (
        f"{file}: expected the facts that ragline exports beside a model, format {FORMAT} at most"
    )
    try:
        content = places.read(file).decode()
        stated = json.loads(content)
        schema, version = stated.get("schema"), stated.get("version")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoEncoderError(
            f"{expected}, received no file; it is no model of ragline's, or an older ragline's: "
            "train and push again"
        ) from error
    except (AttributeError, OSError, RecursionError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise NoEncoderError(f"{expected}, received something else ({reason})") from error
    if schema == SCHEMA and isinstance(version, int) and version > FORMAT:
        raise NoEncoderError(f"{expected}, received {version}: a later ragline wrote it; use that")
    if schema != SCHEMA or version not in _READABLE:
        raise NoEncoderError(
            f"{expected}, received those of another; an older ragline pushed the model: train and "
            "push again"
        )
    try:
        return _FACTS.validate_json(content)
    except pydantic.ValidationError as error:
        raise NoEncoderError(
            f"{expected}, received something else ({versions.first(error)}); train and push again"
        ) from error


def digest_of_weights(weights: Mapping[str, np.ndarray]) -> str:
    """Return the hex SHA-256 of weights, name -> array; the states of random generators left out.

    A model in memory and the variables of its SavedModel have one digest.
    """
    return digest_of(
        f"{name} {array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
        for name, array in sorted(weights.items())
        if np.issubdtype(array.dtype, np.floating)
    )
