"""A normal distribution over the features of good pictures, and what each should be given the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf_shrinkage

Floats = NDArray[np.float64]

NOISE = 0.05  # what may move every feature by itself, however still it is in the rows; log units


class Residual(NamedTuple):
    """How far each feature is from what all the others predict, for p features learned from n rows.

    It is `(x − middle)·scale − ((x − middle) @ along) @ back`, which takes 2·n·p multiplications and not p².

    Attributes
    ----------
    middle : array (p,)
        Mean of the rows.
    scale : array (p,)
    along : array (p, n)
    back : array (n, p)
    """

    middle: Floats
    scale: Floats
    along: Floats
    back: Floats

    def __call__(self, x: Floats) -> Floats:
        """(m, p) to the same shape; of variance 1 where the rows are normal."""
        moved = x - self.middle
        return np.asarray(moved * self.scale - moved @ self.along @ self.back)


def conditional_residual(rows: Floats) -> Residual:
    r"""Learn how far each feature is from what all the others predict.

    In a normal distribution with precision P the expectation of feature j given the others is linear in
    them, and its standardised residual is

    .. math:: r_j = \frac{\sum_i (x_i - \mu_i) P_{ij}}{\sqrt{P_{jj}}}

    The covariance is shrunk towards a multiple of the identity, so that it can be inverted however few rows
    there are.

    Parameters
    ----------
    rows : array (n, p)
        Features of good pictures, n at least 2; the time taken rises with n³.

    Returns
    -------
    Residual

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004.

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
    shrinkage = ledoit_wolf_shrinkage(x, assume_centered=True)
    common, own = shrinkage * np.square(x).sum() / (n * p) + NOISE**2, (1 - shrinkage) / n
    # The inverse of common·I + own·xᵀx is (I − along·alongᵀ) / common, by Woodbury's identity.
    root = cholesky(common * np.eye(n) + own * x @ x.T, lower=True)
    along = np.sqrt(own) * solve_triangular(root, x, lower=True).T  # (p, n)
    scale = 1 / np.sqrt(common * (1 - np.square(along).sum(1)))
    return Residual(middle, scale, along, along.T * scale)
