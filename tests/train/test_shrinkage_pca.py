import itertools

import numpy as np
import pytest
from sklearn.decomposition import PCA

from ragline.components.train.model import shrinkage_pca

STEPS, FEATURES = 4, 3
D = STEPS * FEATURES


def _rows(number: int, seed: int = 0, mean: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return mean + rng.normal(size=(number, D)) @ rng.normal(size=(D, D))


def _separable(rows: np.ndarray) -> np.ndarray:
    """The target, entry by entry."""
    square = np.cov(rows.T, bias=True).reshape(STEPS, FEATURES, STEPS, FEATURES)
    scale = np.trace(square.reshape(D, D))
    target = np.zeros_like(square)
    for k, f, m, g in np.ndindex(square.shape):
        in_time = sum(square[k, h, m, h] for h in range(FEATURES))
        of_features = sum(square[n, f, n, g] for n in range(STEPS))
        target[k, f, m, g] = in_time * of_features / scale
    return target.reshape(D, D)


def _stats(parts: list[np.ndarray]) -> shrinkage_pca.CovarianceStats:
    """Of parts, each second one in sums of its own."""
    sums, others = (shrinkage_pca.RowSums(parts[0].mean(axis=0), D) for _ in range(2))
    for part, into in zip(parts, itertools.cycle((sums, others)), strict=False):
        into.add(part)
    sums.merge(others)
    return sums.stats()


@pytest.mark.parametrize("size", [1, 3, 50])
@pytest.mark.parametrize("mean", [0.0, 1e6])
def test_moments_do_not_depend_on_the_parts(size, mean):
    rows = _rows(50, mean=mean)
    parts = [rows[at : at + size] for at in range(0, 50, size)]
    computed = _stats(parts)
    centred = rows - rows.mean(axis=0)
    assert computed.rows == 50
    np.testing.assert_allclose(computed.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(computed.covariance, np.cov(rows.T, bias=True), rtol=1e-7, atol=1e-9)
    assert computed.spread == pytest.approx(np.mean(np.linalg.norm(centred, axis=1) ** 4), rel=1e-7)


@pytest.mark.parametrize("number", [5, 40, 10_000])
def test_the_share_is_ledoit_and_wolfs(number):
    """By its definition: the mean squared distance of one row's covariance from that of all."""
    rows = _rows(number)
    covariance, target = np.cov(rows.T, bias=True), _separable(rows)
    centred = rows - rows.mean(axis=0)
    noise = np.mean([np.square(np.outer(x, x) - covariance).sum() for x in centred]) / number
    share = min(noise / np.square(covariance - target).sum(), 1.0)
    computed = shrinkage_pca.shrink(_stats([rows]), STEPS)
    np.testing.assert_allclose(computed, (1 - share) * covariance + share * target, rtol=1e-9)
    assert 0.01 < share < 1.0 if number < 50 else share < 0.01


@pytest.mark.parametrize("rows", [np.ones((5, D)), np.ones((1, D)), np.zeros((3, D))])
def test_rows_without_variance_are_left_alone(rows):
    assert (shrinkage_pca.shrink(_stats([rows]), STEPS) == 0.0).all()


def test_few_rows_are_better_told_by_the_shrunk_covariance():
    """Of data whose covariance is separable, from 20 rows of 12 numbers: what is left over."""
    rng = np.random.default_rng(1)
    maps = [rng.normal(size=(size, size)) for size in (STEPS, FEATURES)]
    drawn = rng.normal(size=(1020, STEPS, FEATURES))
    rows = np.einsum("ij,njk,lk->nil", maps[0], drawn, maps[1]).reshape(-1, D)
    computed = _stats([rows[:20]])

    def left_over(covariance: np.ndarray) -> float:
        directions = shrinkage_pca.components(covariance, 4)
        rest = rows[20:] - computed.mean
        return float(np.square(rest - rest @ directions.T @ directions).mean())

    shrunk = shrinkage_pca.shrink(computed, STEPS)
    assert left_over(shrunk) < 0.99 * left_over(computed.covariance)


@pytest.mark.parametrize("size", [1, 5, D, D + 3])
def test_the_components_span_those_of_scikit_learn(size):
    rows = _rows(200)
    computed = shrinkage_pca.components(np.cov(rows.T, bias=True), size)
    expected = PCA(min(size, D), svd_solver="full").fit(rows).components_
    np.testing.assert_allclose(computed.T @ computed, expected.T @ expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(computed @ computed.T, np.eye(len(expected)), rtol=0, atol=1e-12)
