"""What a report and the projector show of the eval split: exact, and never padding."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from train import samples
from train.samples import OBSERVED, SPEC, F

from ragline.components.contract.columns import Columns, Feature
from ragline.components.train.data.sequence_batch import SequenceBatch
from ragline.components.train.export import reconstruction_samples
from ragline.components.train.model import architecture
from ragline.components.train.options import TrainOptions

COLUMNS = Columns(
    features=tuple(Feature(name=name, unit=None, allow_missing=True) for name in "ab"),
    context={"kind": "bytes"},
)
LENGTHS = [5, 1, 30, 12, 7, 3]  # Two of at least 10 steps: too few to leave the others out.


def _record(sample: samples.Sample, name: str) -> bytes:
    named = dataclasses.replace(sample, labels=dict(sample.labels) | {"sequence_id": name.encode()})
    return samples.record(named)


@pytest.fixture(scope="module")
def made():
    return samples.make(1, LENGTHS, missing=True)


@pytest.fixture(scope="module")
def autoencoder():
    return architecture.build(features=F, options=TrainOptions(units=4, embedding_size=3), steps=30)


@pytest.fixture(scope="module")
def shown(made, autoencoder, tmp_path_factory):
    path = tmp_path_factory.mktemp("samples") / "a.gz"
    samples.write(path, [_record(one, f"s{place}") for place, one in enumerate(made)])
    parsing = {"spec": SPEC | OBSERVED, "features": F}
    return reconstruction_samples.sample_reconstructions(
        autoencoder, [str(path)], columns=COLUMNS, parsing=parsing
    )


def _alone(autoencoder, sample) -> np.ndarray:
    batch = SequenceBatch(
        tf.constant(sample.values[np.newaxis]),
        tf.constant([len(sample.values)]),
        tf.constant(sample.observed[np.newaxis].astype(np.float32)),
    )
    return autoencoder.decode(autoencoder.encode(batch), batch).values.numpy()[0]


def test_errors_are_those_of_each_sequence_alone(made, autoencoder, shown):
    sequences = shown[0]["sequences"]
    assert sorted(sequences["sequence_id"]) == [f"s{place}" for place in range(len(made))]
    for name, length, mse in zip(
        *(sequences[k] for k in ("sequence_id", "length", "mse")), strict=True
    ):
        sample = made[int(name[1:])]
        assert length == len(sample.values)
        error = np.square(_alone(autoencoder, sample) - sample.values)[sample.observed]
        if len(error):
            assert mse == pytest.approx(error.mean(), rel=1e-5)
        else:
            assert mse is None
    labels = [made[int(name[1:])].labels.get("kind") for name in sequences["sequence_id"]]
    assert sequences["context"]["kind"] == [label and label.decode() for label in labels]


def test_a_reconstruction_has_the_steps_of_its_sequence_and_no_padding(made, autoencoder, shown):
    actual = {one["which"]: one for one in shown[0]["reconstructions"]}
    assert [*actual] == ["best", "median", "worst"]
    errors = [e for e in shown[0]["sequences"]["mse"] if e is not None]
    assert actual["best"]["mse"] == min(errors)
    assert actual["worst"]["mse"] == max(errors)
    for one in actual.values():
        sample = made[int(one["sequence_id"][1:])]
        outputs = _alone(autoencoder, sample)
        for place, name in enumerate("ab"):
            drawn = one["features"][name]
            expected = np.where(sample.observed[:, place], sample.values[:, place], np.nan)
            got = np.array([np.nan if v is None else v for v in drawn["values"]])
            np.testing.assert_allclose(got, expected, atol=1e-4)
            np.testing.assert_allclose(drawn["outputs"], outputs[:, place], atol=1e-4)


def test_the_plane_is_that_of_scikit_learn():
    points = np.random.default_rng(0).normal(size=(50, 5)) * [5, 3, 1, 1, 1]
    actual, shares = reconstruction_samples.project_to_plane(points)
    fitted = PCA(2).fit(points)
    np.testing.assert_allclose(np.abs(actual), np.abs(fitted.transform(points)), atol=1e-9)
    np.testing.assert_allclose(shares, fitted.explained_variance_ratio_, atol=1e-9)


@pytest.mark.parametrize("points", [np.zeros((0, 3)), np.ones((1, 3)), np.full((4, 3), np.nan)])
def test_a_plane_of_nothing_is_nothing(points):
    actual, shares = reconstruction_samples.project_to_plane(points)
    assert (actual == 0).all() and shares == [0.0, 0.0]


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=12))
def test_best_median_and_worst(errors):
    actual = reconstruction_samples.choose_samples(errors, [1] * len(errors))
    there = sorted(error for error in errors if error is not None)
    assert len(set(actual.values())) == len(actual) == min(3, len(there))
    if there:
        assert errors[actual["worst"]] == there[-1]
    if len(there) > 2:
        assert errors[actual["best"]] == there[0]
        assert errors[actual["median"]] == there[len(there) // 2]


def test_the_projector_has_a_line_a_sequence(shown, tmp_path):
    sequences, embeddings = shown
    sequences["sequences"]["sequence_id"][0] = "tab\tand\nline"
    reconstruction_samples.write_projector(tmp_path, sequences, embeddings)
    tensors = [line.split("\t") for line in (tmp_path / "tensors.tsv").read_text().splitlines()]
    np.testing.assert_allclose(np.array(tensors, float), embeddings, rtol=1e-6)
    heading, first, *rest = (tmp_path / "metadata.tsv").read_text().splitlines()
    assert heading.split("\t") == ["sequence_id", "length", "mse", "kind"]
    assert first.startswith("tab and line\t")
    assert len(rest) == len(embeddings) - 1


def test_long_sequences_are_drawn_where_there_are_three():
    errors, lengths = [0.1, 0.4, 0.3, 0.2, 0.9], [1, 10, 20, 30, 9]
    assert reconstruction_samples.choose_samples(errors, lengths) == {
        "best": 3,
        "median": 2,
        "worst": 1,
    }
    assert reconstruction_samples.choose_samples(errors, [1, 1, 20, 30, 9]) == {
        "best": 0,
        "median": 2,
        "worst": 4,
    }
