"""The promise of the conformal threshold: exact ranks, simulated coverage, and scikit-learn's checks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.base import OutlierMixin
from sklearn.utils.estimator_checks import parametrize_with_checks

from calibration.conformal import (
    ConformalThreshold,
    TooFewNormalsWarning,
    beta_binomial_interval,
    conformal_rank,
    exact_rate,
    heldout_count,
    heldout_needed,
    images_needed,
)

Floats = NDArray[np.float64]
TRIALS = 4000
FRESH = 50
RATES = (0.01, 0.05, 0.1)


@pytest.mark.filterwarnings("ignore::calibration.conformal.TooFewNormalsWarning")
@parametrize_with_checks([ConformalThreshold()])  # type: ignore[untyped-decorator]  # scikit-learn is untyped
def test_scikit_learn_agrees(
    estimator: ConformalThreshold, check: Callable[[object], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The threshold passes scikit-learn's own estimator checks, none excepted."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")  # else the check of array-API dispatch does not run
    check(estimator)


def test_not_an_outlier_detector() -> None:
    """The threshold inherits no method that would reverse the sign of scores."""
    assert not isinstance(ConformalThreshold(), OutlierMixin)


@pytest.mark.parametrize(
    ("n", "rate", "rank"),
    [(19, 0.05, 19), (99, 0.05, 95), (18, 0.05, 19), (9, 0.1, 9), (29, 0.1, 27), (99, 0.01, 99)],
)
def test_rank_by_hand(n: int, rate: float, rank: int) -> None:
    """The rank equals the exact one, also where floating-point arithmetic is off by one."""
    assert conformal_rank(n, rate) == rank


@given(n=st.integers(1, 20_000), denominator=st.integers(2, 2000), data=st.data())
def test_rank_is_exact(n: int, denominator: int, data: st.DataObject) -> None:
    """For every rate p/q the rank equals ceil((n + 1)(1 - p/q)) in whole numbers."""
    numerator = data.draw(st.integers(1, denominator - 1))
    expected = -(-(n + 1) * (denominator - numerator) // denominator)
    assert conformal_rank(n, numerator / denominator) == expected


@given(rate=st.floats(1e-300, 1, exclude_max=True))
def test_rank_stays_in_range(rate: float) -> None:
    """Even the most extreme rate gives a rank from 1 to n + 1, and a positive number of rows needed."""
    assert 1 <= conformal_rank(50, rate) <= 51
    assert heldout_needed(rate) >= 1


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.5, float("nan"), float("inf")])
def test_rate_out_of_range(rate: float) -> None:
    """A rate outside of 0 to 1 is refused, and the message names it."""
    with pytest.raises(ValueError, match=r"must lie between 0 and 1"):
        ConformalThreshold(max_false_reject=rate).fit(np.ones((30, 1)))


def test_threshold_is_an_order_statistic_of_the_largest_column() -> None:
    """The threshold is the k-th smallest row score, a row's score its largest column."""
    X = np.random.default_rng(0).normal(size=(60, 4))
    fitted = ConformalThreshold(max_false_reject=0.1).fit(X)
    assert fitted.threshold_ == sorted(X.max(axis=1))[conformal_rank(60, 0.1) - 1]
    np.testing.assert_array_equal(fitted.anomaly_score(X), X.max(axis=1))
    np.testing.assert_array_equal(fitted.heldout_scores_, np.sort(X.max(axis=1)))
    assert fitted.promised_rate_ == 0.1
    assert fitted.images_missing_ == 0


def test_equal_to_the_threshold_is_not_flagged() -> None:
    """A score at the threshold passes, the next larger number is flagged."""
    fitted = ConformalThreshold(max_false_reject=0.1).fit(np.arange(1.0, 31.0)[:, None])
    above = np.nextafter(fitted.threshold_, np.inf)
    assert fitted.predict([[fitted.threshold_], [above]]).tolist() == [False, True]
    assert fitted.predict([[0.0]]).dtype == np.bool_


@pytest.mark.parametrize(("n", "missing"), [(1, 18), (5, 14), (18, 1)])
def test_too_few_rows(n: int, missing: int) -> None:
    """With too few rows the threshold is the largest, the promise 1/(n+1), and a warning says so."""
    scores = np.arange(float(n))[:, None]
    with pytest.warns(TooFewNormalsWarning, match=f"{n} held-out normals .* {missing} more are needed"):
        fitted = ConformalThreshold(max_false_reject=0.05).fit(scores)
    assert fitted.threshold_ == n - 1
    assert fitted.promised_rate_ == pytest.approx(1 / (n + 1))
    assert fitted.images_missing_ == missing
    assert issubclass(TooFewNormalsWarning, UserWarning)


@pytest.mark.parametrize("rate", RATES)
def test_just_enough_rows(rate: float) -> None:
    """ceil(1/rate) - 1 rows are enough to promise the rate; one row fewer is not."""
    needed = heldout_needed(rate)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        enough = ConformalThreshold(rate).fit(np.arange(float(needed))[:, None])
    assert (enough.promised_rate_, enough.images_missing_) == (rate, 0)
    with pytest.warns(TooFewNormalsWarning):
        fewer = ConformalThreshold(rate).fit(np.arange(float(needed - 1))[:, None])
    assert fewer.images_missing_ == 1
    assert fewer.promised_rate_ > rate


def test_threshold_at_another_rate() -> None:
    """A larger rate gives a lower threshold; the rate of the fit gives its threshold."""
    fitted = ConformalThreshold(0.05).fit(np.arange(1.0, 100.0)[:, None])
    assert fitted.threshold_at(0.05) == fitted.threshold_ == 95.0
    assert fitted.threshold_at(0.2) == 80.0
    assert fitted.threshold_at(1e-6) == 99.0


def test_p_values_by_counting() -> None:
    """The p-value is one plus the number of held-out scores at least as large, over n + 1."""
    rng = np.random.default_rng(1)
    heldout, fresh = rng.integers(0, 10, 40).astype(float), rng.integers(-1, 12, 100).astype(float)
    fitted = ConformalThreshold(0.1).fit(heldout[:, None])
    expected = [(1 + sum(h >= s for h in heldout)) / 41 for s in fresh]
    np.testing.assert_allclose(fitted.p_values(fresh[:, None]), expected)


@given(
    heldout=st.lists(st.integers(0, 6), min_size=1, max_size=60),
    rate=st.sampled_from([0.01, 0.05, 0.1, 0.2, 1 / 3, 0.5]),
)
def test_flagged_exactly_where_the_p_value_is_small(heldout: list[int], rate: float) -> None:
    """Where the rate can be promised, a picture is flagged exactly when its p-value is at most the rate."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TooFewNormalsWarning)
        fitted = ConformalThreshold(rate).fit(np.array(heldout, dtype=float)[:, None])
    fresh = np.arange(-1.0, 9.0)[:, None]
    counts = np.rint(fitted.p_values(fresh) * (len(heldout) + 1)).astype(int)
    small = [Fraction(int(count), len(heldout) + 1) <= exact_rate(rate) for count in counts]
    if fitted.images_missing_ == 0:
        assert fitted.predict(fresh).tolist() == small
    else:
        assert fitted.predict(fresh).tolist() == (counts == 1).tolist()


@pytest.mark.parametrize(
    ("n_images", "rate", "count"),
    [
        (1, 0.05, 1),
        (2, 0.05, 1),
        (5, 0.05, 2),
        (35, 0.05, 14),
        (47, 0.05, 18),
        (48, 0.05, 19),
        (70, 0.05, 19),
        (320, 0.05, 64),
        (581, 0.05, 117),
        (100, 0.01, 40),
        (300, 0.01, 99),
        (1000, 0.01, 200),
    ],
)
def test_heldout_count(n_images: int, rate: float, count: int) -> None:
    """The larger of 20 % and ceil(1/rate) - 1 is held out, at most 40 %, at least one picture."""
    assert heldout_count(n_images, rate) == count


@given(rate=st.floats(0.001, 0.4))
def test_images_needed(rate: float) -> None:
    """The number of pictures asked for is the smallest that holds out enough of them."""
    needed = images_needed(rate)
    assert heldout_count(needed, rate) >= heldout_needed(rate)
    assert heldout_count(needed - 1, rate) < max(2, heldout_needed(rate))


def _false_rejects(heldout: Floats, fresh: Floats, rate: float) -> NDArray[np.int64]:
    """Count the fresh normals of each trial over the estimator's own threshold."""
    counts = np.empty(len(heldout), dtype=np.int64)
    for trial, (known, new) in enumerate(zip(heldout, fresh, strict=True)):
        fitted = ConformalThreshold(rate)
        fitted.heldout_scores_ = np.sort(known)
        counts[trial] = np.count_nonzero(new > fitted.threshold_at(rate))
    return counts


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [20, 50, 100, 500])
def test_simulated_coverage(n: int, rate: float) -> None:
    """Continuous scores: false rejects follow the exact beta-binomial law, at most and nearly the promise."""
    rng = np.random.default_rng(n)
    counts = _false_rejects(rng.gamma(2.0, size=(TRIALS, n)), rng.gamma(2.0, size=(TRIALS, FRESH)), rate)
    k = min(conformal_rank(n, rate), n)
    law = stats.betabinom(FRESH, n + 1 - k, k)
    error = 4 * law.std() / np.sqrt(TRIALS) / FRESH
    promised = max(rate, 1 / (n + 1))
    assert counts.mean() / FRESH <= promised + error
    assert counts.mean() / FRESH == pytest.approx((n + 1 - k) / (n + 1), abs=error)
    assert counts.mean() / FRESH >= promised - 1 / (n + 1) - error
    for count in range(6):
        share, expected = np.mean(counts <= count), law.cdf(count)
        assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / TRIALS) + 1e-9)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("n", [20, 50, 100, 500])
@pytest.mark.parametrize("levels", [1, 3, 20])
def test_simulated_coverage_with_ties(n: int, rate: float, levels: int) -> None:
    """Scores that take few values: false rejects are never more than promised."""
    rng = np.random.default_rng([n, levels])
    heldout = np.floor(rng.beta(1.0, 3.0, size=(TRIALS, n)) * levels)
    fresh = np.floor(rng.beta(1.0, 3.0, size=(TRIALS, FRESH)) * levels)
    counts = _false_rejects(heldout, fresh, rate)
    error = 4 * counts.std() / np.sqrt(TRIALS) / FRESH
    assert counts.mean() / FRESH <= max(rate, 1 / (n + 1)) + error


def test_interval_holds_its_level() -> None:
    """The interval of counts covers at least its level; one step narrower, it does not."""
    low, high = beta_binomial_interval(117, 200, 0.05, level=0.9)
    k = conformal_rank(117, 0.05)
    law = stats.betabinom(200, 118 - k, k)
    assert law.cdf(high) - law.cdf(low - 1) >= 0.9
    assert law.cdf(high - 1) < 0.95
    assert law.cdf(low) >= 0.05
    assert beta_binomial_interval(5, 100, 0.05)[1] > 40


def test_interval_counts_what_the_estimator_flags() -> None:
    """Of many drawn calibrations at most 1 % flag a number of fresh normals outside the 99 % interval."""
    rng = np.random.default_rng(4)
    counts = _false_rejects(rng.normal(size=(TRIALS, 60)), rng.normal(size=(TRIALS, FRESH)), 0.05)
    low, high = beta_binomial_interval(60, FRESH, 0.05)
    assert np.mean((counts < low) | (counts > high)) <= 0.01 + 4 * np.sqrt(0.01 * 0.99 / TRIALS)
