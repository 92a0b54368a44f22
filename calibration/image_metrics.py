"""Measures how well scores tell defective pictures from good ones, with confidence intervals."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

Floats = NDArray[np.float64]

LEVEL = 0.95  # of every interval
RESAMPLES = 1000
WEIGHTS_AT_ONCE = 2_000_000  # numbers; bounds the memory of the bootstrap to some 50 MB


def auroc(good: Floats, defective: Floats) -> float | None:
    """Return the probability that a defective picture scores higher than a good one; a tie counts half.

    Parameters
    ----------
    good, defective : array (n,)
        Scores; higher is more anomalous, infinity is allowed.

    Returns
    -------
    float or None
        None where either is empty.
    """
    if good.size == 0 or defective.size == 0:
        return None
    return float(metrics.roc_auc_score(_labels(good, defective), _ranks(good, defective)))


def average_precision(good: Floats, defective: Floats) -> float | None:
    """Return the area under the precision-recall curve, with defective pictures as the positive class.

    Parameters and return value are those of `auroc`.
    """
    if good.size == 0 or defective.size == 0:
        return None
    return float(metrics.average_precision_score(_labels(good, defective), _ranks(good, defective)))


def auroc_interval(
    good: Floats, defective: Floats, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float] | None:
    """Return a 95 % bootstrap interval of the AUROC, resampling good and defective pictures separately.

    A resample is a vector of multiplicities.  With the good scores sorted once, its AUROC is
    `sum_j w_j (below_j + below_or_equal_j) / (2 n m)`, where both counts are weighted cumulative sums over
    the good pictures.

    Parameters
    ----------
    good, defective : array (n,), array (m,)
        Scores; higher is more anomalous.
    resamples : int
        Number of bootstrap samples.
    seed : int
        The same seed gives the same interval.

    Returns
    -------
    tuple of float, or None
        The 2.5 % and 97.5 % quantiles; None where either set is empty.  A perfect separation gives (1, 1),
        because the bootstrap knows only the given pictures.
    """
    n, m = good.size, defective.size
    if n == 0 or m == 0:
        return None
    ordered = np.sort(good)
    left = np.searchsorted(ordered, defective, side="left")
    right = np.searchsorted(ordered, defective, side="right")
    rng = np.random.default_rng(seed)
    chunk = max(1, WEIGHTS_AT_ONCE // (n + m))
    values: list[Floats] = []
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        good_weights = rng.multinomial(n, np.full(n, 1 / n), size=size)  # (size, n)
        defect_weights = rng.multinomial(m, np.full(m, 1 / m), size=size)  # (size, m)
        below = np.pad(np.cumsum(good_weights, axis=1), ((0, 0), (1, 0)))  # (size, n + 1)
        wins = below[:, left] + below[:, right]  # (size, m)
        values.append((defect_weights * wins).sum(axis=1) / (2 * n * m))
    low, high = np.quantile(np.concatenate(values), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def proportion_interval(count: int, total: int) -> tuple[float, float] | None:
    """Return the exact (Clopper-Pearson) 95 % interval of `count / total`; None where total is 0."""
    if total == 0:
        return None
    interval = stats.binomtest(count, total).proportion_ci(LEVEL, method="exact")
    return float(interval.low), float(interval.high)


def _labels(good: Floats, defective: Floats) -> NDArray[np.int8]:
    return np.repeat(np.array([0, 1], np.int8), [good.size, defective.size])


def _ranks(good: Floats, defective: Floats) -> Floats:
    """Return the ranks of all scores: finite numbers in the same order, also for infinite scores."""
    return np.asarray(stats.rankdata(np.concatenate([good, defective]), method="dense"), dtype=np.float64)
