"""An encoder with transforms: every form of it takes raw values, and is the NumPy float64 oracle.

The schema has each transform, of features that may be missing and of others; the model is exported
by the project's own exporter.
"""

import dataclasses
import json

import numpy as np
import oracle
import pytest
import tensorflow as tf
from push import clean_exports, runtimes

import ragline
from ragline.components.contract.feature_transforms import LEAST, apply_by_feature
from ragline.components.contract.signatures import ENCODER_FILE
from ragline.components.push.contract import check, graph, probes
from ragline.components.serving import facts
from ragline.components.serving.fast import weights
from ragline.components.serving.fast.fast_encoder import fast_form
from ragline.components.train.options import TrainOptions

TRANSFORMS = ("log", "none", "none", "signed_log", "log", "signed_log")
OPTIONS = {"units": 4, "embedding_size": 3}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("transformed")
    transform = clean_exports.transform_output("transformed", folder / "transform")
    return clean_exports.write("transformed", transform, folder / "1")


@pytest.fixture(scope="module")
def signatures(model):
    return tf.saved_model.load(str(model))


def _sequences() -> list[np.ndarray]:
    """Raw values over many orders of magnitude, with missing ones and some without a logarithm."""
    rng = np.random.default_rng(1)
    made = []
    for length in (1, 2, 5, 34, 3):
        values = rng.normal(size=(length, 6))
        values[:, 0] = np.exp(3 * values[:, 0])
        values[:, 3] = np.sinh(9 * values[:, 3])
        values[:, 4] = np.exp(9 * values[:, 4])
        values[:, 5] *= 1e-5
        values[rng.random((length, 6)) < 0.2] = np.nan
        outside = rng.random((length, 6)) < 0.1
        outside[:, [1, 2, 3, 5]] = False
        values[outside] = rng.choice([-1.0, 0.0, 1e-40])
        made.append(values.astype(np.float32))
    return made


def _padded(sequences: list[np.ndarray], content: float) -> dict[str, np.ndarray]:
    length = np.array([len(values) for values in sequences])
    values = np.full((len(sequences), length.max() + 2, 6), content, np.float32)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    return {"values": values, "length": length}


def _standardised(model, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the facts say that the network reads of a sequence [T, F], and what was observed."""
    stated = facts.read(model).features
    raw = values.astype(np.float64)
    least = [LEAST[feature.transform] for feature in stated]
    observed = np.isfinite(raw) & (raw >= least)
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = {
            "none": raw,
            "log": np.log(np.where(observed, raw, 1.0)),
            "signed_log": np.copysign(np.log1p(np.abs(raw)), raw),
        }
        made = np.stack([logs[f.transform][:, place] for place, f in enumerate(stated)], axis=1)
        std = np.array([feature.std for feature in stated])
        z = (made - [feature.mean for feature in stated]) / np.where(std > 0, std, np.inf)
    return np.where(observed, z, 0.0), observed


def _weights(model) -> list[np.ndarray]:
    """Those of the layers, without the state of a random generator."""
    return [array for array in weights.read(model).values() if array.dtype == np.float32]


def _oracle(model, sequences: list[np.ndarray]) -> np.ndarray:
    own = _weights(model)
    options = TrainOptions(**OPTIONS)
    return np.array(
        [
            oracle.encode(z, own, options, observed)
            for z, observed in (_standardised(model, values) for values in sequences)
        ]
    )


@pytest.mark.parametrize("content", [0.0, 1e30, -1.0, np.nan, np.inf, -np.inf])
def test_the_exported_graph_is_the_oracle_whatever_stands_in_the_padding(
    model, signatures, content
):
    sequences = _sequences()
    received = runtimes.savedmodel(signatures, _padded(sequences, content))
    np.testing.assert_allclose(received, _oracle(model, sequences), rtol=0, atol=2e-6)


def test_flat_columns_examples_and_the_fast_form_are_it_too(model, signatures):
    sequences = _sequences()
    expected = _oracle(model, sequences)
    flat = runtimes.flat(_padded(sequences, 0.0))
    by_flat = signatures.signatures["encode_flat"](
        values=tf.constant(flat.values), row_lengths=tf.constant(flat.length)
    )
    np.testing.assert_allclose(by_flat["embedding"], expected, rtol=0, atol=2e-6)
    encoder = fast_form(model, facts.read(model), 1)
    assert encoder is not None
    np.testing.assert_allclose(encoder.encode_flat(flat), expected, rtol=0, atol=2e-6)
    loaded = ragline.Encoder(str(model))
    assert [feature.transform for feature in loaded.facts.features] == [*TRANSFORMS]
    np.testing.assert_allclose(loaded.encode(sequences), expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize("content", [0.0, -1.0, np.nan, np.inf])
def test_onnx_has_the_transforms_inside(model, content, tmp_path):
    sequences = _sequences()
    session = runtimes.written(model, tmp_path / "encoder.onnx")
    [received] = session.run(["embedding"], _padded(sequences, content))
    np.testing.assert_allclose(received, _oracle(model, sequences), rtol=0, atol=2e-6)


def test_errors_are_of_standardised_transformed_values(model, signatures):
    """Of what has no transform, as of what is missing, there is no error."""
    own = _weights(model)
    errors = []
    for values in _sequences():
        z, observed = _standardised(model, values)
        made = oracle.reconstruct(z, own, TrainOptions(**OPTIONS), observed)
        errors.append(np.square(made - z)[observed].mean() if observed.any() else np.nan)
    scored = signatures.signatures["score"](
        **{name: tf.constant(each) for name, each in _padded(_sequences(), np.inf).items()}
    )
    np.testing.assert_allclose(scored["reconstruction_error"], errors, rtol=1e-5, atol=0)


def test_it_passes_the_check_of_a_push(checked_here, model):
    assert graph.foreign_ops(model) == []
    checked = check.check(model, strict=True)
    assert checked.violations == ()
    assert {"extreme", "golden", "missing_step", "ops", "zero_step"} <= set(checked.clauses_checked)


def test_facts_state_the_lowest_format_that_holds_them(model, tmp_path):
    """An older ragline would leave a transform, or statistics, out and embed something else."""
    stated = facts.read(model)
    assert [feature.transform for feature in stated.features] == [*TRANSFORMS]
    plain = tuple(dataclasses.replace(each, transform="none") for each in stated.features)
    without = dataclasses.replace(stated.network, statistics=None)
    for features, network, number in (
        (stated.features, stated.network, 4),
        (plain, stated.network, 4),
        (stated.features, without, 2),
        (plain, without, 1),
    ):
        changed = dataclasses.replace(stated, features=features, network=network)
        facts.write(tmp_path, changed)
        assert json.loads((tmp_path / ENCODER_FILE).read_text())["version"] == number
    assert facts.read(tmp_path).fingerprint != stated.fingerprint


def test_sequences_made_up_for_a_check_have_transforms(model):
    """Noise around the means is of transformed values."""
    stated = facts.read(model).features
    arguments = [f.mean for f in stated], [f.std for f in stated]
    made = probes.make(*arguments, transforms=TRANSFORMS)
    plain = probes.make(*arguments)
    for one, other in zip(made, plain, strict=True):
        again = apply_by_feature(TRANSFORMS, one.values)
        np.testing.assert_allclose(again, other.values, rtol=1e-4, atol=1e-5)
