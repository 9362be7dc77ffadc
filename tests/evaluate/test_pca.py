import numpy as np
import oracle
import pytest
from conftest import JAPANESE_VOWELS
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import sampled

from ragline.components.evaluate.baselines import pca_baseline


@settings(deadline=None, max_examples=sampled(50))
@given(seed=st.integers(0, 2**16), length=st.integers(1, 40))
def test_resampling_interpolates_between_observed_values(seed, length):
    """Straight lines over time come back exactly, whatever is missing between their ends."""
    rng = np.random.default_rng(seed)
    slope, start = rng.normal(size=(2, 3))
    places = np.linspace(0.0, 1.0, length) if length > 1 else np.array([0.5])
    values = start + places[:, None] * slope
    values[1:-1][rng.random((max(length - 2, 0), 3)) < 0.5] = np.nan
    wanted = np.linspace(0.0, 1.0, pca_baseline.STEPS)[:, None]
    expected = start + (wanted if length > 1 else np.full_like(wanted, 0.5)) * slope
    np.testing.assert_allclose(
        pca_baseline.resample(values, pca_baseline.STEPS), expected, atol=1e-12
    )


def test_a_feature_that_was_never_observed_is_its_training_mean():
    values = np.array([[1.0, np.nan], [2.0, np.nan]])
    assert pca_baseline.resample(values, 3).tolist() == [[1.0, 0.0], [1.5, 0.0], [2.0, 0.0]]


def test_before_the_first_and_after_the_last_observed_value_it_is_held():
    values = np.array([[np.nan], [3.0], [np.nan], [5.0], [np.nan]])
    assert pca_baseline.resample(values, 5).ravel().tolist() == [3.0, 3.0, 4.0, 5.0, 5.0]


def test_with_all_components_only_the_resampling_is_lost():
    rng = np.random.default_rng(0)
    sequences = [rng.normal(size=(pca_baseline.STEPS, 2)) for _ in range(60)]
    fitted = pca_baseline.fit(sequences, 1000)
    assert fitted.n_components_ == 2 * pca_baseline.STEPS
    for values, output in zip(sequences, pca_baseline.reconstruct(fitted, sequences), strict=True):
        np.testing.assert_allclose(output, values, atol=1e-9)


def test_fewer_sequences_than_numbers_are_as_many_components():
    sequences = [np.full((3, 1), float(value)) for value in range(4)]
    assert pca_baseline.fit(sequences, 32).n_components_ == 4


def _read(path) -> list[np.ndarray]:
    """The sequences [T, F] of a .ts file: features between colons, the label last."""
    lines = path.read_text(encoding="utf-8").partition("@data\n")[2].splitlines()
    return [
        np.array([column.split(",") for column in line.split(":")[:-1]], np.float32).T
        for line in lines
    ]


@pytest.fixture(scope="module")
def vowels() -> list[list[np.ndarray]]:
    """Both official splits, standardised by the statistics of the first."""
    if not JAPANESE_VOWELS.is_dir():
        pytest.skip(f"the Japanese Vowels data is not in {JAPANESE_VOWELS}")
    splits = [_read(JAPANESE_VOWELS / f"JapaneseVowels_{split}.ts") for split in ("TRAIN", "TEST")]
    return [oracle.standardise(splits[0], split) for split in splits]


@pytest.mark.parametrize(
    ("components", "train", "test"),
    [(8, 0.1583, 0.1631), (16, 0.0751, 0.0805), (32, 0.0303, 0.0380)],
)
def test_what_a_pca_of_japanese_vowels_reconstructs(vowels, components, train, test):
    fitted = pca_baseline.fit(vowels[0], components)
    for sequences, expected in zip(vowels, (train, test), strict=True):
        error = oracle.mean_squared_error(sequences, pca_baseline.reconstruct(fitted, sequences))
        assert error == pytest.approx(expected, abs=5e-5)
