"""Columns are standardised: centre, upper spread, guards, and scikit-learn's checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.utils.estimator_checks import parametrize_with_checks

from calibration.standardiser import Standardiser
from inspector.bundle.records import Fusion
from inspector.scoring import decision

Floats = NDArray[np.float64]


def skewed(n: int = 200, columns: int = 5, seed: int = 0) -> Floats:
    """Non-negative columns of different magnitude, skewed to the right."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.gamma(2.0, size=(n, columns)) * 10.0 ** np.arange(columns))


def over_common_threshold(z: Floats) -> Floats:
    """Share of rows in which each column exceeds the 95 % quantile of the rows' largest."""
    return np.asarray((z > np.quantile(z.max(axis=1), 0.95)).mean(axis=0))


@parametrize_with_checks([Standardiser()])  # type: ignore[untyped-decorator]  # scikit-learn is untyped
def test_scikit_learn_agrees(
    estimator: Standardiser, check: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standardiser passes scikit-learn's own estimator checks, none excepted."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the check of array-API dispatch does not run
    check(estimator)


def test_center_and_scale_by_definition() -> None:
    """The centre is the median; the scale is the distance to the 95 % quantile in standard deviations."""
    X = skewed()
    fitted = Standardiser().fit(X)
    np.testing.assert_allclose(fitted.center_, np.median(X, axis=0))
    np.testing.assert_allclose(
        fitted.scale_, (np.quantile(X, 0.95, axis=0) - np.median(X, axis=0)) / 1.6448536269514722
    )


def test_normal_columns_get_unit_variance() -> None:
    """A normally distributed column gets a mean near 0 and a standard deviation near 1."""
    X = np.random.default_rng(1).normal(7.0, 3.0, size=(20_000, 1))
    z = Standardiser().fit_transform(X)
    assert z.mean() == pytest.approx(0.0, abs=0.05)
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_harmless_disturbance_widens_the_spread_alone() -> None:
    """Disturbed pictures keep the centre and widen the spread of the columns that they change."""
    X = skewed()
    other = X * (1.0, 1.5, 1.5, 1.5, 1.5)
    plain = Standardiser().fit(X)
    fitted = Standardiser().fit(X, disturbed=other)
    np.testing.assert_array_equal(fitted.center_, plain.center_)
    assert (fitted.scale_[1:] > plain.scale_[1:]).all()


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e9])
def test_the_unit_of_a_column_does_not_matter(factor: float) -> None:
    """A column in other units gives the same scores, even where its numbers are tiny."""
    X = skewed()
    np.testing.assert_allclose(
        Standardiser().fit_transform(X * factor), Standardiser().fit_transform(X), rtol=1e-9
    )


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-20])
def test_a_constant_column_stays_finite(value: float) -> None:
    """A column that never varied gives 0 for itself and a finite score for anything else."""
    X = skewed(n=30)
    X[:, 2] = value
    fitted = Standardiser().fit(X)
    assert fitted.scale_[2] > 0
    np.testing.assert_array_equal(fitted.transform(X)[:, 2], 0.0)
    X[:, 2] = value + 1.0
    assert np.isfinite(fitted.transform(X)).all()


def test_a_column_that_is_mostly_equal_does_not_rule() -> None:
    """A column that is 0 on nearly all training pictures is scaled by its largest value."""
    X = skewed(n=100)
    X[:, 2] = 0.0
    X[:3, 2] = [0.2, 0.7, 0.4]
    fitted = Standardiser().fit(X)
    assert fitted.scale_[2] == pytest.approx(0.7)
    assert fitted.transform(X)[:, 2].max() == pytest.approx(1.0)


def test_rounding_noise_is_not_a_spread() -> None:
    """Differences in the last digits of a column do not become large scores."""
    X = skewed(n=50)
    X[:, 1] = 5.0 + 1e-9 * np.arange(50)
    assert np.abs(Standardiser().fit_transform(X)[:, 1]).max() < 1e-3


@pytest.mark.parametrize("n", [20, 200, 2000])
def test_no_skewed_column_rules_alone(n: int) -> None:
    """With the upper spread, skewed columns reach the common threshold more evenly than with the IQR."""
    rng = np.random.default_rng(n)
    rejected_upper, rejected_quartiles = np.zeros(3), np.zeros(3)
    for _ in range(40):
        train, fresh = (
            np.column_stack([rng.normal(5, 1, size), rng.gamma(2.0, size=size), rng.lognormal(0, 1.3, size)])
            for size in (n, 2000)
        )
        fitted = Standardiser().fit(train)
        q1, q2, q3 = np.quantile(train, [0.25, 0.5, 0.75], axis=0)
        rejected_upper += over_common_threshold(fitted.transform(fresh))
        rejected_quartiles += over_common_threshold((fresh - q2) / (q3 - q1))
    assert rejected_upper.max() / rejected_upper.sum() < rejected_quartiles.max() / rejected_quartiles.sum()


def test_a_few_bad_training_pictures_hardly_move_the_scale() -> None:
    """One grossly defective picture in a hundred changes centre and scale by less than a fifth."""
    X = skewed(n=1000)
    dirty = np.vstack([X[:990], X[990:] * 1e6])
    clean, moved = Standardiser().fit(X), Standardiser().fit(dirty)
    assert np.abs(moved.scale_ / clean.scale_ - 1).max() < 0.2
    assert np.abs(moved.center_ / clean.center_ - 1).max() < 0.2


def test_the_product_standardises_the_same() -> None:
    """Standardising with the numbers of a bundle equals the estimator to the last bit."""
    X = skewed()
    fitted = Standardiser().fit(X)
    fusion = Fusion(center=tuple(fitted.center_.tolist()), scale=tuple(fitted.scale_.tolist()), fused=())
    np.testing.assert_array_equal(decision.standardise(X, fusion), fitted.transform(X))
