"""Thresholds with a promise: split conformal prediction on the scores of held-out normal pictures."""

from __future__ import annotations

import warnings
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

Floats = NDArray[np.float64]


class TooFewNormalsWarning(UserWarning):
    """The held-out normals are too few for the false-reject rate that was asked for."""


def exact_rate(rate: float) -> Fraction:
    """Return the rate as it was meant: 0.05 is 1/20, which no binary floating-point number is.

    Parameters
    ----------
    rate : float
        Strictly between 0 and 1.

    Returns
    -------
    Fraction

    Raises
    ------
    ValueError
        The rate is not a number strictly between 0 and 1.

    Examples
    --------
    >>> exact_rate(0.05)
    Fraction(1, 20)
    >>> exact_rate(1 - 0.95)
    Fraction(1, 20)
    """
    if not 0 < rate < 1:
        raise ValueError(f"the rate of false rejects is {rate!r}; it must lie between 0 and 1")
    return Fraction(float(rate)).limit_denominator(10**9) or Fraction(float(rate))


def conformal_rank(n: int, rate: float) -> int:
    """Return which held-out score, counted from the smallest, is the threshold.

    `k = ceil((n + 1) (1 - rate))`, computed without rounding.  A `k` of n + 1 means that n scores
    are too few: no threshold made of them can keep the promise.

    Parameters
    ----------
    n : int
        Number of held-out scores.
    rate : float
        The largest rate of false rejects.

    Returns
    -------
    int
        From 1 to n + 1.

    Examples
    --------
    >>> conformal_rank(19, 0.05), conformal_rank(99, 0.05), conformal_rank(18, 0.05)
    (19, 95, 19)
    """
    return max(1, ceil((n + 1) * (1 - exact_rate(rate))))


def heldout_needed(rate: float) -> int:
    """Return the fewest held-out normals that can promise the rate, `ceil(1 / rate) - 1`.

    Examples
    --------
    >>> heldout_needed(0.05), heldout_needed(0.01)
    (19, 99)
    """
    return max(1, ceil(1 / exact_rate(rate)) - 1)


def heldout_count(n_images: int, rate: float) -> int:
    """Return how many of the normal pictures to hold out from training.

    The larger of 20 % and `heldout_needed(rate)`, never more than 40 %, at least one.

    Parameters
    ----------
    n_images : int
        Number of normal pictures.
    rate : float
        The largest rate of false rejects.

    Returns
    -------
    int

    Examples
    --------
    >>> [heldout_count(n, 0.05) for n in (10, 35, 70, 500)]
    [4, 14, 19, 100]
    """
    return max(1, min(max(-(-n_images // 5), heldout_needed(rate)), 2 * n_images // 5))


def images_needed(rate: float) -> int:
    """Return the smallest number of normal pictures that can promise the rate if 40 % are held out.

    Examples
    --------
    >>> images_needed(0.05), heldout_count(48, 0.05), heldout_count(47, 0.05)
    (48, 19, 18)
    """
    return -(-5 * heldout_needed(rate) // 2)


def beta_binomial_interval(n_heldout: int, n_test: int, rate: float, level: float = 0.99) -> tuple[int, int]:
    """Return between which counts the false rejects among fresh normals lie.

    With `k` of n continuous held-out scores at or under the threshold, the chance that a fresh
    normal exceeds it follows Beta(n + 1 - k, k) over draws of the held-out set [1]_; hence the
    number flagged among m fresh normals follows BetaBinomial(m, n + 1 - k, k).

    Parameters
    ----------
    n_heldout : int
        Number n of held-out normals.
    n_test : int
        Number m of fresh normals.
    rate : float
        The rate that was asked for.
    level : float
        Probability of the central interval; 0.99 ends at the 0.5 % and 99.5 % quantiles.

    Returns
    -------
    tuple of int
        Lowest and highest count, both inside.

    References
    ----------
    .. [1] V. Vovk, "Conditional validity of inductive conformal predictors", ACML 2012.

    Examples
    --------
    >>> beta_binomial_interval(117, 200, 0.05)
    (0, 24)
    """
    k = min(conformal_rank(n_heldout, rate), n_heldout)
    law = stats.betabinom(n_test, n_heldout + 1 - k, k)
    low, high = law.ppf([(1 - level) / 2, (1 + level) / 2])
    return int(low), int(high)


class ConformalThreshold(BaseEstimator):
    r"""A threshold that good pictures exceed at most at a promised rate.

    .. math:: \hat t = s_{(k)}, \quad k = \lceil (n + 1)(1 - \alpha) \rceil

    where :math:`s_{(1)} \le \dots \le s_{(n)}` are the scores of n held-out normals.  If a fresh
    normal is exchangeable with them, its score exceeds the threshold with probability at most
    alpha, whatever the distribution; ties only make it rarer [1]_.  The probability is over the draw
    of the held-out pictures together with the fresh one: `beta_binomial_interval` says how far a
    single draw may stray.

    Scores rise with anomaly.  A picture is flagged when `score > threshold_`; equal is not flagged.

    Parameters
    ----------
    max_false_reject : float, default=0.05
        The largest rate alpha of good pictures that may be flagged, strictly between 0 and 1.

    Attributes
    ----------
    threshold_ : float
        The `k`-th smallest held-out score; the largest where n is too small for the rate.
    promised_rate_ : float
        The rate that is promised: `max_false_reject`, or 1 / (n + 1) where n is too small for it.
    images_missing_ : int
        How many more held-out normals the rate that was asked for needs; 0 where it is promised.
    heldout_scores_ : ndarray of shape (n_images,)
        The held-out scores, smallest first.
    n_features_in_ : int
        Number of columns seen by `fit`.

    References
    ----------
    .. [1] J. Lei, M. G'Sell, A. Rinaldo, R. J. Tibshirani, L. Wasserman, "Distribution-free
       predictive inference for regression", JASA 2018.

    Examples
    --------
    >>> import numpy as np
    >>> scores = np.arange(1.0, 20.0).reshape(-1, 1)
    >>> calibrated = ConformalThreshold(max_false_reject=0.1).fit(scores)
    >>> calibrated.threshold_
    18.0
    >>> calibrated.predict([[18.0], [18.5]])
    array([False,  True])
    >>> calibrated.p_values([[0.0], [19.0], [20.0]])
    array([1.  , 0.1 , 0.05])
    """

    def __init__(self, max_false_reject: float = 0.05) -> None:
        self.max_false_reject = max_false_reject

    def fit(self, X: ArrayLike, y: Any = None) -> ConformalThreshold:  # noqa: ARG002  # scikit-learn's signature
        """Learn the threshold from held-out normals.

        Parameters
        ----------
        X : array-like of shape (n_images, n_scores)
            Scores that share one unit, rising with anomaly; standardise on training pictures first.
        y : None
            Ignored; here for scikit-learn's conventions.

        Returns
        -------
        ConformalThreshold
            Itself.

        Warns
        -----
        TooFewNormalsWarning
            The rows are too few for the rate.
        """
        rate = exact_rate(self.max_false_reject)
        scores = validate_data(self, X, dtype=np.float64).max(axis=1)
        n = len(scores)
        self.heldout_scores_ = np.sort(scores)
        self.images_missing_ = max(0, heldout_needed(self.max_false_reject) - n)
        self.promised_rate_ = float(max(rate, Fraction(1, n + 1)))
        self.threshold_ = self._quantile(self.max_false_reject)
        if self.images_missing_:
            warnings.warn(
                f"{n} held-out normals cannot promise a false-reject rate of {self.max_false_reject:g}, "
                f"only {self.promised_rate_:.3g}; {self.images_missing_} more are needed",
                TooFewNormalsWarning,
                stacklevel=2,
            )
        return self

    def anomaly_score(self, X: ArrayLike) -> Floats:
        """Return each row's score, its largest column, of shape (n_images,); it rises with anomaly."""
        check_is_fitted(self)
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False).max(axis=1))

    def predict(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Return True, of shape (n_images,), where a row is flagged: its score exceeds `threshold_`."""
        return self.anomaly_score(X) > self.threshold_

    def p_values(self, X: ArrayLike) -> Floats:
        """Return how usual each row is, of shape (n_images,); it falls as anomaly rises.

        `p(s) = (1 + #{held-out >= s}) / (n + 1)`, which for a fresh normal is at most u with
        probability at most u.
        """
        scores = self.anomaly_score(X)
        n = len(self.heldout_scores_)
        at_least = n - np.searchsorted(self.heldout_scores_, scores, side="left")
        return np.asarray((1 + at_least) / (n + 1))

    def threshold_at(self, rate: float) -> float:
        """Return the threshold of another rate from the same scores; the largest if n is too small.

        Parameters
        ----------
        rate : float
            Strictly between 0 and 1.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        return self._quantile(rate)

    def _quantile(self, rate: float) -> float:
        n = len(self.heldout_scores_)
        return float(self.heldout_scores_[min(conformal_rank(n, rate), n) - 1])
