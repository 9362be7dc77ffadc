"""The real preprocessing_fn, run by TensorFlow Transform on Beam, against NumPy float64."""

import functools
import tempfile

import apache_beam as beam
import numpy as np
import oracle
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform.tf_metadata import schema_utils
from tfx_bsl.public import tfxio

from ragline import schemas
from ragline.components.contract import feature_statistics
from ragline.components.contract.columns import Columns
from ragline.components.ingest.output import examples
from ragline.components.ingest.records import chunk
from ragline.components.transform.preprocessing import preprocessing_fn

# One column each for what breaks a standardisation.
FEATURES = ("plain", "offset", "huge", "constant", "missing", "never")


@pytest.fixture(scope="module")
def columns_and_schema():
    schema = schemas.load("gestures")
    schema.ClearField("tensor_representation_group")
    for feature, name in zip(
        [feature for feature in schema.feature if feature.type == schema_pb2.FLOAT],
        FEATURES,
        strict=True,
    ):
        feature.name = name
        feature.float_domain.disallow_nan = name not in ("missing", "never")
    group = schema.tensor_representation_group[""].tensor_representation
    for name in FEATURES:
        group[name].ragged_tensor.feature_path.step.append(name)
    for name in ("sequence_id", "entity_id", "length"):
        group[name].dense_tensor.column_name = name
        group[name].dense_tensor.shape.SetInParent()
    group["label"].varlen_sparse_tensor.column_name = "label"
    return Columns.from_schema(schema), schema


@pytest.fixture(scope="module")
def sequences() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    made = []
    for length in rng.integers(1, 60, 120):
        values = rng.normal(size=(length, len(FEATURES)))
        values[:, 0] = values[:, 0] * 0.08 - 5
        values[:, 1] = 1e6 + 0.1 * values[:, 1]
        values[:, 2] = values[:, 2] * 1e38
        values[:, 3] = 0.1  # Whose float64 mean is not 0.1 after rounding.
        values[rng.random(length) < 0.3, 4] = np.nan
        values[:, 5] = np.nan
        made.append(np.clip(values, -3.4e38, 3.4e38).astype(np.float32))
    return made


@pytest.fixture(scope="module")
def transformed(layer_and_parsed):
    """What Transform makes of the sequences, by a real TFT run."""
    layer, parsed = layer_and_parsed
    return layer(parsed)


def test_a_feature_that_train_never_saw_is_not_observed_later_either(layer_and_parsed):
    """Its 0 would be a target without an error."""
    layer, parsed = layer_and_parsed
    never = parsed["never"]
    later = layer(parsed | {"never": never.with_flat_values(tf.ones_like(never.flat_values))})
    before = layer(parsed)
    for name in ("values", "observed"):
        np.testing.assert_array_equal(later[name].flat_values, before[name].flat_values)
    assert not later["observed"].flat_values.numpy().reshape(-1, len(FEATURES))[:, 5].any()


def test_mean_and_std_are_read_by_name_from_the_graph_that_tft_saves(output_and_parsed, sequences):
    """In float64, to the last digits: what standardises is what is stated."""
    output, _ = output_and_parsed
    mean, std = feature_statistics.read(output.transform_savedmodel_dir)
    rows = np.concatenate(sequences).astype(np.float64)
    constant, never = FEATURES.index("constant"), FEATURES.index("never")
    seen = [index for index in range(len(FEATURES)) if index != never]
    values = [column[np.isfinite(column)] for column in rows.T]
    np.testing.assert_allclose(
        mean[seen], [values[index].mean() for index in seen], rtol=1e-12, atol=1e-12
    )
    varied = [index for index in seen if index != constant]
    np.testing.assert_allclose(std[varied], [values[index].std() for index in varied], rtol=1e-9)
    assert (std[constant], std[never]) == (0.0, 0.0)
    assert np.isnan(mean[never])


@pytest.fixture(scope="module")
def layer_and_parsed(output_and_parsed):
    """The transform graph of a real TFT run, and the raw sequences as it takes them."""
    output, parsed = output_and_parsed
    return output.transform_features_layer(), parsed


@pytest.fixture(scope="module")
def output_and_parsed(sequences, columns_and_schema):
    """What a real TFT run leaves, and the raw sequences as its graph takes them."""
    columns, schema = columns_and_schema
    records = examples.encode_chunk(
        chunk.of_records(
            [
                chunk.Record(
                    number=number,
                    sequence_id=str(number),
                    entity_id=str(number),
                    length=len(values),
                    values=dict(zip(columns.names, values.T.astype(np.float64), strict=True)),
                    time=None,
                    context={},
                )
                for number, values in enumerate(sequences)
            ],
            columns,
        ),
        columns,
    )
    config = {
        "features": list(columns.names),
        "context": list(columns.context),
        "allow_missing": columns.allow_missing,
        "categories": [],
    }
    source = tfxio.TFExampleBeamRecord(
        physical_format="inmem", telemetry_descriptors=["test"], schema=schema
    )
    folder = tempfile.mkdtemp()
    with beam.Pipeline(runner="FnApiRunner") as pipeline, tft_beam.Context(tempfile.mkdtemp()):
        batches = pipeline | beam.Create(records) | source.BeamSource()
        _, function = (batches, source.TensorAdapterConfig()) | tft_beam.AnalyzeAndTransformDataset(
            functools.partial(preprocessing_fn, custom_config=config)
        )
        function | tft_beam.WriteTransformFn(folder)
    output = tft.TFTransformOutput(folder)
    spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    parsed = tf.io.parse_example(records, {name: spec[name] for name in FEATURES})
    return output, parsed


def _rows(ragged: tf.RaggedTensor) -> list[np.ndarray]:
    return [row.numpy().reshape(-1, len(FEATURES)) for row in ragged]


def test_z_scores_equal_the_oracle_over_valid_observed_values(transformed, sequences):
    """float64 to the end: offsets and magnitudes that float32 statistics lose are exact."""
    with np.errstate(invalid="ignore"):
        expected = oracle.standardise([s[:, :5] for s in sequences], [s[:, :5] for s in sequences])
    for row, z in zip(_rows(transformed["values"]), expected, strict=True):
        np.testing.assert_allclose(row[:, :5], z, rtol=1e-6, atol=1e-6)


def test_standardised_features_have_mean_zero_and_variance_one(transformed, sequences):
    rows = np.concatenate(_rows(transformed["values"])).astype(np.float64)
    observed = np.isfinite(np.concatenate(sequences))
    for feature in ("plain", "offset", "huge", "missing"):
        index = FEATURES.index(feature)
        values = rows[observed[:, index], index]
        assert abs(values.mean()) < 1e-6
        assert values.var() == pytest.approx(1.0, abs=1e-6)


def test_a_constant_feature_and_one_that_was_never_seen_are_exactly_zero(transformed):
    rows = np.concatenate(_rows(transformed["values"]))
    assert (rows[:, FEATURES.index("constant")] == 0.0).all()
    assert (rows[:, FEATURES.index("never")] == 0.0).all()


def test_missing_is_zero_with_observed_zero(transformed, sequences):
    rows = (_rows(transformed["values"]), _rows(transformed["observed"]))
    for values, observed, raw in zip(*rows, sequences, strict=True):
        np.testing.assert_array_equal(observed, np.isfinite(raw).astype(np.int64))
        assert (values[np.isnan(raw)] == 0.0).all()
