"""A normal distribution over the features of good pictures, and what each should be given the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from sklearn.covariance import ledoit_wolf_shrinkage

Floats = NDArray[np.float64]

NOISE = 0.05  # what may move every feature by itself, however still it is in the rows; log units


def conditional_residual(rows: Floats) -> tuple[Floats, Floats]:
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
    middle : array (p,)
        Their mean μ.
    residual : array (p, p)
        `P / √diag P`: `(x − μ) @ residual` is r, of variance 1 where the rows are normal.

    References
    ----------
    O. Ledoit and M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices",
    Journal of Multivariate Analysis 88, 2004.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> first = rng.normal(size=500)
    >>> rows = np.stack([first, first + 0.2 * rng.normal(size=500)], 1)
    >>> middle, residual = conditional_residual(rows)
    >>> np.round((np.array([[1.0, 1.0], [1.0, 2.0]]) - middle) @ residual, 1)
    array([[ 0.1,  0.1],
           [-3.8,  4.2]])
    """
    middle = rows.mean(0)
    x = rows - middle
    n, p = x.shape
    shrinkage = ledoit_wolf_shrinkage(x, assume_centered=True)
    common, own = shrinkage * np.square(x).sum() / (n * p) + NOISE**2, (1 - shrinkage) / n
    # The inverse of common·I + own·xᵀx by Woodbury's identity: there are fewer rows than features.
    explained = x.T @ cho_solve(cho_factor(common * np.eye(n) + own * x @ x.T), own * x)
    precision = (np.eye(p) - (explained + explained.T) / 2) / common
    return middle, precision / np.sqrt(np.diag(precision))
