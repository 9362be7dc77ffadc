"""Tests of what a schema says of the columns, of schemas as files, and of the length buckets."""

import pathlib
import re

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline import schemas
from ragline.components.contract.columns import (
    BOOKKEEPING,
    MISSING_BUCKET,
    TIME,
    Category,
    Columns,
    Feature,
    length_bucket,
    missing_bucket,
)
from ragline.schemas import SchemaError

RAGGED = "ragged_tensor { feature_path { step: %r } row_partition_dtype: INT64 }"
DENSE = "dense_tensor { column_name: %r shape {} }"


def _schema(
    *blocks: str,
    ragged: tuple[str, ...] = (),
    dense: tuple[str, ...] = (),
    bookkeeping: tuple[str, ...] = tuple(
        key for key in BOOKKEEPING if key not in (MISSING_BUCKET, TIME)
    ),
) -> schema_pb2.Schema:
    """A schema of `feature` blocks beside the bookkeeping, with tensor representations by name."""
    types = {"length": "INT"}
    features = [f"name: '{key}' type: {types.get(key, 'BYTES')}" for key in bookkeeping]
    features += blocks
    shown = [(name, RAGGED % name) for name in ragged] + [(name, DENSE % name) for name in dense]
    text = "\n".join(f"feature {{ {block} }}" for block in features)
    entries = "\n".join(f"tensor_representation {{ key: '{n}' value {{ {r} }} }}" for n, r in shown)
    text += f"\ntensor_representation_group {{ key: '' value {{ {entries} }} }}"
    return text_format.Parse(text, schema_pb2.Schema())


@given(st.integers(1, 2**62))
def test_bucket_contains_the_length_and_starts_at_a_power_of_two(length: int) -> None:
    low, _, high = length_bucket(length).partition("-")
    assert int(low) <= length <= int(high or low)
    assert int(low).bit_count() == 1
    assert int(high or low) == 2 * int(low) - 1


@pytest.mark.parametrize(
    ("length", "bucket"),
    [(1, "1"), (2, "2-3"), (3, "2-3"), (4, "4-7"), (7, "4-7"), (8, "8-15"), (1024, "1024-2047")],
)
def test_bucket_boundaries(length: int, bucket: str) -> None:
    assert length_bucket(length) == bucket


@pytest.mark.parametrize("length", [0, -3])
def test_no_bucket_below_one_step(length: int) -> None:
    with pytest.raises(ValueError, match=f"length: expected >= 1, received {length}"):
        length_bucket(length)


@pytest.mark.parametrize(
    ("missing", "values", "bucket"),
    [
        (0, 5, "0"),
        (1, 1000, "0-1%"),
        (10, 1000, "0-1%"),
        (11, 1000, "1-10%"),
        (100, 1000, "1-10%"),
        (101, 1000, "10-50%"),
        (501, 1000, "50-100%"),
        (7, 7, "50-100%"),
    ],
)
def test_missing_bucket(missing: int, values: int, bucket: str) -> None:
    assert missing_bucket(missing, values) == bucket


@pytest.mark.parametrize(("missing", "values"), [(-1, 5), (6, 5), (0, 0)])
def test_no_missing_bucket_of_an_impossible_share(missing: int, values: int) -> None:
    with pytest.raises(ValueError, match=f"received {missing}"):
        missing_bucket(missing, values)


def test_columns_of_the_gestures_schema() -> None:
    columns = Columns.from_schema(schemas.load("gestures"))
    assert columns.names == ("ax", "ay", "az", "gz", "heart_rate", "saturation")
    assert columns.features[4] == Feature(name="heart_rate", unit="beats/min", allow_missing=True)
    assert [feature.allow_missing for feature in columns.features] == [False] * 4 + [True, False]
    assert columns.features[3].unit == "rad/s"
    assert columns.allow_missing
    assert columns.context == {"label": "bytes"}


def test_features_keep_the_order_of_their_blocks() -> None:
    names = ("z", "a", "m")
    blocks = [f"name: '{name}' type: FLOAT" for name in names]
    columns = Columns.from_schema(_schema(*blocks, ragged=("a", "m", "z")))
    assert columns.names == names


def test_unit_and_missing_come_from_annotation_and_domain() -> None:
    columns = Columns.from_schema(
        _schema(
            "name: 'a' type: FLOAT annotation { tag: 'noisy' tag: 'unit:K' }",
            "name: 'b' type: FLOAT float_domain { disallow_nan: true }",
            ragged=("a", "b"),
        )
    )
    assert columns.features == (
        Feature(name="a", unit="K", allow_missing=True),
        Feature(name="b", unit=None, allow_missing=False),
    )


def test_nothing_can_be_missing_where_every_feature_disallows_it() -> None:
    block = "name: 'a' type: FLOAT float_domain { disallow_nan: true }"
    assert not Columns.from_schema(_schema(block, ragged=("a",))).allow_missing


def test_ragged_words_and_codes_are_categories() -> None:
    columns = Columns.from_schema(
        _schema(
            "name: 'activity' type: BYTES",
            "name: 'a' type: FLOAT",
            "name: 'code' type: INT",
            ragged=("a", "activity", "code"),
        )
    )
    assert columns.names == ("a",)
    assert columns.categories == (
        Category(name="activity", kind="bytes"),
        Category(name="code", kind="int"),
    )
    assert [category.allow_missing for category in columns.categories] == [True, False]
    assert not columns.has_time


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("activity", "activity"),
        ("concept:name", "concept_name"),
        ("a b-c", "a_b_c"),
        ("7up", "x_7up"),
        ("class", "class_"),
        ("self", "self_"),
        ("_x", "x__x"),
        ("é", "u00e9"),
        ("温度", "u6e29u5ea6"),
        ("\U0001f600", "u1f600"),
    ],
)
def test_a_category_has_a_name_that_signatures_can_bear(name: str, key: str) -> None:
    category = Category(name=name, kind="bytes")
    assert (category.key, category.vocabulary) == (key, f"vocabulary_{key}")


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (("values",), "'values': expected another name, since ragline's own records have"),
        (("row:lengths",), "'row:lengths': the encoder would have two inputs 'row_lengths'"),
        (("a:b", "a_b"), "'a_b': .* two inputs 'a_b', for 'a:b', too; expected names that differ"),
        (("a b", "a-b"), "'a-b': .* two inputs 'a_b', for 'a b', too"),
        (("observed",), "'observed': expected another name, since ragline's own records have"),
    ],
)
def test_a_category_that_cannot_be_an_input_is_refused(
    names: tuple[str, ...], sentence: str
) -> None:
    blocks = [f"name: '{name}' type: BYTES" for name in names]
    with pytest.raises(SchemaError, match=f"^feature {sentence}"):
        Columns.from_schema(_schema("name: 'x' type: FLOAT", *blocks, ragged=("x", *names)))


@pytest.mark.parametrize("name", ["values", "observed", "values$ragged_values"])
def test_a_context_column_is_not_called_what_transformed_records_have(name: str) -> None:
    with pytest.raises(SchemaError, match=re.escape(f"feature {name!r}: expected another name")):
        Columns.from_schema(
            _schema("name: 'x' type: FLOAT", f"name: '{name}' type: BYTES", ragged=("x",))
        )


@pytest.mark.parametrize("name", ["", " ", "\u3000"])
@pytest.mark.parametrize("ragged", [("x",), ("x", "name")])
def test_a_column_without_a_name_is_refused(name: str, ragged: tuple[str, ...]) -> None:
    ragged = tuple(name if one == "name" else one for one in ragged)
    with pytest.raises(SchemaError, match="has no name: expected one"):
        Columns.from_schema(
            _schema("name: 'x' type: FLOAT", f"name: '{name}' type: BYTES", ragged=ragged)
        )


def test_what_is_not_ragged_is_context() -> None:
    columns = Columns.from_schema(
        _schema(
            "name: 'time' type: INT",
            "name: 'a' type: FLOAT",
            "name: 'label' type: BYTES",
            "name: 'visits' type: INT",
            "name: 'target' type: FLOAT",
            ragged=("a", "time"),
            dense=("target",),
        )
    )
    assert columns.names == ("a",)
    assert columns.has_time
    assert columns.context == {"label": "bytes", "visits": "int", "target": "float"}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (
            _schema("name: 'a' type: FLOAT", ragged=("a",), bookkeeping=("length", "entity_id")),
            "the schema lacks sequence_id, length_bucket; expected all of",
        ),
        (_schema("name: 'a' type: FLOAT"), "the schema has no feature: expected at least one"),
        (_schema(), "the schema has no feature"),
        (
            _schema("name: 'a' type: INT", ragged=("a",)),
            "the schema has no feature: expected at least one FLOAT",
        ),
        (
            _schema("name: 'a' type: FLOAT", "name: 's' type: STRUCT", ragged=("a",)),
            "feature 's': expected type BYTES, INT or FLOAT, received STRUCT",
        ),
        (
            _schema("name: 'a' type: FLOAT", "name: 'a' type: FLOAT", ragged=("a",)),
            "feature 'a': expected one declaration, received several",
        ),
        (
            _schema("name: 'renamed' type: FLOAT", "name: 'b' type: FLOAT", ragged=("a", "b")),
            "tensor representation 'a': expected a feature of that name, received none",
        ),
    ],
)
def test_a_schema_that_lacks_something_is_refused(schema: schema_pb2.Schema, message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        Columns.from_schema(schema)


def test_a_schema_without_tensor_representations_has_no_feature() -> None:
    schema = _schema("name: 'a' type: FLOAT")
    schema.ClearField("tensor_representation_group")
    with pytest.raises(SchemaError, match="the schema has no feature"):
        Columns.from_schema(schema)


def test_a_schema_is_found_by_name_and_by_path(tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "mine.pbtxt"
    copy.write_bytes(schemas.locate("gestures").read_bytes())
    assert schemas.load(copy) == schemas.load("gestures")
    assert schemas.locate(str(copy)) == copy


@pytest.mark.parametrize("name", ["nowhere", "/nowhere/at/all.pbtxt", "schemas"])
def test_an_absent_schema_names_the_known_ones(name: str) -> None:
    with pytest.raises(SchemaError, match=f"no schema '{name}'.*one of: gestures, japanese_vowels"):
        schemas.load(name)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("feature {\n  name: 'a'\n  typo: FLOAT\n}", r"mine\.pbtxt: 3:3 : .*typo"),
        ("feature {\n  name: 'a'\n", r"mine\.pbtxt: 2:9 : Expected"),
        ("feature { type: DOUBLE }", r"mine\.pbtxt: 1:17 : .*DOUBLE"),
    ],
)
def test_a_schema_that_cannot_be_parsed_names_file_and_line(
    tmp_path: pathlib.Path, text: str, message: str
) -> None:
    path = tmp_path / "mine.pbtxt"
    path.write_text(text)
    with pytest.raises(SchemaError, match=message):
        schemas.load(path)


def test_a_schema_that_is_not_utf8_names_the_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "mine.pbtxt"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(SchemaError, match=r"mine\.pbtxt: .*can't decode byte 0xe9"):
        schemas.load(path)
