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
from ragline.components.train.export import reconstruction_samples, sample_profiles
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
    errors = sorted(e for e in shown[0]["sequences"]["mse"] if e is not None)
    assert [*actual] == ["worst", *(f"worst_{place}" for place in range(2, len(errors) + 1))]
    assert [one["mse"] for one in actual.values()] == errors[::-1], "all, the worst first"
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


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=40))
def test_the_worst_come_first_and_none_twice(errors):
    actual = reconstruction_samples.choose_samples(errors, [1] * len(errors))
    there = sorted((error for error in errors if error is not None), reverse=True)
    assert len(set(actual.values())) == len(actual)
    worst = [errors[row] for label, row in actual.items() if label.startswith("worst")]
    assert worst == there[:10]
    if len(there) > 20 and len(set(there)) == len(there):
        assert errors[actual["best"]] == there[-1]
        assert errors[actual["median"]] == there[::-1][len(there) // 2]


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


def test_median_and_best_are_long_sequences_where_there_are_three():
    errors, lengths = [0.1 * place for place in range(30)], [1] * 30
    actual = reconstruction_samples.choose_samples(errors, lengths)
    assert (actual["best"], actual["median"]) == (0, 15)
    lengths[1:4] = [10, 20, 30]
    actual = reconstruction_samples.choose_samples(errors, lengths)
    assert (actual["best"], actual["median"]) == (1, 2)


def test_errors_and_missing_values_by_position_are_counted_by_hand():
    """20 bins: of 40 steps two fall in each; a single step lies in the middle."""
    values = np.zeros((40, 2))
    outputs = np.zeros((40, 2))
    outputs[:2, 0], outputs[38, 1] = 2.0, 3.0
    values[:1, 0] = np.nan
    single = np.array([[1.0, np.nan]]), np.array([[0.0, 5.0]])
    profile = sample_profiles.by_position([(values, outputs), single], ["a", "b"])
    assert profile["mse"][0] == pytest.approx(4.0 / 3)
    assert profile["mse"][10] == pytest.approx(1.0 / 5)
    assert profile["mse"][19] == pytest.approx(9.0 / 4)
    assert profile["missing"]["a"] == [0.5, *[0.0] * 19]
    assert profile["missing"]["b"][10] == pytest.approx(1 / 3, abs=1e-6)
    assert sample_profiles.by_position([], ["a"])["mse"] == [None] * 20


def test_neighbours_are_the_nearest_others():
    points = np.random.default_rng(2).normal(size=(30, 4))
    nearest = sample_profiles.nearest(points)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    expected = np.argsort(distances, axis=1)[:, : sample_profiles.NEIGHBOURS]
    assert nearest["index"] == expected.tolist()
    np.testing.assert_allclose(
        nearest["distance"], np.take_along_axis(distances, expected, axis=1), rtol=1e-3
    )


@pytest.mark.parametrize("points", [np.zeros((5, 2)), np.full((30, 2), np.nan)])
def test_there_are_no_neighbours_of_few_or_of_nan(points):
    assert sample_profiles.nearest(points) == {"index": [], "distance": []}
