"""The residual of each feature given all others, under a normal distribution of good pictures."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

Floats = NDArray[np.float64]

NOISE = 0.05  # standard deviation of the noise that every feature has, even one that never varies


class Residual(NamedTuple):
    """The difference of each of p features from its prediction by the others, with k directions.

    `(x − middle)·scale − ((x − middle) @ along) @ back` takes 2·k·p multiplications instead of p².

    Attributes
    ----------
    middle : array (p,)
        Mean of the rows.
    scale : array (p,)
    along : array (p, k)
    back : array (k, p)
    """

    middle: Floats
    scale: Floats
    along: Floats
    back: Floats

    def __call__(self, x: Floats) -> Floats:
        """Return the residuals of x, (m, p) to (m, p); of variance 1 if x is distributed like the rows."""
        moved = x - self.middle
        return np.asarray(moved * self.scale - moved @ self.along @ self.back)


def conditional_residual(rows: Floats, directions: int | None = None) -> Residual:
    r"""Learn to predict each feature from all others, and return the standardised residual.

    In a normal distribution with precision P, the expectation of feature j given the others is linear in
    them, and the standardised residual is

    .. math:: r_j = \frac{\sum_i (x_i - \mu_i) P_{ij}}{\sqrt{P_{jj}}}

    The covariance is shrunk towards a multiple of the identity, so that it can be inverted even if there are
    few rows.  Variance outside the kept directions counts as noise that all features share (probabilistic
    PCA).

    Parameters
    ----------
    rows : array (n, p)
        Features of good pictures, n at least 2; the time rises with n³.
    directions : int, optional
        Number of directions of largest variance to keep; all n without it.

    Returns
    -------
    Residual

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004.  M. E. Tipping and C. M. Bishop, "Probabilistic principal
    component analysis", Journal of the Royal Statistical Society B 61, 1999.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.normal(size=500)
    >>> rows = np.stack([first, first + 0.2 * rng.normal(size=500)], 1)
    >>> np.round(conditional_residual(rows)(np.array([[1.0, 1.0], [1.0, 2.0]])), 1)
    array([[ 0.1,  0.1],
           [-3.8,  4.2]])
    """
    middle = rows.mean(0)
    x = rows - middle
    n, p = x.shape
    products = x @ x.T
    shrinkage = ledoit_wolf_shrinkage(products, p)
    common, own = shrinkage * np.trace(products) / (n * p) + NOISE**2, (1 - shrinkage) / n
    variances, turned = eigh(own * products)  # (n,) and (n, n); of the columns along, and p of them overall
    kept = slice(-min(n, directions or n), None)
    common += (variances.sum() - variances[kept].sum()) / p
    # The inverse of the covariance is (I − along·alongᵀ) / common.
    along = np.sqrt(own) * x.T @ turned[:, kept] / np.sqrt(variances[kept].clip(0) + common)  # (p, k)
    scale = 1 / np.sqrt(common * (1 - np.square(along).sum(1)))
    return Residual(middle, scale, along, along.T * scale)


def ledoit_wolf_shrinkage(products: Floats, features: int) -> float:
    """Return how far to shrink a covariance, from the products (n, n) of centred rows with each other.

    The result equals scikit-learn's `ledoit_wolf_shrinkage`, which computes all pairs of features and takes
    much longer where there are more features than rows.
    """
    n = len(products)
    squares = np.square(products).sum() / n**2  # of the covariance's entries
    dispersion = squares / features - (np.trace(products) / (n * features)) ** 2
    error = (np.square(np.diagonal(products)).sum() / n - squares) / (n * features)
    return float(min(error, dispersion) / dispersion) if error > 0 and dispersion > 0 else 0.0
