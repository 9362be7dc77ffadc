"""Describe columns in the table `[features]`, and make the schema of it that TFX takes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from tensorflow_metadata.proto.v0 import schema_pb2

from ragline.components.contract.columns import (
    BOOKKEEPING,
    DERIVED,
    ENTITY_ID,
    LENGTH,
    LENGTH_BUCKET,
    MISSING_BUCKET,
    SEQUENCE_ID,
    TRANSFORM_TAG,
    UNIT_TAG,
)
from ragline.components.contract.feature_transforms import NONE, Transform

_TYPES = {
    "text": schema_pb2.BYTES,
    "integer": schema_pb2.INT,
    "number": schema_pb2.FLOAT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureOptions:
    """Holds one entry of the `[features]` table: a column, and what its values must be.

    The order of the numbers is that of the encoder's inputs. What breaks an entry stops the run.

    Attributes:
      type: a `number`, one a step; a `category`, a word or id a step; or `context`, one value a
        sequence, which may be absent: a label, a slice of metrics, the target of a head.
      values: of a category or of context, `text` or `integer`; of context also `number`.
      unit: of a number; the served encoder states it.
      transform: transform of a number before it is standardised: `log`, of numbers above 0, any
        other being rejected; `signed_log`, sign(x) ln(1 + |x|), of any number, for amounts and
        amplitudes of which a few are giants; or `none`. The served encoder takes raw numbers.
      missing: whether a step may lack a number.
      min: lowest value of a number, or of context that is one.
      max: highest value.
      classes: words that there can be, of text; none takes any.
      derived: fill the number from the times of the steps. Its name says how: `time_delta` is the
        seconds since the step before it, 0 at the first, for times at irregular distances;
        `hour_of_day` the hours since midnight; `day_of_week` 0 for Monday to 6 for Sunday.
      description: text for people.
    """

    type: Literal["number", "category", "context"] = "number"
    values: Literal["text", "integer", "number"] = "text"
    unit: str | None = None
    transform: Transform = NONE
    missing: bool = False
    min: float | None = None
    max: float | None = None
    classes: tuple[str, ...] = ()
    derived: bool = False
    description: str = ""

    __pydantic_config__: ClassVar[dict[str, object]] = {"extra": "forbid", "strict": True}

    def __post_init__(self) -> None:
        if mistakes := [*self._mistakes()]:
            raise ValueError("\n".join(mistakes))

    @property
    def kind(self) -> Literal["text", "integer", "number"]:
        """Return the kind of its values."""
        return "number" if self.type == "number" else self.values

    def _mistakes(self) -> Iterator[str]:
        if self.type == "number" and self.values == "integer":
            yield "values: expected it of a category or of context, received it of a number"
        if self.type == "category" and self.values == "number":
            yield "values: expected 'text' or 'integer' of a category, received 'number'"
        if self.type != "number":
            for key in ("unit", "transform", "missing", "derived"):
                if getattr(self, key) not in (None, NONE, False):
                    yield f"{key}: expected it of a number, received it of type = {self.type!r}"
        if self.classes and self.kind != "text":
            yield "classes: expected them of text, received them of numbers"
        bounds = [bound for bound in (self.min, self.max) if bound is not None]
        if bounds and (self.kind == "text" or self.type == "category"):
            yield "min, max: expected them of numbers, received them of words"
        if self.kind == "integer" and any(bound % 1 for bound in bounds):
            yield f"min, max: expected whole numbers, received {bounds}"
        if len(bounds) == 2 and not bounds[0] <= bounds[1]:
            yield f"max: expected at least min = {bounds[0]:g}, received {bounds[1]:g}"


def mistakes(features: Mapping[str, FeatureOptions]) -> Iterator[str]:
    """Yield what is wrong with the names of a table."""
    for name, feature in features.items():
        if name in BOOKKEEPING:
            yield f"features.{name}: expected another name, ragline writes a column of that one"
        if feature.derived and name not in DERIVED:
            yield (
                f"features.{name}.derived: expected it of {', '.join(DERIVED)}, received {name!r}"
            )


def to_schema(features: Mapping[str, FeatureOptions]) -> schema_pb2.Schema:
    """Return the schema of records that have the columns."""
    schema = schema_pb2.Schema()
    group = schema.tensor_representation_group[""].tensor_representation
    for name in (SEQUENCE_ID, ENTITY_ID, LENGTH, LENGTH_BUCKET):
        bookkeeping = _always(schema, name)
        bookkeeping.type = schema_pb2.INT if name == LENGTH else schema_pb2.BYTES
        bookkeeping.shape.dim.add(size=1)
        if name == LENGTH:
            bookkeeping.int_domain.min = 1
        group[name].dense_tensor.column_name = name
        group[name].dense_tensor.shape.SetInParent()
    _perhaps(schema, MISSING_BUCKET).type = schema_pb2.BYTES
    group[MISSING_BUCKET].varlen_sparse_tensor.column_name = MISSING_BUCKET
    for name, feature in features.items():
        if feature.type == "context":
            column = _perhaps(schema, name)
            group[name].varlen_sparse_tensor.column_name = name
        else:
            column = _always(schema, name)
            column.value_count.min = 1
            group[name].ragged_tensor.feature_path.step.append(name)
            group[
                name
            ].ragged_tensor.row_partition_dtype = (
                schema_pb2.TensorRepresentation.RowPartitionDType.INT64
            )
        column.type = _TYPES[feature.kind]
        _fill_domain(column, feature)
        if feature.unit:
            column.annotation.tag.append(f"{UNIT_TAG}{feature.unit}")
        if feature.transform != NONE:
            column.annotation.tag.append(f"{TRANSFORM_TAG}{feature.transform}")
        if feature.description:
            column.annotation.comment.append(feature.description)
    return schema


def _always(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature:
    feature = schema.feature.add(name=name)
    feature.presence.min_fraction = 1
    feature.presence.min_count = 1
    return feature


def _perhaps(schema: schema_pb2.Schema, name: str) -> schema_pb2.Feature:
    feature = schema.feature.add(name=name)
    feature.value_count.min = 0
    feature.value_count.max = 1
    return feature


def _fill_domain(column: schema_pb2.Feature, feature: FeatureOptions) -> None:
    if feature.type == "number":
        column.float_domain.disallow_inf = True
        if not feature.missing:
            column.float_domain.disallow_nan = True
    domain = column.int_domain if feature.kind == "integer" else column.float_domain
    for key in ("min", "max"):
        if (bound := getattr(feature, key)) is not None:
            setattr(domain, key, int(bound) if feature.kind == "integer" else bound)
    if feature.classes:
        column.string_domain.name = column.name
        column.string_domain.value.extend(feature.classes)
