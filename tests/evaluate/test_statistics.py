"""The baseline of statistics: exact, of the embedding's size, and blind to nothing but order."""

import numpy as np
import pytest

from ragline.components.evaluate.baselines import statistics_baseline
from ragline.components.evaluate.verdict import label_probes


def test_statistics_are_those_of_numpy_over_observed_values():
    rng = np.random.default_rng(0)
    sequence = rng.normal(size=(9, 3))
    sequence[[0, 4], 1] = np.nan
    sequence[:, 2] = np.nan
    [row] = statistics_baseline.describe([sequence])
    mean, deviation, least, most, first, last, observed = row[:-1].reshape(7, 3)
    for place in (0, 1):
        column = sequence[~np.isnan(sequence[:, place]), place]
        expected = [column.mean(), column.std(), column.min(), column.max(), column[0], column[-1]]
        got = [stat[place] for stat in (mean, deviation, least, most, first, last)]
        np.testing.assert_allclose(got, expected, atol=1e-12)
    assert [stat[2] for stat in (mean, deviation, least, most, first, last)] == [0.0] * 6
    np.testing.assert_allclose(observed, [1.0, 7 / 9, 0.0])
    assert row[-1] == pytest.approx(np.log(9))


def test_they_are_reduced_to_the_size_of_the_embedding_and_no_further():
    rng = np.random.default_rng(1)
    sequences = [rng.normal(size=(rng.integers(1, 20), 2)) for _ in range(60)]
    rows = statistics_baseline.describe(sequences)
    assert rows.shape == (60, 15)
    assert statistics_baseline.fit(sequences, 4).transform(rows).shape == (60, 4)
    whole = statistics_baseline.fit(sequences, 32).transform(rows)
    assert whole.shape == (60, 15)
    np.testing.assert_allclose(whole.mean(axis=0), 0.0, atol=1e-9)


@pytest.mark.parametrize(
    ("model", "pca", "statistics", "expected"),
    [
        (0.9, 0.91, 0.915, []),
        (
            0.9, 0.91, 0.95,
            ["label is predicted from the embedding with a balanced accuracy of 0.9, from "
             "statistics of as many numbers with 0.95"],
        ),
        (
            0.5, 0.75, 0.7,
            ["label is predicted from the embedding with a balanced accuracy of 0.5, from a PCA of "
             "as many numbers with 0.75"],
        ),
    ],
)  # fmt: skip
def test_the_verdict_names_a_label_that_a_baseline_predicts_better(
    model, pca, statistics, expected
):
    scores = {"model": model, "pca": pca, "statistics": statistics}
    probe = {name: {label_probes.MEASURE: score} for name, score in scores.items()}
    assert [*label_probes.sentences({"probes": {"label": probe}})] == expected
    assert [*label_probes.sentences({"finite": False})] == []
