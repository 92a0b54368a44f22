"""Figures of scores agree with second implementations."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from calibration.image_metrics import auroc, auroc_interval, average_precision, proportion_interval

Floats = NDArray[np.float64]


def pairs_auroc(good: Floats, defective: Floats) -> float:
    """AUROC by looking at every pair."""
    wins = [1.0 if d > g else 0.5 if d == g else 0.0 for g in good for d in defective]
    return sum(wins) / len(wins)


@pytest.mark.parametrize("seed", range(3))
def test_auroc_and_precision_against_pairs(seed: int) -> None:
    """AUROC equals the share of pairs in the right order, ties counting half; precision is scikit-learn's."""
    rng = np.random.default_rng(seed)
    good, defective = rng.integers(0, 8, 30).astype(float), rng.integers(3, 12, 20).astype(float)
    assert auroc(good, defective) == pytest.approx(pairs_auroc(good, defective))
    labels, values = np.repeat([0, 1], [30, 20]), np.concatenate([good, defective])
    assert average_precision(good, defective) == pytest.approx(average_precision_score(labels, values))


def test_infinite_scores_are_the_highest() -> None:
    """Scores of invalid pictures, infinite, rank above all others and equal to each other."""
    good, defective = np.array([1.0, 2.0, np.inf]), np.array([3.0, np.inf])
    assert auroc(good, defective) == pytest.approx((2 + 2.5) / 6)
    assert average_precision(good, defective) is not None
    low, high = auroc_interval(good, defective) or (0.0, 0.0)
    assert 0 <= low < high <= 1


def test_without_one_class_there_is_no_figure() -> None:
    """With good or defective pictures alone AUROC, precision and interval are None."""
    some, none = np.array([1.0, 2.0]), np.array([])
    for good, defective in ((some, none), (none, some)):
        assert auroc(good, defective) is None
        assert average_precision(good, defective) is None
        assert auroc_interval(good, defective) is None


def test_bootstrap_against_a_loop() -> None:
    """The interval equals that of a plain loop over resamples, up to the noise of both."""
    rng = np.random.default_rng(0)
    good, defective = np.round(rng.normal(0, 1, 60), 1), np.round(rng.normal(1, 1, 40), 1)
    values = [
        roc_auc_score(
            np.repeat([0, 1], [60, 40]), np.concatenate([rng.choice(good, 60), rng.choice(defective, 40)])
        )
        for _ in range(1500)
    ]
    assert auroc_interval(good, defective, resamples=6000) == pytest.approx(
        np.quantile(values, [0.025, 0.975]), abs=0.01
    )


def test_bootstrap_is_seeded_and_does_not_depend_on_its_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same interval, another seed another; small chunks give a close one."""
    rng = np.random.default_rng(1)
    good, defective = rng.normal(0, 1, 80), rng.normal(1, 1, 50)
    whole = auroc_interval(good, defective)
    assert whole == auroc_interval(good, defective)
    assert whole != auroc_interval(good, defective, seed=1)
    monkeypatch.setattr("calibration.image_metrics.WEIGHTS_AT_ONCE", 7 * 130)
    assert auroc_interval(good, defective) == pytest.approx(whole, abs=0.02)


def test_bootstrap_covers_the_truth() -> None:
    """About 95 of 100 intervals hold the true AUROC of two normal distributions."""
    rng = np.random.default_rng(2)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    intervals = [
        auroc_interval(rng.normal(0, 1, 60), rng.normal(1, 1, 60), resamples=300) or (0.0, 0.0)
        for _ in range(300)
    ]
    assert np.mean([low <= truth <= high for low, high in intervals]) == pytest.approx(0.95, abs=0.04)


@pytest.mark.parametrize(("count", "total"), [(0, 20), (8, 200), (20, 20)])
def test_proportion_interval_is_exact(count: int, total: int) -> None:
    """At each end, the observed count or a more extreme one has a probability of 2.5 %."""
    low, high = proportion_interval(count, total) or (0.0, 0.0)
    assert (low == 0.0) if count == 0 else stats.binom.sf(count - 1, total, low) == pytest.approx(0.025)
    assert (high == 1.0) if count == total else stats.binom.cdf(count, total, high) == pytest.approx(0.025)
    assert proportion_interval(0, 0) is None
