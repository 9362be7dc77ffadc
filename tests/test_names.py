"""Names of any characters: told as they are, and legal where TensorFlow and Python want one."""

import dataclasses
import keyword
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from push import clean_exports
from tensorflow_metadata.proto.v0 import schema_pb2

from ragline.components.contract.columns import Columns
from ragline.components.contract.signatures import ENCODE, EVALUATE, EXAMPLES, collisions, legal
from ragline.components.evaluate.metrics import formulas, masked_metrics, slices
from ragline.components.push.contract import probes
from ragline.components.train.options import HeadOptions
from ragline.pipeline.config import Config

any_name = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)


@given(any_name)
def test_a_legal_name_is_one_everywhere_and_stays_as_it_is(name):
    made = legal(name)
    assert re.fullmatch("[A-Za-z][A-Za-z0-9_]*", made)
    assert made.isidentifier() and not keyword.iskeyword(made) and made != "self"
    assert len(f"vocabulary_{made}") < 255
    assert legal(made) == made
    assert tf.TensorSpec([], tf.float32, made).name == made
    with tf.Graph().as_default(), tf.name_scope(made):
        assert tf.constant(0.0, name=made).op.name == f"{made}/{made}"


@given(st.lists(any_name, unique=True, max_size=8))
def test_names_collide_where_their_legal_forms_are_one(names):
    message = collisions(names)
    assert len({legal(name) for name in names}) == len(names) - len(message)
    assert all(legal(name) == legal(other) and name != other for name, other in message)


@given(column=any_name, value=any_name)
def test_a_slice_is_taken_apart_as_it_was_put_together(column, value):
    name = slices.name_of(column, value.encode())
    assert slices.parts_of(name) == (column, value)
    assert slices.column_of(name) == column
    assert name != slices.OVERALL


@given(st.lists(any_name, unique=True, min_size=1, max_size=5))
def test_every_metric_and_its_count_have_a_name_of_their_own(names):
    heads = [(name, "classification") for name in names]
    metrics = formulas.model_metrics(names, heads, names)
    keys = [*metrics, *map(masked_metrics.count_of, metrics)]
    assert len(set(keys)) == len(keys)
    assert [masked_metrics.is_count(key) for key in keys] == [False] * len(metrics) + [True] * len(
        metrics
    )


FEATURES = ("a b", "a-b", "温度", "1st", "masked/x#count", "values")
CATEGORIES = ("concept:name", "événement type", "class", "self")
HEAD = HeadOptions(name="köpt? ja/nej", column="label värde", type="classification",
                   classes=("ja", "nej"))  # fmt: skip


STEPS = (3, 4, 5)


def _schema() -> schema_pb2.Schema:
    schema = clean_exports.wide(1)
    shown = schema.tensor_representation_group[""].tensor_representation
    [first] = [one for one in schema.feature if one.type == schema_pb2.FLOAT]
    for name in (*FEATURES, *CATEGORIES):
        shown[name].CopyFrom(shown[first.name])
        shown[name].ragged_tensor.feature_path.step[:] = [name]
        kind = schema_pb2.FLOAT if name in FEATURES else schema_pb2.BYTES
        schema.feature.add(name=name, type=kind)
    shown.pop(first.name)
    schema.feature.remove(first)
    schema.feature.add(name=HEAD.column, type=schema_pb2.BYTES)
    return schema


def _records() -> list[bytes]:
    rng = np.random.default_rng(0)
    records = []
    for steps in STEPS:
        example = tf.train.Example()
        feature = example.features.feature
        for name in FEATURES:
            feature[name].float_list.value.extend(rng.normal(size=steps))
        for name in CATEGORIES:
            feature[name].bytes_list.value.extend([b"a", "ö".encode(), b"c d", b"", b"a"][:steps])
        feature[HEAD.column].bytes_list.value.append(b"ja")
        feature["length"].int64_list.value.append(steps)
        for name in ("sequence_id", "entity_id", "length_bucket"):
            feature[name].bytes_list.value.append(b"x")
        records.append(example.SerializeToString())
    return records


@pytest.mark.full
def test_an_encoder_of_nasty_names_is_made_and_asked_by_them(tmp_path):
    schema, records = _schema(), _records()
    columns = Columns.from_schema(schema)
    assert columns.names == FEATURES
    transform = clean_exports.analyse(schema, records, tmp_path / "transform")
    path = clean_exports.write(schema, transform, tmp_path / "model", heads=[HEAD])
    signatures = tf.saved_model.load(str(path)).signatures

    expected = {"concept_name", "u00e9vu00e9nement_type", "class_", "self_"}
    inputs = signatures[ENCODE].structured_input_signature[1]
    assert set(inputs) == {"values", "length"} | expected
    sequences = probes.decode(records, columns.names, columns.categories)
    embedding = signatures["serving_default"](examples=tf.constant(records))["embedding"]
    assert np.isfinite(embedding).all()
    [one] = signatures[ENCODE](
        values=sequences[0].values[np.newaxis],
        length=tf.constant([STEPS[0]], tf.int64),
        **{key: tf.constant([words.tolist()]) for key, words in sequences[0].words.items()},
    )["embedding"]
    np.testing.assert_allclose(one, embedding[0], rtol=0, atol=1e-6)

    sums = signatures[EVALUATE](**{EXAMPLES: tf.constant(records)})
    totals = {name: tensor.numpy().sum(axis=0)[np.newaxis] for name, tensor in sums.items()}
    estimates = formulas.model_estimates(totals, FEATURES, [(HEAD.name, HEAD.type)], CATEGORIES)
    assert estimates["head/köpt? ja/nej/loss"].count == 3
    assert (
        estimates["category/événement type/accuracy"].count == 3 + 3 + 4
    )  # Without the empty words.
    assert estimates["masked_mse/温度"].count == sum(STEPS)


def test_heads_of_one_legal_name_are_refused(tmp_path):
    other = dataclasses.replace(HEAD, name="köpt? ja-nej")
    assert collisions([HEAD.name, other.name]) == [(other.name, HEAD.name)]
    with pytest.raises(ValueError, match="heads: the encoder would have two outputs 'ku00f6pt"):
        Config(
            name="x", workdir="w", schema="gestures", input=None, heads=(HEAD, other)
        )  # fmt: skip
    with pytest.raises(ValueError, match="name: expected one, received ' '"):
        dataclasses.replace(HEAD, name=" ")
