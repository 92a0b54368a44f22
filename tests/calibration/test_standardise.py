"""Raw statistics become component scores: centre, upper spread, guards, and scikit-learn's checks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from calibration.standardise import ScoreFusion

Floats = NDArray[np.float64]
NAMES = ("reconstruction", "reconstruction", "latent_mmd", "head", "head")


def skewed(n: int = 200, columns: int = 5, seed: int = 0) -> Floats:
    """Non-negative columns of different magnitude, skewed to the right."""
    rng = np.random.default_rng(seed)
    return np.asarray(rng.gamma(2.0, size=(n, columns)) * 10.0 ** np.arange(columns))


def over_common_threshold(z: Floats) -> Floats:
    """Share of rows in which each column exceeds the 95 % quantile of the rows' largest."""
    return np.asarray((z > np.quantile(z.max(axis=1), 0.95)).mean(axis=0))


@parametrize_with_checks([ScoreFusion(), ScoreFusion(upper_quantile=0.75)])  # type: ignore[untyped-decorator]  # scikit-learn is untyped
def test_scikit_learn_agrees(
    estimator: ScoreFusion, check: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fusion passes scikit-learn's own estimator checks, none excepted."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the check of array-API dispatch does not run
    check(estimator)


def test_center_and_scale_by_definition() -> None:
    """Centre is the median; scale the way from there to the 95 % quantile in standard deviations."""
    X = skewed()
    fusion = ScoreFusion().fit(X)
    np.testing.assert_allclose(fusion.center_, np.median(X, axis=0))
    np.testing.assert_allclose(
        fusion.scale_, (np.quantile(X, 0.95, axis=0) - np.median(X, axis=0)) / 1.6448536269514722
    )


def test_normal_columns_get_unit_variance() -> None:
    """A normally distributed column leaves with a mean near 0 and a standard deviation near 1."""
    X = np.random.default_rng(1).normal(7.0, 3.0, size=(20_000, 1))
    z = ScoreFusion().fit_transform(X)
    assert z.mean() == pytest.approx(0.0, abs=0.05)
    assert z.std() == pytest.approx(1.0, abs=0.05)


def test_components_are_the_mean_of_their_columns() -> None:
    """A component's score is the mean of its standardised columns, in order of first appearance."""
    X = skewed()
    fusion = ScoreFusion(NAMES, fused=("latent_mmd", "head")).fit(X)
    z = (X - fusion.center_) / fusion.scale_
    expected = np.column_stack([z[:, :2].mean(axis=1), z[:, 2], z[:, 3:].mean(axis=1)])
    assert fusion.components_ == ("reconstruction", "latent_mmd", "head")
    np.testing.assert_allclose(fusion.transform(X), expected)
    np.testing.assert_allclose(fusion.fuse(X), expected[:, 1:].mean(axis=1))


def test_weights_say_how_much_each_component_counts() -> None:
    """The final score is the weighted mean of the fused components; as many weights are needed."""
    X = skewed()
    fusion = ScoreFusion(NAMES, fused=("head", "latent_mmd"), weights=(1, 3)).fit(X)
    scores = fusion.transform(X)
    np.testing.assert_allclose(fusion.fuse(X), 0.25 * scores[:, 2] + 0.75 * scores[:, 1])
    with pytest.raises(ValueError, match="it must have 2 numbers"):
        ScoreFusion(NAMES, fused=("head", "latent_mmd"), weights=(1,)).fit(X)


def test_what_is_more_usual_than_most_excuses_nothing() -> None:
    """With a floor, a component below it counts as the floor, in the final score alone."""
    X = skewed()
    fusion = ScoreFusion(NAMES, fused=("head", "latent_mmd"), floor=0.0).fit(X)
    scores = fusion.transform(X)
    assert (scores < 0).any()
    np.testing.assert_allclose(fusion.fuse(X), np.maximum(scores[:, 1:], 0).mean(axis=1))


def test_harmless_disturbance_widens_the_spread_alone() -> None:
    """Pictures under other light leave the centre, and make a column that they move count less."""
    X = skewed()
    other = X * (1.0, 1.5, 1.5, 1.5, 1.5)
    plain = ScoreFusion().fit(X)
    fusion = ScoreFusion().fit(X, disturbed=other)
    np.testing.assert_array_equal(fusion.center_, plain.center_)
    assert (fusion.scale_[1:] > plain.scale_[1:]).all()


def test_columns_of_a_component_need_not_be_neighbours() -> None:
    """Columns belong together by name, wherever they stand."""
    X = skewed(columns=3)
    fusion = ScoreFusion(("head", "latent_mmd", "head")).fit(X)
    z = (X - fusion.center_) / fusion.scale_
    np.testing.assert_array_equal(fusion.transform(X)[:, 0], z[:, [0, 2]].mean(axis=1))


def test_without_names_each_column_stands_alone() -> None:
    """By default the components are the columns, and all of them enter the final score."""
    X = skewed()
    fusion = ScoreFusion().fit(X)
    np.testing.assert_array_equal(fusion.transform(X), (X - fusion.center_) / fusion.scale_)
    np.testing.assert_allclose(fusion.fuse(X), fusion.transform(X).mean(axis=1))


@pytest.mark.parametrize("factor", [1e-12, 1e-3, 1e9])
def test_the_unit_of_a_column_does_not_matter(factor: float) -> None:
    """A column in other units gives the same scores, even where its numbers are tiny."""
    X = skewed()
    np.testing.assert_allclose(
        ScoreFusion().fit_transform(X * factor), ScoreFusion().fit_transform(X), rtol=1e-9
    )


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0, 1e-20])
def test_a_constant_column_stays_finite(value: float) -> None:
    """A column that never varied gives 0 for itself and a finite score for anything else."""
    X = skewed(n=30)
    X[:, 2] = value
    fusion = ScoreFusion().fit(X)
    assert fusion.scale_[2] > 0
    np.testing.assert_array_equal(fusion.transform(X)[:, 2], 0.0)
    X[:, 2] = value + 1.0
    assert np.isfinite(fusion.transform(X)).all()


def test_a_column_that_is_mostly_equal_does_not_rule() -> None:
    """A column that is 0 on nearly all training pictures is scaled by how far it reached, not by 0."""
    X = skewed(n=100)
    X[:, 2] = 0.0
    X[:3, 2] = [0.2, 0.7, 0.4]
    fusion = ScoreFusion().fit(X)
    assert fusion.scale_[2] == pytest.approx(0.7)
    assert fusion.transform(X)[:, 2].max() == pytest.approx(1.0)


def test_rounding_noise_is_not_a_spread() -> None:
    """Differences in the last digits of a column do not become large scores."""
    X = skewed(n=50)
    X[:, 1] = 5.0 + 1e-9 * np.arange(50)
    assert np.abs(ScoreFusion().fit_transform(X)[:, 1]).max() < 1e-3


@pytest.mark.parametrize("n", [20, 200, 2000])
def test_no_skewed_column_rules_alone(n: int) -> None:
    """The upper spread lets columns of different skew reach the common threshold more evenly than the IQR."""
    rng = np.random.default_rng(n)
    rejected_upper, rejected_quartiles = np.zeros(3), np.zeros(3)
    for _ in range(40):
        train, fresh = (
            np.column_stack([rng.normal(5, 1, size), rng.gamma(2.0, size=size), rng.lognormal(0, 1.3, size)])
            for size in (n, 2000)
        )
        fusion = ScoreFusion().fit(train)
        q1, q2, q3 = np.quantile(train, [0.25, 0.5, 0.75], axis=0)
        rejected_upper += over_common_threshold(fusion.transform(fresh))
        rejected_quartiles += over_common_threshold((fresh - q2) / (q3 - q1))
    assert rejected_upper.max() / rejected_upper.sum() < rejected_quartiles.max() / rejected_quartiles.sum()


def test_a_few_bad_training_pictures_hardly_move_the_scale() -> None:
    """One grossly defective picture in a hundred changes centre and scale by less than a fifth."""
    X = skewed(n=1000)
    dirty = np.vstack([X[:990], X[990:] * 1e6])
    clean, moved = ScoreFusion().fit(X), ScoreFusion().fit(dirty)
    assert np.abs(moved.scale_ / clean.scale_ - 1).max() < 0.2
    assert np.abs(moved.center_ / clean.center_ - 1).max() < 0.2


def test_wrong_names_are_refused() -> None:
    """Names that do not fit the columns, and fused components that do not exist, are refused."""
    X = skewed()
    with pytest.raises(ValueError, match="names 1 columns, but X has 5"):
        ScoreFusion(("head",)).fit(X)
    with pytest.raises(ValueError, match="must name some of"):
        ScoreFusion(NAMES, fused=("tail",)).fit(X)
    with pytest.raises(ValueError, match="must name some of"):
        ScoreFusion(NAMES, fused=()).fit(X)


@pytest.mark.parametrize("level", [0.5, 1.0, 0.0])
def test_upper_quantile_out_of_range(level: float) -> None:
    """An upper quantile that is not above the median is refused with its value."""
    with pytest.raises(ValueError, match=f"upper_quantile is {level}"):
        ScoreFusion(upper_quantile=level).fit(skewed())


def test_cloning_keeps_the_names() -> None:
    """A clone has the same parameters and is not fitted."""
    fusion = ScoreFusion(NAMES, fused=("head",)).fit(skewed())
    assert clone(fusion).get_params() == fusion.get_params()
    assert not hasattr(clone(fusion), "center_")
