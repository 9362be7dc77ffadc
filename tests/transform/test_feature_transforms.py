"""The transforms of features: their formulas, and TensorFlow Transform's, against NumPy float64."""

import json
import math
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from push import clean_exports
from tfx.types import channel, standard_artifacts

from ragline.components.contract import feature_statistics, feature_transforms
from ragline.components.contract.columns import Columns
from ragline.components.contract.feature_transforms import LEAST, SMALLEST_POSITIVE, TRANSFORMS
from ragline.components.evaluate.verdict.rules import Rules
from ragline.components.ingest.output import examples
from ragline.components.ingest.records.chunk import Chunk
from ragline.components.validate.features import FeatureOptions, to_schema
from ragline.pipeline import dag
from ragline.pipeline.config import Contract
from ragline.pipeline.run_facts import RunFacts
from ragline.schemas import SchemaError

NUMBERS = st.floats(width=32, allow_subnormal=False, allow_nan=False, allow_infinity=False)


def _expected(transform: str, value: float) -> float:
    """By the standard library, one number at a time; NaN of what is missing or has no transform."""
    if math.isnan(value) or value < LEAST[transform]:
        return math.nan
    if transform == "log":
        return math.log(value)
    return math.copysign(math.log1p(abs(value)), value) if transform == "signed_log" else value


@given(st.sampled_from(TRANSFORMS), st.lists(NUMBERS | st.just(math.nan), max_size=20))
def test_a_formula_is_that_of_its_page_and_its_inverse_undoes_it(transform, numbers):
    values = np.array(numbers, np.float64)
    made = feature_transforms.apply(transform, values)
    expected = [_expected(transform, value) for value in numbers]
    np.testing.assert_allclose(made, expected, rtol=1e-15, atol=0)
    back = feature_transforms.invert(transform, made)
    np.testing.assert_allclose(back, np.where(np.isnan(made), np.nan, values), rtol=1e-12, atol=0)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_what_is_made_up_in_transformed_space_is_a_float32_that_has_a_transform(transform):
    raw = feature_transforms.invert(transform, np.array([-1e4, -3.0, 0.0, 3.0, 1e4]))
    single = raw.astype(np.float32)
    assert np.isfinite(single).all()
    assert (single >= LEAST[transform]).all()


# name -> transform, and whether a value may be missing.
COLUMNS = {
    "plain": ("none", False),
    "price": ("log", False),
    "dose": ("log", True),
    "outside": ("log", True),  # Also numbers that have no logarithm.
    "current": ("signed_log", False),
    "giants": ("signed_log", True),
    "constant": ("signed_log", False),
    "never": ("log", True),
}


def _schema():
    return to_schema(
        {
            name: FeatureOptions(transform=transform, missing=missing)
            for name, (transform, missing) in COLUMNS.items()
        }
    )


@pytest.fixture(scope="module")
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = []
    for length in rng.integers(1, 40, 60):
        values = rng.normal(size=(length, len(COLUMNS)))
        values[:, 1] = np.exp(5 * values[:, 1] - 20)
        values[:, 2] = np.exp(values[:, 2])
        values[:, 3] = rng.choice([-1.0, 0.0, 1e-40, SMALLEST_POSITIVE, 1.0, 7.0], length)
        values[:, 4] *= 1e-6
        values[:, 5] = np.sinh(20 * values[:, 5])
        values[:, 6] = 0.1
        values[:, 7] = -1.0
        for column in (2, 5):
            values[rng.random(length) < 0.3, column] = np.nan
        made.append(values.astype(np.float32))
    return made


@pytest.fixture(scope="module")
def output(sequences, tmp_path_factory):
    columns = Columns.from_schema(_schema())
    ids = [str(place) for place in range(len(sequences))]
    rows = np.concatenate(sequences).astype(np.float64)
    length = np.array([len(values) for values in sequences])
    chunk = Chunk(
        number=np.arange(len(ids)),
        sequence_id=ids,
        entity_id=ids,
        length=length,
        values=dict(zip(columns.names, rows.T, strict=True)),
        time=None,
        context={},
    )
    records = examples.encode_chunk(chunk, columns)
    return clean_exports.analyse(_schema(), records, tmp_path_factory.mktemp("transform"))


def _oracle(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transformed values [N, F], NaN where missing; mean and deviation of those there are."""
    transforms = [transform for transform, _ in COLUMNS.values()]
    made = np.array(
        [[_expected(t, v) for t, v in zip(transforms, row, strict=True)] for row in rows.tolist()]
    )
    columns = [column[~np.isnan(column)] for column in made.T]
    mean = np.array([column.mean() if len(column) else np.nan for column in columns])
    std = np.array([column.std() if len({*column.tolist()}) > 1 else 0.0 for column in columns])
    return made, mean, std


def test_transform_standardises_transformed_values_over_valid_observed_ones(output, sequences):
    rows = np.concatenate(sequences)
    made, mean, std = _oracle(rows)
    stated_mean, stated_std = feature_statistics.read(output.transform_savedmodel_dir)
    np.testing.assert_allclose(stated_mean, mean, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(stated_std, std, rtol=1e-9, atol=0)
    length = [len(values) for values in sequences]
    transformed = output.transform_features_layer()(
        {
            name: tf.RaggedTensor.from_row_lengths(column, length)
            for name, column in zip(COLUMNS, rows.T, strict=True)
        }
    )
    shape = (-1, len(COLUMNS))
    z = transformed["values"].flat_values.numpy().reshape(shape)
    observed = transformed["observed"].flat_values.numpy().reshape(shape)
    np.testing.assert_array_equal(observed, ~np.isnan(made))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.where(std > 0, (made - mean) / std, 0.0)
    np.testing.assert_allclose(z, np.nan_to_num(expected, nan=0.0), rtol=1e-6, atol=1e-6)


def test_the_pipeline_hands_them_to_the_stage_and_its_cache_sees_them():
    columns = Columns.from_schema(_schema())
    contract = Contract(
        schema=_schema(), text="", columns=columns, rules=Rules(), file_name="features.pbtxt"
    )
    facts = RunFacts(
        contract=contract,
        schema_file=pathlib.Path("features.pbtxt"),
        source="",
        input_fingerprint="",
        baseline_model=None,
        serving_state="",
        force_bless_reason="",
        new_signature="",
    )
    examples, schema = (
        channel.Channel(type=kind)
        for kind in (standard_artifacts.Examples, standard_artifacts.Schema)
    )
    stage = dag._transform(facts, examples, schema)
    custom = json.loads(stage.exec_properties["custom_config"])
    stated = dict(zip(custom["features"], custom["transforms"], strict=True))
    assert stated == {name: transform for name, (transform, _) in COLUMNS.items()}


def test_the_schema_carries_it_as_a_tag_of_the_text_that_tfx_is_given():
    text = text_format.MessageToString(_schema())
    assert text.count('tag: "transform:log"') == 4
    columns = Columns.from_schema(text_format.Parse(text, clean_exports.schema_pb2.Schema()))
    assert columns.transforms == tuple(transform for transform, _ in COLUMNS.values())


def test_a_schema_with_a_transform_that_there_is_not_is_refused():
    schema = _schema()
    [giants] = [feature for feature in schema.feature if feature.name == "giants"]
    giants.annotation.tag[0] = "transform:signedlog"
    with pytest.raises(SchemaError, match=r"'giants': expected a transform of none, log, signed_l"):
        Columns.from_schema(schema)
    with pytest.raises(SchemaError, match=r"received 'signedlog'; did you mean 'signed_log'\?"):
        Columns.from_schema(schema)
