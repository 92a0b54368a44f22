"""The residual of a feature given the others agrees with second implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import covariance

from calibration.gaussian import NOISE, conditional_residual, ledoit_wolf_shrinkage


def test_it_is_the_residual_of_a_regression_on_the_others() -> None:
    """With many rows of few features, it is a least-squares residual divided by its spread."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, 5)) @ (np.eye(5) + 0.3 * rng.normal(size=(5, 5))) + 3.0
    found = conditional_residual(rows)(rows)
    for j in range(5):
        others = np.column_stack([np.delete(rows, j, axis=1), np.ones(len(rows))])
        left = rows[:, j] - others @ np.linalg.lstsq(others, rows[:, j], rcond=None)[0]
        assert np.corrcoef(found[:, j], left)[0, 1] > 0.99
        assert found[:, j].std() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_few_rows_and_features_that_never_vary_have_finite_residuals(count: int) -> None:
    """It works with fewer rows than features; where nothing varies, the noise has the residual 1."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(count, 64))
    assert np.isfinite(conditional_residual(rows)(rows)).all()
    still = conditional_residual(np.ones((count, 64)))
    np.testing.assert_allclose(still(np.full((1, 64), 1 + NOISE)), 1, rtol=1e-6)


@pytest.mark.parametrize(("count", "features"), [(2, 300), (40, 300), (300, 40), (500, 3)])
def test_the_shrinkage_is_that_of_scikit_learn(count: int, features: int) -> None:
    """The shrinkage equals scikit-learn's, for many features and for few."""
    rng = np.random.default_rng(count)
    rows = rng.normal(size=(count, features)) @ rng.normal(size=(features, features))
    rows -= rows.mean(0)
    expected = covariance.ledoit_wolf_shrinkage(rows, assume_centered=True)
    assert ledoit_wolf_shrinkage(rows @ rows.T, features) == pytest.approx(expected, rel=1e-9)
    assert ledoit_wolf_shrinkage(np.zeros((count, count)), features) == 0


def test_what_lies_outside_the_directions_counts_as_noise() -> None:
    """Two kept directions of two strong ones give the full result; with one, the other counts as noise."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 30)) + 0.3 * rng.normal(size=(400, 30))
    everything, both, one = (conditional_residual(rows, directions)(rows) for directions in (None, 2, 1))
    assert np.corrcoef(everything.ravel(), both.ravel())[0, 1] > 0.97
    assert np.corrcoef(everything.ravel(), one.ravel())[0, 1] < 0.8
    assert both.std() == pytest.approx(1, abs=0.1)
