"""Name the keys of features and the shape letters, and describe the columns of a data set.

Shape letters, everywhere in ragline: B sequences, T steps, F features, E numbers of an embedding.
True (or 1) in a mask means "counts". A step t of a sequence is *valid* when t < length; any other
is padding, which exists only inside a batch. A value of a valid step is *observed* when it was
measured; a missing one is NaN in records, and nowhere else does NaN have a meaning.

This module is the only place where a key of a record is written out.
"""

import collections
from collections.abc import Mapping
from collections.abc import Sequence as Collection
from dataclasses import dataclass
from typing import TypeVar

from tensorflow_metadata.proto.v0 import schema_pb2

from ragline.components.contract import kinds
from ragline.components.contract.feature_transforms import NONE, TRANSFORMS, Transform
from ragline.components.contract.signatures import ROW_LENGTHS, collisions, legal
from ragline.components.contract.suggestions import did_you_mean
from ragline.schemas import SchemaError

# Keys of the raw record, beside one column a feature under its own name.
SEQUENCE_ID = "sequence_id"
ENTITY_ID = "entity_id"
LENGTH = "length"
LENGTH_BUCKET = "length_bucket"
MISSING_BUCKET = "missing_bucket"
TIME = "time"
BOOKKEEPING = (SEQUENCE_ID, ENTITY_ID, LENGTH, LENGTH_BUCKET, MISSING_BUCKET, TIME)
# Keys that a schema may leave out: a record has them only where they are declared.
_OPTIONAL = (MISSING_BUCKET, TIME)
# Features like any other, which ingest fills from the times of the steps if asked to.
TIME_DELTA, HOUR_OF_DAY, DAY_OF_WEEK = "time_delta", "hour_of_day", "day_of_week"
DERIVED = (TIME_DELTA, HOUR_OF_DAY, DAY_OF_WEEK)

# Keys of the transformed record, beside `length`, the two ids, context, and the token ids of each
# category under its own name.
VALUES = "values"
OBSERVED = "observed"

# The token id of a missing token. Those of tokens begin at 0, which is an id like any other.
MISSING_TOKEN_ID = -1

SPLITS = ("train", "eval")

ContextKind = kinds.Kind
ContextValue = str | int | float
_KINDS: Mapping[int, ContextKind] = {
    schema_pb2.BYTES: kinds.TEXT,
    schema_pb2.INT: kinds.INTEGER,
    schema_pb2.FLOAT: kinds.NUMBER,
}
UNIT_TAG = "unit:"
TRANSFORM_TAG = "transform:"
_Choice = TypeVar("_Choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """Describes one number measured at every step.

    Attributes:
      name: the column's name in records.
      unit: unit that the schema's annotation `tag: "unit:..."` states; None without one.
      allow_missing: whether a value may be NaN; False where the schema has `disallow_nan`.
      transform: transform of its values before they are standardised, which the schema's annotation
        `tag: "transform:..."` states.
    """

    name: str
    unit: str | None
    allow_missing: bool
    transform: Transform = NONE


CategoryKind = kinds.TokenKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """Describes one word or id at every step, such as an activity; an id is no number.

    Attributes:
      name: the column's name in records.
      kind: kind of its values: `bytes`, where an empty text is missing, or `int`, never missing.
    """

    name: str
    kind: CategoryKind

    @property
    def is_text(self) -> bool:
        """Return whether its tokens are words, and not ids."""
        return kinds.is_text(self.kind)

    @property
    def allow_missing(self) -> bool:
        """Return whether a step may lack its token."""
        return self.is_text

    def pick(self, *, words: _Choice, ids: _Choice) -> _Choice:
        """Return what is given for its kind of tokens."""
        return words if self.is_text else ids

    @property
    def key(self) -> str:
        """Return the name of its input in signatures: `concept_name` for `concept:name`."""
        return legal(self.name)

    @property
    def vocabulary(self) -> str:
        """Return the file of its tokens in a model's assets: a line each, by token id."""
        return f"vocabulary_{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Holds the columns that a schema declares: features in order, categories and context.

    Attributes:
      features: the F features, in the schema's order, which is the order of `values` [B, T, F].
      context: name -> kind of the columns that hold one optional value a sequence.
      categories: the C columns of words or ids, in the schema's order.
      has_time: whether records carry `time`, nanoseconds since the sequence's first step.
      has_missing_bucket: whether records carry `missing_bucket`, by which metrics are sliced.
    """

    features: tuple[Feature, ...]
    context: Mapping[str, ContextKind]
    categories: tuple[Category, ...] = ()
    has_time: bool = False
    has_missing_bucket: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the F feature names, in order."""
        return tuple(feature.name for feature in self.features)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """Return the transforms of the F features, in order."""
        return tuple(feature.transform for feature in self.features)

    @property
    def labels(self) -> tuple[str, ...]:
        """Return the context columns of texts or integers, in order."""
        return tuple(name for name, kind in self.context.items() if not kinds.is_number(kind))

    @property
    def allow_missing(self) -> bool:
        """Return whether any value can be missing: only then do records carry `observed`."""
        return any(feature.allow_missing for feature in self.features)

    @classmethod
    def from_schema(cls, schema: schema_pb2.Schema) -> "Columns":
        """Read the columns from a schema of raw records.

        A FLOAT column with a ragged tensor representation is a feature, a BYTES or INT column with
        one a category; any other column that is not bookkeeping is context.

        Raises:
          SchemaError: if the schema has no features, lacks bookkeeping, has an unknown type, or
            declares a column twice or not at all.
        """
        groups = schema.tensor_representation_group
        ragged = {
            name
            for name, form in (groups[""].tensor_representation.items() if "" in groups else ())
            if form.HasField("ragged_tensor")
        }
        declared = collections.Counter(feature.name for feature in schema.feature)
        if twice := [name for name, times in declared.items() if times > 1]:
            raise SchemaError(f"feature {twice[0]!r}: expected one declaration, received several")
        if unknown := sorted(ragged - declared.keys()):
            raise SchemaError(
                f"tensor representation {unknown[0]!r}: expected a feature of that name, "
                "received none"
            )
        required = [key for key in BOOKKEEPING if key not in _OPTIONAL]
        if absent := [key for key in required if key not in declared]:
            raise SchemaError(f"the schema lacks {', '.join(absent)}; expected all of {required}")
        features, categories, context = [], [], {}
        for feature in schema.feature:
            if feature.name in BOOKKEEPING:
                continue
            kind = _KINDS.get(feature.type)
            if kind is None:
                raise SchemaError(
                    f"feature {feature.name!r}: expected type BYTES, INT or FLOAT, "
                    f"received {schema_pb2.FeatureType.Name(feature.type)}"
                )
            if feature.name not in ragged:
                context[feature.name] = kind
            elif kinds.is_number(kind):
                features.append(_feature(feature))
            else:
                tokens = kinds.TEXT if kinds.is_text(kind) else kinds.INTEGER
                categories.append(Category(name=feature.name, kind=tokens))
        if not features:
            raise SchemaError(
                "the schema has no feature: expected at least one FLOAT feature with a "
                "ragged_tensor representation"
            )
        _check_names(categories, [*context], columns=[feature.name for feature in schema.feature])
        return cls(
            features=tuple(features),
            context=context,
            categories=tuple(categories),
            has_time=TIME in declared,
            has_missing_bucket=MISSING_BUCKET in declared,
        )


def _check_names(
    categories: Collection[Category], context: Collection[str], columns: Collection[str]
) -> None:
    """Refuse names that clash in transformed records or in the encoder's signatures.

    Raises:
      SchemaError: a column has no name; a category or context column has a name that transformed
        records or signatures use otherwise; two categories have the same legal name.
    """
    if any(not name.strip() for name in columns):
        raise SchemaError("a feature of the schema has no name: expected one")
    for name in (*context, *(category.name for category in categories)):
        if name.partition("$")[0] in (VALUES, OBSERVED):
            raise SchemaError(
                f"feature {name!r}: expected another name, since ragline's own records have a "
                f"column {name!r}; rename it in the data and in the schema"
            )
    reserved = (VALUES, OBSERVED, LENGTH, ROW_LENGTHS)
    for name, other in collisions([*reserved, *(category.name for category in categories)]):
        raise SchemaError(
            f"feature {name!r}: the encoder would have two inputs {legal(name)!r}, for {other!r}, "
            f"too; expected names that differ in their letters and digits"
        )


def _feature(feature: schema_pb2.Feature) -> Feature:
    return Feature(
        name=feature.name,
        unit=_stated(feature, UNIT_TAG),
        allow_missing=not feature.float_domain.disallow_nan,
        transform=_transform(feature),
    )


def _stated(feature: schema_pb2.Feature, tag: str) -> str | None:
    """Return what the first annotation of a kind says; None without one."""
    stated = (each.removeprefix(tag) for each in feature.annotation.tag if each.startswith(tag))
    return next(stated, None)


def _transform(feature: schema_pb2.Feature) -> Transform:
    stated = _stated(feature, TRANSFORM_TAG)
    if stated is None:
        return NONE
    for transform in TRANSFORMS:
        if stated == transform:
            return transform
    raise SchemaError(
        f"feature {feature.name!r}: expected a transform of {', '.join(TRANSFORMS)}, received "
        f"{stated!r}{did_you_mean(stated, TRANSFORMS)}"
    )


def length_bucket(length: int) -> str:
    """Return the bucket of a length: powers of two, `1`, `2-3`, `4-7`, `8-15` and so on.

    Ingest writes it, because TFMA slices only by features of the record. Powers of two do not
    depend on the data, so a bucket means the same in every run.
    """
    if length < 1:
        raise ValueError(f"length: expected >= 1, received {length}")
    low = 1 << (length.bit_length() - 1)
    return "1" if low == 1 else f"{low}-{2 * low - 1}"


def missing_bucket(missing: int, values: int) -> str:
    """Return the bucket of a sequence's share of missing values: none, up to 1%, 10%, 50% or 100%.

    Args:
      missing: number of its missing values.
      values: number of its values: steps times columns.
    """
    if not 0 <= missing <= values or not values:
        raise ValueError(f"missing: expected 0 to {values} of at least 1, received {missing}")
    if not missing:
        return "0"
    for low, high in ((0, 1), (1, 10), (10, 50)):
        if missing * 100 <= high * values:
            return f"{low}-{high}%"
    return "50-100%"
